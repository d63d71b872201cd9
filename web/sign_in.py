"""Signing in at a company's OpenID Connect issuer (`LIKENESS_OIDC`), to be told who comes.

Authorization code with PKCE (S256), state and nonce; OpenID Connect Core 1.0, section 3.1. Issuer's
addresses and keys are asked for at each sign-in, so that a new key counts at once. What the issuer
says ends here: no token is kept, and all that comes out is an identity to be counted.

Does not protect against the issuer: whom it names may start.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import BadSettings, NotAdmitted
from privacy.private_toml import read_private
from web.http.limits import ConcurrencyLimiter
from web.passes import Passes

_SETTING = "LIKENESS_OIDC"

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]  # no shared secret
_PATIENCE_S = 10.0  # with the issuer
_LEEWAY_S = 60  # between its clock and ours
_BEGUN_S = 600.0
_AT_ONCE = 8  # threads that wait for the issuer

log = structlog.get_logger()


class Issuer(BaseModel):
    """What the file of `LIKENESS_OIDC` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(pattern="^https?://")
    client_id: str = Field(min_length=1)
    client_secret: str = Field(min_length=1, repr=False)
    groups: tuple[str, ...] = ()
    admin_groups: tuple[str, ...] = ()
    groups_claim: str = "groups"


@dataclass(frozen=True, slots=True)
class _Begun:
    """A sign-in on its way through the issuer."""

    redirect_uri: str
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))


class SignIn:
    """Sign-ins at one issuer. Thread-safe."""

    def __init__(self, file: str, *, admins: bool = False) -> None:
        """
        Args:
            admins: only who is in one of `admin_groups` comes in; else who is in one of `groups`,
                or everybody where there are none.

        Raises:
            BadSettings: the file cannot be read, can be read by others, or says something wrong.
        """
        self._issuer = _read(Path(file))
        self._allowed = self._issuer.admin_groups if admins else self._issuer.groups
        self._everybody = not admins and not self._allowed
        self._begun = Passes[_Begun](_BEGUN_S)
        self._few = ConcurrencyLimiter(_AT_ONCE)

    @classmethod
    def for_admins(cls, file: str) -> SignIn | None:
        """Sign-ins of admins; None where the file names no `admin_groups`. Raises as above."""
        found = cls(file, admins=True)
        return found if found._allowed else None

    def begin(self, redirect_uri: str, contact: str) -> tuple[str, str]:
        """The issuer's address to send a browser to, and the state that it has to bring back.

        Raises:
            NotAdmitted: the issuer does not answer. Busy: too many wait for it.
        """
        begun, state = _Begun(redirect_uri), secrets.token_urlsafe(32)
        with self._asking(contact) as client:
            address = self._discover(client)["authorization_endpoint"]
            url, _ = client.create_authorization_url(
                address,
                state=state,
                code_verifier=begun.verifier,
                nonce=begun.nonce,
                redirect_uri=redirect_uri,
            )
        return url, self._begun.give(begun, state)

    def finish(self, state: str, kept: str, code: str, contact: str) -> str:
        """Who came back from the issuer, for counting.

        Args:
            state: what the address says. kept: what the browser's cookie says.

        Raises:
            NotAdmitted: it is no sign-in that this browser began, it was finished before, the
                issuer's word does not hold, or it is for somebody of no allowed group.
        """
        begun = self._begun.take(state)
        ours = hmac.compare_digest(state.encode(), kept.encode("utf-8", "replace"))
        if begun is None or not ours:
            raise NotAdmitted("entrance.again")
        with self._asking(contact) as client:
            known = self._discover(client)
            token = client.fetch_token(
                known["token_endpoint"],
                code=code,
                code_verifier=begun.verifier,
                redirect_uri=begun.redirect_uri,
            )
            keys = KeySet.import_key_set(_fetch(client, known["jwks_uri"]))
            claims = self._verified(token["id_token"], keys, begun.nonce)
        said = claims.get(self._issuer.groups_claim) or []
        groups = {said} if isinstance(said, str) else set(map(str, said))
        if not self._everybody and groups.isdisjoint(self._allowed):
            raise NotAdmitted("entrance.group", contact=contact)
        return f"{claims['iss']} {claims['sub']}"

    def _verified(self, id_token: str, keys: Any, nonce: str) -> Any:
        token = jwt.decode(id_token, keys, algorithms=_ALGORITHMS)
        wanted = {"iss": self._issuer.issuer, "aud": self._issuer.client_id}
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={name: {"essential": True, "value": value} for name, value in wanted.items()},
            params={"nonce": nonce, "client_id": self._issuer.client_id},
        )
        claims.validate(leeway=_LEEWAY_S)
        return claims

    def _discover(self, client: Any) -> Any:
        """The issuer's addresses (OpenID Connect Discovery 1.0, section 4)."""
        place = f"{self._issuer.issuer.rstrip('/')}/.well-known/openid-configuration"
        known = _fetch(client, place)
        if known["issuer"] != self._issuer.issuer:
            raise ValueError("issuer")
        return known

    @contextmanager
    def _asking(self, contact: str) -> Iterator[Any]:
        """A client of the issuer; whatever is wrong with an answer becomes a sentence."""
        with (
            self._few.hold("issuer"),
            OAuth2Client(
                self._issuer.client_id,
                self._issuer.client_secret,
                scope="openid",
                code_challenge_method="S256",
                timeout=_PATIENCE_S,
            ) as client,
        ):
            try:
                yield client
            except (
                httpx2.HTTPError,
                OAuthError,
                JoseError,
                ValueError,
                KeyError,
                TypeError,
            ) as why:
                # The kind alone: an error's text may hold what the issuer said of somebody.
                log.warning("sign_in_failed", error=type(why).__name__)
                raise NotAdmitted("entrance.sign_in_failed", contact=contact) from None


def _fetch(client: Any, address: str) -> Any:
    """The JSON at an address of the issuer, asked for without a token."""
    return client.request("GET", address, withhold_token=True).raise_for_status().json()


def _read(file: Path) -> Issuer:
    table = read_private(_SETTING, file)
    try:
        issuer = Issuer.model_validate(table)
    except ValidationError as problem:
        names = ", ".join(str(error["loc"][0]) for error in problem.errors())
        raise _wrong(file, f"says something wrong: see {names} in docs/entrance.md") from None
    here = urlsplit(issuer.issuer).hostname in ("localhost", "127.0.0.1", "::1")
    if not here and not issuer.issuer.startswith("https://"):
        raise _wrong(file, "names an issuer without https")
    return issuer


def _wrong(file: Path, mistake: str) -> BadSettings:
    return BadSettings(f"{_SETTING}: the file {file} {mistake}.")
