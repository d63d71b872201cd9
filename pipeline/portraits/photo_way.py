"""The photo way: a person's own cut-out photos become portraits, without a model of the face.

Everything that portraits share is worked out once per photo (`compositing.studio`). Portraits are
composed in a few threads, in order. Nothing here imports torch, and nothing is trained.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from errors import BadOrder, Stopped
from pipeline.compositing.composite import GRADES
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.framing import Frame, Refusal, Wish
from pipeline.compositing.head import Head, head_of, head_zone
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.studio import (
    Sitter,
    Sitting,
    Studio,
    dressed,
    framed_by,
    has_room,
    neutralised,
    sit,
    wish_of,
)
from pipeline.compositing.texture import texture_ratio
from pipeline.imaging import Face
from pipeline.photos.detection import Faces
from pipeline.photos.record import CutOutPhoto
from pipeline.portraits.recipe import Recipe
from pipeline.portraits.shots import PhotoShot

PORTRAIT_PX = 1024
"""Longer side of a portrait, if the photo has as much."""

WORKERS = 2
"""Portraits that are composed at once; OpenCV and numpy let go of the interpreter."""


@dataclass(frozen=True)
class PhotoPortrait:
    """A portrait and what was measured of it.

    image: uint8 RGB [H, W, 3]; frame: the part of the photo that it shows. photo: id of the photo.
    likeness: to that very photo, -1 to 1.
    texture: see `texture_ratio`, None where no skin is seen or it was not measured. box: left,
    top, width, height of the face as shares of the picture. embedding: float32 [128]. likeness and
    embedding are None where faces are not compared. recipe: by which it was composed.
    """

    shot: PhotoShot
    image: NDArray[np.uint8]
    frame: Frame
    photo: str
    likeness: float | None
    texture: float | None
    box: tuple[float, float, float, float]
    embedding: NDArray[np.float32] | None
    recipe: Recipe | None = None


class PhotoWay:
    """Makes portraits of one person's photos."""

    def __init__(self, photos: Sequence[CutOutPhoto], faces: Faces, mesh: FaceMesh) -> None:
        """
        Raises:
            BaseUnavailable: a face model is missing.
        """
        self._photos, self._faces, self._studio = photos, faces, Studio()
        self._sitters = neutralised(
            [sit(p.cut_out, p.landmarks, p.sharpness, mesh) for p in photos]
        )
        self._zones: dict[int, NDArray[np.uint8]] = {}
        self._worn: dict[tuple[int, str], Sitter] = {}
        self._exact: dict[tuple[int, Wish], bool] = {}

    @property
    def merits(self) -> list[float]:
        """How good each photo is, 0 to 1, in the order given."""
        return [sitter.merit for sitter in self._sitters]

    def portraits(
        self, shots: Sequence[PhotoShot], crop: str, wall_stops: float, stop: Callable[[], bool]
    ) -> Generator[PhotoPortrait, None, None]:
        """The shots in order.

        crop: a key of `framing.SHAPES`, or "look" for each look's own. wall_stops: how much
        brighter the walls are.

        Raises:
            Stopped: `stop` said so. BadOrder: no photo has room for a portrait.
        """
        with ThreadPoolExecutor(WORKERS, "photo-way") as pool:
            coming: deque[Future[PhotoPortrait]] = deque()
            rest = iter(shots)
            try:
                while True:
                    for shot in rest:
                        coming.append(pool.submit(self._portrait, shot, crop, wall_stops))
                        if len(coming) == 2 * WORKERS:
                            break
                    if not coming:
                        return
                    if stop():
                        raise Stopped
                    yield coming.popleft().result()
            finally:
                for future in coming:
                    future.cancel()

    def head(self, portrait: PhotoPortrait) -> Head:
        """What of a portrait stays where its clothes and its room are painted anew."""
        number, look = portrait.shot.photo, portrait.shot.style.photo
        assert look is not None
        sitter = self._sitters[number]
        if number not in self._zones:
            self._zones[number] = head_zone(sitter.cut_out, sitter.landmarks, sitter.points)
        alpha, zone = sitter.cut_out.alpha, self._zones[number]
        return head_of(portrait.image, alpha, zone, portrait.frame, GRADES[look.grade])

    def measured(self, shot: PhotoShot, image: NDArray[np.uint8], frame: Frame) -> PhotoPortrait:
        """A portrait of the shot's photo that this frame shows, with what is measured of it."""
        photo, sitter = self._photos[shot.photo], self._sitters[shot.photo]
        portrait = measured(shot, photo, sitter, (image, frame), self._faces)
        return replace(portrait, texture=_texture(sitter, image, frame))

    def _portrait(self, shot: PhotoShot, crop: str, wall_stops: float) -> PhotoPortrait:
        look = shot.style.photo
        assert look is not None
        name = shot.style.crop if crop == "look" else crop
        wish = wish_of(look, name, shot.distance, PORTRAIT_PX)
        sitting = Sitting(look, wish, shot.mirrored, shot.seed, wall_stops)
        # Where a photo has no room for any frame, the next photo's turn comes: an order of n
        # portraits gives n.
        order = [(shot.photo + step) % len(self._photos) for step in range(len(self._photos))]
        if look.alike:  # photos that have room for it as it is asked for come first
            order.sort(key=lambda number: not self._has_room(number, wish))
        for number in order:
            sitter = self._dressed(number, look)
            made = self._studio.compose(sitter, sitting)
            if not isinstance(made, Refusal):
                tone = look.alike.clothes if look.alike else None
                worn = None if sitter is self._sitters[number] else tone
                portrait = self.measured(replace(shot, photo=number), *made)
                return replace(portrait, recipe=Recipe.of(sitting, worn, sitter))
        raise BadOrder("order.no_room")

    def _has_room(self, number: int, wish: Wish) -> bool:
        """Whether a photo gives the wished frame to the pixel."""
        if (number, wish) not in self._exact:
            sitter = self._sitters[number]
            landmarks = framed_by(sitter, wish)
            self._exact[number, wish] = has_room(sitter.cut_out.alpha, landmarks, wish)
        return self._exact[number, wish]

    def _dressed(self, number: int, look: PhotoLook) -> Sitter:
        """The person of a photo in the clothes that all have alike, where they can be toned."""
        sitter, tone = self._sitters[number], look.alike.clothes if look.alike else None
        if tone is None:
            return sitter
        if (number, tone) not in self._worn:
            self._worn[number, tone] = dressed(sitter, tone) or sitter
        return self._worn[number, tone]


def measured(
    shot: PhotoShot,
    photo: CutOutPhoto,
    sitter: Sitter,
    made: tuple[NDArray[np.uint8], Frame],
    faces: Faces,
) -> PhotoPortrait:
    """Measure a portrait, as `Studio.compose` made it of this photo; all but its texture.

    Raises:
        BaseUnavailable: the model that compares faces is missing.
    """
    image, frame = made
    height, width = image.shape[:2]
    points = _moved(sitter.points[:, :2], frame)
    low, high = points.min(axis=0), points.max(axis=0)
    box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    embedding = likeness = None
    if photo.embedding is not None:
        embedding = faces.embed(image, Face(box, _moved(sitter.landmarks, frame), 1.0))
        likeness = float(embedding @ photo.embedding)
    shares = tuple(np.array(box) / (width, height, width, height))
    return PhotoPortrait(
        shot,
        image,
        frame,
        photo.id,
        likeness,
        None,
        (shares[0], shares[1], shares[2], shares[3]),
        embedding,
    )


def _moved(points: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Points [n, 2] of the photo in pixels of the portrait."""
    return np.asarray(points @ frame.affine[:, :2].T + frame.affine[:, 2], np.float32)


def _texture(sitter: Sitter, image: NDArray[np.uint8], frame: Frame) -> float | None:
    try:
        return texture_ratio(sitter.cut_out.colours, image, frame.affine, sitter.points)
    except ValueError:
        return None
