"""The shapes and sizes that downloads are offered in, for the portraits that there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.portraits.export import can_fill, can_give
from pipeline.portraits.frames import AS_MADE, can_cut, shaped
from pipeline.portraits.score import PortraitRecord
from web.brand.kit import brand
from words import say

OFFERED_SIZES = ("original", "square-800", "square-400", "cv", "print")


def shape(name: str, records: Sequence[PortraitRecord]) -> dict[str, Any]:
    """A shape with the sizes that it gives; off: no portrait has room to be cut to it."""
    able = [r.px is None or can_cut(r.px, name, r.face) for r in records]
    off = name != AS_MADE and bool(able) and not any(able)
    return {"key": name, "off": off, "sizes": _sizes([_cut(record, name) for record in records])}


def _cut(record: PortraitRecord, shape: str) -> PortraitRecord:
    """The record as that of the portrait in a shape: its pixels, and where its face is."""
    if record.px is None:
        return record
    (left, top, right, bottom), face = shaped(record.px, shape, record.face)
    return replace(record, px=(right - left, bottom - top), face=face)


def _sizes(records: Sequence[PortraitRecord]) -> list[dict[str, Any]]:
    """Sizes for download in words, with pixels and centimetres, a company's own last."""
    pixels = [record.px for record in records if record.px]
    largest = max(pixels, key=math.prod, default=None)
    usual = [
        _offered(size, _size(size, largest), records, partial(can_give, size))
        for size in OFFERED_SIZES
    ]
    return usual + [
        _offered(name, f"{name} ({px[0]} × {px[1]} px)", records, partial(can_fill, px))
        for name, px in brand().sizes.items()
    ]


def _offered(
    key: str,
    told: str,
    records: Sequence[PortraitRecord],
    can: Callable[[tuple[int, int], Sequence[float] | None], bool],
) -> dict[str, Any]:
    """A size as the page gets it; off: all portraits are of photos that have too few pixels.

    can: whether a portrait of a photo, so wide and high and with its face there, has enough.
    """
    off = bool(records) and not any(
        record.way == "painted" or not record.px or can(record.px, record.face)
        for record in records
    )
    return {"key": key, "told": say("portraits.too_few_px", size=told) if off else told, "off": off}


def _size(size: str, px: tuple[int, int] | None) -> str:
    """A size in words. px: of the largest portrait, None if not known."""
    if px is None or size not in ("original", "print"):
        return say(f"portraits.size_{size}")
    wide, high = (f"{side / 300 * 2.54:.1f}".replace(".", say("portraits.decimal")) for side in px)
    return say(f"portraits.up_to_{size}", w=px[0], h=px[1], width=wide, height=high)
