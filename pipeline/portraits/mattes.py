"""Which pixels of a portrait are the person: for another backdrop, and for none at all.

A portrait of a photo was composed by the alpha of its cut-out, which is still in the vault: moved
by the frame that the record remembers, it is that very alpha. Where the record is older, or the
photo is gone, and for painted portraits, models that look at the portrait say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.composite import GRADES, Grade
from pipeline.compositing.framing import Frame
from pipeline.compositing.render import alpha_in
from pipeline.compositing.segmenter import Segment
from pipeline.compositing.uncomposite import person_of
from pipeline.imaging import CutOut
from pipeline.portraits.export import Masks, Matte
from pipeline.portraits.score import PortraitRecord
from pipeline.portraits.style import Style

if TYPE_CHECKING:
    from pipeline.photos.album import Album
    from privacy.sessions import Session


@dataclass(frozen=True)
class Mattes:
    """Masks of portraits. Keeps nothing; thread-safe.

    segment: a rough matte of any picture. styles: by key, for how portraits were graded.
    """

    album: Album
    segment: Segment
    styles: Mapping[str, Style]

    def of(self, session: Session, record: PortraitRecord) -> Masks:
        """How the person of this portrait is told from the wall.

        What it gives raises UnknownSession if the session was erased, BaseUnavailable if a model
        is missing.
        """

        def matte(image: NDArray[np.uint8]) -> Matte:
            alpha = self._alpha(session, record)
            return Matte(self.segment(image), False) if alpha is None else Matte(alpha, True)

        def cut(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
            alpha = self._alpha(session, record)
            if alpha is None:
                return self.album.without_wall(image)
            return np.dstack([person_of(image, alpha, self._grade(record)), alpha])

        return Masks(matte, cut)

    def _grade(self, record: PortraitRecord) -> Grade:
        """How a portrait of a photo was graded; of a look that is no more, a neutral one."""
        style = self.styles.get(record.style)
        return GRADES[style.photo.grade] if style and style.photo else Grade()

    def _alpha(self, session: Session, record: PortraitRecord) -> NDArray[np.uint8] | None:
        """The alpha uint8 [H, W] that a portrait was composed by; None if it is not known."""
        frame = frame_of(record)
        if frame is None:
            return None
        try:
            png = self.album.image(session, record.photo)
        except KeyError:
            return None  # the photo was removed since
        return (alpha_in(CutOut.from_png(png).alpha, frame) * 255 + 0.5).astype(np.uint8)


def frame_of(record: PortraitRecord) -> Frame | None:
    """The frame that a portrait of a photo was rendered in; None if the record has none."""
    if record.affine is None or record.px is None:
        return None
    a, b, x, c, d, y = record.affine
    width, height = record.px
    return Frame(((a, b, x), (c, d, y)), (height, width), float(np.hypot(a, c)), record.fade, False)
