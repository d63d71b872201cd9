"""Styles: one TOML file each in `styles/`, checked strictly when the server starts.

    name = "Corporate"
    description = "Grey studio, even light: the picture on a company's team page."
    group = "work"
    prompt = "photo of {subject}, grey studio backdrop"

    [de]
    description = "Graues Studio, gleichmäßiges Licht: das Bild für die Teamseite."

A table named as a language, by its two letters, holds name or description, or both, in it; the
table `[photo]` says what the photo way does, see `compositing.look`, and `[painted]` what large
bases are asked for, see `painted_look`.
A new look is a new file and no Python.  The prompt uses the words that the embedded base knows
(those of `pipeline/compositing/backdrops.py`); a base leaves out what it does not know.  Large
bases take the prompt too, where a look has no `[painted]`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import BadOrder, BadSettings
from pipeline.compositing.look import PhotoLook, needed, photo_look
from pipeline.portraits.painted_look import PaintedLook, painted_look

GROUPS = ("work", "editorial", "social", "monochrome")

CROPS = {"square": (1, 1), "4:5": (4, 5), "3:4": (3, 4)}
"""Name -> width : height."""

FINISHES = ("colour", "monochrome")

_REQUIRED = ("name", "description", "group", "prompt")
_OPTIONAL = ("negative", "crop", "seed", "finish")
_TOLD = ("name", "description")
_LANGUAGE = re.compile("(?!en)[a-z]{2}")
"""ISO 639-1. English stands above the tables. Whether the server speaks a language is not known
here: a look may be ahead of it."""
_PHOTO, _PAINTED = "photo", "painted"
_PLACEHOLDER = "{subject}"


@dataclass(frozen=True)
class Style:
    """A look.

    key: the file's name without `.toml`, what orders and file names use.
    negative: what guidance leads away from; empty for none.
    crop: a key of `CROPS`.
    seed: if given, this style's portraits do not depend on the order's seed.
    finish: "monochrome" takes what colour a base left in a picture that was to have none.
    translations: name and description by language, see `told`.
    photo: what the photo way does; None for a look that is only painted.
    painted: what large bases are asked for; None for `prompt` and `negative`.
    """

    key: str
    name: str
    description: str
    group: str
    prompt: str
    negative: str = ""
    crop: str = "square"
    seed: int | None = None
    finish: str = "colour"
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    photo: PhotoLook | None = None
    painted: PaintedLook | None = None

    def told(self, language: str) -> tuple[str, str]:
        """Name and description in a language, in English where they are not translated."""
        translated = self.translations.get(language, {})
        return translated.get("name", self.name), translated.get("description", self.description)

    def words(self, subject: str) -> str:
        """The prompt for a subject, e.g. `PERSON`."""
        return self.prompt.replace(_PLACEHOLDER, subject)


def load_styles(folder: Path) -> dict[str, Style]:
    """Every `*.toml` of the folder, by key, in the order of their names.

    Raises:
        BadSettings: no style at all, or a mistake; the sentence names file and key.
    """
    styles = [_load(path) for path in sorted(folder.glob("*.toml"))]
    if not styles:
        raise BadSettings(f"There are no styles (*.toml) in the folder {folder}.")
    styles.sort(key=lambda style: style.name.casefold())
    return {style.key: style for style in styles}


def choose(styles: dict[str, Style], keys: Sequence[str] | None) -> list[Style]:
    """The styles of an order, each once, as ordered; without keys, all of them.

    Raises:
        BadOrder: a key that is no style; the sentence lists those that are.
    """
    if not keys:
        return list(styles.values())
    for key in keys:
        if key not in styles:
            known = ", ".join(styles)
            raise BadOrder("order.unknown_style", key=repr(key), known=known)
    return [styles[key] for key in dict.fromkeys(keys)]


def crop(image: NDArray[np.uint8], ratio: str) -> NDArray[np.uint8]:
    """Cut a square portrait uint8 [P, P, 3] to a key of `CROPS`: full height, sides cut alike."""
    width, height = CROPS[ratio]
    side = image.shape[0]
    keep = side * width // height
    left = (side - keep) // 2
    return np.ascontiguousarray(image[:, left : left + keep])


def finish(image: NDArray[np.uint8], how: str) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] after a member of `FINISHES`: as it is, or its luma (BT.601)."""
    if how == "colour":
        return image
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(luma, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that an operator wrote.

    Raises:
        BadSettings: there is none, or it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise BadSettings(f"{path} cannot be read: {problem.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadSettings(f"{path.name} is not valid TOML: {problem}.") from None


def _load(path: Path) -> Style:
    table = read_toml(path)
    for key in table:
        if key not in (*_REQUIRED, *_OPTIONAL, _PHOTO, _PAINTED) and not _LANGUAGE.fullmatch(key):
            raise BadSettings(f"{path.name}: {key!r} is not a key of a style.")
    needed(path.name, table, _REQUIRED)
    translations = {name: table.pop(name) for name in list(table) if _LANGUAGE.fullmatch(name)}
    photo = photo_look(path, table.pop(_PHOTO)) if _PHOTO in table else None
    painted = painted_look(path.name, table.pop(_PAINTED)) if _PAINTED in table else None
    for key, value in table.items():
        _check(path.name, key, value)
    for name, told in translations.items():
        _check_translation(path.name, name, told)
    return Style(key=path.stem, translations=translations, photo=photo, painted=painted, **table)


def _check_translation(file: str, name: str, told: Any) -> None:
    if not isinstance(told, dict) or not set(told) <= set(_TOLD):
        raise BadSettings(f"{file}: [{name}] may hold {' and '.join(_TOLD)}, nothing else.")
    for key, value in told.items():
        _check(f"{file} [{name}]", key, value)


def _check(file: str, key: str, value: Any) -> None:
    if key == "seed":
        # bool is an int to Python, not to whoever wrote the file.
        if type(value) is not int or not 0 <= value < 2**32:
            raise BadSettings(f"{file}: 'seed' must be a whole number from 0 to 2^32 - 1.")
        return
    if not isinstance(value, str) or (key != "negative" and not value.strip()):
        raise BadSettings(f"{file}: {key!r} must be a text that is not empty.")
    if key == "prompt" and value.count(_PLACEHOLDER) != 1:
        raise BadSettings(f"{file}: 'prompt' must contain {_PLACEHOLDER} exactly once.")
    if key == "group" and value not in GROUPS:
        raise BadSettings(f"{file}: 'group' must be one of {', '.join(GROUPS)}, not {value!r}.")
    if key == "crop" and value not in CROPS:
        raise BadSettings(f"{file}: 'crop' must be one of {', '.join(CROPS)}, not {value!r}.")
    if key == "finish" and value not in FINISHES:
        raise BadSettings(f"{file}: 'finish' must be one of {', '.join(FINISHES)}, not {value!r}.")
