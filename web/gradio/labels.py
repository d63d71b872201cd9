"""What Gradio's browser code is to say: our labels in every language, and ours instead of its own.

Gradio builds its components once, so a label is a key that its browser code looks up (`labels`). It
has words of its own in many languages, of which we replace some, and some in English only, which
`static/gradio.js` replaces as they appear (`english_only`).
"""

from __future__ import annotations

import math

from web.services import Services
from words import LANGUAGES, catalogue, count, say, speaking

_LABELS = ("looks.", "order.", "photos.")
"""How the keys begin that components may be labelled with."""

_INSTEAD = {
    "upload_text.drop_file": "photos.drop",
    "common.or": "photos.or",
    "upload_text.click_to_upload": "photos.click",
    "image.drop_to_upload": "photos.camera_field",
}
_ENGLISH_ONLY = {
    "Click to Access Webcam": "gradio.webcam",
    "grant webcam access": "gradio.webcam_title",
    "capture photo": "gradio.capture",
    "Capture from camera": "gradio.camera",
    "select source": "gradio.source",
    "select input source": "gradio.input_source",
    "Paste from clipboard": "gradio.paste",
    "Remove Image": "gradio.remove",
    "File upload": "gradio.file",
    "Empty value": "gradio.empty",
    "number input for ": "gradio.number",
    "range slider for ": "gradio.slider",
    "Warning": "order.not_yet",
    "Close": "gradio.close",
}
"""Whole texts; those that end in a space have a label behind them."""


_PHOTO_S, _PAINTED_S, _LEARNING_S = 0.75, 0.8, 80.0
"""Of one portrait from a photo and one painted by the embedded base, and until the first of these,
as measured on two cores."""


def labels(services: Services) -> dict[str, dict[str, str]]:
    """By language: key -> words. A style has name and description, in two lines; so has a way."""
    return {language: _labels(language, services) for language in LANGUAGES}


def style_label(key: str) -> str:
    """The key of a style's label."""
    return f"style.{key}"


def _labels(language: str, services: Services) -> dict[str, str]:
    with speaking(language):
        return (
            {key: told for key, told in catalogue(language).items() if key.startswith(_LABELS)}
            | {theirs: say(ours) for theirs, ours in _INSTEAD.items()}
            | {
                style_label(key): "\n".join(style.told(language))
                for key, style in services.styles.items()
            }
            | _ways(services)
        )


def _ways(services: Services) -> dict[str, str]:
    """The ways with the time that each takes here."""
    portraits = services.settings.portraits
    seconds = max(10, math.ceil(portraits * _PHOTO_S / 10) * 10)
    if services.planning.gpu_plans:
        painted = say("order.painted_large")
    else:
        minutes = math.ceil((_LEARNING_S + portraits * _PAINTED_S) / 60)
        painted = count("order.painted_small", minutes)
    details = {
        "photo": say("order.photo_seconds", n=portraits, seconds=seconds),
        "painted": painted,
        "both": say("order.both_order"),
    }
    return {
        f"order.way_{way}": f"{say(f'order.way_{way}')}\n{told}" for way, told in details.items()
    }


def english_only() -> dict[str, str]:
    """Gradio's words -> ours, in the language of whoever is served now."""
    return {theirs: say(ours) for theirs, ours in _ENGLISH_ONLY.items()}
