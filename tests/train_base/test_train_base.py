"""The base model's training tools on tiny nets and painted faces: seconds, no downloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from pipeline.compositing.backdrops import compose
from pipeline.portraits.style import Style, load_styles
from tests.support.looks import SHIPPED, STYLES
from train_base import autoencoder, data, denoiser, people, sharpen
from train_base.checkpoint import Average, load, save_atomic
from train_base.evaluate import frechet
from train_base.export import best_denoiser
from train_base.faces import Face
from train_base.restyle import Person, restyle
from train_base.walls import WallClassifier
from train_base.words import (
    adopt,
    build_text_encoder,
    build_tokenizer,
    numbers_of,
    vocabulary,
)

WIDTH, HEIGHT = 200, 250
EYES_Y, MOUTH_Y = 100, 150


def painted_portrait(skin: tuple[int, int, int]) -> np.ndarray:
    """RGB [250, 200, 3]: a face before a blue wall, above a dark suit."""
    picture = np.full((HEIGHT, WIDTH, 3), (90, 130, 180), np.uint8)
    cv2.ellipse(picture, (100, 260), (95, 80), 0, 0, 360, (30, 32, 38), -1)
    cv2.ellipse(picture, (100, 115), (50, 68), 0, 0, 360, skin, -1)
    for x in (78, 122):
        cv2.circle(picture, (x, EYES_Y), 6, (40, 30, 30), -1)
    cv2.line(picture, (82, MOUTH_Y), (118, MOUTH_Y), (160, 60, 60), 5)
    shade = np.linspace(0.7, 1.05, HEIGHT)[:, None, None]  # one colour, many lightnesses
    return np.clip(picture * shade, 0, 255).astype(np.uint8)


class PaintedFaces:
    """Stands in for the three face models: knows where `painted_portrait` puts things."""

    def largest(self, image: np.ndarray) -> Face | None:
        points = [[78, EYES_Y], [122, EYES_Y], [100, 125], [82, MOUTH_Y], [118, MOUTH_Y]]
        landmarks = np.array(points, np.float32)
        return Face((50, 47, 100, 136), landmarks, 0.95, np.zeros(15, np.float32))

    def embedding(self, image: np.ndarray) -> np.ndarray:
        vector = np.resize(image.mean((0, 1)), 128).astype(np.float32)
        return vector / np.linalg.norm(vector)

    def matte(self, crop: np.ndarray) -> np.ndarray:
        wall = crop[..., 2] > crop[..., 0].astype(int) + 30
        return np.where(wall, 0, 255).astype(np.uint8)


class TinyRecogniser(nn.Module):
    """Stands in for SFace: one convolution, same signature."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.kernel = torch.randn(8, 3, 5, 5, generator=generator)

    def forward(self, faces: torch.Tensor, taps: tuple[int, ...]) -> tuple:
        layer = nn.functional.conv2d(faces / 255, self.kernel, stride=4)
        return layer.mean((2, 3)), [layer]


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    monkeypatch.setattr(data, "worker_faces", PaintedFaces())
    made = []
    for number, skin in enumerate([(214, 170, 150), (120, 80, 60), (240, 200, 180)]):
        path = tmp_path / f"P{number}.png"
        cv2.imwrite(str(path), painted_portrait(skin)[:, :, ::-1])
        row = data.prepare(path)
        assert row is not None
        made.append(row)
    return made


@pytest.fixture
def table(rows: list[dict]) -> data.Portraits:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 128)).astype(np.float32)
    return data.Portraits(
        image=np.stack([row["image"] for row in rows]),
        matte=np.stack([row["matte"] for row in rows]),
        embedding=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        name=np.array(["portraits/A1", "portraits/B2", "bioguide/000003"]),
        congress=np.array([113, 113, 117], np.int32),
        born=np.array([1950, 1960, 1980], np.int32),
        gender=np.array(["F", "M", ""]),
        eyes=np.array([44, 44, 30], np.float32),
        score=np.array([0.9, 0.9, 0.9], np.float32),
        spread=np.array([row["spread"] for row in rows], np.float32),
        ita=np.array([row["ita"] for row in rows], np.float32),
    )


def test_prepared_portrait_is_aligned_and_cut_out(rows: list[dict]) -> None:
    image, matte = rows[0]["image"], rows[0]["matte"]
    assert image.shape == (data.STORED, data.STORED, 3)
    eye = image[data.MARGIN + 67, data.MARGIN + 61]
    assert eye.max() < 110
    assert matte[96, 96] == 255
    assert matte[20, 20] == 0


def test_lighter_cheeks_have_the_larger_angle(rows: list[dict]) -> None:
    darker, middle, lighter = rows[1]["ita"], rows[0]["ita"], rows[2]["ita"]
    assert darker < middle < lighter


def test_toned_prints_do_not_count_as_colour() -> None:
    grey = cv2.cvtColor(painted_portrait((214, 170, 150)), cv2.COLOR_RGB2GRAY)[..., None] / 255
    sepia = (np.clip(grey * [1.08, 0.94, 0.76], 0, 1) * 255).astype(np.uint8)
    assert data.colour_spread(sepia) < data.COLOUR_SPREAD
    assert data.colour_spread(painted_portrait((214, 170, 150))) > data.COLOUR_SPREAD


def test_table_survives_the_disk(table: data.Portraits, tmp_path: Path) -> None:
    table.save(tmp_path / "portraits.npz")
    again = data.Portraits.load(tmp_path / "portraits.npz")
    assert np.array_equal(again.image, table.image)
    assert list(again.name) == list(table.name)


def test_judges_and_their_look_alikes_are_not_trained_on(table: data.Portraits) -> None:
    table.embedding[2] = table.embedding[0]
    training, judges = people.split(table, [("portraits/A1", "-")])
    assert list(judges) == [0]
    assert list(training) == [1]


def test_committed_list_names_sixty_judges() -> None:
    held_out = people.read_held_out()
    assert len(held_out) == people.HELD_OUT_COUNT
    assert len({name for name, _ in held_out}) == people.HELD_OUT_COUNT


def test_sampling_weights_are_chances(table: data.Portraits) -> None:
    weights = people.sampling_weights(table)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() > 0


def test_restyled_picture_is_reproducible_and_its_words_are_known(rows: list[dict]) -> None:
    person = Person(rows[0]["image"], rows[0]["matte"], 0.99, True)
    tokenizer = build_tokenizer()
    for seed in range(12):
        picture, words = restyle(np.random.default_rng(seed), person)
        again, _ = restyle(np.random.default_rng(seed), person)
        assert picture.shape == (160, 160, 3)
        assert np.array_equal(picture, again)
        assert tokenizer.unk_token_id not in numbers_of(tokenizer, [words])[0]


def test_words_keep_the_numbers_that_the_weights_know() -> None:
    words = vocabulary()
    assert words[:6] == ["<pad>", "<bos>", "<eos>", "<unk>", "sks", "grey"]
    assert words[44] == "natural"
    assert len(set(words)) == len(words)


def test_other_peoples_words_are_rewritten() -> None:
    tokenizer = build_tokenizer()
    first, second = numbers_of(
        tokenizer, ["photo, GRAY wall, gold", "photo, grey backdrop, mustard"]
    )
    assert torch.equal(first, second)


def test_adopted_text_encoder_says_the_same_of_old_words() -> None:
    old, new = build_text_encoder(45).eval(), build_text_encoder(60).eval()
    adopt(new, old.state_dict())
    numbers = torch.randint(0, 45, (2, 20))
    assert torch.allclose(old(numbers)[0], new(numbers)[0], atol=1e-5)


@pytest.fixture
def small_autoencoder(monkeypatch: pytest.MonkeyPatch) -> autoencoder.Config:
    monkeypatch.setattr(autoencoder, "SFace", TinyRecogniser)
    return autoencoder.Config(
        channels=(8, 8, 8, 8), encoder_blocks=(1, 1, 1, 1), decoder_blocks=(1, 1, 1, 1),
        batch=2, judged=1,
    )  # fmt: skip


def pictures(table: data.Portraits) -> torch.Tensor:
    return autoencoder.to_tensor([image[16:176, 16:176] for image in table.image[:2]])


def same(first: dict, second: dict) -> bool:
    """Whether two checkpoints hold the same numbers, bit by bit."""
    flat_first, flat_second = flatten(first), flatten(second)
    return flat_first.keys() == flat_second.keys() and all(
        torch.equal(value, flat_second[key]) if isinstance(value, torch.Tensor)
        else value == flat_second[key]
        for key, value in flat_first.items()
    )  # fmt: skip


def flatten(tree: Any, path: str = "") -> dict[str, object]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    flat: dict[str, object] = {}
    for key, value in items:
        if isinstance(value, dict | list):
            flat.update(flatten(value, f"{path}/{key}"))
        else:
            flat[f"{path}/{key}"] = value
    return flat


def test_autoencoder_resumes_bit_equal(
    small_autoencoder: autoencoder.Config, table: data.Portraits, tmp_path: Path
) -> None:
    batch = pictures(table)
    through = autoencoder.Trainer(small_autoencoder, tmp_path, 10)
    for _ in range(2):
        through.step(batch)
    stopped = autoencoder.Trainer(small_autoencoder, tmp_path, 10)
    stopped.step(batch)
    save_atomic(stopped.state(), tmp_path / "last.pt")
    resumed = autoencoder.Trainer(small_autoencoder, tmp_path, 10)
    resumed.restore(load(tmp_path / "last.pt") or {})
    resumed.step(batch)
    assert same(through.state(), resumed.state())


def test_sharpening_leaves_the_encoder_alone_and_resumes_bit_equal(
    small_autoencoder: autoencoder.Config, table: data.Portraits, tmp_path: Path
) -> None:
    base = autoencoder.Trainer(small_autoencoder, tmp_path, 10).state()
    config = sharpen.Config(width=4, starts=1)
    batch = pictures(table)
    through = sharpen.Trainer(config, base, tmp_path, 10)
    for _ in range(3):
        through.step(batch)
    stopped = sharpen.Trainer(config, base, tmp_path, 10)
    stopped.step(batch)
    save_atomic(stopped.state(), tmp_path / "last.pt")
    resumed = sharpen.Trainer(config, base, tmp_path, 10)
    resumed.restore(load(tmp_path / "last.pt") or {})
    for _ in range(2):
        resumed.step(batch)
    assert same(through.state(), resumed.state())
    fresh = autoencoder.Trainer(small_autoencoder, tmp_path, 10).model.encoder
    for before, after in zip(fresh.parameters(), through.model.encoder.parameters(), strict=True):
        assert torch.equal(before, after)


def test_denoiser_resumes_bit_equal(tmp_path: Path) -> None:
    config = denoiser.Config(channels=(32, 32), sample_size=8, batch=2)
    latents, words = torch.randn(6, 8, 8, 8).half(), torch.randint(0, 40, (6, 20)).short()
    through = denoiser.Trainer(config, 1.0)
    for _ in range(2):
        through.step(latents, words)
    stopped = denoiser.Trainer(config, 1.0)
    stopped.step(latents, words)
    save_atomic(stopped.state(), tmp_path / "last.pt")
    resumed = denoiser.Trainer(config, 1.0)
    resumed.restore(load(tmp_path / "last.pt") or {})
    resumed.step(latents, words)
    assert same(through.state(), resumed.state())


def test_half_written_checkpoint_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_atomic({"done": 1}, path)
    path.with_suffix(".part").write_bytes(b"half of a checkpo")
    state = load(path)
    assert state is not None
    assert state["done"] == 1
    assert load(tmp_path / "none.pt") is None


def test_walls_of_the_looks_are_told_apart() -> None:
    looks = [look for key, look in load_styles(STYLES).items() if key in SHIPPED]
    classifier = WallClassifier(looks, per_wall=20)
    rng = np.random.default_rng(1)
    person = np.zeros((160, 160, 3), np.uint8) + np.array([190, 140, 120], np.uint8)
    matte = np.zeros((160, 160), np.uint8)
    matte[30:, 45:115] = 255
    right = []
    for look in looks:
        backdrop, grade = classifier.wall_of(look)
        for _ in range(5):
            wall = compose(rng, person, matte, backdrop=backdrop, grade=grade)
            right.append(classifier(wall) == (backdrop, grade))
    assert np.mean(right) > 0.95


def test_a_look_without_a_wall_cannot_be_judged() -> None:
    look = Style("x", "X", "-", "work", "photo of {subject}, smiling")
    with pytest.raises(ValueError, match="no backdrop"):
        WallClassifier([look])


def test_frechet_distance_is_zero_for_equal_sets_and_grows() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(400, 6))
    assert frechet(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet(first, first + 1) == pytest.approx(6, rel=0.05)


def test_the_weights_that_the_judges_liked_best_are_exported(tmp_path: Path) -> None:
    folder = tmp_path / "denoiser"
    folder.mkdir()
    (folder / "last.pt").touch()
    assert best_denoiser(tmp_path) == folder / "last.pt"
    (folder / "best.pt").touch()
    assert best_denoiser(tmp_path) == folder / "best.pt"


def test_an_average_goes_on_from_a_checkpoint_where_it_was() -> None:
    average = Average([torch.zeros(3)], 0.9)
    average.restore([torch.arange(3.0)])
    average.update([torch.arange(3.0)], 10**6)
    assert torch.allclose(average.values[0], torch.arange(3.0))
