"""The shipped styles, and every mistake that a style file can hold."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoTokenizer

import settings as configuration
from errors import BadOrder, BadSettings
from pipeline.compositing.backdrops import ANYONE, PERSON
from pipeline.compositing.composite import GRADES
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.walls import paint
from pipeline.portraits.style import CROPS, Style, choose, crop, finish, load_styles
from tests.support.looks import SHIPPED, STYLES
from tests.support.refused import refused
from words import ENGLISH, LANGUAGES

GOOD = {
    "name": '"Plain"',
    "description": '"A plain look."',
    "group": '"work"',
    "prompt": '"photo of {subject}, grey studio backdrop"',
}


@pytest.fixture(scope="module")
def shipped() -> dict[str, Style]:
    return load_styles(STYLES)


def write(folder: Path, **changes: str | None) -> None:
    """A style file "plain.toml" that is good but for the changes; None leaves a key out."""
    keys = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    (folder / "plain.toml").write_text("".join(f"{k} = {v}\n" for k, v in keys.items()))


def test_the_promised_styles_are_there(shipped: dict[str, Style]) -> None:
    names = {style.name for style in shipped.values()}
    assert names >= {
        "Corporate",
        "Old Money",
        "Corporate Baddie",
        "LinkedIn Classic",
        "Black & White",
    }
    assert len(names) == len(shipped) >= 12
    assert set(shipped) >= set(SHIPPED)
    previews = configuration.ROOT / "web" / "static" / "looks"
    assert {file.stem for file in previews.glob("*.webp")} == set(shipped)


def test_the_embedded_base_can_tell_all_styles_apart(shipped: dict[str, Style]) -> None:
    folder = configuration.ROOT / "models" / "studio-mini" / "tokenizer"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    seen: dict[tuple[int, ...], str] = {}
    for style in shipped.values():
        ids = tokenizer(style.words(PERSON), add_special_tokens=False).input_ids
        known = tuple(i for i in ids if i != tokenizer.unk_token_id)
        # Begin and end take two places; what comes after is cut off.
        assert len(known) <= tokenizer.model_max_length - 2, style.key
        assert known not in seen, f"{style.key} reads like {seen.get(known)}"
        seen[known] = style.key


def test_a_good_file_becomes_a_style(tmp_path: Path) -> None:
    write(tmp_path, crop='"4:5"', seed="3", negative='"hat"')
    prompt = "photo of {subject}, grey studio backdrop"
    style = Style("plain", "Plain", "A plain look.", "work", prompt, "hat", "4:5", 3)
    assert load_styles(tmp_path) == {"plain": style}
    assert style.words(PERSON) == "photo of sks person, grey studio backdrop"
    assert style.words(ANYONE) == "photo of a person, grey studio backdrop"


def test_a_new_look_is_one_new_file(tmp_path: Path, shipped: dict[str, Style]) -> None:
    """One with no table for any other language: it is told in English to everybody."""
    folder = tmp_path / "styles"
    shutil.copytree(STYLES, folder)
    write(folder)
    styles = load_styles(folder)
    assert set(styles) == {*shipped, "plain"}
    assert {key: style for key, style in styles.items() if key != "plain"} == shipped
    assert choose(styles, ["plain"]) == [styles["plain"]]
    for name in LANGUAGES:
        assert styles["plain"].told(name) == ("Plain", "A plain look.")
    assert styles["corporate"].told("de")[1].startswith("Graue Studiowand")


def test_the_look_that_contributors_are_shown_is_a_good_one(tmp_path: Path) -> None:
    shown = re.search(
        "```toml\n(.*?)```", (configuration.ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL
    )
    assert shown is not None
    (tmp_path / "library.toml").write_text(shown[1])
    look = load_styles(tmp_path)["library"]
    assert "wood library background" in look.words(PERSON)
    assert look.told("de") == ("Library", "Holzregale im Rücken, Licht von links.")


@pytest.mark.parametrize("name", [*(name for name in LANGUAGES if name != ENGLISH), "it"])
def test_a_translation_may_leave_the_name_as_it_is(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    with (tmp_path / "plain.toml").open("a") as file:
        file.write(f'[{name}]\ndescription = "Anders."\n')
    assert load_styles(tmp_path)["plain"].told(name) == ("Plain", "Anders.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"propmt": '"x"'}, "'propmt' is not a key"),
        ({"prompt": None}, "'prompt' is missing"),
        ({"name": None}, "'name' is missing"),
        ({"prompt": '"photo of a person"'}, "'prompt' must contain {subject} exactly once"),
        ({"prompt": '"{subject} and {subject}"'}, "'prompt' must contain {subject} exactly once"),
        ({"name": '""'}, "'name' must be a text"),
        ({"description": "3"}, "'description' must be a text"),
        ({"negative": "3"}, "'negative' must be a text"),
        ({"group": '"party"'}, "'group' must be one of work, editorial, social, monochrome"),
        ({"crop": '"16:9"'}, "'crop' must be one of square, 4:5, 3:4"),
        ({"finish": '"grey"'}, "'finish' must be one of colour, monochrome"),
        ({"seed": "-1"}, "'seed' must be a whole number"),
        ({"seed": "true"}, "'seed' must be a whole number"),
        ({"seed": '"7"'}, "'seed' must be a whole number"),
        ({"en": '{ name = "Plain" }'}, "'en' is not a key"),
        ({"fra": '{ name = "Plain" }'}, "'fra' is not a key"),
        ({"name": "Plain"}, "is not valid TOML"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(
    tmp_path: Path, changes: dict[str, str | None], message: str
) -> None:
    write(tmp_path, **changes)
    with pytest.raises(BadSettings) as caught:
        load_styles(tmp_path)
    assert caught.value.sentence.startswith("plain.toml")
    assert message in caught.value.sentence


PHOTO = {"wall": '"canvas"', "colour": '"#8a8c92"', "light": '"soft"', "grade": '"warm"'}


def write_photo(folder: Path, **changes: str | None) -> None:
    """A good style file with a `[photo]` table that is good but for the changes."""
    write(folder)
    keys = {k: v for k, v in {**PHOTO, **changes}.items() if v is not None}
    with (folder / "plain.toml").open("a") as file:
        file.write("[photo]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()))


def test_every_shipped_look_has_a_photo_table_of_its_own(shipped: dict[str, Style]) -> None:
    looks = [style.photo for style in shipped.values()]
    assert len(looks) >= 24
    assert None not in looks
    assert len({repr(look) for look in looks}) == len(looks)
    names = {style.name for style in shipped.values()}
    assert names >= {"Authority", "Natural", "Dating", "Black & White", "Old Money"}
    for style in shipped.values():
        assert style.photo is not None
        grey = GRADES[style.photo.grade].monochrome
        assert grey == (style.finish == "monochrome"), style.key
        assert set(style.translations) == set(LANGUAGES) - {ENGLISH}, style.key


def test_a_photo_table_is_read(tmp_path: Path) -> None:
    light = "{azimuth = -40, elevation = 30, strength = 1.2}"
    write_photo(tmp_path, light=light, frame='"face"', depth_of_field="0.7", fade="true")
    assert load_styles(tmp_path)["plain"].photo == PhotoLook(
        wall="canvas",
        colour="#8a8c92",
        depth_of_field=0.7,
        light={"azimuth": -40, "elevation": 30, "strength": 1.2},
        grade="warm",
        frame="face",
        fade=True,
    )


def test_a_picture_beside_the_look_can_be_its_wall(tmp_path: Path) -> None:
    lobby = np.zeros((600, 800, 3), np.uint8)
    lobby[..., 1] = 180
    Image.fromarray(lobby).save(tmp_path / "lobby.jpg", quality=95)
    write_photo(tmp_path, wall='"lobby.jpg"', colour=None)
    look = load_styles(tmp_path)["plain"].photo
    assert look is not None
    wall = paint(look.wall, (90, 120), np.random.default_rng(0), None, look.depth_of_field)
    assert wall.shape == (90, 120, 3)
    green = ((180 / 255 + 0.055) / 1.055) ** 2.4  # sRGB to linear light, IEC 61966-2-1
    assert np.abs(wall.mean(axis=(0, 1)) - (0, green, 0)).max() < 0.02


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.jpg", "not a picture that can be read"),
        ("text.png", "not a picture that can be read"),
        ("small.webp", "its shorter side needs 512 pixels"),
        ("../small.webp", "must lie beside the look"),
    ],
)
def test_a_picture_that_can_be_no_wall_is_a_sentence(
    tmp_path: Path, name: str, problem: str
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (700, 500)).save(tmp_path / "small.webp")
    write_photo(tmp_path, wall=f'"{name}"', colour=None)
    with pytest.raises(BadSettings) as caught:
        load_styles(tmp_path)
    assert problem in caught.value.sentence
    assert caught.value.sentence.startswith("plain.toml [photo]")


def test_a_look_may_be_painted_only(tmp_path: Path) -> None:
    write(tmp_path)
    assert load_styles(tmp_path)["plain"].photo is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wal": '"canvas"'}, "'wal' is not one of wall, colour"),
        ({"wall": None}, "'wall' is missing"),
        ({"wall": '"cave"'}, "'wall' must be one of canvas, paper"),
        ({"wall": "3"}, "'wall' must be one of"),
        ({"wall": '"office"'}, "'colour' is for studio walls"),
        ({"colour": '"grey"'}, "'colour' must be like"),
        ({"colour": "7"}, "'colour' must be like"),
        ({"depth_of_field": "1.5"}, "'depth_of_field' must be a number from 0 to 1"),
        ({"depth_of_field": "true"}, "'depth_of_field' must be a number from 0 to 1"),
        ({"depth_of_field": "nan"}, "'depth_of_field' must be a number from 0 to 1"),
        ({"light": '"disco"'}, "'light' must be one of soft, left"),
        ({"light": "{azimut = 3}"}, "'azimut' is not one of azimuth"),
        ({"light": "{azimuth = 91}"}, "'azimuth' must be a number from -90 to 90"),
        ({"light": '{size = "big"}'}, "'size' must be a number from 0 to 1"),
        ({"light": "3"}, "'light' must be one of"),
        ({"grade": '"neon"'}, "'grade' must be one of neutral"),
        ({"frame": '"foot"'}, "'frame' must be one of face"),
        ({"fade": "1"}, "'fade' must be true or false"),
    ],
)
def test_a_mistake_in_a_photo_table_names_the_file_and_the_key(
    tmp_path: Path, changes: dict[str, str | None], message: str
) -> None:
    write_photo(tmp_path, **changes)
    with pytest.raises(BadSettings) as caught:
        load_styles(tmp_path)
    assert caught.value.sentence.startswith("plain.toml [photo]")
    assert message in caught.value.sentence


def test_photo_must_be_a_table(tmp_path: Path) -> None:
    write(tmp_path, photo='"canvas"')
    with pytest.raises(BadSettings, match=r"plain.toml: 'photo' must be a table"):
        load_styles(tmp_path)


def test_a_folder_without_styles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="no styles"):
        load_styles(tmp_path)


def test_choosing_keeps_the_order_and_drops_repeats(shipped: dict[str, Style]) -> None:
    chosen = choose(shipped, ["old-money", "corporate", "old-money"])
    assert [style.key for style in chosen] == ["old-money", "corporate"]


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_without_a_choice_all_styles_are_taken(
    shipped: dict[str, Style], nothing: list[str] | None
) -> None:
    assert choose(shipped, nothing) == list(shipped.values())


def test_an_unknown_style_is_named_with_those_that_exist(shipped: dict[str, Style]) -> None:
    with refused(BadOrder, "'clown'.*old-money"):
        choose(shipped, ["corporate", "clown"])


@pytest.mark.parametrize(("ratio", "width"), [("square", 800), ("4:5", 640), ("3:4", 600)])
def test_a_crop_keeps_the_height_and_the_middle(ratio: str, width: int) -> None:
    image = np.zeros((800, 800, 3), np.uint8)
    image[:, 400] = 255
    cut = crop(image, ratio)
    assert ratio in CROPS
    assert cut.shape == (800, width, 3)
    assert cut[:, width // 2].all()


def test_looks_without_colour_come_out_without_colour(shipped: dict[str, Style]) -> None:
    for style in shipped.values():
        assert (style.finish == "monochrome") == ("black and white" in style.prompt), style.key
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    grey = finish(picture, "monochrome")
    assert grey.shape == picture.shape
    assert grey.dtype == np.uint8
    assert np.ptp(grey, axis=2).max() == 0
    assert np.array_equal(finish(picture, "colour"), picture)
    # BT.601: green is brighter than red, red than blue.
    pure = finish(np.eye(3, dtype=np.uint8)[None] * 255, "monochrome")[0, :, 0]
    assert pure.tolist() == [76, 150, 29]
