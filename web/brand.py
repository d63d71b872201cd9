"""A company's brand kit: one TOML file, `LIKENESS_BRAND`, read and checked when the server starts.

docs/brand.md shows a whole one. Only the web layer knows that there is a kit: what the pipeline
needs of it is handed over as plain values. Without a file there is `NO_BRAND`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import BadSettings
from pipeline.portraits.style import read_toml
from web import brand_page
from words import LANGUAGES

Told = Mapping[str, str]
"""A text by language; empty where the kit has none."""

_KEYS = ("name", "logo", "accent", "accent_dark", "languages", "consent")
_ACCENTS = ("accent", "accent_dark")
_CONSENT = ("operator", "contact", "officer", "purpose", "basis")
_LINK = "alternative"
_TEXT_CHARS = 1000
_COLOUR = re.compile("#[0-9a-fA-F]{6}")
_ADDRESS = re.compile(r"(https://|mailto:)[!#-;=?-Z_a-z~\[\]]+")
"""What a link of the consent page may lead to: printable ASCII, no quotes and no angle brackets."""


@dataclass(frozen=True)
class Consent:
    """What the consent page says in the company's name.

    operator, contact, officer (of data protection), purpose, basis (legal): by language.
    alternative: where portraits are made without AI, https: or mailto:.
    """

    operator: Told = field(default_factory=dict)
    contact: Told = field(default_factory=dict)
    officer: Told = field(default_factory=dict)
    purpose: Told = field(default_factory=dict)
    basis: Told = field(default_factory=dict)
    alternative: str = ""


@dataclass(frozen=True)
class Brand:
    """A company's kit; without a name there is none.

    logo: PNG. colours: a style sheet. languages: those offered, the first for whoever wants none
    of them.
    """

    name: str = ""
    logo: bytes | None = field(default=None, repr=False)
    colours: str = ""
    languages: tuple[str, ...] = LANGUAGES
    consent: Consent = Consent()


NO_BRAND = Brand()

_shown: ContextVar[Brand] = ContextVar("brand", default=NO_BRAND)


def brand() -> Brand:
    """The kit of the server that answers."""
    return _shown.get()


@contextmanager
def branded(kit: Brand) -> Iterator[None]:
    """Answer with a kit for the block, in this thread or task and those it starts."""
    before = _shown.set(kit)
    try:
        yield
    finally:
        _shown.reset(before)


def load(path: str) -> Brand:
    """Read a kit; `NO_BRAND` without a path. Its pictures lie beside it.

    Raises:
        BadSettings: a mistake; the sentence names the file and the key.
    """
    if not path:
        return NO_BRAND
    file = Path(path).expanduser()
    where, table = file.name, read_toml(file)
    _known(where, table, _KEYS)
    if "name" not in table:
        raise BadSettings(f"{where}: the key 'name' is missing.")
    languages = _languages(where, table.get("languages", list(LANGUAGES)))
    if "accent_dark" in table and "accent" not in table:
        raise BadSettings(f"{where}: 'accent_dark' needs an 'accent' beside it.")
    accents = {key: colour(where, key, table[key]) for key in _ACCENTS if key in table}
    logo = beside(where, file, "logo", table["logo"]) if "logo" in table else None
    return Brand(
        name=_text(where, "name", table["name"]),
        logo=brand_page.logo(where, logo) if logo else None,
        colours=brand_page.colours(where, accents["accent"], accents.get("accent_dark"))
        if accents
        else "",
        languages=languages,
        consent=_consent(where, table["consent"], languages) if "consent" in table else Consent(),
    )


def colour(where: str, key: str, value: Any) -> str:
    """Check a colour.

    Raises:
        BadSettings: it is not "#rrggbb".
    """
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise BadSettings(f'{where}: {key!r} must be a colour such as "#0b5cad", not {value!r}.')
    return value


def beside(where: str, kit: Path, key: str, name: Any) -> Path:
    """The path of a file beside the kit.

    Raises:
        BadSettings: it is a path to elsewhere, or there is none.
    """
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise BadSettings(f"{where}: {key!r} must be the name of a file beside it, not {name!r}.")
    if not (kit.parent / name).is_file():
        raise BadSettings(f"{where}: {key!r} names {name!r}, and there is no such file beside it.")
    return kit.parent / name


def _known(where: str, table: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(table, dict):
        raise BadSettings(f"{where} must be a table.")
    for key in table:
        if key not in keys:
            raise BadSettings(f"{where}: {key!r} is not one of {', '.join(keys)}.")


def _text(where: str, key: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > _TEXT_CHARS or not text.isprintable():
        raise BadSettings(
            f"{where}: {key!r} must be a text of one line, of 1 to {_TEXT_CHARS} letters."
        )
    return text


def _languages(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(name not in LANGUAGES for name in value):
        raise BadSettings(f"{where}: 'languages' must list some of {', '.join(LANGUAGES)}.")
    return tuple(dict.fromkeys(value))


def _consent(where: str, table: Any, languages: tuple[str, ...]) -> Consent:
    where = f"{where} [consent]"
    _known(where, table, (*_CONSENT, _LINK))
    if _LINK not in table:
        raise BadSettings(
            f"{where}: the key {_LINK!r} is missing: employees consent freely only where there is "
            "an equal way without AI."
        )
    link = table[_LINK]
    if not isinstance(link, str) or not _ADDRESS.fullmatch(link):
        raise BadSettings(f"{where}: {_LINK!r} must be an address with https:// or mailto:.")
    told = {key: _told(where, key, table[key], languages) for key in _CONSENT if key in table}
    return Consent(alternative=link, **told)


def _told(where: str, key: str, value: Any, languages: tuple[str, ...]) -> Told:
    """One text for all languages, or a table with one for each."""
    if not isinstance(value, dict):
        return dict.fromkeys(languages, _text(where, key, value))
    _known(f"{where} {key}", value, LANGUAGES)
    for language in languages:
        if language not in value:
            raise BadSettings(f"{where}: {key!r} is missing in the language {language!r}.")
    return {language: _text(where, key, text) for language, text in value.items()}
