"""The cut-out: nothing of the room, all of the person, and a word where it is not so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.compositing import dispute, faults, refine
from pipeline.compositing.closed_form import laplacian_rows, solve_alpha
from pipeline.compositing.dispute import disputed, glasses, settled
from pipeline.compositing.foreground import person_colours
from pipeline.compositing.matting import CutOut, cut_out, fine_alpha, profile_contour
from pipeline.compositing.refine import Coarse
from pipeline.compositing.trimap import Cleaned, cleaned
from pipeline.compositing.upsample import enlarged, enlarged_at
from pipeline.photos.detection import Face, Faces
from tests.support.faces import segmenter

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
GREEN = np.array((20, 200, 40), np.uint8)
SIDE = 480

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def sitter() -> tuple[Picture, Picture]:
    """Somebody who does not exist: colours and a soft known alpha, uint8, SIDE pixels."""
    small = cv2.imread(str(SAMPLES / "nobody-a.jpg"))[..., ::-1]
    photo = np.ascontiguousarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    solid = (segmenter().matte(photo) > 127).astype(np.uint8) * 255
    solid = cv2.erode(solid, np.ones((5, 5), np.uint8))
    return photo, cv2.GaussianBlur(solid, (0, 0), 1.2)


def before(sitter: tuple[Picture, Picture], wall: Picture) -> Picture:
    part = sitter[1][..., None] / 255.0
    return np.asarray(sitter[0] * part + wall * (1 - part) + 0.5, np.uint8)


def cut(picture: Picture, faces: Faces) -> CutOut:
    return cut_out(picture, next(iter(faces.detect(picture)), None), segmenter().matte)


@pytest.fixture(scope="module")
def canary() -> Picture:
    """A wall of small squares in two colours that no person has."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    odd = ((x // 24 + y // 24) % 2).astype(bool)[..., None]
    return np.where(odd, (255, 0, 255), (0, 255, 255)).astype(np.uint8)


@pytest.fixture(scope="module")
def before_canary(sitter: tuple[Picture, Picture], canary: Picture, faces: Faces) -> CutOut:
    return cut(before(sitter, canary), faces)


def test_nothing_of_the_room_is_left(
    before_canary: CutOut, sitter: tuple[Picture, Picture], canary: Picture
) -> None:
    outside = before_canary.alpha == 0
    assert outside.mean() > 0.1
    assert not before_canary.colours[outside].any()
    kept = (before_canary.colours == canary).all(axis=2) & (before_canary.alpha > 0)
    far = cv2.dilate(sitter[1], np.ones((25, 25), np.uint8)) == 0
    assert not (kept & far).any()


def test_the_inside_is_the_camera_s_to_the_bit(
    before_canary: CutOut, sitter: tuple[Picture, Picture], canary: Picture
) -> None:
    inside = before_canary.alpha == 255
    assert inside.mean() > 0.2
    assert (before_canary.colours[inside] == before(sitter, canary)[inside]).all()


def test_alpha_is_near_the_known_one(
    before_canary: CutOut, sitter: tuple[Picture, Picture]
) -> None:
    away = np.abs(before_canary.alpha.astype(float) - sitter[1]) / 255
    assert away.mean() < 0.02


def test_a_green_wall_leaves_no_green(sitter: tuple[Picture, Picture], faces: Faces) -> None:
    wall = np.empty((SIDE, SIDE, 3), np.uint8)
    wall[:] = GREEN
    found = cut(before(sitter, wall), faces)
    edge = cv2.morphologyEx(
        (sitter[1] > 127).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    )
    band = cv2.dilate(edge, np.ones((12, 12), np.uint8)) > 0

    def excess(colours: Picture, alpha: Picture) -> NDArray[np.float64]:
        ink = colours.astype(float)
        green = ink[..., 1] - np.maximum(ink[..., 0], ink[..., 2])
        return np.asarray(np.clip(green, 0, None) * alpha / 255.0)

    more = excess(found.colours, found.alpha) - excess(*sitter)
    assert np.clip(more[band], 0, None).mean() / 160 < 0.03


def test_the_same_twice(sitter: tuple[Picture, Picture], canary: Picture, faces: Faces) -> None:
    picture = before(sitter, canary)
    one, two = cut(picture, faces), cut(picture, faces)
    assert (one.alpha == two.alpha).all()
    assert (one.colours == two.colours).all()
    assert (one.confidence, one.faults) == (two.confidence, two.faults)


def test_a_large_photo_is_cut_at_its_own_size(
    sitter: tuple[Picture, Picture], faces: Faces
) -> None:
    wall = np.full((SIDE, SIDE, 3), 90, np.uint8)
    picture = cv2.resize(before(sitter, wall), (1400, 1400), interpolation=cv2.INTER_CUBIC)
    found = cut(picture, faces)
    assert found.alpha.shape == (1400, 1400)
    assert not found.colours[found.alpha == 0].any()
    inside = found.alpha == 255
    assert (found.colours[inside] == picture[inside]).all()
    known = cv2.resize(sitter[1], (1400, 1400), interpolation=cv2.INTER_CUBIC)
    assert np.abs(found.alpha.astype(float) - known).mean() / 255 < 0.03


def test_a_picture_without_a_head_says_so(faces: Faces) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    found = cut(noise, faces)
    assert "head_missing" in found.faults
    assert "unsure" in found.faults
    assert found.confidence < 0.5


def test_a_head_that_the_segmenter_missed_is_a_fault(
    sitter: tuple[Picture, Picture], canary: Picture, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine, "sharpened", lambda image, mask, doubt, box=None: mask)
    picture = before(sitter, canary)
    face = faces.detect(picture)[0]

    def headless(image: Picture) -> Picture:
        mask = segmenter().matte(image)
        chin = (face.box[1] + 0.8 * face.box[3]) * image.shape[0] / SIDE
        mask[: int(chin)] = 0
        return mask

    found = cut_out(picture, face, headless)
    assert "holes" in found.faults


@pytest.mark.parametrize("turned", [False, True])
def test_the_air_before_a_profile_is_no_fault_and_a_hole_in_it_is(turned: bool) -> None:
    rows, columns = np.mgrid[:320, :320]
    behind = columns < 210 + 0.4 * (rows - 160).clip(-60, 0)  # a forehead that slants back
    box = (130.0, 100.0, 90.0, 130.0)
    points = [(188.0, 145.0), (205.0, 140.0), (216.0, 165.0), (190.0, 198.0), (204.0, 195.0)]
    alpha, landmarks = np.asarray(behind, np.float32), np.array(points, np.float32)
    if turned:
        alpha, landmarks[:, 0] = alpha[:, ::-1].copy(), 319 - landmarks[:, 0]
        box = (319 - 220.0, 100.0, 90.0, 130.0)
    face, clean = Face(box, landmarks, 0.9), Cleaned(alpha, 0.0, 0.0)
    assert "holes" not in faults.faults(alpha, face, clean, 1.0)
    centre = round(float(landmarks[3:, 0].mean())) + (20 if turned else -20)
    cv2.circle(alpha, (centre, 185), 22, 0.0, -1)
    assert "holes" in faults.faults(alpha, face, clean, 1.0)


def face_at(left: float, top: float, width: float, height: float) -> Face:
    shares = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)], np.float32)
    landmarks = np.array([left, top], np.float32) + shares * np.array([width, height], np.float32)
    return Face((left, top, width, height), landmarks, 0.9)


def test_glass_before_the_eyes_is_the_persons_and_a_bottle_beside_the_mouth_is_disputed() -> None:
    face = face_at(100, 80, 100, 120)
    alpha = np.zeros((320, 320), np.float32)
    cv2.ellipse(alpha, (150, 150), (60, 90), 0, 0, 360, 1.0, -1)
    mask = alpha.copy()
    lens, bottle = np.zeros_like(alpha), np.zeros_like(alpha)
    cv2.circle(lens, (round(float(face.landmarks[0, 0])) - 8, 128), 14, 1.0, -1)
    cv2.circle(bottle, (200, 175), 14, 1.0, -1)
    for place in (lens, bottle):
        alpha[place > 0], mask[place > 0] = 0.1, 0.6
    found = glasses(Coarse(alpha, mask, np.zeros_like(alpha)), alpha, face)
    assert found[lens > 0].mean() > 0.95
    assert not found[bottle > 0].any()
    assert not glasses(Coarse(alpha, mask, np.zeros_like(alpha)), alpha, None).any()
    plain = np.where(lens + bottle > 0, np.float32(0), mask)
    assert not glasses(Coarse(alpha, plain, np.zeros_like(alpha)), alpha, face).any()


def test_islands_are_dropped_and_small_holes_filled() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:100, 30:70] = 1
    alpha[10:90, 80:100] = 1  # a larger part would win by size, so the face decides
    alpha[60:63, 50:53] = 0
    found = cleaned(alpha, face_at(35, 25, 30, 30))
    assert not found.alpha[:, 82:].any()
    assert found.alpha[20:100, 30:70].min() >= 0.5
    assert found.dropped == pytest.approx(20 * 80 / (80 * 40 - 9), rel=0.01)


def test_somebody_else_is_a_fault() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:100, 30:70] = 1
    face = face_at(35, 25, 30, 30)
    alone = cleaned(alpha, face)
    assert faults.faults(alone.alpha, face, alone, 0.9) == ()
    alpha[40:100, 85:100] = 1
    two = cleaned(alpha, face)
    assert faults.faults(two.alpha, face, two, 0.9) == ("bystander",)


@pytest.mark.parametrize(("top", "found"), [(-0.2, ("hair_cut",)), (15, ())])
def test_hair_that_ends_at_the_frame_is_a_fault_where_no_portrait_has_room(
    top: float, found: tuple[str, ...]
) -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[0:100, 30:70] = 1
    face = face_at(35, top, 30, 30 if top > 0 else 14)
    clean = cleaned(alpha, face)
    assert faults.faults(clean.alpha, face, clean, 0.9) == found


def test_a_face_that_the_mesh_does_not_see_is_a_fault() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[20:100, 30:70] = 1
    face = face_at(35, 25, 30, 30)
    clean = cleaned(alpha, face)
    assert faults.faults(clean.alpha, face, clean, 0.9, presence=0.2) == ("face_hidden",)
    assert faults.faults(clean.alpha, face, clean, 0.9, presence=0.8) == ()


def test_a_large_gap_stays_open() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[10:100, 10:90] = 1
    alpha[60:80, 15:35] = 0
    found = cleaned(alpha, face_at(40, 15, 30, 30))
    assert not found.alpha[62:78, 17:33].any()
    assert found.gaps == pytest.approx(400 / (90 * 80), rel=0.01)


def test_closed_form_finds_a_soft_edge_of_two_colours() -> None:
    known = np.clip((np.arange(60) - 20) / 20, 0, 1)[None].repeat(40, 0)
    image = known[..., None] * (0.9, 0.5, 0.2) + (1 - known[..., None]) * (0.1, 0.3, 0.8)
    trimap = np.full(known.shape, 0.5, np.float32)
    trimap[:, :12], trimap[:, 48:] = 0, 1
    guess = np.clip(known + 0.1, 0, 1).astype(np.float32)
    found = solve_alpha(image, trimap, guess)
    assert np.abs(found - known).max() < 0.6 * np.abs(guess - known).max()


def noisy(colours: NDArray[np.floating], sigma: float, seed: int = 0) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, colours.shape)
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("colour", "mine"), [((230, 225, 210), True), ((60, 150, 60), False)])
def test_what_only_the_segmenter_sees_is_settled_by_its_colour(
    colour: tuple[int, int, int], mine: bool
) -> None:
    """A hat's crown, as white as its brim, or a bush behind it."""
    colours = np.full((160, 160, 3), (30, 90, 160), float)
    colours[70:, 30:130] = (230, 225, 210)
    colours[58:70, 47:113] = colour
    alpha, mask = np.zeros((160, 160), np.float32), np.zeros((160, 160), np.float32)
    alpha[70:, 30:130] = mask[70:, 30:130] = 1
    # The segmenter is half sure of most of it: the colours that it is sure of seed the comparison.
    mask[58:70, 47:113] = 0.49
    mask[64:70, 47:113] = 0.9 if mine else 0.49
    colours[40:55, 120:] = (60, 150, 60)  # the same bush, known as wall
    coarse = Coarse(alpha, mask, np.zeros_like(mask))
    zone = disputed(coarse, alpha, face_at(60, 50, 40, 40))
    assert zone[60:69, 50:110].all()
    found = settled(noisy(colours, 4), coarse, alpha, zone)
    assert found[60:69, 50:110].mean() == pytest.approx(1.0 if mine else 0.0, abs=0.02)
    assert (found[~zone] == alpha[~zone]).all()


def test_what_is_joined_by_a_neck_only_is_not_the_person_s() -> None:
    colours = np.full((160, 160, 3), (30, 90, 160), float)
    colours[70:, 20:80] = colours[40:120, 92:150] = (190, 60, 60)
    colours[90:100, 80:92] = (190, 60, 60)
    alpha, mask = np.zeros((160, 160), np.float32), np.zeros((160, 160), np.float32)
    alpha[70:, 20:80] = 1
    mask[(colours == (190, 60, 60)).all(axis=2)] = 0.7
    coarse = Coarse(alpha, mask, np.zeros_like(mask))
    zone = disputed(coarse, alpha, None)
    assert zone[45:115, 95:145].all()
    assert not settled(noisy(colours, 4), coarse, alpha, zone)[45:115, 95:145].any()


def test_beside_the_face_only_what_the_segmenter_is_sure_of_is_disputed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A passer-by is half a person to it; a brim or a sleeve is a whole one."""
    # Told nobody's face, the network goes along with the segmenter.
    monkeypatch.setattr(dispute, "anybody", lambda image, coarse: coarse.mask)
    face = face_at(60, 50, 40, 40)
    alpha = np.zeros((160, 160), np.float32)
    alpha[40:, 50:110] = 1
    for certainty, disputes in ((0.7, False), (0.97, True)):
        mask = alpha.copy()
        mask[90:130, 110:150] = certainty
        coarse = Coarse(alpha, mask, np.zeros_like(mask))
        zone = disputed(coarse, alpha, face)
        assert zone[95:125, 115:145].any() == disputes
        plain = np.full((160, 160, 3), 90, np.uint8)
        assert (settled(plain, coarse, alpha, zone)[95:125, 115:145] > 0.9).all() == disputes


SKIN, STRAP, COAT = (190, 140, 115), (20, 30, 40), (40, 60, 150)


@pytest.mark.parametrize(
    ("sleeve", "arm", "mine"),
    [(SKIN, SKIN, True), (SKIN, STRAP, True), (COAT, COAT, False)],
    ids=["bare", "with a watch", "somebody's coat"],
)
def test_a_bare_arm_that_the_network_drops_is_the_person_s(
    monkeypatch: pytest.MonkeyPatch,
    sleeve: tuple[int, int, int],
    arm: tuple[int, int, int],
    mine: bool,
) -> None:
    """Also where it drops it without being told whose face is meant."""
    monkeypatch.setattr(dispute, "anybody", lambda image, coarse: coarse.alpha)
    colours = np.full((160, 160, 3), (120, 140, 120), float)
    colours[40:, 50:110] = SKIN
    colours[90:130, 110:150] = sleeve
    colours[90:130, 125:131] = arm
    alpha = np.zeros((160, 160), np.float32)
    alpha[40:, 50:110] = 1
    mask = alpha.copy()
    mask[90:130, 110:150] = 0.97
    coarse, face = Coarse(alpha, mask, np.zeros_like(alpha)), face_at(60, 50, 40, 40)
    zone = disputed(coarse, alpha, face)
    found = settled(noisy(colours, 3), coarse, alpha, zone, face)
    assert found[92:128, 112:148].mean() == pytest.approx(1.0 if mine else 0.0, abs=0.02)
    assert not settled(noisy(colours, 3), coarse, alpha, zone)[92:128, 112:148].any()


def test_a_profile_gets_no_haze_of_a_sharpened_edge() -> None:
    """A camera's sharpening draws a line along the edge that is neither skin nor wall."""
    colours = np.full((320, 320, 3), (205, 205, 195), float)
    colours[:, :160] = (170, 115, 95)
    soft = cv2.GaussianBlur(colours, (0, 0), 1)
    image = noisy(soft + 6 * (soft - cv2.GaussianBlur(soft, (0, 0), 2.5)), 5)
    stored = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    image = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    known = np.repeat((np.arange(320) < 160).astype(np.float32)[None], 320, axis=0)
    trimap = np.full((320, 320), 0.5, np.float32)
    trimap[:, :152], trimap[:, 168:] = 1, 0
    near = cv2.GaussianBlur(known, (0, 0), 2)
    haze, rest = (
        float(fine_alpha(image, near, trimap, contour)[:, 163:168].mean())
        for contour in (None, np.ones_like(trimap))
    )
    assert haze > 0.01  # else there is nothing to mend
    assert rest < 0.1 * haze


def test_only_a_profile_has_its_features_at_the_contour() -> None:
    frontal = face_at(20, 80, 100, 120)
    profile = replace(frontal, landmarks=frontal.landmarks * np.array([0.4, 1], np.float32))
    assert profile_contour((320, 320), None) is None
    assert profile_contour((320, 320), frontal) is None
    found = profile_contour((320, 320), profile)
    assert found is not None
    for x, y in profile.landmarks:
        assert found[round(float(y)), round(float(x))] == 1
    assert not found[:, 160:].any()


def test_where_person_and_wall_are_alike_the_coarse_contour_counts() -> None:
    """Dark hair before a dark wall: what the solver sees there is noise."""
    image = noisy(np.full((80, 80, 3), 30.0), 6) / 255.0
    trimap = np.full((80, 80), 0.5, np.float32)
    trimap[:, :30], trimap[:, 50:] = 1, 0
    contour = np.repeat((np.arange(80) < 41).astype(np.float32)[None], 80, axis=0)
    free = solve_alpha(image, trimap, contour)
    held = solve_alpha(image, trimap, contour, np.ones((80, 80), np.float32))
    assert np.abs(held - contour).mean() < 0.04
    assert np.abs(free - contour).mean() > 2 * np.abs(held - contour).mean()


def test_enlarging_follows_the_photo() -> None:
    full = np.zeros((200, 200, 3), np.uint8)
    full[:, 101:] = 220
    small = cv2.resize(full, (50, 50), interpolation=cv2.INTER_AREA)
    alpha = (small[..., 0] / 220.0).astype(np.float32)
    found = enlarged(alpha, small.astype(np.float32) / 255, full)
    assert np.abs(found - full[..., 0] / 220.0).max() < 0.1


def test_an_altered_network_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "refiner.onnx"
    other.write_bytes(b"not this release's")
    monkeypatch.setattr(refine, "WEIGHTS", other)
    refine.network.cache_clear()
    with pytest.raises(refine.BaseUnavailable, match="not this release"):
        refine.network()
    refine.network.cache_clear()


def test_the_laplacian_is_that_of_levin() -> None:
    """Window by window, as equation 12 of the paper says."""
    rng = np.random.default_rng(4)
    image = rng.random((7, 9, 3))
    image[:, 4:] = image[3, 4]  # windows of one colour
    unknown = rng.random((7, 9)) < 0.6
    expected = np.zeros((63, 63))
    for y in range(1, 6):
        for x in range(1, 8):
            places = [(y + down) * 9 + x + right for down in (-1, 0, 1) for right in (-1, 0, 1)]
            colours = image.reshape(-1, 3)[places]
            apart = colours - colours.mean(axis=0)
            spread = np.linalg.inv(apart.T @ apart / 9 + np.eye(3) * 1e-6 / 9)
            expected[np.ix_(places, places)] += np.eye(9) - (1 + apart @ spread @ apart.T) / 9
    values, columns = laplacian_rows(image, unknown)
    found = np.zeros((len(values), 63))
    for row, (some, where) in enumerate(zip(values, columns, strict=True)):
        np.add.at(found[row], where, some)
    assert np.abs(found - expected[unknown.ravel()]).max() < 1e-3


def test_what_is_enlarged_at_some_pixels_is_what_all_would_be() -> None:
    rng = np.random.default_rng(5)
    small = rng.random((31, 40, 4)).astype(np.float32)
    band = rng.random((101, 90)) < 0.3
    whole = cv2.resize(small, (90, 101), interpolation=cv2.INTER_LINEAR)
    assert np.abs(enlarged_at(small, band) - whole[band]).max() < 0.02


def test_the_persons_colours_are_told_from_the_walls() -> None:
    edge = np.clip((np.arange(400) - 190) / 20, 0, 1)[None].repeat(300, 0)
    image = edge[..., None] * (200, 120, 60) + (1 - edge[..., None]) * (20, 160, 40)
    alpha = np.round(edge * 255).astype(np.uint8)
    band = (alpha > 60) & (alpha < 255)
    found = person_colours(image.astype(np.uint8), alpha)[band]
    assert np.abs(found - np.array((200, 120, 60))).max() < 20  # of 180
