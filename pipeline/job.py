"""One job: a session's photos become an adapter, the adapter becomes portraits.

This is the whole main path in one function, `run`. It knows the order of the steps and what is
kept when; it knows nothing of queues and threads (`studio`), nor how a model learns (`train`).
Torch is imported when a job runs, never before.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import structlog
from PIL import Image

from errors import BadOrder, BaseUnavailable, DiskFull, Stopped, TamperedError
from pipeline.compositing.tone import TONES, toned
from pipeline.photos.detection import SAME_PERSON
from pipeline.planning.planner import Plan, Work
from pipeline.planning.planning import Measured, Planning, planner
from pipeline.portraits.score import PortraitRecord, baseline, person_vector, record_for, signature
from pipeline.portraits.style import CROPS, Style, choose, crop
from words import count, say

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.photos.album import Album, TrainingPhoto
    from pipeline.photos.detection import Faces
    from pipeline.portraits.generate import Shot
    from pipeline.training.train import Recipe, TrainStep
    from privacy.sessions import Session, Sessions
    from privacy.vault import File, Vault

log = structlog.get_logger()

T = TypeVar("T")

Phase = Literal["queued", "preparing", "training", "generating", "done", "stopped", "failed"]

KEPT_TOGETHER = 4
"""Portraits in one commit of the vault: each costs several waits for the disk."""

# Until a first job has measured it on this machine: seconds for one portrait of the mini base.
FIRST_GUESS_SECONDS_PER_PORTRAIT = 0.8


@dataclass(frozen=True)
class Order:
    """What the person asked for.

    styles: keys of style files. crop: a key of `styles.CROPS`, or "look" for each style's own.
    tone: of the backdrop, a member of `tone.TONES`.
    """

    styles: tuple[str, ...]
    count: int
    seed: int = 7
    keep_adapter: bool = False
    crop: str = "look"
    tone: str = "look"


@dataclass(frozen=True)
class Limits:
    """What an order may ask, from the settings."""

    min_photos: int
    max_portraits: int


@dataclass(frozen=True)
class Progress:
    """What a page or a terminal shows of a job right now.

    `place` is 0 while the job runs and n when n jobs run before it. `seconds_left` is None until
    something has been measured.
    """

    phase: Phase
    place: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    made: int = 0
    count: int = 0
    seconds_left: float | None = None
    sentence: str = ""


@dataclass
class Report:
    """What a finished job measured. Numbers only: nothing in it can show a face.

    planned, plan: how it was to run, and how it ran at its end. memory: peaks in bytes, as
    `device.peak`. steps_down: how often memory ran short.
    """

    base: str
    planned: Plan | None = None
    plan: Plan | None = None
    adapter: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    headshots: int = 0
    likeness: dict[str, float] = field(default_factory=dict)
    seconds_per_portrait: float = FIRST_GUESS_SECONDS_PER_PORTRAIT
    seconds_per_step: float | None = None
    memory: dict[Work, dict[str, int]] = field(default_factory=dict)
    steps_down: int = 0

    @property
    def measured(self) -> Measured:
        """What the next plan can learn from."""
        generate = self.seconds.get("generate")
        return Measured(
            seconds_per_step=self.seconds_per_step,
            seconds_per_portrait=generate / self.headshots if generate and self.headshots else None,
            peaks={work: peak["allocated"] for work, peak in self.memory.items() if peak},
            stepped_down=self.steps_down > 0,
        )


@dataclass(frozen=True)
class Services:
    """The parts that a job uses."""

    vault: Vault
    sessions: Sessions
    album: Album
    faces: Faces
    styles: dict[str, Style]
    limits: Limits
    load_base: Callable[[], Base]
    planning: Planning


def check(order: Order, good_photos: int, services: Services) -> list[Style]:
    """The chosen styles of an order that can start.

    Raises:
        BadOrder: the count is out of range; a style, crop or tone is unknown; photos are missing.
    """
    limits = services.limits
    if not 1 <= order.count <= limits.max_portraits:
        raise BadOrder(say("order.count_range", most=limits.max_portraits, asked=order.count))
    if order.crop not in ("look", *CROPS) or order.tone not in TONES:
        raise BadOrder(say("order.unknown_choice"))
    chosen = choose(services.styles, order.styles)
    if good_photos < limits.min_photos:
        needed = limits.min_photos
        if good_photos == 0:
            raise BadOrder(say("order.no_photos", needed=needed))
        raise BadOrder(count("order.too_few", good_photos, needed=needed))
    return chosen


def run(
    session: Session,
    order: Order,
    services: Services,
    *,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
    seconds_per_portrait: float | None = None,
) -> Report:
    """Train on the session's photos, make the portraits, mark the session delivered.

    The adapter lives in the vault from the end of training to the end of the batch, longer only
    with `order.keep_adapter`; a kept one from an earlier order is used again instead of training.
    Until training ends, its latest checkpoint lives there too: when a job was stopped or the
    machine failed, the next one goes on from it. When the GPU's memory runs short, it goes on from
    there at once, in smaller steps.

    seconds_per_portrait: as an earlier job measured it; None takes the plan's.

    Raises:
        BadOrder: the order cannot start.
        BaseUnavailable: the base cannot be loaded, does not fit into the GPU's memory, or changed
            while it was used.
        Stopped: `stop` became true. Portraits made until then stay.
        UnknownSession: the session was erased meanwhile.
        DiskFull: no room; portraits made until then stay.
    """
    started = time.monotonic()
    photos = services.album.training_photos(session)
    styles = check(order, len(photos), services)
    waiting = Progress("preparing", count=order.count, sentence=say("job.sentence.preparing"))
    report(waiting)
    planned = services.planning.plan(len(photos), len(styles), order.count)
    if planned is not None:
        report(replace(waiting, seconds_left=planned.seconds))
    base = services.load_base()
    recipe = _recipe(base, len(photos))
    first = _first_plan(base, recipe, planned)
    if planned is not None:
        base.configure(first)
    before = base.fingerprint()
    guess = first.seconds_per_portrait or FIRST_GUESS_SECONDS_PER_PORTRAIT
    result = Report(base.key, first, first, seconds_per_portrait=seconds_per_portrait or guess)
    try:
        adapter = _adapter(session, order, services, base, recipe, photos, result, report, stop)
        _portraits(session, order, styles, services, base, adapter, photos, result, report, stop)
    finally:
        if result.steps_down:
            base.configure(first)
        if not order.keep_adapter:
            services.vault.delete(session, "adapter")
        if services.sessions.alive(session.id) and services.vault.list(session, "portrait"):
            services.sessions.delivered(session)
    if base.fingerprint() != before:
        raise BaseUnavailable("The base model changed during a job. Please restart the server.")
    if planned is not None:
        services.planning.learn(first, result.measured)
    result.seconds["total"] = round(time.monotonic() - started, 2)
    return result


def _recipe(base: Base, photos: int) -> Recipe:
    from pipeline.training.train import recipe_for

    return recipe_for(base, photos)


def _first_plan(base: Base, recipe: Recipe, planned: Plan | None) -> Plan:
    """The plan with the recipe's own numbers; without one, everything as it has been loaded."""
    rank, steps, batch = recipe.rank, recipe.steps, recipe.batch
    if planned is None:
        return base.as_it_is(rank=rank, steps=steps, batch=batch)
    micro = min(planned.micro_batch, batch)
    return replace(planned, rank=rank, steps=steps, batch=batch, micro_batch=micro)


def _stepping_down(
    work: Callable[[], T], during: Work, base: Base, result: Report, tell: Callable[[str], None]
) -> T:
    """What `work` returns; tried again by a smaller plan whenever the GPU's memory runs short.

    tell: given the sentence for the visitor before each new try.

    Raises:
        BaseUnavailable: there is no smaller plan.
    """
    from pipeline.bases import device

    device.watch()
    while True:
        assert result.plan is not None
        try:
            done = work()
            result.memory[during] = device.peak()
            return done
        except Exception as error:
            if not device.short_of_memory(error):
                raise
        # Only here, where the error and all that its frames held are gone, can memory be freed.
        device.release()
        before, smaller = result.plan, planner.smaller(result.plan, during)
        if smaller is None:
            raise BaseUnavailable(
                f"The GPU's memory is too small for the base model {base.key!r}, even for one "
                f"picture of {before.resolution} pixels at a time. Choose a smaller base."
            )
        base.configure(smaller)
        result.plan, result.steps_down = smaller, result.steps_down + 1
        log.warning("short_of_memory", during=during, step_down=result.steps_down)
        tell(_told(before, smaller))


def _told(before: Plan, now: Plan) -> str:
    """What a visitor hears of a step down."""
    if now.resolution != before.resolution:
        return say("job.sentence.smaller_pictures")
    if now.generation_batch != before.generation_batch:
        return say("job.sentence.smaller_groups")
    return say("job.sentence.smaller_steps")


def _adapter(
    session: Session,
    order: Order,
    services: Services,
    base: Base,
    recipe: Recipe,
    photos: Sequence[TrainingPhoto],
    result: Report,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> bytes:
    """The adapter of this person as safetensors bytes: kept from before, or trained now."""
    from pipeline.training.train import CHECKPOINT_EVERY, train

    started = time.monotonic()
    if services.vault.list(session, "adapter"):
        adapter = services.vault.open(session, "adapter", "adapter")
    else:
        later = order.count * result.seconds_per_portrait
        sentence = ""

        def show(now: TrainStep) -> None:
            nonlocal sentence
            sentence = sentence or _learning(done=now.step - 1)
            if now.step < now.steps:
                result.seconds_per_step = now.seconds_left / (now.steps - now.step)
            report(
                Progress(
                    "training",
                    step=now.step,
                    steps=now.steps,
                    loss=now.loss,
                    count=order.count,
                    seconds_left=now.seconds_left + later,
                    sentence=sentence,
                )
            )

        def keep(checkpoint: bytes) -> None:
            with suppress(DiskFull):  # training goes on; it could only not be continued
                services.vault.put(session, "checkpoint", "checkpoint", checkpoint)

        def learn(checkpoint: bytes | None) -> bytes:
            return train(
                base,
                list(photos),
                services.faces,
                recipe,
                seed=order.seed,
                report=show,
                stop=stop,
                keep=keep,
                every=CHECKPOINT_EVERY,
                resume=checkpoint,
                micro_batch=result.plan.micro_batch if result.plan else None,
            )

        def resumed() -> bytes:
            try:
                return learn(_checkpoint(services.vault, session))
            except TamperedError:  # of the checkpoint: the photos were opened and verified before
                services.vault.delete(session, "checkpoint")
                return learn(None)

        def tell(words: str) -> None:
            nonlocal sentence
            sentence = words
            report(Progress("training", steps=recipe.steps, count=order.count, sentence=words))

        adapter = _stepping_down(resumed, "train", base, result, tell)
        services.vault.put(session, "adapter", "adapter", adapter)
        services.vault.delete(session, "checkpoint")
    result.seconds["train"] = round(time.monotonic() - started, 2)
    result.adapter = {"rank": recipe.rank, "steps": recipe.steps, "bytes": len(adapter)}
    return adapter


def _learning(*, done: int) -> str:
    """What to say while training that had `done` steps behind it when it began."""
    return say("job.sentence.continued", done=done) if done else say("job.sentence.training")


def _checkpoint(vault: Vault, session: Session) -> bytes | None:
    """Where an earlier training of this session was interrupted, if it was."""
    if not vault.list(session, "checkpoint"):
        return None
    return vault.open(session, "checkpoint", "checkpoint")


def _portraits(
    session: Session,
    order: Order,
    styles: list[Style],
    services: Services,
    base: Base,
    adapter: bytes,
    photos: Sequence[TrainingPhoto],
    result: Report,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> None:
    """Make, score and keep the portraits, a few at a time; they are visible once they are kept."""
    from pipeline.portraits.generate import generate, plan

    person = person_vector(photos)
    records = load_sheet(services.vault, session)
    earlier = len(records)
    started = time.monotonic()
    progress = Progress("generating", count=order.count, sentence=say("job.sentence.generating"))
    report(replace(progress, seconds_left=order.count * result.seconds_per_portrait))
    shots = plan(styles, order.count, order.seed)

    waiting: list[File] = []

    def make() -> None:
        """Those that are not made yet."""
        rest = shots[len(records) - earlier :]
        group = result.plan.generation_batch if result.plan else None
        # Closed at once, also by an error in between: an open generator keeps its adapter attached.
        with closing(generate(base, adapter, rest, stop=stop, batch=group)) as making:
            try:
                for shot, square in making:
                    waiting.append(finished(shot, square))
                    if len(waiting) == KEPT_TOGETHER:
                        keep()
            finally:
                keep()

    def finished(shot: Shot, square: np.ndarray) -> File:
        """In shape and judged."""
        if order.tone != "look":
            square = toned(square, services.faces.matte(square), order.tone)
        image = crop(square, shot.style.crop if order.crop == "look" else order.crop)
        number = f"portrait-{len(records) + 1:03d}"
        records.append(judged(number, shot, image, services.faces, person))
        made = len(records) - earlier
        result.seconds_per_portrait = (time.monotonic() - started) / made
        left = (order.count - made) * result.seconds_per_portrait
        report(replace(progress, made=made, seconds_left=left))
        return "portrait", number, _png(image)

    def keep() -> None:
        """In the vault, together with what is known of all so far."""
        files = [*waiting]
        waiting.clear()
        if files:
            services.vault.put_all(session, [*files, _sheet(records)])

    def tell(words: str) -> None:
        nonlocal progress
        progress = replace(progress, sentence=words)
        report(replace(progress, made=len(records) - earlier))

    _stepping_down(make, "generate", base, result, tell)
    if len(records) - earlier < order.count:
        raise Stopped
    scores = [record.likeness for record in records[earlier:]]
    result.seconds["generate"] = round(time.monotonic() - started, 2)
    result.headshots = len(scores)
    result.likeness = {
        "baseline": round(baseline(photos), 4),
        "median": round(float(np.median(scores)), 4),
        "share_same_person": round(float(np.mean([s > SAME_PERSON for s in scores])), 4),
    }


def judged(
    number: str, shot: Shot, image: np.ndarray, faces: Faces, person: np.ndarray
) -> PortraitRecord:
    """The record of a portrait, uint8 RGB [H, W, 3]: likeness, where the face is, signature."""
    found = faces.closest(image, person)
    if found is None:
        return record_for(number, shot, -1.0)
    likeness, face, embedding = found
    height, width = image.shape[:2]
    box = tuple(np.asarray(face.box) / (width, height, width, height))
    return record_for(number, shot, likeness, box, signature(image, embedding))


def load_sheet(vault: Vault, session: Session) -> list[PortraitRecord]:
    """What is known of each portrait made so far, in the order they were made."""
    if not vault.list(session, "sheet"):
        return []
    rows: list[dict[str, Any]] = json.loads(vault.open(session, "sheet", "portraits"))
    return [PortraitRecord.from_row(row) for row in rows]


def _sheet(records: Sequence[PortraitRecord]) -> File:
    """The file that `load_sheet` reads."""
    rows = [asdict(record) for record in records]
    return "sheet", "portraits", json.dumps(rows).encode()


def _png(image: np.ndarray) -> bytes:
    """PNG without metadata. Level 1: three times faster than the default, a tenth larger."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
