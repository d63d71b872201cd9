"""Brand kits in a folder of a test: the documented one, and changed ones."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image, ImageDraw

from settings import ROOT

STYLES = ROOT / "styles"

DOCUMENTED = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/brand.md").read_text(), re.DOTALL)[0]
"""The example of docs/brand.md."""


def kit(folder: Path, text: str = DOCUMENTED) -> Path:
    """A kit with the pictures that the documented one names."""
    logo = Image.new("RGBA", (400, 120))
    ImageDraw.Draw(logo).rectangle((20, 20, 380, 100), fill="#0b5cad")
    logo.save(folder / "logo.png")
    Image.new("RGB", (900, 600), "#8899aa").save(folder / "reception.jpg")
    file = folder / "brand.toml"
    file.write_text(text, "utf-8")
    return file
