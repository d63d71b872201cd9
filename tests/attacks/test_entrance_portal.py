"""A portal says who comes: nobody else is believed, and nothing of it outlives the day."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from errors import BadSettings, DiskFull, NotAdmitted
from settings import ROOT, Settings, load
from tests.support.proxy import asking, signing_in
from tests.support.web import Place, served
from web.quota import DailyQuota

HEADER = "X-Forwarded-User"
PROXY = "127.0.0.2"  # nginx speaks from there, a test from 127.0.0.1


def start(url: str, *headers: tuple[str, str], who: tuple[str, str] | None = None) -> int:
    """The status of a start in a browser of its own."""
    origin = [("origin", url), *headers]
    answer = httpx.post(f"{url}/session", data={"consent": "yes"}, headers=origin, auth=who)
    assert ("set-cookie" in answer.headers) == (answer.status_code == 303)
    return answer.status_code


@pytest.mark.fact(57, 58)
def test_behind_a_real_proxy_each_person_has_a_quota_and_a_forged_name_is_nobodys(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ann, bob = ("ann.okafor", "a"), ("bob.lindqvist", "b")
    with (
        served(
            tmp_path / "scratch",
            entrance="portal",
            trusted_proxies=PROXY,
            sessions_per_person=2,
            contact="Eve",
        ) as place,
        signing_in(tmp_path, place.url, dict([ann, bob])) as portal,
    ):
        # Whatever ann's browser says of her, nginx says her name.
        as_bob = [start(portal, (HEADER, "bob.lindqvist"), who=ann) for _ in range(3)]
        assert as_bob == [303, 303, 403]
        assert start(portal, who=("ANN.OKAFOR", "a")) == 401
        assert start(portal, who=bob) == 303
        again = httpx.post(
            f"{portal}/session", data={"consent": "yes"}, headers={"origin": portal}, auth=ann
        )
        assert again.json()["sentence"].startswith("You have started as many sessions today")
        assert again.json()["sentence"].endswith("ask Eve.")
        kept = [file for file in tmp_path.glob("scratch*/**/*") if file.is_file()]
        assert any(file.name == "likeness.db" for file in kept)
        assert not any(b"okafor" in file.read_bytes().lower() for file in kept)
    said = "".join(capfd.readouterr())
    assert "session_created" in said
    assert "okafor" not in said.lower()


@pytest.mark.fact(57)
def test_behind_the_documented_proxy_whoever_it_asks_says_who_comes(tmp_path: Path) -> None:
    ann, bob = ("cookie", "signed_in=1"), ("cookie", "signed_in=2")
    with (
        served(
            tmp_path / "scratch", entrance="portal", trusted_proxies=PROXY, sessions_per_person=2
        ) as place,
        asking(tmp_path, place.url, {ann[1]: "ann", bob[1]: "bob"}) as portal,
    ):
        assert start(portal) == 401
        assert start(portal, (HEADER, "bob"), ("X-Auth-Request-User", "bob")) == 401
        assert [start(portal, ann, (HEADER, "bob")) for _ in range(3)] == [303, 303, 403]
        assert start(portal, bob, ("X-Auth-Request-User", "ann")) == 303
        assert httpx.get(f"{portal}/auth/check", headers=dict([ann])).status_code == 404


@pytest.mark.fact(57)
def test_who_comes_past_the_proxy_is_refused_whatever_they_say(tmp_path: Path) -> None:
    with served(tmp_path / "scratch", entrance="portal", trusted_proxies=PROXY) as place:
        for claims in (
            [],
            [(HEADER, "ann")],
            [(HEADER, "ann"), ("X-Forwarded-For", PROXY), ("Forwarded", f"for={PROXY}")],
            [(HEADER, "ann"), ("X-Real-IP", PROXY)],
        ):
            assert start(place.url, *claims) == 403
        answer = httpx.post(
            f"{place.url}/session",
            data={"consent": "yes"},
            headers={"origin": place.url, "accept": "text/html", "accept-language": "de"},
        )
        assert "über das Portal Ihres Unternehmens" in answer.text
        assert len(place.services.entrance.quota) == 0


@pytest.mark.fact(57)
def test_a_proxy_that_names_nobody_or_several_lets_nobody_in(tmp_path: Path) -> None:
    with served(tmp_path / "scratch", entrance="portal", trusted_proxies="127.0.0.1") as place:
        assert start(place.url) == 403
        assert start(place.url, (HEADER, "")) == 403
        assert start(place.url, (HEADER, "ann"), (HEADER, "bob")) == 403
        assert start(place.url, (HEADER, "Ann"), ("X-Forwarded-For", "203.0.113.7")) == 303
        assert [start(place.url, (HEADER, "ann")) for _ in range(3)] == [303, 303, 403]
        coming_back(place)


def coming_back(place: Place) -> None:
    """Whoever has a session is not asked who they are."""
    _, ticket = place.services.sessions.create()
    own = {"origin": place.url, "cookie": f"likeness={ticket.text()}"}
    answer = httpx.post(f"{place.url}/session", data={"consent": "yes"}, headers=own)
    assert answer.status_code == 303
    returned = httpx.post(
        f"{place.url}/session/return", json={"ticket": ticket.text()}, headers={"origin": place.url}
    )
    assert returned.status_code == 200


@pytest.mark.fact(57)
def test_a_failed_start_is_not_counted_and_many_at_once_are() -> None:
    quota = DailyQuota(3, time.time)
    mark = quota.mark("ann")
    for _ in range(5):
        with pytest.raises(DiskFull), quota.starting(mark, "Eve"):
            raise DiskFull

    def begin(_: int) -> bool:
        try:
            with quota.starting(mark, "Eve"):
                return True
        except NotAdmitted:
            return False

    with ThreadPoolExecutor(8) as many:
        assert sum(many.map(begin, range(40))) == 3


@pytest.mark.fact(58)
def test_the_hash_dies_with_the_day() -> None:
    now = [86_400.0 * 20_000]
    quota = DailyQuota(1, lambda: now[0])
    today = quota.mark("ann")
    assert b"ann" not in today
    with quota.starting(today, "Eve"):
        pass
    assert (len(quota), quota.mark("ann")) == (1, today)
    now[0] += 86_400
    quota.forget_yesterday()
    assert len(quota) == 0
    assert quota.mark("ann") != today
    with quota.starting(quota.mark("ann"), "Eve"):
        pass


@pytest.mark.fact(57)
def test_the_shipped_proxy_passes_no_name_on() -> None:
    lines = [line.strip() for line in (ROOT / "deploy" / "nginx.conf").read_text().splitlines()]
    default = Settings.model_fields["identity_header"].default
    assert f'proxy_set_header {default} "";' in lines


def test_a_portal_without_a_trusted_proxy_stops_the_start() -> None:
    with pytest.raises(BadSettings, match="TRUSTED_PROXIES"):
        load(entrance="portal")
