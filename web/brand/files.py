"""What a company's downloads are: sizes by name, and how files are called.

file_names = "{company}-{look}-{number}"

[sizes]
Badge = [600, 800]
Teams = [648, 648]
"""

from __future__ import annotations

import re
from typing import Any

from errors import BadSettings
from pipeline.portraits.export import SIZES, clean_name

KEYS = ("sizes", "file_names")

_SIDE_PX = (64, 4000)
_MOST_SLENDER = 2
"""Longer side of a size by the shorter one: a face has no room in more."""
_MOST = 20

_NAME = re.compile(r"\w[\w .+-]{0,39}")
_PATTERN = re.compile(r"(\w|\{(company|look|number)\})([\w .-]|\{(company|look|number)\})*")
_PATTERN_CHARS = 80


def sizes(where: str, table: Any) -> dict[str, tuple[int, int]]:
    """Sizes by name, in the order of the file: width and height in pixels.

    Raises:
        BadSettings: a name or a size that cannot be.
    """
    if not isinstance(table, dict) or len(table) > _MOST:
        raise BadSettings(f"{where} [sizes] must be a table of at most {_MOST} sizes.")
    for name, px in table.items():
        if not _NAME.fullmatch(name) or name in SIZES:
            raise BadSettings(
                f"{where} [sizes]: {name!r} cannot be a name: letters, digits, spaces, up to 40, "
                f"and none of {', '.join(SIZES)}."
            )
        low, high = _SIDE_PX
        good = isinstance(px, list) and len(px) == 2
        if not good or any(type(side) is not int or not low <= side <= high for side in px):
            raise BadSettings(
                f"{where} [sizes]: {name!r} must be [width, height], each {low} to {high} pixels."
            )
        if max(px) > _MOST_SLENDER * min(px):
            raise BadSettings(f"{where} [sizes]: {name!r} is too slender; the most is 1 : 2.")
    return {name: (px[0], px[1]) for name, px in table.items()}


def names(where: str, pattern: Any, company: str) -> str:
    """The pattern of file names with the company filled in; `{look}` and `{number}` stay.

    Raises:
        BadSettings: it has other places or letters, or no number to tell files apart.
    """
    good = isinstance(pattern, str) and len(pattern) <= _PATTERN_CHARS
    if not good or not _PATTERN.fullmatch(pattern) or "{number}" not in pattern:
        raise BadSettings(
            f"{where}: 'file_names' must be made of letters, digits, spaces, . _ - and "
            "{company}, {look}, {number}, the number always, such as {company}-{look}-{number}."
        )
    return str(pattern).replace("{company}", clean_name(company) or "company")
