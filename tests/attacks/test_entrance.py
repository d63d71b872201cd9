"""Who may start a session (`LIKENESS_ENTRANCE`): nobody else does, and nothing tells who did."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from errors import DiskFull, NotAdmitted
from privacy.invitations import FILE, Invitations, expiry
from privacy.receipt_log import ReceiptLog
from tests.support.web import Place, served
from web import invite

DAY_S = 86_400


class Hand:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.time = time.time()

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def place(tmp_path: Path, clock: Hand) -> Iterator[Place]:
    with served(
        tmp_path / "scratch", now=clock, entrance="invited", contact="Ann", starts_per_address=20
    ) as place:
        yield place


def invited(place: Place, links: int = 1, uses: int = 1, label: str = "spring") -> list[str]:
    until = expiry(place.services.now(), 14)
    return keeper(place).make(links, label=label, expires=until, uses=uses)


def keeper(place: Place) -> Invitations:
    found = place.services.entrance.invitations
    assert found is not None
    return found


def start(place: Place, invitation: str, **headers: str) -> httpx.Response:
    """A start in a browser of its own."""
    form = {"consent": "yes", "invitation": invitation}
    return httpx.post(
        f"{place.url}/session", data=form, headers={"origin": place.url} | headers, timeout=30
    )


def refused(place: Place, invitation: str) -> str:
    """The sentence with which a start is refused."""
    answer = start(place, invitation)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    sentence: str = answer.json()["sentence"]
    return sentence


@pytest.mark.fact(55)
def test_without_an_invitation_the_page_says_whom_to_ask(place: Place) -> None:
    assert "If you have none, ask Ann." in httpx.get(place.url).text
    assert "ask Ann" in refused(place, "")
    german = start(place, "", **{"accept-language": "de", "accept": "text/html"})
    assert german.status_code == 403
    assert "brauchen Sie eine Einladung" in german.text


@pytest.mark.fact(55)
def test_one_use_is_one_session_and_coming_back_needs_none(place: Place) -> None:
    (once,), (twice,) = invited(place), invited(place, uses=2)
    first = start(place, once)
    assert first.status_code == 303
    assert "used already" in refused(place, once)
    assert [start(place, twice).status_code for _ in range(3)] == [303, 303, 403]
    ticket = first.cookies["likeness"]
    own = {"origin": place.url, "cookie": f"likeness={ticket}"}
    again = httpx.post(f"{place.url}/session", data={"consent": "yes"}, headers=own)
    assert again.status_code == 303
    returned = httpx.post(
        f"{place.url}/session/return", json={"ticket": ticket}, headers={"origin": place.url}
    )
    assert returned.status_code == 200


@pytest.mark.fact(55)
def test_a_link_that_was_changed_anywhere_is_none(place: Place) -> None:
    (good,) = invited(place, uses=9)
    raw = base64.urlsafe_b64decode(good + "==")
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(NotAdmitted):
            keeper(place).read(base64.urlsafe_b64encode(changed).decode().rstrip("="))
    for text in (good[:-2], good + "AAAA", good * 4, "ü", "%00", "=", "A" * 300):
        assert "not complete" in refused(place, text)
    assert start(place, good).status_code == 303


@pytest.mark.fact(55)
def test_a_link_of_another_server_is_told_apart(place: Place, tmp_path: Path) -> None:
    ReceiptLog(tmp_path / "other", "1").close()
    other = Invitations(tmp_path / "other", time.time)
    (link,) = other.make(1, label="spring", expires=expiry(time.time(), 1))
    assert "another server" in refused(place, link)


@pytest.mark.fact(55, 56)
def test_an_expired_link_starts_nothing_and_nothing_is_kept_of_it(
    place: Place, clock: Hand
) -> None:
    used, unused = invited(place, 2)
    assert start(place, used).status_code == 303
    assert keeper(place).batches()[0].started == 1
    clock.time += 15 * DAY_S
    for link in (used, unused):
        assert "time of this invitation is over" in refused(place, link)
    keeper(place).forget_expired()
    assert keeper(place).batches() == []
    assert b"spring" not in (place.services.settings.receipts / FILE).read_bytes()


@pytest.mark.fact(55)
def test_what_was_revoked_starts_nothing(place: Place) -> None:
    one, another = invited(place, 2)
    (elsewhere,) = invited(place, label="autumn")
    keeper(place).revoke_link(one)
    assert "withdrawn" in refused(place, one)
    assert start(place, another).status_code == 303
    assert keeper(place).revoke_label("autumn") == 1
    assert "withdrawn" in refused(place, elsewhere)


@pytest.mark.fact(55)
def test_a_lost_file_lets_nobody_in_again(place: Place) -> None:
    (link,) = invited(place)
    assert start(place, link).status_code == 303
    (place.services.settings.receipts / FILE).unlink()
    assert "withdrawn" in refused(place, link)
    keeper(place).revoke_link(link)
    assert keeper(place).batches() == []


@pytest.mark.fact(55)
def test_a_failed_start_costs_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (link,) = invited(place)

    def full() -> None:
        raise DiskFull

    with monkeypatch.context() as broken:
        broken.setattr(place.services.sessions, "create", full)
        assert start(place, link).status_code == 507
    assert keeper(place).batches()[0].started == 0
    assert start(place, link).status_code == 303


@pytest.mark.fact(55)
def test_one_use_asked_for_by_many_at_once_is_one_session(place: Place) -> None:
    (link,) = invited(place)
    with ThreadPoolExecutor(8) as many:
        statuses = list(many.map(lambda _: start(place, link).status_code, range(8)))
    assert sorted(statuses) == [303] + [403] * 7


@pytest.mark.fact(55)
def test_a_flood_of_forged_links_ends_and_a_good_link_is_not_lost(place: Place) -> None:
    (good,) = invited(place)
    statuses = [start(place, "A" * 62).status_code for _ in range(25)]
    assert statuses == [403] * 20 + [429] * 5
    assert start(place, good).status_code == 429
    assert keeper(place).batches()[0].started == 0


@pytest.mark.fact(56)
def test_the_secret_is_on_no_disk_and_in_no_log(
    place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (link,) = invited(place, uses=2)
    assert start(place, link).status_code == 303
    keeper(place).revoke_link(link)
    assert "withdrawn" in refused(place, link)
    said = "".join(capfd.readouterr())
    assert "session_created" in said
    assert link not in said
    assert "spring" not in said
    raw = base64.urlsafe_b64decode(link + "==")
    identity = raw[12:24]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.name == FILE for file in files)
    for file in files:
        kept = file.read_bytes()
        assert not any(secret in kept for secret in (link.encode(), raw, identity)), file.name


@pytest.mark.fact(56)
def test_the_command_makes_shows_and_revokes(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIKENESS_RECEIPTS", str(place.services.settings.receipts))
    monkeypatch.setenv("LIKENESS_SCRATCH", str(place.services.settings.scratch))
    monkeypatch.setenv("LIKENESS_ENTRANCE", "invited")
    made = ["--count", "2", "--days", "3", "--label", "sales", "--url", place.url]
    assert invite.main(made) == 0
    first, second = capsys.readouterr().out.split()
    address, _, secret = first.partition("#")
    assert address == f"{place.url}/"  # so nothing of the secret is ever sent with an address
    assert start(place, secret).status_code == 303
    capsys.readouterr()
    assert invite.main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("sales: 2 links, 1 of 2 sessions started, until ")
    assert invite.main(["--revoke", second]) == 0
    assert "withdrawn" in refused(place, second.partition("#")[2])
    assert invite.main(["--revoke", "nobody"]) == 2
    assert invite.main(["--revoke", f"{place.url}/#nonsense"]) == 2
    assert "not complete" in capsys.readouterr().err


def test_without_a_key_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIKENESS_RECEIPTS", str(tmp_path / "nowhere"))
    assert invite.main(["--list"]) == 2
    assert "Start the server once" in capsys.readouterr().err
