"""The shapes and sizes that downloads are offered in, for the portraits that there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
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
    cut = [_cut(record, name) for record in records]
    return {"key": name, "off": off, "sizes": _sizes(cut) + _own_sizes(cut)}


def _cut(record: PortraitRecord, shape: str) -> PortraitRecord:
    """The record as that of the portrait in a shape: its pixels, and where its face is."""
    if record.px is None:
        return record
    (left, top, right, bottom), face = shaped(record.px, shape, record.face)
    return replace(record, px=(right - left, bottom - top), face=face)


def _sizes(records: Sequence[PortraitRecord]) -> list[dict[str, Any]]:
    """Sizes for download in words, with pixels and centimetres; off: no portrait has enough."""
    pixels = [record.px for record in records if record.px]
    largest = max(pixels, key=math.prod, default=None)
    return [
        {"key": size, "told": say("portraits.too_few_px", size=told) if off else told, "off": off}
        for size in OFFERED_SIZES
        for told, off in [(_size(size, largest), _lacking(size, records))]
    ]


def _own_sizes(records: Sequence[PortraitRecord]) -> list[dict[str, Any]]:
    """The same of a company's own sizes."""
    sizes = [(name, px, f"{name} ({px[0]} × {px[1]} px)") for name, px in brand().sizes.items()]
    return [
        {"key": name, "told": say("portraits.too_few_px", size=told) if off else told, "off": off}
        for name, px, told in sizes
        for off in [
            bool(records)
            and not any(
                r.px is None or r.way == "painted" or can_fill(px, r.px, r.face) for r in records
            )
        ]
    ]


def _size(size: str, px: tuple[int, int] | None) -> str:
    """A size in words. px: of the largest portrait, None if not known."""
    if px is None or size not in ("original", "print"):
        return say(f"portraits.size_{size}")
    wide, high = (f"{side / 300 * 2.54:.1f}".replace(".", say("portraits.decimal")) for side in px)
    return say(f"portraits.up_to_{size}", w=px[0], h=px[1], width=wide, height=high)


def _lacking(size: str, records: Sequence[PortraitRecord]) -> bool:
    """Whether all portraits are of photos that have too few pixels for a size."""
    return bool(records) and all(
        record.way != "painted" and record.px and not can_give(size, record.px, record.face)
        for record in records
    )
