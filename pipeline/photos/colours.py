"""Colours as an sRGB screen shows them, on white where a picture is transparent.

Imports nothing of the project, because the decoding process loads it.
"""

from __future__ import annotations

import io

from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def on_white(image: Image.Image) -> Image.Image:
    """What is transparent becomes white; other modes stay."""
    if image.mode not in ("LA", "La", "PA", "RGBa", "RGBA"):
        return image
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours as an sRGB screen shows them; a profile that does not fit is ignored."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            return image.convert("RGB")
        if converted is not None:
            return converted
    return image.convert("RGB")
