"""Signing in at an issuer that others wrote: what is forged, replayed or foreign starts nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import oidc_provider_mock
import pytest
from joserfc.jwk import RSAKey
from oidc_provider_mock import _app as provider

from errors import BadSettings
from settings import load
from tests.support.proxy import free_port
from tests.support.web import Place, served
from web.entrance import Entrance
from web.sign_in import SignIn

SECRET = "of-the-client"
GROUPS = {"ann.okafor": ["staff", "design"], "bob.lindqvist": ["guests"]}


@dataclass
class Issuer:
    """A running issuer, its storage, and the bodies of the requests for tokens that it got."""

    url: str = ""
    storage: Any = None
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    real = provider.Storage

    def storage() -> Any:
        found.storage = real()
        return found.storage

    people = [oidc_provider_mock.User(sub=who, claims={"groups": g}) for who, g in GROUPS.items()]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # or it would issue nothing without TLS
        patched.setattr(provider, "Storage", storage)
        with oidc_provider_mock.run_server_in_thread(
            require_nonce=True, user_claims=people
        ) as server:
            answer = server.app

            def listening(environ: Any, start: Any) -> Any:
                if environ["PATH_INFO"] != "/oauth2/token":
                    return answer(environ, start)
                body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                found.asked.append(parse_qs(body.decode()))
                said = b"".join(answer({**environ, "wsgi.input": io.BytesIO(body)}, start))
                found.told.append(said)
                return [said]

            server.app = listening
            found.url = f"http://localhost:{server.server_port}"
            yield found


@pytest.fixture(scope="module")
def place(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with at(issuer, tmp_path_factory.mktemp("oidc"), sessions_per_person=100) as place:
        yield place


@contextmanager
def at(issuer: Issuer, folder: Path, **settings: object) -> Iterator[Place]:
    """A server where the staff of an issuer may start."""
    file = described(folder, issuer.url)
    told = {"entrance": "oidc", "oidc": str(file), "contact": "Eve"}
    with served(folder / "scratch", **told, **settings) as place:
        yield place


def described(folder: Path, issuer: str, more: str = "", mode: int = 0o600) -> Path:
    file = folder / "oidc.toml"
    file.write_text(
        f'issuer = "{issuer}"\nclient_id = "likeness"\nclient_secret = "{SECRET}"\n'
        f'groups = ["staff"]\n{more}'
    )
    file.chmod(mode)
    return file


def browser(place: Place) -> httpx.Client:
    return httpx.Client(base_url=place.url, headers={"origin": place.url}, timeout=30)


def to_issuer(client: httpx.Client) -> str:
    answer = client.get("/sign-in")
    assert answer.status_code == 303
    return answer.headers["location"]


def from_issuer(address: str, who: str = "ann.okafor") -> str:
    """Whereto the issuer sends the browser of somebody who signs in."""
    answer = httpx.post(address, data={"sub": who}, timeout=30)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def start(client: httpx.Client) -> int:
    if "likeness" in client.cookies:
        client.cookies.delete("likeness")
    return client.post("/session", data={"consent": "yes"}).status_code


def refused(client: httpx.Client, back: str, said: str) -> None:
    """Coming back so gives nothing, in a sentence."""
    answer = client.get(back)
    assert answer.status_code == 403
    assert said in answer.json()["sentence"]
    assert "set-cookie" not in answer.headers
    assert start(client) == 403


@pytest.mark.fact(58, 59)
def test_one_sign_in_is_one_start_and_nothing_of_it_is_kept(
    issuer: Issuer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with at(issuer, tmp_path, sessions_per_person=2) as place, browser(place) as client:
        assert "please sign in" in client.get("/").text
        assert start(client) == 403
        for _ in range(2):
            address = to_issuer(client)
            back = client.get(from_issuer(address))
            assert (back.status_code, back.headers["location"]) == (303, "/")
            assert 'name="consent"' in client.get("/").text
            assert start(client) == 303
            assert start(client) == 403  # each start needs a sign-in of its own
        client.get(from_issuer(to_issuer(client)))
        third = client.post("/session", data={"consent": "yes"})
    assert "as many sessions today" in third.json()["sentence"]
    sent = dict(parse_qsl(urlsplit(address).query))
    assert (sent["code_challenge_method"], sent["scope"]) == ("S256", "openid")
    verifier = issuer.asked[-2]["code_verifier"][0]
    digest = hashlib.sha256(verifier.encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == sent["code_challenge"]
    tokens = [part for said in issuer.told for part in said.split(b'"') if len(part) > 30]
    assert tokens
    kept = [file for file in tmp_path.glob("scratch*/**/*") if file.is_file()]
    assert any(file.name == "likeness.db" for file in kept)
    for secret in (b"okafor", SECRET.encode(), *tokens):
        assert not any(secret in file.read_bytes() for file in kept)
    ours = [line for line in "".join(capfd.readouterr()).splitlines() if "[info" in line]
    assert any("session_created" in line for line in ours)
    assert not any("okafor" in line for line in ours)


@pytest.mark.fact(59)
def test_a_replayed_callback_and_another_browsers_give_nothing(place: Place) -> None:
    with browser(place) as ann, browser(place) as thief:
        back = from_issuer(to_issuer(ann))
        assert ann.get(back).status_code == 303
        assert start(ann) == 303
        refused(ann, back, "That sign-in is over")
        to_issuer(thief)
        refused(thief, from_issuer(to_issuer(ann)), "begun in another browser")
        refused(thief, "/sign-in/back?code=x&state=y", "sign in once more")
        refused(thief, "/sign-in/back", "sign in once more")


@pytest.mark.fact(59)
def test_a_token_with_another_nonce_is_none(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    with browser(place) as client:
        address = urlsplit(to_issuer(client))
        query = dict(parse_qsl(address.query)) | {"nonce": "another"}
        other = address._replace(query=urlencode(query)).geturl()
        refused(client, from_issuer(other), "did not work")
    assert "error=InvalidClaimError" in capfd.readouterr().out


@pytest.mark.fact(59)
@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        ("aud", "InvalidClaimError"),
        ("iss", "InvalidClaimError"),
        ("exp", "ExpiredTokenError"),
        ("key", "BadSignatureError"),
        ("alg", "UnsupportedAlgorithmError"),
    ],
)
def test_a_token_that_is_not_for_us_and_now_is_none(
    place: Place,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    wrong: str,
    because: str,
) -> None:
    right = provider.OpenIDCode.get_jwt_config
    stranger = RSAKey.generate_key(parameters={"kid": issuer.storage.jwk.as_dict().get("kid")})
    shared = base64.urlsafe_b64encode(b"s" * 66).decode()
    changed: Any = {
        "aud": {"aud": ["another"]},
        "iss": {"iss": "http://localhost:1"},
        "exp": {"exp": -3600},
        "key": {"key": stranger.as_dict(private=True)},
        "alg": {"alg": "HS256", "key": {"kty": "oct", "k": shared}},
    }[wrong]
    with browser(place) as client:
        with monkeypatch.context() as other:
            other.setattr(
                provider.OpenIDCode, "get_jwt_config", lambda *a, **k: right(*a, **k) | changed
            )
            refused(client, from_issuer(to_issuer(client)), "did not work")
        assert b"id_token" in issuer.told[-1]
        assert f"error={because}" in capfd.readouterr().out
        assert client.get(from_issuer(to_issuer(client))).status_code == 303


@pytest.mark.fact(59)
def test_a_new_key_of_the_issuer_counts_at_once(place: Place, issuer: Issuer) -> None:
    with browser(place) as client:
        assert client.get(from_issuer(to_issuer(client))).status_code == 303
        issuer.storage.jwk = type(issuer.storage.jwk).generate_key(is_private=True)
        assert client.get(from_issuer(to_issuer(client))).status_code == 303
        assert start(client) == 303


@pytest.mark.fact(59)
def test_who_is_in_no_allowed_group_or_says_no_gets_a_sentence(place: Place) -> None:
    with browser(place) as client:
        refused(client, from_issuer(to_issuer(client), "bob.lindqvist"), "ask Eve")
        denied = httpx.post(to_issuer(client), data={"action": "deny"})
        refused(client, denied.headers["location"], "sign in")


@pytest.mark.fact(59)
def test_a_flood_of_sign_ins_ends(issuer: Issuer, tmp_path: Path) -> None:
    with at(issuer, tmp_path, starts_per_address=5) as place, browser(place) as client:
        statuses = [client.get("/sign-in").status_code for _ in range(7)]
    assert statuses == [303] * 5 + [429] * 2


@pytest.mark.fact(59)
def test_an_issuer_that_is_down_is_a_sentence(tmp_path: Path) -> None:
    nobody = Issuer(f"http://localhost:{free_port()}")
    with at(nobody, tmp_path) as place, browser(place) as client:
        answer = client.get("/sign-in")
        assert answer.status_code == 403
        assert "tell Eve" in answer.json()["sentence"]
        assert client.get("/health").text == "ok"


@pytest.mark.fact(67, 68)
def test_only_a_group_of_admins_signs_in_to_the_admin_page(issuer: Issuer, tmp_path: Path) -> None:
    file = described(tmp_path, issuer.url, 'admin_groups = ["design"]\n')
    with served(tmp_path / "scratch", oidc=str(file)) as place, browser(place) as ann:

        def inside(client: httpx.Client) -> bool:
            return "Sessions and erasure" in client.get("/admin").text

        def back_at(client: httpx.Client, who: str) -> str:
            return from_issuer(client.get("/admin/sign-in").headers["location"], who)

        assert "Sign in with" in ann.get("/admin").text
        with browser(place) as bob:
            answer = bob.get(back_at(bob, "bob.lindqvist"))
            assert (answer.status_code, "You were not let in" in answer.text) == (403, True)
            back = back_at(ann, "ann.okafor")
            assert bob.get(back).status_code == 403  # begun in another browser
            assert not inside(bob)
        assert ann.get(back).status_code == 403  # and over by that
        again = back_at(ann, "ann.okafor")
        assert ann.get(again).status_code == 200
        assert inside(ann)
        assert ann.get(again).status_code == 403
        assert start(ann) == 303  # the entrance is open here, and needs no sign-in
        assert ann.get("/sign-in").status_code == 404
        bearer = {"authorization": f"Bearer {ann.cookies['likeness-admin-pass']}"}
        assert ann.get("/metrics", headers=bearer).status_code == 404  # there is no token
        assert ann.post("/admin/enter", data={"token": ""}).status_code == 403


def test_where_nobody_signs_in_there_is_no_way_to(tmp_path: Path) -> None:
    with served(tmp_path / "scratch") as place, browser(place) as client:
        assert client.get("/sign-in").status_code == 404
        assert client.get("/sign-in/back?state=x&code=y").status_code == 404


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="read by others"):
        SignIn(str(described(tmp_path, "https://x.example", mode=0o644)))
    for issuer, more, said in (
        ("http://login.example", "", "without https"),
        ("https://x.example", 'colour = "red"\n', "colour"),
        ("https://x.example", "=", "TOML"),
        ("x.example", "", "issuer"),
    ):
        with pytest.raises(BadSettings, match=said):
            SignIn(str(described(tmp_path, issuer, more)))
    with pytest.raises(BadSettings, match="cannot be read"):
        SignIn(str(tmp_path / "nowhere"))
    with pytest.raises(BadSettings, match="needs OIDC"):
        load(entrance="oidc")


def test_without_authlib_the_start_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "web.sign_in", None)
    with pytest.raises(BadSettings, match="needs Authlib"):
        Entrance(load(entrance="oidc", oidc="/nowhere"), time.time)
