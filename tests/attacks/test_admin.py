"""The admin page from outside: who comes in, what a pass is good for, and what is not there."""

from __future__ import annotations

import html
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from errors import BadSettings
from settings import load
from tests.support.gradio_client import order_portraits
from tests.support.waiting import until
from tests.support.web import Place, served, session_of, upload
from web import passes
from web.admin.__main__ import main
from web.admin.wall import Wall

TOKEN = "the-token-of-this-server-0123456789"
ROUTES = [
    ("GET", "/admin"),
    ("GET", "/metrics"),
    ("GET", "/admin/invitations"),
    ("GET", "/admin/sign-in"),
    ("POST", "/admin/enter"),
    ("POST", "/admin/leave"),
    ("POST", "/admin/invitations"),
    ("POST", "/admin/invitations/revoke"),
]
_addresses = itertools.count(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("admin")
    options = {"entrance": "invited", "trusted_proxies": "127.0.0.1"}
    with served(folder / "scratch", admin=str(written(folder)), **options) as place:
        yield place


def written(folder: Path, text: str = f"{TOKEN}\n", mode: int = 0o600) -> Path:
    file = folder / "admin.token"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.fixture
def browser(place: Place) -> Iterator[httpx.Client]:
    """A browser at an address of its own."""
    headers = {"origin": place.url, "x-forwarded-for": f"192.0.2.{next(_addresses)}"}
    with httpx.Client(base_url=place.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def admin(browser: httpx.Client) -> httpx.Client:
    """The same, with a pass."""
    answer = browser.post("/admin/enter", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    return browser


@contextmanager
def visitor(place: Place) -> Iterator[httpx.Client]:
    keeper = place.services.entrance.invitations
    assert keeper is not None
    (link,) = keeper.make(1, label="", expires=int(time.time()) + 86_400)
    with httpx.Client(base_url=place.url, headers={"origin": place.url}, timeout=30) as client:
        answer = client.post("/session", data={"consent": "yes", "invitation": link})
        assert answer.status_code == 303
        yield client


def is_inside(client: httpx.Client) -> bool:
    page = client.get("/admin")
    assert page.status_code == 200
    return "Sessions and erasure" in page.text


@pytest.mark.fact(67)
def test_where_no_wall_is_set_there_is_no_page(tmp_path: Path) -> None:
    issuer = tmp_path / "oidc.toml"
    issuer.write_text('issuer = "https://x.example"\nclient_id = "a"\nclient_secret = "b"\n')
    issuer.chmod(0o600)
    with (
        served(tmp_path / "scratch", oidc=str(issuer)) as place,
        httpx.Client(base_url=place.url, headers={"origin": place.url}) as client,
    ):
        for method, path in ROUTES:
            bearer = {"authorization": f"Bearer {TOKEN}"}
            answer = client.request(method, path, headers=bearer)
            nothing = client.request(method, "/nothing-here", headers=bearer)
            assert (answer.status_code, answer.content) == (404, nothing.content), path


@pytest.mark.fact(67)
def test_without_the_token_nobody_comes_in(browser: httpx.Client, place: Place) -> None:
    assert not is_inside(browser)
    wrong = ["", "x", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "ü" * 40, "0" * 400]
    answers = [browser.post("/admin/enter", data={"token": text}) for text in wrong]
    assert {(answer.status_code, answer.text) for answer in answers} == {(403, answers[0].text)}
    assert "That is not the token" in answers[0].text
    assert not any("set-cookie" in answer.headers for answer in answers)
    for path in ("/admin/invitations", "/admin/invitations/revoke"):
        answer = browser.post(path, data={"count": "1", "days": "1", "label": ""})
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    assert browser.get("/admin/invitations").headers["location"] == "/admin"
    assert browser.get("/admin/sign-in").status_code == 404  # no groups are named
    assert browser.get("/admin/sign-in/back?state=x&code=y").status_code == 403
    said = [None, "", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer ü"]
    for text in said:
        headers = [] if text is None else [(b"authorization", text.encode())]
        answer = browser.get("/metrics", headers=headers)
        assert (answer.status_code, answer.text) == (401, "the token, please"), text
        assert answer.headers["www-authenticate"] == "Bearer"
    assert not is_inside(browser)
    right = browser.get("/metrics", headers={"authorization": f"bearer {TOKEN}"})
    assert "likeness_sessions_open" in right.text


@pytest.mark.fact(67)
def test_guessing_reaches_a_limit_and_others_do_not(browser: httpx.Client, place: Place) -> None:
    codes = [
        browser.get("/metrics", headers={"authorization": f"Bearer {n}"}).status_code
        for n in range(20)
    ] + [browser.post("/admin/enter", data={"token": str(n)}).status_code for n in range(15)]
    assert codes == [401] * 20 + [403] * 10 + [429] * 5
    assert browser.post("/admin/enter", data={"token": TOKEN}).status_code == 429
    elsewhere = {"x-forwarded-for": "198.51.100.1"}
    assert browser.post("/admin/enter", data={"token": TOKEN}, headers=elsewhere).is_redirect


@pytest.mark.fact(68)
def test_a_pass_is_for_the_admin_page_alone_and_ends(
    admin: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = admin.post("/admin/enter", data={"token": TOKEN})
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {a.lower() for a in attributes} == {
        "httponly",
        "max-age=1800",
        "path=/admin",
        "samesite=strict",
    }
    assert TOKEN not in cookie
    assert admin.get("/static/css/admin.css").status_code == 200
    given = admin.cookies["likeness-admin-pass"]
    assert is_inside(admin)
    with httpx.Client(base_url=place.url, headers={"origin": place.url}) as other:
        for text in ("", given[:-1], TOKEN, "0" * 43):
            other.cookies.set("likeness-admin-pass", text)
            assert not is_inside(other), text
        other.cookies.clear()
        for name in ("likeness", "likeness-share", "likeness-entrance"):
            other.cookies.set(name, given)
        for path in ("/status", "/session/link", "/shared/portraits", "/session/consent"):
            assert other.get(path).status_code == 404, path
        assert other.get("/studio/").is_redirect
        other.cookies.clear()
        other.cookies.set("likeness-admin-pass", given)
        assert is_inside(other)
        hence = SimpleNamespace(monotonic=lambda: time.monotonic() + 1801)
        with monkeypatch.context() as later:
            later.setattr(passes, "time", hence)
            assert not is_inside(other)
        assert admin.post("/admin/leave").is_redirect
        assert not is_inside(other)


@pytest.mark.fact(68)
def test_a_visitors_cookie_opens_nothing_there(place: Place) -> None:
    with visitor(place) as ann:
        ticket = ann.cookies["likeness"]
        ann.cookies.set("likeness-admin-pass", ticket)
        assert not is_inside(ann)
        bearer = {"authorization": f"Bearer {ticket}"}
        assert ann.get("/metrics", headers=bearer).status_code == 401


@pytest.mark.fact(68)
def test_over_https_the_pass_is_secure(tmp_path: Path) -> None:
    from starlette.responses import Response

    wall, response = Wall(load(admin=str(written(tmp_path)), https=True)), Response()
    wall.let_in(response)
    assert response.headers["set-cookie"].startswith("__Secure-likeness-admin-pass=")
    assert "; Secure" in response.headers["set-cookie"]


@pytest.mark.fact(68)
def test_a_foreign_page_changes_nothing(admin: httpx.Client, place: Place) -> None:
    form = {"count": "1", "days": "1", "label": "foreign", "token": TOKEN}
    for path in ("/admin/invitations", "/admin/invitations/revoke", "/admin/enter"):
        for origin in ("https://evil.example", "null", ""):
            answer = admin.post(path, data=form, headers={"origin": origin})
            assert answer.status_code == 403, path
    keeper = place.services.entrance.invitations
    assert keeper is not None
    assert "foreign" not in [batch.label for batch in keeper.batches()]


@pytest.mark.fact(68)
def test_invitations_are_made_shown_once_and_revoked(admin: httpx.Client, place: Place) -> None:
    label = "<b>spring</b>"
    made = admin.post("/admin/invitations", data={"count": "3", "days": "9", "label": label})
    links = re.findall(rf"{re.escape(place.url)}/#([\w-]+)", made.text)
    assert (made.status_code, len(set(links))) == (200, 3)
    form = {"consent": "yes", "invitation": links[0]}
    assert httpx.post(f"{place.url}/session", data=form, headers={"origin": place.url}).is_redirect
    shown = admin.get("/admin/invitations").text
    assert "<b>" not in made.text + shown
    said = " ".join(html.unescape(re.sub(r"<[^>]+>", "", shown)).split())
    assert f"{label}: 3 links, 1 of 3 sessions started, until" in said
    assert not any(link in shown for link in links)
    assert admin.post("/admin/invitations/revoke", data={"label": label}).is_redirect
    assert "revoked" in admin.get("/admin/invitations").text
    form = {"consent": "yes", "invitation": links[1]}
    again = httpx.post(f"{place.url}/session", data=form, headers={"origin": place.url})
    assert again.status_code == 403


@pytest.mark.parametrize(
    ("count", "days", "label"),
    [
        ("0", "1", ""),
        ("501", "1", ""),
        ("1", "91", ""),
        ("x", "1", ""),
        ("1", "", ""),
        ("٣", "1", ""),
        ("1", "1", "a" * 61),
        ("1", "1", "a\nb"),
    ],
)
def test_what_no_invitation_can_be_is_a_sentence(
    admin: httpx.Client, count: str, days: str, label: str
) -> None:
    form = {"count": count, "days": days, "label": label}
    answer = admin.post("/admin/invitations", data=form)
    assert (answer.status_code, "/#" in answer.text) == (400, False)
    assert "Please give a number of links from 1 to 500" in answer.text


@pytest.mark.fact(69)
def test_after_a_job_nothing_there_tells_of_a_person(
    admin: httpx.Client, place: Place, selfie_jpegs: list[bytes]
) -> None:
    with visitor(place) as ann:
        session, ticket = session_of(place, ann), ann.cookies["likeness"]
        assert upload(ann, selfie_jpegs[0], name="canary-otto-lindqvist.jpg").status_code == 200
        assert order_portraits(ann, 2) == ""
        until(lambda: (ann.get("/status").json()["job"] or {})["phase"] == "done")
        page = admin.get("/admin").text
        numbers = admin.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text
        assert 'likeness_jobs_total{outcome="done",way="photo"} 1.0' in numbers
        assert "1 done today" in page
        kept = repr(place.services.sessions.tally.days(1))
        portraits = [one["id"] for one in ann.get("/status").json()["portraits"]]
        secrets = [*ticket.split("."), session.id, *portraits, "canary", "otto", "127.0.0.1"]
        looks = [*place.services.styles, *(look.name for look in place.services.styles.values())]
        for text in [*secrets, *looks, "192.0.2.", "portrait-0", "photo-0"]:
            assert text not in page + numbers + kept, text
        assert "<img" not in page.replace('<img src="/static/favicon.svg"', "")
        for path in (f"/admin/{session.id}", f"/admin/portrait/{portraits[0]}", "/admin/photo-01"):
            assert admin.get(path).status_code == 404
        assert admin.get(f"/portrait/{portraits[0]}").status_code == 404


def test_a_badly_kept_token_is_one_sentence_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, mode, said in (
        (TOKEN, 0o640, "can be read by others; chmod 600 it"),
        ("short", 0o600, "at least 32"),
        (f"{TOKEN} {TOKEN}", 0o600, "at least 32"),
        (f"{TOKEN}ü", 0o600, "at least 32"),
    ):
        with pytest.raises(BadSettings, match=said) as problem:
            Wall(load(admin=str(written(tmp_path, text, mode))))
        assert str(problem.value).startswith("LIKENESS_ADMIN: the file ")
    with pytest.raises(BadSettings, match="no such file"):
        Wall(load(admin=str(tmp_path / "nowhere")))
    new = tmp_path / "new.token"
    assert main(["--new-token", str(new)]) == 0
    assert Wall(load(admin=str(new))).stands
    assert new.read_text().strip() not in capsys.readouterr().out
    assert main(["--new-token", str(new)]) == 2
    assert "file exists" in capsys.readouterr().err
