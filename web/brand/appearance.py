"""What a company's kit changes of how the pages look: the accent, in both themes, and the logo.

Contrast is WCAG 2.2's: text needs 4.5 : 1 (1.4.3, level AA). The accent is text on the page's
grounds, and the ground of white text.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from errors import BadSettings
from pipeline.compositing.colour import linear, luminance

TEXT = 4.5
"""Least contrast of text with its ground."""


@dataclass(frozen=True)
class Theme:
    """The grounds of `static/css/common.css` in one theme, and what the accent is mixed with.

    paper, card: "#rrggbb", the accent is text on both. on: text on the accent. strong: what the
    accent goes towards under the mouse.
    """

    paper: str
    card: str
    on: str
    strong: str


LIGHT = Theme("#faf6f0", "#fffdfa", "#ffffff", "#000000")
DARK = Theme("#1a1715", "#24201d", "#1a1715", "#ffffff")

_TINT, _STRONGER = 0.08, 0.18
"""Shares of the accent in a tinted ground, and of the theme's extreme in the accent's hover."""

_LOGO_BYTES, _LOGO_PX = 2_000_000, 4_000_000
_LOGO_BOX = (640, 160)
"""The logo as it is served, at most: twice as large as it is shown."""
_LOGO_SEEN = 1.5
"""Least contrast of a logo's clearest twentieth with its ground; WCAG asks none of logos."""


def colours(where: str, light: str, dark: str | None) -> str:
    """The style sheet of an accent "#rrggbb" for both themes; a dark one is found if not given.

    Raises:
        BadSettings: text in this colour, or on it, is hard to read.
    """
    _readable(where, "accent", light, LIGHT)
    if dark is None:
        steps = (mixed(light, "#ffffff", share) for share in np.linspace(0, 1, 21))
        dark = next(colour for colour in steps if _lacking(colour, DARK) is None)
    _readable(where, "accent_dark", dark, DARK)
    return (
        f":root {{\n{_rules(light, LIGHT)}}}\n"
        f"@media (prefers-color-scheme: dark) {{\n:root {{\n{_rules(dark, DARK)}}}\n}}\n"
    )


def logo(where: str, file: Path) -> bytes:
    """Read a logo's pixels; the PNG that is served holds nothing else of the file.

    Raises:
        BadSettings: it cannot be read, is no PNG, is too large, or is not seen on the page.
    """
    trouble = f"{where}: the logo {file.name!r}"
    try:
        if file.stat().st_size > _LOGO_BYTES:
            raise BadSettings(f"{trouble} is larger than {_LOGO_BYTES // 1_000_000} MB.")
        with Image.open(file, formats=("PNG",)) as opened:
            if opened.width * opened.height > _LOGO_PX:
                raise BadSettings(f"{trouble} has more than {_LOGO_PX // 1_000_000} megapixels.")
            image = opened.convert("RGBA")
    except (OSError, SyntaxError, ValueError):
        raise BadSettings(f"{trouble} is not a PNG that can be read.") from None
    pixels = np.asarray(image)
    seen = pixels[pixels[..., 3] > 127][:, :3]
    if not seen.size or np.percentile(_contrasts(seen, LIGHT.paper), 95) < _LOGO_SEEN:
        raise BadSettings(f"{trouble} is not seen on the page's ground, {LIGHT.paper}.")
    image.info = {}
    image.thumbnail(_LOGO_BOX, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def contrast(first: str, second: str) -> float:
    """Contrast of two colours "#rrggbb", 1 to 21 (WCAG 2.2, "contrast ratio")."""
    return float(_contrasts(_rgb(first)[None], second)[0])


def mixed(first: str, second: str, share: float) -> str:
    """A colour "#rrggbb" with a share, 0 to 1, of another in it, in sRGB as CSS mixes."""
    values = np.round(_rgb(first) * (1 - share) + _rgb(second) * share).astype(np.uint8)
    return f"#{bytes(values).hex()}"


def _contrasts(colours: NDArray[np.uint8], ground: str) -> NDArray[np.float32]:
    above, below = luminance(linear(colours)), luminance(linear(_rgb(ground)[None]))
    lighter, darker = np.maximum(above, below), np.minimum(above, below)
    return np.asarray((lighter + 0.05) / (darker + 0.05), np.float32)


def _rgb(colour: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)


def _tint(accent: str, theme: Theme) -> str:
    return mixed(theme.card, accent, _TINT)


def _lacking(accent: str, theme: Theme) -> str | None:
    """The ground of a theme on which this colour is hard to read, if there is one."""
    grounds = (theme.paper, theme.card, _tint(accent, theme))
    return next((ground for ground in grounds if contrast(accent, ground) < TEXT), None)


def _readable(where: str, key: str, accent: str, theme: Theme) -> None:
    if ground := _lacking(accent, theme):
        raise BadSettings(
            f"{where}: {key!r} {accent} has a contrast of {contrast(accent, ground):.1f} with the "
            f"page's {ground}, and text needs {TEXT} (WCAG 2.2 AA)."
        )


def _rules(accent: str, theme: Theme) -> str:
    values = {
        "accent": accent,
        "accent-strong": mixed(accent, theme.strong, _STRONGER),
        "on-accent": theme.on,
        "tint": _tint(accent, theme),
    }
    return "".join(f"  --{name}: {value};\n" for name, value in values.items())
