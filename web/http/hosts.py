"""Under which names this server answers.

A page of anybody's can point a name of its own at this machine's address and then, in a visitor's
browser, read from here as if it were the same site (DNS rebinding). Its name stands in `Host`. An
address as `Host` cannot be pointed elsewhere, and neither can a name that nobody can buy; over
HTTPS no such page has a certificate.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from settings import Settings

_NOBODYS = (".localhost", ".local", ".lan", ".internal", ".home.arpa")


_LABEL = re.compile(r"[A-Za-z0-9_-]+")
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]+)\](:[0-9]*)?")


def is_ours(host: str, settings: Settings) -> bool:
    """Whether a request with this `Host`, a name or an address with or without a port, is for us.

    Without one (HTTP/1.0) no browser asks.
    """
    name = _name(host)
    if name in ("", "localhost") or _is_address(name) or name in settings.hosts:
        return True
    if settings.hosts:
        return False
    return settings.https or is_nobodys(name)


def is_nobodys(name: str) -> bool:
    """Whether a host's name, in small letters, is one that nobody can buy."""
    return bool(_LABEL.fullmatch(name)) or name.endswith(_NOBODYS)


def _name(host: str) -> str:
    if bracketed := _IPV6.fullmatch(host):
        return bracketed[1]
    return host.partition(":")[0].lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
