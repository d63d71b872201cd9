"""What Gradio's browser code is to say: our labels in every language, and ours instead of its own.

Gradio builds its components once, so a label is a key that its browser code looks up (`labels`). It
has words of its own in many languages, of which we replace some, and some in English only, which
`static/gradio.js` replaces as they appear (`english_only`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.orders import OrderedWay
from settings import Settings
from web.services import Services
from words import LANGUAGES, catalogue, say, span, speaking

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
    "Close": "gradio.close",
    "Error": "gradio.error",
}
"""Whole texts; those that end in a space have a label behind them."""

_SHORT_S = 90
"""Seconds up to which a time is told in seconds."""

_REFUSED = (400, 404, 408, 413, 415, 429, 500, 502, 503, 504, 507)
"""How uploads may fail. Gradio puts the number before the sentence."""

COUNTS = (12, 24, 100)
"""Portraits that most people want."""


def labels(services: Services) -> dict[str, dict[str, str]]:
    """By language: key -> words. A style has name and description, in two lines."""
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
        )


def counts(settings: Settings) -> list[int]:
    """How many portraits can be ordered: some usual numbers, and what the operator offers."""
    usual = {number for number in COUNTS if number <= settings.max_portraits}
    return sorted(usual | {settings.portraits})


def ways(services: Services, counts: Sequence[int]) -> dict[str, dict[int, str]]:
    """By way and number of portraits: what it takes, with the time that this machine measured."""
    return {way: {n: _takes(services, way, n) for n in counts} for way in services.planning.ways}


def _takes(services: Services, way: OrderedWay, number: int) -> str:
    seconds = services.planning.pace.seconds(way, number)
    if way != "painted":
        return say(f"order.{way}_takes", time=_told_time(seconds))
    base = "large" if services.planning.gpu_plans else "small"
    needed = services.settings.min_photos
    return say(f"order.painted_takes_{base}", needed=needed, time=_told_time(seconds))


def _told_time(seconds: float) -> str:
    if seconds <= _SHORT_S:
        return say("time.seconds", n=max(10, math.ceil(seconds / 10) * 10))
    return span(seconds)


def english_only() -> dict[str, str]:
    """Gradio's words -> ours, in the language of whoever is served now."""
    numbers = {f"HTTP {status}: ": "" for status in _REFUSED}
    return numbers | {theirs: say(ours) for theirs, ours in _ENGLISH_ONLY.items()}
