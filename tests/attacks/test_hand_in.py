"""Handing in attacked: what goes without being given, what is told of it, and what stays behind."""

from __future__ import annotations

import hmac
import html
import io
import json
import re
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, quote

import httpx
import pyrage
import pytest
from structlog.testing import capture_logs

from privacy import kinds, verify_log
from privacy.keys import Ticket
from tests.support.hand import Hand
from tests.support.hand_in import PORTAL_SECRET, give, given, into_folder, lines, with_portraits
from tests.support.web import Place, served, session_of, visitor
from web.hand_in.service import HandingIn

NOTHING = {"sentence": "There is nothing here, or it has been erased."}
HR = pyrage.x25519.Identity.generate()
HOLD_S = 3600
PORTAL = "https://portal.corp.example/headshots/done"
NAME = "Zoë Canary-Okafor"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("company")


@pytest.fixture(scope="module")
def box(company: Path) -> Path:
    """The folder that HR fetches from."""
    return company / "box"


@pytest.fixture(scope="module")
def place(company: Path, tmp_path_factory: pytest.TempPathFactory, clock: Hand) -> Iterator[Place]:
    done = {"url": PORTAL, "secret": PORTAL_SECRET}
    file = into_folder(company, HR, ask="Your name", done=done)
    with served(tmp_path_factory.mktemp("scratch"), now=clock, hand_in=file) as place:
        yield place


@pytest.fixture
def desk(place: Place) -> HandingIn:
    assert place.services.hand_in is not None
    return place.services.hand_in


@pytest.fixture
def ann(place: Place, box: Path) -> Iterator[httpx.Client]:
    """A visitor with four portraits; what others left in HR's folder is gone."""
    for file in box.iterdir():
        file.unlink()
    with closing(with_portraits(place, visitor(place))) as client:
        yield client
        client.post("/session/delete")


def r_of(client: httpx.Client) -> bytes:
    return Ticket.parse(client.cookies["likeness"]).receipt()


def opened(file: Path) -> dict[str, bytes]:
    """What HR reads: the files in the ZIP."""
    with zipfile.ZipFile(io.BytesIO(pyrage.decrypt(file.read_bytes(), [HR]))) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()) == (404, NOTHING)


@pytest.mark.fact(62)
def test_hr_gets_exactly_what_was_shown_and_not_before_its_time(
    ann: httpx.Client, desk: HandingIn, box: Path, clock: Hand
) -> None:
    how = {"size": "square-400", "format": "jpeg"}
    chosen = ["portrait-001", "portrait-003"]
    offer = ann.get("/session/hand-in", params={"portraits": chosen, **how}).json()
    assert give(ann, *chosen, name=f"  {NAME} ", **how).status_code == 204
    told = given(ann)
    assert "2 portraits go to HR, Munich in 1 hour" in told[0]["sentence"]
    assert told[0]["back"] is True
    clock.forward(HOLD_S - 1)
    assert desk.deliver_due() == 0
    assert list(box.iterdir()) == []
    clock.forward(1)
    assert desk.deliver_due() == 1
    (file,) = box.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    inside = opened(file)
    beside = json.loads(inside.pop("hand-in.json"))
    assert beside["name"] == NAME
    assert beside["pictures"] == list(inside) == ["portrait-001.jpg", "portrait-003.jpg"]
    for name, data in inside.items():
        portrait = name.removesuffix(".jpg")
        assert data == ann.get(f"/portrait/{portrait}/download", params=how).content
    assert [sentence.partition(":")[0] for sentence in offer["files"]] == list(inside)
    assert all("400 × 400 px" in sentence for sentence in offer["files"])
    session_id = ann.cookies["likeness"].partition(".")[0]
    log = ann.get("/receipts/log").text
    assert '"event":"handed"' in log
    assert not [word for word in (session_id, beside["id"], NAME, "Munich") if word in log]


@pytest.mark.fact(62)
def test_what_cannot_be_given_is_a_sentence_and_goes_nowhere(
    ann: httpx.Client, bob: httpx.Client, desk: HandingIn
) -> None:
    four = [f"portrait-{number:03d}" for number in range(1, 5)]
    for who, portraits, name, status in (
        (ann, four, NAME, 400),
        (ann, [], NAME, 400),
        (ann, four[:1], " \n ", 400),
        (ann, four[:1], "Ann\x00\x1b[2J", 400),
        (ann, four[:1], "x" * 101, 400),
        (ann, ["portrait-999"], NAME, 404),
        (bob, four[:1], NAME, 404),  # he has none of his own
    ):
        answer = who.post("/session/hand-in", json={"portraits": portraits, "name": name})
        assert answer.status_code == status, (portraits, name)
        assert answer.json()["sentence"].endswith(".")
        assert given(who) == []
    assert desk.counts()["waiting"] == 0


@pytest.mark.fact(62)
def test_nobody_gives_or_takes_for_another(
    place: Place, ann: httpx.Client, bob: httpx.Client, stranger: httpx.Client
) -> None:
    assert give(ann, name=NAME).status_code == 204
    id_ = given(ann)[0]["id"]
    assert refused(bob.delete(f"/session/hand-in/{id_}"))
    assert refused(stranger.delete(f"/session/hand-in/{id_}"))
    assert refused(bob.delete(f"/session/hand-in/{'0' * 32}"))
    # Another site's page, in a browser that has the cookie.
    foreign = {"origin": "https://evil.example"}
    ask = {"portraits": ["portrait-001"], "name": NAME}
    assert ann.post("/session/hand-in", json=ask, headers=foreign).status_code == 403
    assert ann.delete(f"/session/hand-in/{id_}", headers=foreign).status_code == 403
    assert given(ann)[0]["back"] is True
    again = give(ann, "portrait-002", name=NAME)  # one waits
    assert (again.status_code, len(given(ann))) == (400, 1)
    assert ann.delete(f"/session/hand-in/{id_}").status_code == 204


@pytest.mark.fact(63)
def test_what_was_taken_back_never_goes_and_is_told_so(
    place: Place, ann: httpx.Client, desk: HandingIn, box: Path, clock: Hand
) -> None:
    give(ann, name=NAME)
    id_ = given(ann)[0]["id"]
    for _ in range(2):  # the same again is the same answer
        assert ann.delete(f"/session/hand-in/{id_}").status_code == 204
    session = session_of(place, ann)
    assert place.services.vault.list(session, kinds.HAND_IN) == []
    clock.forward(HOLD_S)
    assert desk.deliver_due() == 0
    assert list(box.iterdir()) == []
    assert given(ann)[0]["sentence"] == "You took 1 portrait back. HR, Munich did not get it."
    assert [line["outcome"] for line in lines(place, r_of(ann))] == ["withdrawn"]


@pytest.mark.fact(63)
def test_what_lies_ready_can_be_taken_back_until_it_was_fetched(
    place: Place, ann: httpx.Client, desk: HandingIn, box: Path, clock: Hand
) -> None:
    fates = []
    for fetched in (False, True):
        give(ann, name=NAME)
        clock.forward(HOLD_S)
        desk.deliver_due()
        told = given(ann)[0]
        assert told["back"]
        assert "lies ready" in told["sentence"]
        (file,) = box.iterdir()
        if fetched:
            file.unlink()
            told = given(ann)[0]
            assert not told["back"]
            assert "We cannot erase what they hold" in told["sentence"]
        answer = ann.delete(f"/session/hand-in/{told['id']}")
        fates.append(answer.status_code)
        if fetched:
            assert "fetched already" in answer.json()["sentence"]
        else:  # it lay there whole: nobody can have it
            assert "may have reached" not in given(ann)[0]["sentence"]
        assert list(box.iterdir()) == []
    assert fates == [204, 400]
    said = [(line["number"], line["outcome"]) for line in lines(place, r_of(ann))]
    assert said == [(1, "delivered"), (1, "withdrawn"), (2, "delivered")]
    audit(place)


def audit(place: Place) -> None:
    """The whole log holds, hand-ins and all."""
    log = place.services.sessions.receipts.log
    assert log is not None
    found = verify_log.audit(b"".join(log.chunks()), log.key, 0)
    assert found.problems == []


@pytest.mark.fact(63)
@pytest.mark.parametrize("how", ["taken back", "everything deleted"])
def test_taking_back_while_it_is_sent_is_never_said_to_have_worked(
    place: Place,
    ann: httpx.Client,
    box: Path,
    clock: Hand,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    desk = place.services.hand_in
    assert desk is not None
    give(ann, name=NAME)
    id_ = given(ann)[0]["id"]
    clock.forward(HOLD_S)
    begun, go_on = threading.Event(), threading.Event()
    send = desk.receiver.channel.send

    def slow(hand_in_id: str, packed: bytes) -> None:
        begun.set()
        assert go_on.wait(20)
        send(hand_in_id, packed)

    monkeypatch.setattr(desk.receiver.channel, "send", slow)
    delivery = threading.Thread(target=desk.deliver_due)
    delivery.start()
    assert begun.wait(20)
    r = r_of(ann)
    if how == "taken back":
        answer = ann.delete(f"/session/hand-in/{id_}")
        assert (answer.status_code, "on its way" in answer.json()["sentence"]) == (429, True)
        assert "on its way" in given(ann)[0]["sentence"]
    else:
        assert ann.post("/session/delete").status_code == 200
    go_on.set()
    delivery.join(20)
    outcome = "delivered" if how == "taken back" else "unconfirmed"
    assert [line["outcome"] for line in lines(place, r)] == [outcome]
    # What was laid down after its person had erased everything does not stay.
    assert len(list(box.iterdir())) == (how == "taken back")


@pytest.mark.fact(63)
def test_a_server_that_died_while_it_sent_does_not_claim_that_nothing_arrived(
    place: Place, ann: httpx.Client, desk: HandingIn, clock: Hand
) -> None:
    give(ann, name=NAME)
    clock.forward(HOLD_S)
    assert place.services.sessions.hand_ins.claim() is not None  # and dies here
    place.services.sessions.hand_ins.resume()
    told = given(ann)[0]
    assert told["back"]
    assert "not reached HR, Munich yet" in told["sentence"]
    assert desk.counts()["failing"] == 1
    ann.delete(f"/session/hand-in/{told['id']}")
    assert "may have reached HR, Munich" in given(ann)[0]["sentence"]
    assert [line["outcome"] for line in lines(place, r_of(ann))] == ["unconfirmed"]


@pytest.mark.fact(64)
@pytest.mark.parametrize("how", ["deleted", "expired", "deleted while it lies ready"])
def test_an_erasure_takes_what_waits_with_it(
    place: Place, ann: httpx.Client, desk: HandingIn, box: Path, clock: Hand, how: str
) -> None:
    r, session = r_of(ann), session_of(place, ann)
    give(ann, name=NAME)
    folder = place.services.settings.scratch / "vault" / session.id
    id_ = given(ann)[0]["id"]
    if how.startswith("deleted"):
        if how != "deleted":
            clock.forward(HOLD_S)
            desk.deliver_due()
            assert len(list(box.iterdir())) == 1
        assert ann.post("/session/delete").status_code == 200
        receipt = ann.get("/goodbye").text
        assert "Taken back in" in receipt
    else:
        place.services.sessions.erase(session.id, "expired")
    assert not folder.exists()
    clock.forward(HOLD_S)
    assert desk.deliver_due() == 0
    assert list(box.iterdir()) == []
    assert desk.counts()["waiting"] == 0
    assert id_.encode() not in (place.services.settings.scratch / "likeness.db").read_bytes()
    outcomes = [line["outcome"] for line in lines(place, r)]
    assert outcomes[-1] == ("lost" if how == "expired" else "withdrawn")
    audit(place)


@pytest.mark.fact(64)
def test_a_damaged_hand_in_goes_nowhere_and_its_visitor_is_told(
    place: Place, ann: httpx.Client, desk: HandingIn, box: Path, clock: Hand
) -> None:
    session = session_of(place, ann)
    give(ann, name=NAME)
    folder = place.services.settings.scratch / "vault" / session.id
    file = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    sealed = bytearray(file.read_bytes())
    sealed[len(sealed) // 2] ^= 1
    file.write_bytes(sealed)
    clock.forward(HOLD_S)
    assert desk.deliver_due() == 0
    assert list(box.iterdir()) == []
    assert "damaged on our disk" in given(ann)[0]["sentence"]
    assert give(ann, name=NAME).status_code == 204  # as the sentence asks for


@pytest.mark.fact(64)
def test_a_hand_in_goes_before_the_erasure_that_would_take_it(
    place: Place, ann: httpx.Client, desk: HandingIn, box: Path, clock: Hand
) -> None:
    deadline = place.services.sessions.deadline(session_of(place, ann)).erase_at
    clock.forward(deadline - clock.now - 2400)  # forty minutes are left
    offer = ann.get("/session/hand-in", params={"portraits": ["portrait-001"]}).json()
    assert "for 10 minutes" in offer["until"]
    give(ann, name=NAME)
    clock.forward(600)
    assert desk.deliver_due() == 1
    assert len(list(box.iterdir())) == 1


@pytest.mark.fact(65)
def test_no_picture_and_no_name_of_a_hand_in_lies_readable_or_in_a_log(
    place: Place, ann: httpx.Client, desk: HandingIn, box: Path, clock: Hand
) -> None:
    session = session_of(place, ann)
    with capture_logs() as events:
        give(ann, "portrait-001", "portrait-002", name=NAME)
        id_ = given(ann)[0]["id"]
        clock.forward(HOLD_S)
        desk.deliver_due()
        given(ann)
    canaries = [NAME.encode(), b"Canary"]
    for portrait in ("portrait-001", "portrait-002"):
        picture = place.services.vault.open(session, kinds.PORTRAIT, portrait)
        canaries += [picture[at : at + 24] for at in range(0, len(picture) - 24, 200)][2:]
    settings = place.services.settings
    for root in (settings.scratch, settings.receipts, box):
        for file in filter(Path.is_file, root.rglob("*")):
            data = file.read_bytes()
            assert not [canary for canary in canaries if canary in data], file
    said = repr(events)
    assert {"hand_in_waits", "hand_in_delivered"} <= {event["event"] for event in events}
    for part in (NAME, "Canary", session.id, id_, "portrait-001", "Munich"):
        assert part not in said


@pytest.mark.fact(65)
def test_what_waits_for_a_public_key_opens_to_hr_alone(
    place: Place, ann: httpx.Client, clock: Hand
) -> None:
    give(ann, name=NAME)
    clock.forward(HOLD_S)
    claimed = place.services.sessions.hand_ins.claim()  # all that the server itself can open
    assert claimed is not None
    assert claimed.packed.startswith(b"age-encryption.org/v1\n")
    assert NAME.encode() not in claimed.packed
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(claimed.packed, [pyrage.x25519.Identity.generate()])


# --- back to the portal -------------------------------------------------------------------------


def told_portal(address: str, now: float) -> dict[str, str]:
    """What a portal reads out of its address, checked as docs/hand-in.md says."""
    place, _, query = address.partition("?")
    assert place == PORTAL
    said, _, signature = query.rpartition("&signature=")
    assert signature == hmac.digest(PORTAL_SECRET.encode(), said.encode(), "sha256").hex()
    told = dict(parse_qsl(said))
    assert list(told) == ["state", "outcome", "time"]
    assert int(told["time"]) == int(now)
    return told


@pytest.mark.fact(66)
def test_the_way_back_says_what_became_of_the_visit_and_nothing_else(
    place: Place, ann: httpx.Client, desk: HandingIn, clock: Hand
) -> None:
    session_id, _, secret = ann.cookies["likeness"].partition(".")
    assert refused(ann.get("/session/done"))  # no portal opened this page

    def outcome() -> str:
        answer = ann.get("/session/done")
        assert answer.status_code == 303
        address = answer.headers["location"]
        assert not [word for word in (session_id, secret, "Canary", "portrait-") if word in address]
        told = told_portal(address, clock.now)
        assert told["state"] == "a.word-of_the~portal"
        return told["outcome"]

    with capture_logs() as events:
        ann.get("/", params={"state": "a.word-of_the~portal"})
        assert outcome() == "left"
        give(ann, name=NAME)
        assert outcome() == "handed-in"
        ann.delete(f"/session/hand-in/{given(ann)[0]['id']}")
        assert outcome() == "left"
        give(ann, name=NAME)
        ann.post("/session/delete")
        page = ann.get("/goodbye").text
    (address,) = re.findall(rf'href="({re.escape(PORTAL)}[^"]*)"', page)
    assert told_portal(html.unescape(address), clock.now)["outcome"] == "deleted"
    assert "a.word" not in repr(events)


@pytest.mark.fact(66)
def test_the_way_back_leads_nowhere_else_and_is_not_forged(
    place: Place, ann: httpx.Client, stranger: httpx.Client
) -> None:
    evil = "https://evil.example/"
    for state in (evil, "//evil.example", "a&outcome=handed-in", "a b", "a;b", "x" * 201, "a\r\nb"):
        answer = stranger.get("/", params={"state": state, "url": evil})
        assert "set-cookie" not in answer.headers, state
    for kept in (evil, "a&outcome=handed-in", "x" * 201):
        ann.cookies.set("likeness-portal", kept)
        assert refused(ann.get("/session/done")), kept
    ann.cookies.set("likeness-portal", "good")
    address = ann.get("/session/done", params={"url": evil, "outcome": "handed-in"}).headers
    assert told_portal(address["location"], place.services.now())["outcome"] == "left"
    # Ways back that a browser writes into the cookie of the goodbye page.
    ours = address["location"]
    for forged in (
        evil,
        ours.replace("left", "handed-in"),
        ours.replace(PORTAL, evil),
        f"{evil}?{ours}",
        f"{PORTAL}?state=x&outcome=deleted&time=1&signature=",
        "javascript:alert(1)//&signature=\xe9",
    ):
        stranger.cookies.clear()
        stranger.cookies.set("likeness-way-back", quote(forged, safe=""), path="/goodbye")
        page = stranger.get("/goodbye")
        assert page.status_code == 200
        assert "Back to the portal" not in page.text, forged
        assert "evil" not in page.text
