"""The file of `LIKENESS_HAND_IN`, read and checked when the server starts: docs/hand-in.md.

Every mistake is one sentence that names the file and the key.
"""

from __future__ import annotations

import base64
import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx2
import pyrage

from errors import BadSettings
from pipeline.compositing.look import needed
from privacy.private_toml import read_private
from settings import Settings
from web.brand.checks import Told, known, text, told
from web.done import Done
from web.hand_in.folder import Folder
from web.hand_in.mail import Mail, Server, Tls
from web.hand_in.parcel import Channel
from web.hand_in.webhook import Webhook
from web.http.hosts import is_nobodys
from words import LANGUAGES

SETTING = "LIKENESS_HAND_IN"

_HOLD_MINUTES = 60
_MOST_HOLD_MINUTES = 24 * 60
_SECRET_CHARS = 32
_SECRET_BYTES = (24, 64)
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_CHANNELS = ("folder", "webhook", "mail")
_KEYS = ("to", "contact", "ask", "hold_minutes", *_CHANNELS, "done")
_MAIL = ("host", "port", "tls", "from", "to", "user", "password", "ca")


@dataclass(frozen=True)
class Receiver:
    """Whom portraits are given to, and how.

    to, contact (who answers for what they hold), ask (what a visitor is to type; empty: nothing):
    by language. hold_s: how long a hand-in waits before it goes.
    """

    to: Told
    contact: Told
    ask: Told
    hold_s: float
    channel: Channel


def load(settings: Settings) -> tuple[Receiver | None, Done | None]:
    """What the file says of handing in, and of the way back to a portal; neither without a file.

    Raises:
        BadSettings: a mistake.
    """
    if not settings.hand_in:
        return None, None
    file = Path(settings.hand_in).expanduser()
    table = read_private(SETTING, file)
    where = f"{SETTING}: {file.name}"
    known(where, table, _KEYS)
    done = _done(f"{where} [done]", table.pop("done")) if "done" in table else None
    if done and not table:
        return None, done
    chosen = [name for name in _CHANNELS if name in table]
    if len(chosen) != 1:
        raise BadSettings(f"{where}: exactly one of [folder], [webhook] and [mail] must be there.")
    needed(where, table, ("to", "contact"))
    channel = _MAKE[chosen[0]](f"{where} [{chosen[0]}]", table[chosen[0]], settings)
    hold = _number(where, table, "hold_minutes", _HOLD_MINUTES, (0, _MOST_HOLD_MINUTES))
    return (
        Receiver(
            told(where, "to", table["to"], LANGUAGES),
            told(where, "contact", table["contact"], LANGUAGES),
            told(where, "ask", table["ask"], LANGUAGES) if "ask" in table else {},
            hold * 60.0,
            channel,
        ),
        done,
    )


def _folder(where: str, table: Any, settings: Settings) -> Folder:
    _all(where, table, ("path", "recipients"))
    path = Path(text(where, "path", table["path"])).expanduser().resolve()
    if not path.is_dir():
        raise BadSettings(f"{where}: there is no folder {path}.")
    for name in ("scratch", "receipts"):
        if path.is_relative_to(getattr(settings, name).resolve()):
            raise BadSettings(f"{where}: {path} lies inside LIKENESS_{name.upper()}.")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise BadSettings(f"{where}: {path} cannot be written to by this server.")
    keys = table["recipients"]
    if not isinstance(keys, list) or not keys:
        raise BadSettings(f"{where}: 'recipients' must list the public keys of those who fetch.")
    return Folder(path, [_recipient(where, key) for key in keys])


def _recipient(where: str, key: Any) -> pyrage.x25519.Recipient:
    if isinstance(key, str) and key.upper().startswith("AGE-SECRET-KEY"):
        raise BadSettings(
            f"{where}: 'recipients' holds a secret key, which belongs to those who fetch alone; "
            "put the public one here (age1…) and make them a new pair."
        )
    try:
        return pyrage.x25519.Recipient.from_str(key)
    except (pyrage.RecipientError, TypeError):
        raise BadSettings(
            f"{where}: {key!r} of 'recipients' is no public key of age; "
            "age-keygen prints one (age1…)."
        ) from None


def _webhook(where: str, table: Any, settings: Settings) -> Webhook:
    _all(where, table, ("url", "secret"), ("ca",))
    url = _address(where, "url", table["url"])
    return Webhook(url, _webhook_secret(where, table["secret"]), _trusted(where, table))


def _webhook_secret(where: str, value: Any) -> bytes:
    """The bytes of a secret as Standard Webhooks writes them: whsec_ and base64."""
    kind, _, encoded = text(where, "secret", value).partition("_")
    try:
        key = base64.b64decode(encoded, validate=True) if kind == "whsec" else b""
    except ValueError:
        key = b""
    if not _SECRET_BYTES[0] <= len(key) <= _SECRET_BYTES[1]:
        raise BadSettings(
            f"{where}: 'secret' must be whsec_ and 24 to 64 bytes in base64; "
            "echo whsec_$(openssl rand -base64 32) makes one."
        )
    return key


def _mail(where: str, table: Any, settings: Settings) -> Mail:
    _all(where, table, ("host", "from", "to"), _MAIL)
    tls = table.get("tls", "starttls")
    if tls not in get_args(Tls):
        raise BadSettings(f"{where}: 'tls' must be one of {', '.join(get_args(Tls))}, not {tls!r}.")
    host = text(where, "host", table["host"])
    if tls == "none" and not _inside(host):
        raise BadSettings(f"{where}: 'tls' may be none only for a host inside the network.")
    if ("user" in table) != ("password" in table):
        raise BadSettings(f"{where}: 'user' and 'password' go together.")
    if "user" in table and tls == "none":
        raise BadSettings(f"{where}: a password needs 'tls'.")
    for key in ("from", "to"):
        if not _MAILBOX.fullmatch(text(where, key, table[key])):
            raise BadSettings(f"{where}: {key!r} must be an address such as hr@corp.example.")
    port = _number(where, table, "port", {"tls": 465, "starttls": 587, "none": 25}[tls], (1, 65535))
    user, password = (
        text(where, key, table[key]) if key in table else "" for key in ("user", "password")
    )
    server = Server(host, port, tls, user, password)
    return Mail(server, table["from"], table["to"], _trusted(where, table))


_MAKE: Mapping[str, Callable[[str, Any, Settings], Channel]] = {
    "folder": _folder,
    "webhook": _webhook,
    "mail": _mail,
}


def _done(where: str, table: Any) -> Done:
    _all(where, table, ("url", "secret"))
    url = _address(where, "url", table["url"])
    if "?" in url:
        raise BadSettings(f"{where}: 'url' must have no '?': what is told stands behind it.")
    return Done(url, _secret(where, table["secret"]))


def _address(where: str, key: str, value: Any) -> str:
    """Check an address that something is sent to: https, or http inside the network.

    Raises:
        BadSettings: it is none.
    """
    url = text(where, key, value)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or not url.isascii() or " " in url:
        raise BadSettings(f"{where}: {key!r} must be an address with https://, not {url!r}.")
    if parts.username is not None or parts.fragment:
        raise BadSettings(f"{where}: {key!r} must hold no user, no password and no '#'.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _inside(host)):
        raise BadSettings(
            f"{where}: {key!r} must begin with https:// unless it is inside the network."
        )
    return url


def _secret(where: str, value: Any) -> bytes:
    """Check a secret that something is signed with.

    Raises:
        BadSettings: it is too short to be one.
    """
    line = text(where, "secret", value)
    if len(line) < _SECRET_CHARS:
        raise BadSettings(
            f"{where}: 'secret' must have at least {_SECRET_CHARS} letters; openssl rand -hex 32 "
            "makes one."
        )
    return line.encode()


def _inside(host: str) -> bool:
    """Whether a host cannot be outside of the company: a private address, or nobody's name."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost" or is_nobodys(host)


def _trusted(where: str, table: Mapping[str, Any]) -> ssl.SSLContext:
    """Whose certificates are believed: the system's, or those of the company's own authority."""
    if "ca" not in table:
        return httpx2.create_ssl_context(trust_env=False)
    file = Path(text(where, "ca", table["ca"])).expanduser()
    try:
        return ssl.create_default_context(cafile=str(file))
    except OSError:  # of which ssl.SSLError is one
        raise BadSettings(
            f"{where}: 'ca' must name a file of certificates (PEM), not {file}."
        ) from None


def _all(where: str, table: Any, required: Sequence[str], more: Sequence[str] = ()) -> None:
    known(where, table, tuple(dict.fromkeys((*required, *more))))
    needed(where, table, required)


def _number(
    where: str, table: Mapping[str, Any], key: str, default: int, within: tuple[int, int]
) -> int:
    value = table.get(key, default)
    least, most = within
    if type(value) is not int or not least <= value <= most:
        raise BadSettings(f"{where}: {key!r} must be a number from {least} to {most}.")
    return value
