"""The looks that a company offers: some of `styles/`, walls of its own, and one way to show people.

    looks = ["acme-blue", "corporate"]

    [walls.acme-blue]
    name = "Acme blue"
    colour = "#1f4e8c"

    [portrait]
    light = "soft"
    eyes = 0.46
    head = 0.6

A wall of the company is a look like any other: with the grade "neutral", and in the group "work".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from errors import BadSettings
from pipeline.compositing.clothes import TONES
from pipeline.compositing.look import Alike, PhotoLook, member, needed, number, photo_look
from pipeline.compositing.walls import PICTURES, is_picture
from pipeline.portraits.style import Style
from web.brand.checks import beside, known, told

KEYS = ("looks", "walls", "portrait")

_WALL = ("name", "description", "colour", "picture", "depth_of_field")
_PORTRAIT = ("light", "eyes", "head", "clothes")
_EYES, _HEAD = (0.25, 0.6), (0.2, 0.7)
"""Shares of a portrait's height that may be asked for."""

_PROMPT = "photo of {subject}, grey studio backdrop, even lighting"
"""What is painted where a wall is asked for in the painted way: it cannot show the company's."""

_KEY = re.compile("[a-z0-9-]{1,60}")


def offered(
    file: Path, table: Mapping[str, Any], styles: Mapping[str, Style], languages: Sequence[str]
) -> dict[str, Style]:
    """The looks of a kit in their order: those it lists; without a list its walls, then all others.

    Raises:
        BadSettings: a mistake; the sentence names the file and the key.
    """
    walls = _walls(file, table.get("walls", {}), languages)
    for key in walls:
        if key in styles:
            raise BadSettings(f"{file.name} [walls]: {key!r} is the name of another look already.")
    there = walls | dict(styles)
    listed = table.get("looks", list(there))
    if not isinstance(listed, list) or not listed:
        raise BadSettings(f"{file.name}: 'looks' must be a list of looks that is not empty.")
    for key in listed:
        if not isinstance(key, str) or key not in there:
            raise BadSettings(
                f"{file.name}: 'looks' names {key!r}, and there are only {', '.join(there)}."
            )
    for key in walls:
        if key not in listed:
            raise BadSettings(f"{file.name}: the wall {key!r} is not among 'looks'.")
    looks = {key: there[key] for key in listed}
    return _alike(file, table["portrait"], looks) if "portrait" in table else looks


def _walls(file: Path, table: Any, languages: Sequence[str]) -> dict[str, Style]:
    if not isinstance(table, dict):
        raise BadSettings(f"{file.name} [walls] must be a table.")
    return {key: _wall(file, key, wall, languages) for key, wall in table.items()}


def _wall(file: Path, key: str, table: Any, languages: Sequence[str]) -> Style:
    where = f"{file.name} [walls.{key}]"
    if not _KEY.fullmatch(key):
        raise BadSettings(f"{where}: a wall's key may have the letters a to z, digits and hyphens.")
    known(where, table, _WALL)
    needed(where, table, ("name",))
    if ("colour" in table) == ("picture" in table):
        raise BadSettings(f"{where}: a wall has either 'colour' or 'picture'.")
    words = {
        name: told(where, name, table.get(name, table["name"]), languages)
        for name in ("name", "description")
    }
    first = "en" if "en" in words["name"] else languages[0]
    return Style(
        key=key,
        name=words["name"][first],
        description=words["description"].get(first, words["name"][first]),
        group="work",
        prompt=_PROMPT,
        translations={
            language: {name: texts[language] for name, texts in words.items()}
            for language in languages
            if language != first
        },
        photo=photo_look(file, _photo(where, file, table), f"walls.{key}"),
    )


def _photo(where: str, file: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """A wall as the `[photo]` table of a look tells it."""
    kept = {"depth_of_field": table["depth_of_field"]} if "depth_of_field" in table else {}
    if "colour" in table:
        return kept | {"wall": "paper", "colour": table["colour"]}
    name = beside(where, file, "picture", table["picture"]).name
    if not is_picture(name):
        raise BadSettings(f"{where}: 'picture' must end in {', '.join(PICTURES)}.")
    return kept | {"wall": name}


def _alike(file: Path, table: Any, looks: Mapping[str, Style]) -> dict[str, Style]:
    """The looks with one light and one frame for everybody."""
    where = f"{file.name} [portrait]"
    known(where, table, _PORTRAIT)
    for key, bounds in (("eyes", _EYES), ("head", _HEAD)):
        if key in table:
            number(where, key, table[key], bounds)
    member(where, "clothes", table.get("clothes"), tuple(TONES))
    alike = Alike(**{key: table[key] for key in table if key != "light"})
    if alike.eyes < alike.head / 2:
        raise BadSettings(
            f"{where}: 'eyes' {alike.eyes} has no room above for a head {alike.head}."
        )
    light = {"light": table["light"]} if "light" in table else {}
    lit: PhotoLook = photo_look(file, {"wall": "paper", **light}, "portrait")

    def same(photo: PhotoLook) -> PhotoLook:
        return replace(photo, alike=alike, light=lit.light if light else photo.light)

    return {
        key: replace(style, photo=same(style.photo) if style.photo else None)
        for key, style in looks.items()
    }
