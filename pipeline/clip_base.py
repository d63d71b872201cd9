"""A base that makes clips, for the command line's `--moving-base`: planned and loaded once.

Needs torch; only who asks for such a base imports this.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from errors import BaseUnavailable
from messages import Message
from pipeline.bases import device
from pipeline.bases.families.wan import Wan
from pipeline.bases.folder import makes_clips
from pipeline.bases.loading import load_base
from pipeline.bases.manifest import require_licence
from pipeline.bases.plan import Plan
from pipeline.compositing.warp import FRAMES
from pipeline.orders import Report
from pipeline.photos.detection import Faces
from pipeline.planning.cards import reached
from pipeline.planning.clips import clip_facts_of, plan_clip
from pipeline.planning.planning import Machine, require_gpu
from pipeline.portraits.animate import Animation, animate
from pipeline.step_down import stepping_down

T = TypeVar("T")


class ClipBase:
    """Makes clips of portraits, one at a time; where memory runs short, smaller ones."""

    def __init__(
        self, folder: Path, acknowledged: Collection[str], faces: Faces, stop: Callable[[], bool]
    ) -> None:
        """acknowledged: keys of bases whose licences the operator says to meet. stop: see
        `load_base`.

        Raises:
            BaseUnavailable: there is no such base, it makes no clips, or no GPU here can run it.
            Stopped: `stop` said so.
        """
        planned = plan(folder, acknowledged)
        base = load_base(folder, acknowledged=acknowledged, stop=stop)
        assert isinstance(base, Wan)
        self._base, self._faces, self._stop = base, faces, stop
        self._report = Report(plan=planned or base.as_it_is(rank=0, steps=0, batch=1))

    def clip(
        self, portrait: NDArray[np.uint8], motion: str, seed: int, say: Callable[[Message], None]
    ) -> Animation:
        """A clip of a portrait uint8 RGB [H, W, 3]; motion, seed: as `animate` has them.

        say: is told when a smaller one is tried.

        Raises:
            ClipRefused, Stopped: as `animate`. BaseUnavailable: memory is short for the smallest.
        """

        def work() -> Animation:
            return animate(
                self._base, portrait, self._faces, motion=motion, seed=seed, stop=self._stop
            )

        return stepping_down(self._base, self._report, "generate", work, say)


def there_and_back(frames: Sequence[T]) -> list[T]:
    """`FRAMES` frames that close: the first half of a clip, and the way back to its start."""
    way = list(frames[: FRAMES // 2 + 1])
    loop = way + way[-2::-1]
    return loop + [loop[-1]] * (FRAMES - len(loop))


def plan(folder: Path, acknowledged: Collection[str]) -> Plan | None:
    """How clips would be made now; None for a base whose manifest counts nothing. Loads nothing.

    Raises:
        BaseUnavailable: as `ClipBase`.
    """
    if not makes_clips(folder):
        raise BaseUnavailable(
            f"The base model {folder.name!r} makes portraits and moves none. Choose one that "
            "makes clips, for example wan2.2-ti2v-5b."
        )
    manifest = require_licence(folder, acknowledged)
    facts = None if manifest is None else clip_facts_of(manifest)
    if facts is None:
        return None
    require_gpu(facts)
    card = device.gpu()
    assert card is not None
    return plan_clip(facts, Machine(card.free, reached(card.name)))
