"""Our own HTML pages, from the templates in `templates/`, escaped by default."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from settings import Settings
from web.brand.kit import brand
from web.http.prefix import root
from words import count, direction, language, say, span


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        say=say,
        count=count,
        span=span,
        language=language,
        direction=direction,
        root=root,
        brand=brand,
    )
    return environment


def responsible(settings: Settings) -> dict[str, str]:
    """Values for words: who operates the server, and whom to tell. Not set, they are told too."""
    return {
        name: getattr(brand().consent, name).get(language())
        or (getattr(settings, name) if name in settings.model_fields_set else say(f"name.{name}"))
        for name in ("operator", "contact")
    }


def of_the_company() -> list[tuple[str, str]]:
    """Term and text of what the company's kit says of its own purpose, legal basis and officer."""
    kit = brand()
    return [
        (say(f"welcome.company.{name}", company=kit.name), told[language()])
        for name in ("purpose", "basis", "officer")
        if (told := getattr(kit.consent, name))
    ]


def page(template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """A rendered template as a response."""
    return HTMLResponse(_environment().get_template(template).render(values), status)
