"""What a person asks for, and what a page or a terminal sees of it while it is done.

Only data: knows neither how a portrait is made nor who keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from messages import Message
from pipeline.bases.plan import Plan, Work

Phase = Literal["queued", "preparing", "training", "generating", "done", "stopped", "failed"]

ENDED: tuple[Phase, ...] = ("done", "stopped", "failed")

Way = Literal["photo", "dressed", "painted"]
"""The person's own photo in a new studio; the same with other clothes in another room, which are
painted; or a new picture painted by a model of the face."""

OrderedWay = Literal["photo", "dressed", "painted", "both"]
ORDERED_WAYS: tuple[OrderedWay, ...] = get_args(OrderedWay)

ClassWord = Literal["person", "woman", "man"]
CLASS_WORDS: tuple[ClassWord, ...] = get_args(ClassWord)
"""What somebody may be called, as they wish; never guessed."""

# Until a first job has measured it on this machine: seconds for one portrait of the mini base.
FIRST_GUESS_SECONDS_PER_PORTRAIT = 0.8


@dataclass(frozen=True)
class Order:
    """What the person asked for.

    styles: keys of style files. crop: a key of `styles.CROPS`, or "look" for each style's own.
    tone: of the backdrop, a member of `tone.TONES`. class_word: what a large base is to call the
    person. way: of `ORDERED_WAYS`; "both" makes `count`
    portraits of photos, then as many painted ones. earlier: portraits that jobs had made for this
    session when it was ordered, so that one which was cut off goes on where it was; None counts
    them at its start.
    """

    styles: tuple[str, ...]
    count: int
    seed: int = 7
    keep_adapter: bool = False
    crop: str = "look"
    tone: str = "look"
    class_word: ClassWord = "person"
    way: OrderedWay = "painted"
    earlier: int | None = None

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways in the order in which they are gone: a photo's portraits come at once."""
        return ("photo", "painted") if self.way == "both" else (self.way,)

    @property
    def needs_base(self) -> bool:
        """Whether a base paints, if only clothes."""
        return self.way != "photo"

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Order:
        """The order that was written down.

        Raises:
            KeyError, TypeError, ValueError: it is none of this version.
        """
        return cls(**dict(row) | {"styles": tuple(row["styles"])})


@dataclass(frozen=True)
class Limits:
    """What an order may ask, from the settings. sample_portraits: most of an order of samples."""

    min_photos: int
    max_portraits: int
    sample_portraits: int


@dataclass(frozen=True)
class Progress:
    """What a page or a terminal shows of a job right now.

    `place` is 0 while the job runs and n when n jobs run before it. `seconds_left` is None until
    something has been measured. `share` of the whole, 0 to 1, is done.
    """

    phase: Phase
    place: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    made: int = 0
    count: int = 0
    seconds_left: float | None = None
    message: Message | None = None
    share: float = 0.0


@dataclass
class PhotoReport:
    """What the photo way measured, or the dressed one.

    px: longer sides of the portraits. likeness: of each portrait to the very photo it was made of.
    texture: of skin, portrait divided by photo.
    """

    headshots: int = 0
    seconds: float = 0.0
    px: dict[str, int] = field(default_factory=dict)
    likeness: dict[str, float] = field(default_factory=dict)
    texture: dict[str, float] = field(default_factory=dict)


@dataclass
class Report:
    """What a finished job measured. Numbers only: nothing in it can show a face.

    photo, dressed: of these ways, None if they were not gone. base and everything below it speak of
    the painted way; base and plans of the dressed one too. base is empty if nothing was painted.
    again: portraits that were tried once more, and how many had which flaw at their first try.
    choice: how many photos were held out, the scores of the adapters that were tried by their
    steps, and those of the one that was used; empty if none was tried.
    planned, plan: how it was to run, and how it ran at its end. memory: peaks in bytes, as
    `device.peak`. steps_down: how often memory ran short.
    """

    ways: tuple[Way, ...] = ()
    photo: PhotoReport | None = None
    dressed: PhotoReport | None = None
    base: str = ""
    planned: Plan | None = None
    plan: Plan | None = None
    adapter: dict[str, int] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    headshots: int = 0
    likeness: dict[str, float] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    seconds_per_portrait: float = FIRST_GUESS_SECONDS_PER_PORTRAIT
    seconds_per_step: float | None = None
    memory: dict[Work, dict[str, int]] = field(default_factory=dict)
    steps_down: int = 0

    @property
    def made(self) -> int:
        """Portraits of all ways."""
        ways = (self.photo, self.dressed)
        return self.headshots + sum(way.headshots for way in ways if way is not None)
