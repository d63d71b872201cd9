"""A portrait's matte is the alpha that composed it, and no wall is left in hair without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.assembly import Assembly
from pipeline.compositing.composite import GRADES
from pipeline.compositing.framing import Frame, Wish, choose
from pipeline.compositing.render import Lighting, cut, render
from pipeline.imaging import CutOut
from pipeline.portraits.mattes import Mattes, frame_of
from pipeline.portraits.score import PortraitRecord
from privacy.sessions import Session

WISHES = {
    "portrait": Wish(side=640),
    "small": Wish("4:5", "half_body", side=330),
    "fading": Wish("3:4", "half_body", side=640),
}
CANARIES = {"green": (0.06, 0.9, 0.06), "magenta": (0.9, 0.06, 0.9)}
"""Linear light of walls, no more colourful than the grades leave it."""
MOST_CANARY = 0.03
LOOKS = {"neutral": "corporate", "rich": "burgundy", "crisp": "linkedin-classic"}


@pytest.fixture
def session(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    session, _ = assembly.services.sessions.create()
    assert assembly.services.album.add(session, selfie_jpegs[0], "me.jpg").cut_out_usable
    return session


@pytest.fixture
def mattes(assembly: Assembly) -> Mattes:
    services = assembly.services
    return Mattes(services.album, services.segmenter.matte, services.styles)


def framed(assembly: Assembly, session: Session, wish: Wish) -> tuple[CutOut, Frame]:
    photo = assembly.services.album.cut_out(session, "photo-01")
    frame = choose(photo.cut_out.alpha, photo.landmarks, wish)
    assert isinstance(frame, Frame)
    return photo.cut_out, frame


def record_in(frame: Frame, style: str = "corporate") -> PortraitRecord:
    affine = tuple(value for row in frame.matrix for value in row)
    px = (frame.size[1], frame.size[0])
    return PortraitRecord("portrait-001", style, 1, None, False, way="photo", photo="photo-01",
                          px=px, affine=affine, fade=frame.fade)  # fmt: skip


def excess(colours: np.ndarray, alpha: np.ndarray, canary: tuple[float, ...]) -> np.ndarray:
    """How much of a canary's colour is seen at each pixel before black, -1 to 1."""
    channels = np.asarray(canary) > 0.5
    light = colours.astype(float) / 255 * (alpha.astype(float) / 255)[..., None]
    return light[..., channels].min(axis=2) - light[..., ~channels].max(axis=2)


@pytest.mark.parametrize("wish", WISHES)
def test_the_matte_is_the_alpha_that_composed_the_portrait(
    assembly: Assembly, session: Session, mattes: Mattes, wish: str
) -> None:
    cut_out, frame = framed(assembly, session, WISHES[wish])
    if wish == "fading":  # as if the photo ended a little above the portrait's lower border
        (first, (c, d, y)) = frame.matrix
        end = d * cut_out.alpha.shape[0] + y
        frame = replace(frame, matrix=(first, (c, d, y - end + 600)), fade=True)
    _, alpha = cut(cut_out, frame, Lighting())
    record = PortraitRecord.from_row(vars(record_in(frame)))
    matte = mattes.of(session, record).matte(np.zeros((*frame.size, 3), np.uint8))
    assert matte.exact
    assert np.abs(matte.person / 255 - alpha).max() <= 0.5 / 255 + 1e-5
    assert ((matte.person > 0) & (matte.person < 255)).any()


@pytest.mark.slow
@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("grade", LOOKS)
def test_no_wall_shines_through_the_edges_of_a_picture_without_it(
    assembly: Assembly, session: Session, mattes: Mattes, canary: str, grade: str
) -> None:
    cut_out, frame = framed(assembly, session, WISHES["portrait"])
    style = assembly.services.styles[LOOKS[grade]]
    assert style.photo is not None
    assert style.photo.grade == grade
    wall = np.zeros((*frame.size, 3), np.float32) + np.asarray(CANARIES[canary], np.float32)
    rng = np.random.default_rng(1)
    portrait = render(cut_out, frame, Lighting(), wall, GRADES[grade], rng)
    masks = mattes.of(session, record_in(frame, style.key))
    rgba = masks.cut(portrait)
    colours, alpha = rgba[..., :3], rgba[..., 3]
    edge = (alpha > 0) & (alpha < 255)
    assert edge.sum() > 1000
    assert excess(colours, alpha, CANARIES[canary])[edge].max() <= MOST_CANARY
    assert np.array_equal(colours[alpha == 255], portrait[alpha == 255])
    # The measure would notice: it does where the portrait is cut out anew, and where it is not.
    for shown in (assembly.services.album.without_wall(portrait), np.dstack([portrait, alpha])):
        seen = excess(shown[..., :3], shown[..., 3], CANARIES[canary])
        assert seen.max() > 4 * MOST_CANARY


def test_where_the_frame_or_the_photo_is_not_known_a_model_says_it(
    assembly: Assembly, session: Session, mattes: Mattes
) -> None:
    cut_out, frame = framed(assembly, session, WISHES["portrait"])
    image = np.ascontiguousarray(cut_out.before(90)[: frame.size[0], : frame.size[1]])
    record = record_in(frame)
    guess = assembly.services.segmenter.matte(image)
    painted = replace(record, way="painted", affine=None, photo="")
    for unknown in (painted, replace(record, affine=None), replace(record, px=None)):
        assert frame_of(unknown) is None
        matte = mattes.of(session, unknown).matte(image)
        assert not matte.exact
        assert np.array_equal(matte.person, guess)
    assert mattes.of(session, record).matte(image).exact
    assembly.services.album.remove(session, "photo-01")
    after = mattes.of(session, record)
    assert not after.matte(image).exact
    assert np.array_equal(after.cut(image), assembly.services.album.without_wall(image))


def test_another_sessions_photo_is_no_ones_matte(
    assembly: Assembly, session: Session, mattes: Mattes
) -> None:
    _, frame = framed(assembly, session, WISHES["portrait"])
    other, _ = assembly.services.sessions.create()
    image = np.zeros((*frame.size, 3), np.uint8)
    assert not mattes.of(other, record_in(frame)).matte(image).exact
