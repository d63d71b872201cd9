"""Crops for large bases: the camera's own pixels, upright, and a loss that looks at the person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from errors import Stopped, TamperedError
from pipeline.bases import adapter
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.loading import load_base
from pipeline.compositing.clothes import SURE, separate
from pipeline.imaging import CutOut
from pipeline.orders import CLASS_WORDS
from pipeline.photos.record import PLAIN_WALL, TrainingPhoto
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.style import Style
from pipeline.training import checkpoint
from pipeline.training.dataset import Example
from pipeline.training.encoded import place_weight
from pipeline.training.framings import CLOTHES, ELSEWHERE, FRAMINGS, WALLS, framed, weight_of
from pipeline.training.train import Checkpoints, Personalisation, train
from tests.support import tiny_base as tiny
from tests.support.drawn import Drawn, drawn
from tests.support.nobody import middle
from tests.support.training import SHORT, run

SEED = 5
SAMPLING = Sampling(steps=2, guidance=1.0)
NONE = np.zeros(128, np.float32)


def photo_of(person: Drawn) -> TrainingPhoto:
    image = CutOut(person.colours, person.alpha).before(PLAIN_WALL)
    return TrainingPhoto(image, person.landmarks, NONE, person.alpha)


def map_of(height: int, width: int, eyes: tuple[float, float], head: float) -> TrainingPhoto:
    """A photo, up to 256 pixels, whose red and green say which column and row a pixel is."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width)
    image[..., 1] = np.arange(height)[:, None]
    landmarks = drawn((height, width), eyes, head, tilt=12).landmarks
    return TrainingPhoto(image, landmarks, NONE, np.full((height, width), 255, np.uint8))


def pictures(photo: TrainingPhoto, size: int = 64, variants: int = 6) -> list[Example]:
    return list(framed([photo], middle, size, variants=variants, rng=np.random.default_rng(1)))


@pytest.fixture(scope="module")
def whole() -> TrainingPhoto:
    """Head to chest, in many pixels."""
    return photo_of(drawn((640, 560), (280, 220), 150))


@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.parametrize("head", [20.0, 60.0, 150.0])
def test_no_picture_is_larger_than_what_the_camera_saw_of_it(size: int, head: float) -> None:
    for example in pictures(map_of(250, 200, (100, 100), head), size):
        image = example.image.astype(int)
        across, down = image[0, -1, 0] - image[0, 0, 0], image[-1, 0, 1] - image[0, 0, 1]
        assert min(across, down) >= len(image) - 2  # a pixel or more of the photo for each
        assert image.shape[0] in (size, size * 3 // 4, size // 2, size // 4)


def test_nothing_is_turned_however_the_head_is_held() -> None:
    for example in pictures(map_of(250, 200, (100, 100), 60)):
        assert (np.ptp(example.image[..., 0], axis=0) == 0).all()
        assert (np.ptp(example.image[..., 1], axis=1) == 0).all()


def test_a_photo_with_the_chest_in_it_is_shown_in_every_framing(whole: TrainingPhoto) -> None:
    shown = [example.caption.partition(" photo of sks person, ") for example in pictures(whole)]
    assert {words for words, _, _ in shown} == {framing.words for framing in FRAMINGS}
    assert {wall for _, _, wall in shown} <= {f"plain {wall} background" for wall in WALLS}
    near, far = (shown_share(pictures(whole, variants=3)[n]) for n in (0, 2))
    assert near > 1.5 * far


def shown_share(example: Example) -> float:
    """Of the picture that is the person."""
    assert example.weight is not None
    return float((example.weight > 0.5).mean())


def test_a_close_photo_and_a_small_one_are_shown_in_one_framing(whole: TrainingPhoto) -> None:
    close = TrainingPhoto(whole.image[145:315, 195:365], whole.landmarks - (195, 145), NONE)
    assert {e.caption.split(" photo")[0] for e in pictures(close)} == {"close-up"}
    widest = {e.caption.split(" photo")[0] for e in pictures(whole, 2048)}
    assert widest == {"upper body"}


def test_a_photo_smaller_than_the_smallest_picture_gets_more_wall() -> None:
    seen = map_of(90, 100, (50, 40), 60)
    for example in pictures(seen, 512):
        assert example.image.shape == (128, 128, 3)
        assert (example.image[:90, :100, :2] == seen.image[..., :2]).all()
        grey = WALLS[example.caption.split("plain ")[1].removesuffix(" background")]
        assert (example.image[90:] == grey).all()
        assert np.allclose(example.weight[90:], ELSEWHERE)  # type: ignore[index]
        assert example.sizes == (90, 100, 0, 0, 128, 128)


def test_behind_the_person_is_the_even_wall_that_the_caption_names(whole: TrainingPhoto) -> None:
    for example in pictures(whole):
        grey = WALLS[example.caption.split("plain ")[1].removesuffix(" background")]
        assert example.weight is not None
        behind = example.image[np.abs(example.weight - ELSEWHERE) < 1e-6]
        assert len(behind) > 100
        assert (behind == grey).all()


def test_the_person_counts_most_clothes_less_the_wall_hardly(whole: TrainingPhoto) -> None:
    assert whole.alpha is not None
    weight = weight_of(whole.image, whole.alpha, whole.landmarks)
    clothes = separate(whole.image, whole.alpha, whole.landmarks)
    assert clothes.confidence > SURE
    assert np.allclose(weight[whole.alpha == 0], ELSEWHERE)
    worn = (clothes.mask == 1) & (whole.alpha == 255)
    assert worn.sum() > 1000
    assert np.allclose(weight[worn], CLOTHES)
    face = (clothes.mask == 0) & (whole.alpha == 255)
    assert np.allclose(weight[face], 1)
    assert weight[220, 280] == pytest.approx(1)  # between the eyes


def test_clothes_that_cannot_be_told_apart_count_as_the_person() -> None:
    bare = drawn((640, 560), (280, 220), 150, shirt=(205, 160, 135))
    assert separate(bare.colours, bare.alpha, bare.landmarks).confidence < SURE
    weight = weight_of(bare.colours, bare.alpha, bare.landmarks)
    assert np.allclose(weight[bare.alpha == 255], 1)


def test_a_weight_keeps_its_proportions_and_has_mean_one(whole: TrainingPhoto) -> None:
    [example] = pictures(whole, variants=1)
    assert example.weight is not None
    weight = place_weight(torch.zeros(1, 4, 8, 8), example.weight)
    assert weight.shape == (1, 1, 8, 8)
    assert weight.mean().item() == pytest.approx(1)
    assert weight.max() / weight.min() == pytest.approx(1 / ELSEWHERE, rel=1e-3)


# On tiny bases


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder: Path = tmp_path_factory.mktemp("framings") / "sdxl"
    tiny.build_tiny_sdxl(folder)
    return load_base(folder)


def test_a_wall_has_a_tenth_of_its_share_in_what_is_learnt(
    sdxl: Base, whole: TrainingPhoto
) -> None:
    """Gradients add up over places: of the wall's there is a tenth, measured by the person's."""
    [example] = pictures(whole, variants=1)
    assert example.weight is not None
    latents, words = sdxl.encode_images(example.image[None]), sdxl.encode_prompts([example.caption])
    weight = place_weight(latents, example.weight)
    wall = (weight == weight.min()).float()
    person = (weight == weight.max()).float()
    assert wall.sum() > 4
    assert person.sum() > 4

    with adapter.fresh(sdxl, rank=4, alpha=4, seed=1) as parameters:

        def learnt(part: torch.Tensor) -> torch.Tensor:
            for parameter in parameters:
                parameter.grad = None
            sdxl.loss(latents, words, torch.Generator().manual_seed(2), part).backward()
            found = [p.grad.flatten() for p in parameters if p.grad is not None]
            return torch.cat(found).norm()

        before = learnt(wall) / learnt(person)
        now = learnt(wall * weight) / learnt(person * weight)
        assert before > 0
        assert now / before == pytest.approx(ELSEWHERE, rel=0.02)


def test_another_wall_changes_little_of_the_loss(sdxl: Base, whole: TrainingPhoto) -> None:
    """What the network answers stays the same here: the loss alone is asked about."""
    near = pictures(whole, variants=1)[0]
    latents, weight = sdxl.encode_images(near.image[None]), near.weight
    assert weight is not None
    places = place_weight(latents, weight)
    elsewhere = latents + 3.0 * (places == places.min())
    words = sdxl.encode_prompts([near.caption])

    def changed(by: Any) -> float:
        answers = {"predict": lambda latents, times, conditions: torch.zeros_like(latents)}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (answers | {"_lesson": lambda x, noise, times: (x, x)}).items():
                patch.setattr(sdxl, name, value)
            one, two = (
                sdxl.loss(some, words, torch.Generator().manual_seed(2), by).item()
                for some in (latents, elsewhere)
            )
        return abs(two - one)

    share = changed(places) / changed(1.0)
    assert 0 < share == pytest.approx(places.min().item(), rel=1e-3)


def test_sdxl_is_told_the_true_sizes(
    sdxl: Any, whole: TrainingPhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []
    forward = sdxl.unet.forward

    def spy(*given: Any, added_cond_kwargs: dict[str, Any], **others: Any) -> Any:
        seen.extend(added_cond_kwargs["time_ids"].tolist())
        return forward(*given, added_cond_kwargs=added_cond_kwargs, **others)

    monkeypatch.setattr(sdxl.unet, "forward", spy)
    run(sdxl, [whole], seed=SEED)
    rng = np.random.default_rng(SEED)
    examples = framed([whole], middle, 64, variants=SHORT.variants, rng=rng)
    told = [list(map(float, example.sizes)) for example in examples]
    assert len(seen) >= 12
    assert all(sizes in told for sizes in seen)
    assert all(sizes[:2] == [640, 560] for sizes in seen)
    seen.clear()
    words = sdxl.encode_prompts(["a person"])
    sdxl.sample(words, words, [1], SAMPLING, lambda: False)
    assert seen == [[64, 64, 0, 0, 64, 64]] * 2


@pytest.mark.slow
def test_an_interrupted_training_of_several_sizes_goes_on_to_the_same_bits(
    sdxl: Base, whole: TrainingPhoto
) -> None:
    photos = [whole, map_of(60, 60, (30, 25), 30)]
    sizes = {e.image.shape for p in photos for e in pictures(p)}
    assert len(sizes) > 1
    options: dict[str, Any] = {"recipe": replace(SHORT, steps=3, batch=3), "micro_batch": 2}
    complete = run(sdxl, photos, **options)
    kept: list[bytes] = []
    saving = Checkpoints(kept.append, 2)
    with pytest.raises(Stopped):
        run(sdxl, photos, **options, checkpoints=saving, stop=lambda: bool(kept))
    again = Checkpoints(lambda _: None, resume=kept[0])
    assert run(sdxl, photos, **options, checkpoints=again) == complete


def test_what_a_photo_shows_beside_the_person_is_in_its_captions(whole: TrainingPhoto) -> None:
    said = "wearing navy clothes, lips closed"
    captions = [example.caption for example in pictures(replace(whole, said=said))]
    assert captions
    assert all(f", {said}, plain " in caption for caption in captions)
    assert all(", , " not in example.caption for example in pictures(whole))


# The class word


def told(base: Base, person: Drawn, word: str) -> tuple[set[str], set[str]]:
    """Subjects of the captions that an adapter is learnt from, and of the prompts it paints by."""
    heard: list[str] = []
    encode = type(base).encode_prompts

    def hear(prompts: Sequence[str]) -> Any:
        heard.extend(prompts)
        return encode(base, prompts)

    def subjects() -> set[str]:
        found = {said for text in heard for said in re.findall(r"photo of (.*?),", text)}
        heard.clear()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "encode_prompts", hear)
        options: dict[str, Any] = {"report": lambda _: None, "stop": lambda: False}
        learnt = train(
            base,
            Personalisation([photo_of(person)], middle, replace(SHORT, steps=1), 1, word),
            **options,
        )
        captions = subjects()
        look = Style("look", "Look", "A look.", "work", "photo of {subject}, navy studio backdrop")
        shots = plan([look], 1, 7)
        list(generate(base, learnt, shots, stop=lambda: False, sampling=SAMPLING))
        return captions, subjects()


@pytest.mark.parametrize("word", CLASS_WORDS)
def test_a_large_base_is_told_the_word_that_was_chosen(sdxl: Base, word: str) -> None:
    person = drawn((640, 560), (280, 220), 150)
    assert told(sdxl, person, word) == ({f"sks {word}"}, {f"sks {word}"})


def test_the_small_base_has_no_use_for_it(base: Base) -> None:
    person = drawn((640, 560), (280, 220), 150)
    assert told(base, person, "woman") == ({"sks person"}, {"sks person"})


def test_an_adapter_of_before_says_no_word(sdxl: Base) -> None:
    with adapter.fresh(sdxl, rank=1, alpha=1, seed=1):
        kept = adapter.dump(sdxl, "sks man")
    assert adapter.subject_of(kept) == "sks man"
    bare = safetensors.torch.save(safetensors.torch.load(kept), metadata={"format": "pt"})
    assert adapter.subject_of(bare) == ""
    for damaged in (b"", kept[:40], b"{" * 50):
        with pytest.raises(TamperedError):
            adapter.subject_of(damaged)


def test_another_word_is_another_training(sdxl: Base) -> None:
    def print_of(word: str) -> str:
        return checkpoint.fingerprint(sdxl, Personalisation([], middle, SHORT, 1, word))

    assert len({print_of(word) for word in CLASS_WORDS}) == len(CLASS_WORDS)
