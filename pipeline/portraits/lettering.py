"""Words on a portrait: a caption and a watermark in its lower corners."""

from __future__ import annotations

from functools import lru_cache

from font_source_sans_pro import font_files_ttf
from PIL import Image, ImageDraw, ImageFont

_AI = "AI"


def drawn(image: Image.Image, caption: str, watermark: bool) -> Image.Image:
    """The picture with small white words in its lower corners, each on a dim plate."""
    short = min(image.size)
    margin = max(4, round(0.03 * short))
    size = max(10.0, 0.034 * short)
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    # Room for the plates' own borders, and for the watermark beside the caption.
    free = image.width - 2 * margin - 2 * size - (2.5 * size if watermark else 0)
    corners = [(caption, "ls", margin)] if caption else []
    if watermark:
        corners.append((_AI, "rs", image.width - margin))
    for words, anchor, x in corners:
        wanted = _font(size).getlength(words)
        font = _font(size if words == _AI else size * min(1.0, free / wanted))
        pad = font.size / 2
        spot = (x + (pad if anchor == "ls" else -pad), image.height - margin - pad)
        box = draw.textbbox(spot, words, font=font, anchor=anchor)
        plate = (box[0] - pad, spot[1] - font.size - pad / 2, box[2] + pad, spot[1] + pad)
        draw.rounded_rectangle(plate, radius=pad, fill=(0, 0, 0, 96))
        draw.text(spot, words, font=font, anchor=anchor, fill=(255, 255, 255, 235))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


@lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont:
    """Source Sans, from its own package, so that nothing depends on what the machine has.

    The font that Pillow carries has no ü, é or ł.
    """
    return ImageFont.truetype(font_files_ttf["SourceSansPro"], size)


@lru_cache(maxsize=512)
def can_draw(character: str) -> bool:
    """Whether the font has this character; otherwise it would draw an empty box."""
    if character == " ":
        return True
    if not character.isprintable():
        return False
    font = _font(32.0)
    return bytes(font.getmask(character)) != bytes(font.getmask("\U0010ffff"))
