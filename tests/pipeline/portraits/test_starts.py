"""Portraits that start from their person: from which photo, before which wall, how noisy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.compositing.backdrops import words_in
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot, generate, plan
from pipeline.portraits.starts import Starts
from pipeline.portraits.style import Style, load_styles
from settings import ROOT
from tests.support.nobody import middle, noise_photos

SIDE = 64
HALF = Sampling(steps=4, guidance=2.0, noise=0.5)


def style(backdrop: str) -> Style:
    return Style("look", "Look", "A look.", "work", f"photo of {{subject}}, {backdrop}")


@pytest.fixture(scope="module")
def photos() -> list[TrainingPhoto]:
    return noise_photos(3)


def pictures(photos: list[TrainingPhoto], look: Style, count: int = 12) -> list[np.ndarray]:
    shots = Starts(photos, middle).given(plan([look], count, seed=7))
    return [shot.start(SIDE) for shot in shots if shot.start is not None]


def test_every_look_that_ships_names_a_wall_to_start_before() -> None:
    looks = load_styles(ROOT / "styles").values()
    assert [look.key for look in looks if words_in(look.prompt) is None] == []


def test_the_words_of_a_prompt_are_read_as_they_are_written() -> None:
    assert words_in("photo of {subject}, navy studio backdrop, rim light, warm, a blazer") == {
        "backdrop": "navy studio backdrop",
        "grade": "warm",
        "light": "rim",
    }
    assert words_in("photo of {subject}, before a waterfall, warm") is None


def test_a_start_shows_the_wall_of_its_look(photos: list[TrainingPhoto]) -> None:
    for look, channel in (("navy studio backdrop", 2), ("burgundy studio backdrop", 0)):
        for picture in pictures(photos, style(look)):
            corner = picture[: SIDE // 8, : SIDE // 8].reshape(-1, 3).mean(axis=0)
            assert corner.argmax() == channel


def test_starts_come_of_all_photos_and_no_two_are_the_same(photos: list[TrainingPhoto]) -> None:
    plain = [
        replace(photo, image=np.full_like(photo.image, level))
        for photo, level in zip(photos, (40, 120, 200), strict=True)
    ]
    made = pictures(plain, style("grey studio backdrop"))
    middles = {int(picture[SIDE // 2, SIDE // 2].mean()) // 80 for picture in made}
    assert middles == {0, 1, 2}
    assert len({picture.tobytes() for picture in made}) == len(made)


def test_a_shots_start_depends_on_its_own_seed(photos: list[TrainingPhoto]) -> None:
    look = style("grey studio backdrop")
    assert all(
        np.array_equal(first, again)
        for first, again in zip(pictures(photos, look), pictures(photos, look), strict=True)
    )


def test_a_look_without_a_known_wall_starts_from_noise(photos: list[TrainingPhoto]) -> None:
    assert pictures(photos, style("before a waterfall")) == []


def given(base: Base, shots: list[Shot], sampling: Sampling) -> list[np.ndarray]:
    made = generate(base, None, shots, stop=lambda: False, batch=4, sampling=sampling)
    return [image for _, image in made]


def test_the_less_noise_the_more_of_the_start_is_left(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    shots = Starts(photos, middle).given(plan([style("navy studio backdrop")], 2, seed=7))

    def apart(noise: float) -> float:
        made = given(base, shots, Sampling(steps=8, guidance=1.0, noise=noise))
        starts = [shot.start(base.resolution) for shot in shots if shot.start is not None]
        back = base.decode(base.encode_images(np.stack(starts)))
        small = [image[:: image.shape[0] // SIDE, :: image.shape[0] // SIDE] for image in made]
        return float(np.abs(np.stack(small).astype(float) - back).mean())

    assert apart(0.125) < apart(0.5) < apart(0.99)


def test_shots_with_and_without_a_start_come_in_order_and_do_not_touch_each_other(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    look = style("navy studio backdrop")
    with_start = Starts(photos, middle).given(plan([look], 3, seed=7))
    mixed = [with_start[0], replace(with_start[1], start=None), with_start[2]]
    made = list(generate(base, None, mixed, stop=lambda: False, batch=4, sampling=HALF))
    assert [shot.index for shot, _ in made] == [0, 1, 2]
    [from_noise] = given(base, plan([look], 2, seed=7)[1:], HALF)
    assert np.array_equal(made[1][1], from_noise)


@pytest.mark.parametrize(("noise", "asked"), [(1.0, 4), (0.5, 2), (0.01, 1)])
def test_a_start_saves_the_steps_that_it_skips(
    base: Base, photos: list[TrainingPhoto], noise: float, asked: int
) -> None:
    calls: list[None] = []
    hook = base.denoiser.register_forward_pre_hook(lambda *_: calls.append(None))
    shots = Starts(photos, middle).given(plan([style("navy studio backdrop")], 1, seed=7))
    sampling = replace(HALF, noise=noise)
    try:
        list(generate(base, None, shots, stop=lambda: False, sampling=sampling))
    finally:
        hook.remove()
    assert len(calls) == asked
