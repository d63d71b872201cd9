"""Print a data protection impact assessment from a server's settings: `python -m tools.dpia`.

GDPR Art. 35(7) asks for it. The page says what the settings of the environment mean, and points to
the facts that tests attack (docs/facts.md). What only the operator knows is an empty box in it.
docs/dpia.md is what the defaults give; a test keeps it so.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import settings as configuration
from errors import BadSettings
from settings import Settings
from words import ENGLISH, span, speaking

_TEMPLATE = "dpia.md.jinja"
_HOUR_S = 3600


def page(settings: Settings) -> str:
    """The whole document, Markdown, in English."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # no HTML: Markdown, of the operator's own settings
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    told = {
        name: getattr(settings, name).replace("|", "\\|")
        for name in ("operator", "contact")
        if name in settings.model_fields_set
    }
    most, most_undelivered = (
        next(rule.le for rule in Settings.model_fields[name].metadata if hasattr(rule, "le"))
        for name in ("retention_hours", "undelivered_hours")
    )
    with speaking(ENGLISH):
        return environment.get_template(_TEMPLATE).render(
            settings=settings,
            told=told,
            version=configuration.VERSION,
            most=most,
            most_undelivered=most_undelivered,
            retention=span(settings.retention_hours * _HOUR_S),
            undelivered=span(settings.undelivered_hours * _HOUR_S),
            longest=span((settings.retention_hours + settings.undelivered_hours) * _HOUR_S),
        )


def main() -> int:
    """Print it; returns the exit code."""
    try:
        settings = configuration.load()
    except BadSettings as why:
        print(why, file=sys.stderr)
        return 2
    print(page(settings), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
