"""The web layer attacked from outside: HTTP against a real server, as another visitor would.

Facts 18 and 19 are shown here as far as the web goes; with a real job in test_main_job.py.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount

import settings as configuration
from tests.support.gradio_client import event_of, gradio_config, hear, send_event
from tests.support.hand import Hand
from tests.support.own_process import in_own_process
from tests.support.web import Place, served, session_of, upload, visitor
from web.gradio.guard import NOWHERE

API = "/studio/gradio_api"
NOTHING = {"sentence": "There is nothing here, or it has been erased."}
ORDER = [["corporate"], [], [], [], 200, "painted", False, True]

READ = ("/status", "/photo/photo-01", "/portrait/portrait-001", "/portraits.zip", "/session/link")
CHANGE = ("/job/stop", "/session/delete-model", "/session/delete", f"{API}/queue/join")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server with narrow limits, shown in a portal."""
    with served(
        tmp_path_factory.mktemp("small"),
        max_photo_mb=1,
        max_photos=4,
        min_photos=2,
        portals="https://portal.example",
        starts_per_address=5,
    ) as place:
        yield place


def file_data(path: object, url: str | None = None) -> dict[str, object]:
    return {"path": path, "url": url, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}


def everything_for(client: httpx.Client) -> Iterator[httpx.Response]:
    """Every route that touches a session, asked for what `ann` has."""
    for address in READ:
        yield client.get(address)
    for address in CHANGE:
        yield client.post(address)
    yield client.delete("/photo/photo-01")
    yield client.post(f"{API}/upload", files={"files": ("a.jpg", b"x")})
    yield client.get(f"{API}/upload_progress")
    yield client.get(f"{API}/queue/data", params={"session_hash": "page1"})
    yield client.get(f"{API}/heartbeat/page1")
    yield client.get("/studio/theme.css")


# --- whose is it ------------------------------------------------------------------------------


@pytest.mark.fact(21)
@pytest.mark.parametrize("ticket", ["none", "mangled", "swapped secret", "erased"])
def test_nothing_opens_without_the_right_ticket(
    place: Place, ann: httpx.Client, bob: httpx.Client, stranger: httpx.Client, ticket: str
) -> None:
    place.job_queue.deliver(session_of(place, ann), 1)
    ann_id, _, ann_secret = ann.cookies["likeness"].partition(".")
    _, _, bob_secret = bob.cookies["likeness"].partition(".")
    if ticket == "mangled":
        stranger.cookies.set("likeness", f"{ann_id}.{ann_secret[:-2]}")
    elif ticket == "swapped secret":
        stranger.cookies.set("likeness", f"{ann_id}.{bob_secret}")
    elif ticket == "erased":
        stranger.cookies.set("likeness", bob.cookies["likeness"])
        bob.post("/session/delete")
    for answer in everything_for(stranger):
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url
    assert ann.get("/status").json()["stage"] == "done"


@pytest.mark.fact(21)
def test_another_visitors_ids_are_unknown_ids(
    place: Place, ann_with_photos: httpx.Client, bob: httpx.Client
) -> None:
    place.job_queue.deliver(session_of(place, ann_with_photos), 2)
    theirs = ["/photo/photo-01", "/portrait/portrait-001", "/portraits.zip"]
    unknown = ["/photo/photo-99", "/portrait/portrait-999", "/portrait/x", "/photo/photo-01/x"]
    answers = [bob.get(address) for address in theirs + unknown]
    answers += [bob.delete("/photo/photo-01"), bob.delete("/photo/photo-99")]
    for answer in answers:
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url
    assert bob.get("/status").json()["photos"]["list"] == []
    assert len(ann_with_photos.get("/status").json()["photos"]["list"]) == 4


@pytest.mark.fact(16)
def test_expired_but_not_yet_swept_is_gone(
    place: Place, ann: httpx.Client, clock: Hand, selfie_jpegs: list[bytes]
) -> None:
    upload(ann, selfie_jpegs[0])
    place.job_queue.deliver(session_of(place, ann), 1)
    clock.forward(24 * 3600 - 1)
    assert ann.get("/portrait/portrait-001").status_code == 200
    clock.forward(1)
    for answer in everything_for(ann):
        assert (answer.status_code, answer.json()) == (404, NOTHING), answer.url
    assert ann.get("/studio/").headers["location"] == "/?ended=1"


# --- deletion ---------------------------------------------------------------------------------


@pytest.mark.fact(18)
def test_delete_during_a_job_stops_it_and_leaves_nothing(
    place: Place, ann_with_photos: httpx.Client
) -> None:
    session = session_of(place, ann_with_photos)
    folder = place.services.settings.scratch / "vault" / session.id
    send_event(ann_with_photos, event_of(gradio_config(ann_with_photos), "create"), ORDER)
    while not place.services.vault.list(session, "portrait"):
        time.sleep(0.01)
    started = time.monotonic()
    assert ann_with_photos.post("/session/delete").status_code == 200
    assert time.monotonic() - started < 5
    assert not folder.exists()
    time.sleep(0.2)
    assert not folder.exists()
    assert place.job_queue.progress(session.id) is None


@pytest.mark.fact(19)
def test_deleting_twice_at_once_is_one_deletion(place: Place, ann: httpx.Client) -> None:
    ticket = ann.cookies["likeness"]
    answers: list[int] = []

    def delete() -> None:
        with httpx.Client(base_url=place.url, headers={"origin": place.url}) as tab:
            tab.cookies.set("likeness", ticket)
            answers.append(tab.post("/session/delete").status_code)

    tabs = [threading.Thread(target=delete) for _ in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert set(answers) <= {200, 404}
    assert 200 in answers
    ann.cookies.set("likeness", ticket)
    assert ann.get("/status").status_code == 404


@pytest.mark.fact(19)
def test_delete_during_a_download_breaks_it_off_visibly(place: Place, ann: httpx.Client) -> None:
    place.job_queue.deliver(session_of(place, ann), 60)
    with ann.stream("GET", "/portraits.zip", params={"size": "800"}) as download:
        chunks = download.iter_bytes(1024)
        next(chunks)
        with httpx.Client(base_url=place.url, headers={"origin": place.url}) as other_tab:
            other_tab.cookies.set("likeness", ann.cookies["likeness"])
            assert other_tab.post("/session/delete").status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
    assert ann.get("/health").text == "ok"


# --- Gradio -----------------------------------------------------------------------------------


def mounted_gradio(place: Place) -> Any:
    return next(r.app for r in place.app.routes if isinstance(r, Mount) and r.path == "/studio")


def routes_below(routes: Sequence[Any]) -> set[tuple[str, str]]:
    """Method and path of every route, those of included routers too."""
    found = set()
    for route in routes:
        included = getattr(route, "original_router", route)
        if hasattr(included, "routes"):
            found |= routes_below(included.routes)
        else:
            found |= {(method, route.path) for method in route.methods}
    return found


OPEN = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/theme.css"),
    ("GET", "/assets/{path:path}"),
    ("GET", "/static/{path:path}"),
    ("GET", "/gradio_api/upload_progress"),
    ("GET", "/gradio_api/queue/data"),
    ("GET", "/gradio_api/heartbeat/{session_hash}"),
    ("GET", "/gradio_api/file={path_or_url:path}"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/upload"),
}


@pytest.mark.fact(22)
def test_every_route_of_gradio_is_closed_unless_it_is_needed(
    place: Place, ann: httpx.Client
) -> None:
    routes = routes_below(mounted_gradio(place).routes)
    assert len(routes) > 60, "Gradio's routes were not found"
    for method, path in sorted(routes - OPEN):
        concrete = path.replace("{", "").replace("}", "").replace(":path", "")
        answer = ann.request(method, f"/studio{concrete}", json={} if method == "POST" else None)
        assert answer.status_code == 404, (method, path)
        assert method == "HEAD" or answer.json() == NOTHING, (method, path)


@pytest.mark.fact(22)
@pytest.mark.parametrize(
    "path",
    [
        "/studio/gradio%5fapi/info",
        "/studio//gradio_api/info",
        "/studio/./gradio_api/info",
        "/studio/gradio_api/info/",
        "/studio%2fgradio_api/info",
        "/studio/x/../gradio_api/info",
        "/studio/assets/../config",
        "/studio/assets/%2e%2e/config",
        "/studio/monitoring/summary",
        "/studio/config",
        "/studio/gradio_api/deep_link?session_hash=page1",
        "/studio/gradio_api/runs",
        "/studio/gradio_api/openapi.json",
        "/gradio_api/info",
        "/config",
        "/openapi.json",
        "/docs",
    ],
)
def test_spellings_of_closed_routes_are_closed_too(
    place: Place, ann: httpx.Client, path: str
) -> None:
    assert raw_get(place, path, ann.cookies["likeness"]).startswith(b"HTTP/1.1 404")


def raw_get(place: Place, path: str, ticket: str) -> bytes:
    """A request whose path no client library has tidied up."""
    host = place.url.removeprefix("http://")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: likeness={ticket}\r\n"
        connection.sendall(request.encode("latin-1") + b"Connection: close\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.fact(22)
@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "etc/passwd",
        "../../../../etc/passwd",
        "https://example.com/",
        "http:/example.com/",
        f"{NOWHERE}/{'0' * 32}/photo-01.png",
        f"{NOWHERE}/../../etc/passwd",
        "/proc/self/environ",
        str(configuration.ROOT / "settings.py"),
    ],
)
def test_the_file_route_reads_no_file(ann: httpx.Client, path: str) -> None:
    for address in (f"{API}/file={path}", f"{API}/file/{path}", f"{API}/proxy={path}"):
        answer = ann.get(address)
        assert (answer.status_code, answer.json()) == (404, NOTHING), address


@pytest.mark.fact(22)
def test_a_virtual_path_is_worthless_to_anybody_else(
    ann: httpx.Client, bob: httpx.Client, selfie_jpegs: list[bytes]
) -> None:
    (path,) = upload(ann, selfie_jpegs[0]).json()
    upload(bob, selfie_jpegs[1])
    assert ann.get(f"{API}/file={path}").status_code == 200
    assert bob.get(f"{API}/file={path}").status_code == 404
    files = event_of(gradio_config(bob), "files")
    assert send_event(bob, files, [[file_data(path)]])[0].status_code == 404


def inputs_of(config: dict) -> list[tuple[dict, int]]:
    """Every event of the page with each place where it takes a value, one more for good measure."""
    return [
        (event, place)
        for event in config["dependencies"]
        for place in range(len(event["inputs"]) + 1)
    ]


@pytest.mark.fact(22)
@pytest.mark.parametrize(
    "value",
    [
        file_data("/etc/passwd"),
        [file_data("/etc/passwd")],
        {"path": "/etc/passwd"},
        {"a": [{"b": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}]},
        file_data(["/etc/passwd"]),
        file_data(None),
        file_data("http://example.com/x.png"),
        file_data("https://example.com/x.png"),
        file_data("data:image/png;base64,AAAA"),
        {"url": "http://example.com/x.png", "meta": {"_type": "gradio.FileData"}},
        {"url": "data:image/png;base64,AAAA"},
        "data:image/png;base64,AAAA",
        " HTTP://example.com/",
        ["file:///etc/passwd"],
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_no_input_of_the_page_takes_a_foreign_file(ann: httpx.Client, value: object) -> None:
    config = gradio_config(ann)
    for event, place_of_value in inputs_of(config):
        data: list[object] = [None] * (len(event["inputs"]) + 1)
        data[place_of_value] = value
        joined, _ = send_event(ann, event, data)
        assert (joined.status_code, joined.json()) == (404, NOTHING)


@pytest.mark.fact(22)
def test_even_behind_the_firewall_gradio_reads_no_file(place: Place, ann: httpx.Client) -> None:
    """Mounted Gradio reads any file named in a request unless `has_launched` is set."""
    config = gradio_config(ann)

    async def attack() -> list[tuple[int, str]]:
        transport = httpx.ASGITransport(app=mounted_gradio(place), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=place.url) as inside:
            answers = [await inside.get("/gradio_api/file=/etc/passwd")]
            for event, place_of_value in inputs_of(config):
                data: list[object] = [None] * (len(event["inputs"]) + 1)
                data[place_of_value] = file_data("/etc/passwd")
                body = {"data": data[: len(event["inputs"])], "fn_index": event["id"]}
                answers.append(await inside.post("/gradio_api/run/predict", json=body))
            return [(answer.status_code, answer.text) for answer in answers]

    for status, text in asyncio.run(attack()):
        assert "root:" not in text
        assert "/etc/passwd" not in text or status >= 400


@pytest.mark.fact(22)
def test_another_visitors_event_stream_is_silent(
    place: Place, ann: httpx.Client, bob: httpx.Client
) -> None:
    create = event_of(gradio_config(ann), "create")
    body = {"data": ORDER, "fn_index": create["id"], "session_hash": "same"}
    assert ann.post(f"{API}/queue/join", json=body).status_code == 200
    heard_by_bob = hear(bob, "same")
    heard_by_ann = hear(ann, "same")
    assert [message["msg"] for message in heard_by_bob] == ["unexpected_error"]
    assert any("good photos" in str(message.get("output")) for message in heard_by_ann)


@pytest.mark.parametrize("channel", ["", "a b", "../x", "a" * 65, None, 7, ["x"]])
def test_odd_names_of_event_streams_are_refused(ann: httpx.Client, channel: object) -> None:
    body = {"data": ORDER, "fn_index": 0, "session_hash": channel}
    assert ann.post(f"{API}/queue/join", json=body).status_code == 404


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"data": []}', b'{"data":"' + b"a" * 300_000],
    ids=["empty", "list", "null", "cut", "deep", "no event", "long"],
)
def test_odd_events_are_refused(ann: httpx.Client, body: bytes) -> None:
    assert ann.post(f"{API}/queue/join", content=body).status_code == 404


# --- browsers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [None, "null", "", "https://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", "//x"],
)
def test_a_change_from_elsewhere_is_not_carried_out(
    place: Place, ann: httpx.Client, origin: str | None
) -> None:
    del ann.headers["origin"]
    headers = {} if origin is None else {"origin": origin}
    for address in (*CHANGE, "/session", "/session/return", f"{API}/upload"):
        assert ann.post(address, headers=headers).status_code == 403, address
    assert ann.delete("/photo/photo-01", headers=headers).status_code == 403
    assert ann.options("/status", headers=headers).status_code == 403
    assert ann.get("/status").status_code == 200


def test_no_page_of_another_site_may_read_anything(place: Place, ann: httpx.Client) -> None:
    for address in ("/", "/status", "/studio/", "/studio/theme.css", f"{API}/upload_progress"):
        # For hosts other than localhost Gradio reflects any Origin, with credentials.
        foreign = {"origin": "https://evil.example", "host": "photos.corp.internal"}
        answer = ann.get(address, headers=foreign)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_every_answer_carries_the_security_headers(
    place: Place, ann: httpx.Client, stranger: httpx.Client
) -> None:
    answers = [ann.get(a) for a in ("/", "/studio/", "/status", "/nothing", "/static/studio.js")]
    answers += [stranger.get("/status"), stranger.get("/studio/"), stranger.post("/session")]
    answers += [stranger.post("/session", headers={"origin": "null"}), ann.get(f"{API}/info")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe-eval" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["permissions-policy"].startswith("camera=(self)")
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in answer.headers
    assert "unsafe-inline" not in ann.get("/").headers["content-security-policy"]


def test_only_named_portals_may_frame_the_page(small: Place) -> None:
    policy = httpx.get(small.url).headers["content-security-policy"]
    assert policy.endswith("frame-ancestors https://portal.example")


# --- names and sizes --------------------------------------------------------------------------


@pytest.mark.fact(23)
@pytest.mark.parametrize(
    "name",
    [
        "../../evil.jpg",
        "/etc/cron.d/evil",
        "a\x00b.jpg",
        "x" * 4096,
        "..",
        "C:\\evil.jpg",
        "\u202e",
    ],
)
def test_file_names_lead_nowhere(
    place: Place, ann: httpx.Client, selfie_jpegs: list[bytes], name: str
) -> None:
    scratch = place.services.settings.scratch
    before = {path for path in scratch.parent.rglob("*") if scratch / "vault" not in path.parents}
    answer = upload(ann, selfie_jpegs[0], name=name)
    assert answer.status_code in (200, 415)
    after = {path for path in scratch.parent.rglob("*") if scratch / "vault" not in path.parents}
    assert {path for path in after - before if not path.name.endswith("-journal")} == set()
    for photo in ann.get("/status").json()["photos"]["list"]:
        assert len(photo["label"]) <= 80
        assert photo["label"].isprintable()


@pytest.mark.fact(23)
@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "photo-01%00", "%2e%2e", "x" * 4096, "photo-01/../photo-01"]
)
def test_ids_lead_nowhere(place: Place, ann: httpx.Client, name: str) -> None:
    for kind in ("photo", "portrait"):
        answer = raw_get(place, f"/{kind}/{name}", ann.cookies["likeness"])
        assert answer.startswith(b"HTTP/1.1 404")


@pytest.mark.fact(24)
@pytest.mark.fact(29)
def test_sizes_are_limited_and_what_came_before_is_kept(
    small: Place, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(small)) as ann:
        answer = upload(ann, selfie_jpegs[0], *[bytes(1_000_000)] * 6)
        assert answer.status_code == 413
        assert answer.text.startswith("That is more than one upload may hold")
        assert ann.get("/status").json()["photos"]["good"] == 1


@pytest.mark.slow
@pytest.mark.fact(29)
def test_one_session_cannot_take_all_the_uploads(
    place: Place, ann: httpx.Client, bob: httpx.Client, selfie_jpegs: list[bytes]
) -> None:
    statuses: list[int] = []

    def slow_body() -> Iterator[bytes]:
        yield b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        time.sleep(3)
        yield b"\r\n--edge--\r\n"

    def slow_upload() -> None:
        kind = {"content-type": "multipart/form-data; boundary=edge"}
        with httpx.Client(base_url=place.url, headers=dict(ann.headers) | kind) as tab:
            tab.cookies.set("likeness", ann.cookies["likeness"])
            statuses.append(tab.post(f"{API}/upload", content=slow_body()).status_code)

    tabs = [threading.Thread(target=slow_upload) for _ in range(5)]
    for tab in tabs:
        tab.start()
    assert upload(bob, selfie_jpegs[0]).status_code == 200
    for tab in tabs:
        tab.join()
    assert sorted(statuses) == [200, 200, 200, 429, 429]
    assert upload(ann, selfie_jpegs[0]).status_code == 200


@pytest.mark.fact(29)
def test_a_flood_of_sessions_is_stopped(small: Place) -> None:
    """The last to use `small`: afterwards nobody gets in."""
    statuses = [
        httpx.post(f"{small.url}/session", data={"consent": "yes"}, headers={"origin": small.url})
        for _ in range(8)
    ]
    assert {answer.status_code for answer in statuses[:4]} == {303}
    assert {answer.status_code for answer in statuses[-3:]} == {429}
    assert "wait a minute" in statuses[-1].json()["sentence"]


# --- the disk ---------------------------------------------------------------------------------

WITNESS = """
import os, sys
sys.modules["matplotlib"] = None  # only development has it; Gradio imports it where it can
written = set()
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.add(str(path))
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink", "tempfile.mkstemp"):
        written.add(str(arguments[0]))
from pathlib import Path
from tests.support.gradio_client import event_of, gradio_config, send_event
from tests.support.web import served, upload, visitor
scratch, photo = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
with served(scratch) as place:
    ann = visitor(place)
    sys.addaudithook(watch)
    assert upload(ann, photo + bytes(3_000_000), photo).status_code == 200
    order = [["corporate"], [], [], [], 6, "look", "look", "photo", False, False]
    send_event(ann, event_of(gradio_config(ann), "create"), order)
    assert ann.get("/status").json()["photos"]["list"]
    done = set(written)
print("torch" in sys.modules)
print("\\n".join(sorted(done)))
"""


@pytest.mark.slow
@pytest.mark.fact(7)
def test_an_upload_writes_nothing_outside_the_vault(
    tmp_path: Path, selfie_jpegs: list[bytes]
) -> None:
    """Every file that the process opens for writing, as Python itself reports it."""
    photo, scratch = tmp_path / "photo.jpg", tmp_path / "scratch"
    photo.write_bytes(selfie_jpegs[0])
    witness = in_own_process(WITNESS, scratch, photo)
    _, _, said = witness.stdout.rpartition("session_created\n")
    torch_loaded, *written = said.splitlines()
    assert torch_loaded == "False", "the web layer loaded torch"
    outside = [name for name in written if not is_expected(name, scratch)]
    assert outside == []


def is_expected(name: str, scratch: Path) -> bool:
    """Below the scratch folder, or not a file that stays.

    Vault files are named relative to an open folder, by 32 random hex digits. The decoder talks
    through pipes, which are numbers, and its errors go to /dev/null.
    """
    if name.startswith(str(scratch)) or name.isdigit() or name == "/dev/null":
        return True
    return bool(re.fullmatch("[0-9a-f]{32}", name))
