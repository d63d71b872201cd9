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
from pipeline.compositing.look import needed
from pipeline.portraits.style import Style, load_styles, read_toml
from web.brand import appearance, files, looks
from web.brand.checks import Told, beside, colour, known, text, told
from words import LANGUAGES

_KEYS = ("name", "logo", "accent", "accent_dark", "languages", "consent", *looks.KEYS, *files.KEYS)
_ACCENTS = ("accent", "accent_dark")
_CONSENT = ("operator", "contact", "officer", "purpose", "basis")
_LINK = "alternative"
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
    of them. styles: the looks offered, in their order, by key. Empty, both are all that there are.
    sizes: of downloads, name to width and height in pixels. names: of files, with {look} and
    {number} to be filled in; empty for the usual ones.
    """

    name: str = ""
    logo: bytes | None = field(default=None, repr=False)
    colours: str = ""
    languages: tuple[str, ...] = ()
    consent: Consent = Consent()
    styles: Mapping[str, Style] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    names: str = ""


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


def load(path: str, styles: Path) -> Brand:
    """Read a kit; `NO_BRAND` without a path. Its pictures lie beside it.

    styles: the folder of the looks that it may offer.

    Raises:
        BadSettings: a mistake; the sentence names the file and the key.
    """
    if not path:
        return NO_BRAND
    file = Path(path).expanduser()
    where, table = file.name, read_toml(file)
    known(where, table, _KEYS)
    needed(where, table, ("name",))
    name = text(where, "name", table["name"])
    languages = _languages(where, table.get("languages", list(LANGUAGES)))
    if "accent_dark" in table and "accent" not in table:
        raise BadSettings(f"{where}: 'accent_dark' needs an 'accent' beside it.")
    accents = {key: colour(where, key, table[key]) for key in _ACCENTS if key in table}
    logo = beside(where, file, "logo", table["logo"]) if "logo" in table else None
    return Brand(
        name=name,
        logo=appearance.logo(where, logo) if logo else None,
        colours=appearance.colours(where, accents["accent"], accents.get("accent_dark"))
        if accents
        else "",
        languages=languages,
        consent=_consent(where, table["consent"], languages) if "consent" in table else Consent(),
        styles=looks.offered(file, table, load_styles(styles), languages),
        sizes=files.sizes(where, table.get("sizes", {})),
        names=files.names(where, table["file_names"], name) if "file_names" in table else "",
    )


def _languages(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(name not in LANGUAGES for name in value):
        raise BadSettings(f"{where}: 'languages' must list some of {', '.join(LANGUAGES)}.")
    return tuple(dict.fromkeys(value))


def _consent(where: str, table: Any, languages: tuple[str, ...]) -> Consent:
    where = f"{where} [consent]"
    known(where, table, (*_CONSENT, _LINK))
    if _LINK not in table:
        raise BadSettings(
            f"{where}: the key {_LINK!r} is missing: employees consent freely only where there is "
            "an equal way without AI."
        )
    link = table[_LINK]
    if not isinstance(link, str) or not _ADDRESS.fullmatch(link):
        raise BadSettings(f"{where}: {_LINK!r} must be an address with https:// or mailto:.")
    return Consent(
        alternative=link,
        **{key: told(where, key, table[key], languages) for key in _CONSENT if key in table},
    )
