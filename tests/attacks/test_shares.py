"""Shares attacked: what a colleague's key must never open, and when it opens nothing any more."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image
from structlog.testing import capture_logs

from errors import UnknownSession
from privacy.keys import DataKey, MasterKey, ShareTicket, Ticket, unwrap, wrap
from privacy.sessions import Session
from privacy.shares import READABLE, Guest
from tests.support.fake_job_queue import picture
from tests.support.hand import Hand
from tests.support.web import Place, session_of

NOTHING = {"sentence": "There is nothing here, or it has been erased."}
HEARTED, OTHER = "portrait-001", "portrait-002"
GUEST = "likeness-share"

# Every route of a visitor. A share's key is tried on each of them.
OWNER = [
    ("GET", "/status"),
    ("GET", "/photo/photo-01"),
    ("DELETE", "/photo/photo-01"),
    ("GET", f"/portrait/{HEARTED}"),
    ("GET", f"/portrait/{HEARTED}/download"),
    ("POST", f"/portrait/{HEARTED}/heart"),
    ("POST", "/portraits/wish"),
    ("POST", "/portraits/arrangement"),
    ("GET", "/portraits.zip"),
    ("GET", "/portraits.zip?hearted=true"),
    ("GET", "/session/link"),
    ("POST", "/session/share"),
    ("DELETE", "/session/share"),
    ("POST", "/session/delete-model"),
    ("POST", "/session/delete"),
    ("POST", "/job/stop"),
    ("POST", "/studio/gradio_api/upload"),
    ("POST", "/studio/gradio_api/queue/join"),
    ("GET", "/studio/gradio_api/queue/data?session_hash=page1"),
    ("GET", "/studio/theme.css"),
]


def heart(client: httpx.Client, portrait: str, on: bool = True) -> int:
    return client.post(f"/portrait/{portrait}/heart", json={"on": on}).status_code


def key_of(client: httpx.Client) -> str:
    """The key of a visitor's share: what stands behind the `#` of the link."""
    page, _, key = client.post("/session/share").json()["path"].partition("#")
    assert page == "/shared"
    return key


def enter(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/shared/open", json={"ticket": key})


def everything_for_a_guest(client: httpx.Client) -> Iterator[httpx.Response]:
    yield client.get("/shared/portraits")
    yield client.get(f"/shared/portrait/{HEARTED}")
    yield client.post(f"/shared/portrait/{HEARTED}/vote", json={"on": True})


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()) == (404, NOTHING)


@pytest.fixture
def sharing(place: Place, ann: httpx.Client) -> httpx.Client:
    """A visitor with a photo, a kept model, two portraits and a heart for one."""
    session = session_of(place, ann)
    place.job_queue.deliver(session, 2)
    place.services.vault.put(session, "photo", "photo-01", picture(1))
    place.services.vault.put(session, "adapter", "adapter", b"a model")
    assert heart(ann, HEARTED) == 204
    return ann


@pytest.fixture
def guest(sharing: httpx.Client, stranger: httpx.Client) -> httpx.Client:
    """A colleague who has opened the link."""
    assert enter(stranger, key_of(sharing)).status_code == 204
    return stranger


@pytest.mark.fact(21)
def test_a_guest_sees_the_hearted_one_small_and_nothing_else(guest: httpx.Client) -> None:
    assert guest.get("/shared/portraits").json() == [
        {"id": HEARTED, "voted": False, "moves": False}
    ]
    preview = guest.get(f"/shared/portrait/{HEARTED}")
    assert preview.headers["content-type"] == "image/jpeg"
    assert preview.headers["cache-control"] == "no-store"
    with Image.open(io.BytesIO(preview.content)) as image:
        assert max(image.size) == 400
    bigger = guest.get(f"/shared/portrait/{HEARTED}", params={"size": "original", "format": "png"})
    assert bigger.content == preview.content
    for name in (OTHER, "portrait-999", "photo-01", "adapter-1"):
        assert refused(guest.get(f"/shared/portrait/{name}")), name
        assert refused(guest.post(f"/shared/portrait/{name}/vote", json={"on": True})), name


@pytest.mark.fact(21)
def test_a_share_key_opens_no_route_of_the_owner(
    place: Place, sharing: httpx.Client, guest: httpx.Client
) -> None:
    key = key_of(sharing)
    # As it came, in the place of the visitor's cookie, and with the session's id put before it.
    swapped = f"{session_of(place, sharing).id}.{key.partition('.')[2]}"
    for cookie in (None, key, swapped):
        if cookie is not None:
            guest.cookies.set("likeness", cookie)
        for method, address in OWNER:
            assert refused(guest.request(method, address)), (cookie, method, address)
        away = "/?cookies=0" if cookie is None else "/?ended=1"
        assert guest.get("/studio/").headers["location"] == away
        assert refused(guest.post("/session/return", json={"ticket": cookie or key}))
    assert sharing.get("/photo/photo-01").status_code == 200
    assert sharing.get("/status").json()["model_kept"] is True


@pytest.mark.fact(21)
def test_an_owners_key_is_no_share_key(sharing: httpx.Client, stranger: httpx.Client) -> None:
    key_of(sharing)
    ticket = sharing.cookies["likeness"]
    assert refused(enter(stranger, ticket))
    stranger.cookies.set(GUEST, ticket, path="/shared")
    assert all(map(refused, everything_for_a_guest(stranger)))


@pytest.mark.fact(21)
@pytest.mark.parametrize("key", ["none", "unknown", "mangled", "foreign secret", "ended"])
def test_without_the_right_key_all_answers_are_alike(
    place: Place, sharing: httpx.Client, bob: httpx.Client, stranger: httpx.Client, key: str
) -> None:
    right = key_of(sharing)
    share_id, _, secret = right.partition(".")
    place.job_queue.deliver(session_of(place, bob), 1)
    heart(bob, HEARTED)
    text = {
        "none": "",
        "unknown": ShareTicket.random().text(),
        "mangled": right[:-2],
        "foreign secret": f"{share_id}.{key_of(bob).partition('.')[2]}",
        "ended": right,
    }[key]
    if key == "ended":
        assert sharing.delete("/session/share").status_code == 204
    assert refused(enter(stranger, text))
    assert not stranger.cookies
    stranger.cookies.set(GUEST, text, path="/shared")
    assert all(map(refused, everything_for_a_guest(stranger)))
    assert secret not in stranger.get("/shared").text


@pytest.mark.fact(21)
def test_a_guest_of_one_is_no_guest_of_another(
    place: Place, guest: httpx.Client, bob: httpx.Client
) -> None:
    place.job_queue.deliver(session_of(place, bob), 3)
    heart(bob, "portrait-003")
    key_of(bob)
    assert refused(guest.get("/shared/portrait/portrait-003"))
    assert [seen["id"] for seen in guest.get("/shared/portraits").json()] == [HEARTED]


def test_taking_the_heart_away_takes_the_portrait_away(
    sharing: httpx.Client, guest: httpx.Client
) -> None:
    assert heart(sharing, HEARTED, on=False) == 204
    assert guest.get("/shared/portraits").json() == []
    assert refused(guest.get(f"/shared/portrait/{HEARTED}"))
    # The owner can still end the link, which now shows nothing.
    assert sharing.post("/session/share").status_code == 200


@pytest.mark.fact(16)
@pytest.mark.parametrize("how", ["ended", "erased", "overdue"])
def test_an_open_page_of_a_guest_dies_with_the_share(
    place: Place, sharing: httpx.Client, guest: httpx.Client, clock: Hand, how: str
) -> None:
    key = key_of(sharing)
    session = session_of(place, sharing)
    assert all(answer.status_code < 300 for answer in everything_for_a_guest(guest))
    if how == "ended":
        sharing.delete("/session/share")
    elif how == "erased":
        sharing.post("/session/delete")
    else:
        clock.forward(24 * 3600)  # and no sweep has come by
    assert all(map(refused, everything_for_a_guest(guest)))
    assert refused(enter(guest, key))
    if how == "ended":  # a new link does not bring the old one back, and keeps the votes
        assert key_of(sharing) != key
        assert refused(enter(guest, key))
        assert sharing.get("/status").json()["hearts"]["votes"] == {HEARTED: 1}
    else:
        with pytest.raises(UnknownSession):
            place.services.sessions.shares.create(session)


@pytest.mark.fact(7)
def test_nothing_of_an_ended_share_stays_in_the_database(
    place: Place, sharing: httpx.Client
) -> None:
    share_id = key_of(sharing).partition(".")[0].encode()
    database = place.services.settings.scratch / "likeness.db"
    assert share_id in database.read_bytes()
    sharing.delete("/session/share")
    assert share_id not in database.read_bytes()
    again = key_of(sharing).partition(".")[0].encode()
    assert again in database.read_bytes()
    sharing.post("/session/delete")
    assert again not in database.read_bytes()


def test_one_vote_per_colleague_and_portrait(
    place: Place, sharing: httpx.Client, guest: httpx.Client
) -> None:
    def votes() -> dict[str, int]:
        return sharing.get("/status").json()["hearts"]["votes"]

    address = f"/shared/portrait/{HEARTED}/vote"
    for on in (True, True):
        assert guest.post(address, json={"on": on}).status_code == 204
    assert votes() == {HEARTED: 1}
    assert guest.get("/shared/portraits").json() == [{"id": HEARTED, "voted": True, "moves": False}]
    # Opening the link once more is the same colleague; another browser is another.
    enter(guest, key_of(sharing))
    guest.post(address, json={"on": True})
    with httpx.Client(base_url=place.url, headers={"origin": place.url}) as second:
        enter(second, key_of(sharing))
        second.post(address, json={"on": True})
    assert votes() == {HEARTED: 2}
    # A new link does not give anybody a second vote.
    sharing.delete("/session/share")
    enter(guest, key_of(sharing))
    guest.post(address, json={"on": True})
    assert votes() == {HEARTED: 2}
    guest.post(address, json={"on": False})
    assert votes() == {HEARTED: 1}
    stored = place.services.vault.open(session_of(place, sharing), "votes", "votes")
    assert guest.cookies["likeness-voter"].encode() not in stored


def test_the_cookies_of_a_guest_are_for_that_page_alone(
    sharing: httpx.Client, stranger: httpx.Client
) -> None:
    answer = enter(stranger, key_of(sharing))
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [GUEST, "likeness-voter"]
    for cookie in cookies:
        attributes = cookie.split("; ")[1:]
        assert attributes == ["Path=/shared", "HttpOnly", "Max-Age=259200", "SameSite=Lax"]


@pytest.mark.fact(21)
def test_the_key_is_in_no_log(place: Place, sharing: httpx.Client, stranger: httpx.Client) -> None:
    with capture_logs() as events:
        key = key_of(sharing)
        enter(stranger, key)
        list(everything_for_a_guest(stranger))
        sharing.delete("/session/share")
        assert refused(enter(stranger, key))
    said = repr(events)
    assert {"share_created", "share_ended"} <= {event["event"] for event in events}
    for part in (*key.split("."), session_of(place, sharing).id, HEARTED):
        assert part not in said
    assert key.partition(".")[2] not in repr(ShareTicket.parse(key))


@pytest.mark.fact(21)
def test_a_guest_is_no_session_and_reaches_few_kinds(place: Place, sharing: httpx.Client) -> None:
    services = place.services
    guest = services.sessions.shares.open(key_of(sharing))
    assert not isinstance(guest, Session)
    assert not issubclass(Guest, Session)
    with pytest.raises(AttributeError):
        services.vault.open(guest, "photo", "photo-01")  # type: ignore[arg-type]
    kinds = {entry.kind for entry in services.vault.list(session_of(place, sharing))}
    assert {"photo", "adapter", "share"} <= kinds - READABLE
    for entry in services.vault.list(session_of(place, sharing)):
        if entry.kind not in READABLE:
            with pytest.raises(KeyError):
                services.sessions.shares.read(guest, entry.kind, entry.name)
            with pytest.raises(KeyError):
                services.sessions.shares.names(guest, entry.kind)
        with pytest.raises(KeyError):
            services.sessions.shares.write(guest, entry.kind, entry.name, b"x")


@pytest.mark.fact(8)
@pytest.mark.fact(9)
def test_a_wrapped_key_opens_only_under_its_own_ticket() -> None:
    master, data_key, ticket = MasterKey.ram(), DataKey.random(), ShareTicket.random()
    wrapped = wrap(data_key, master, ticket)
    assert unwrap(wrapped, master, ticket).reveal() == data_key.reveal()
    wrong = [
        (MasterKey.ram(), ticket),
        (master, ShareTicket(ticket.share_id, os.urandom(32))),
        (master, ShareTicket(ShareTicket.random().share_id, ticket.secret)),
        (master, Ticket(ticket.share_id, ticket.secret)),  # the same bytes as a visitor's ticket
    ]
    for other_master, other_ticket in wrong:
        with pytest.raises(UnknownSession):
            unwrap(wrapped, other_master, other_ticket)
