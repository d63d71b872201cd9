"""Whom portraits are given to in tests: files of `LIKENESS_HAND_IN`, and real receivers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pyrage

from tests.support.web import Place, session_of

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB3ZWJob29rIHRoYXQgdGVzdHM="
PORTAL_SECRET = "the portal's own secret, 32 letters or more"
HEAD: Mapping[str, Any] = {"to": "HR, Munich", "contact": "hr@corp.example"}
CHANNELS = ("folder", "webhook", "mail")


def toml(table: Mapping[str, Any]) -> str:
    """A table of texts, numbers, lists and tables as TOML. JSON's texts are TOML's too."""
    plain = [f"{k} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, Mapping)]
    tables = [f"[{k}]\n{toml(v)}" for k, v in table.items() if isinstance(v, Mapping)]
    return "\n".join((*plain, *tables))


def written(beside: Path, **table: Any) -> str:
    """The path of a file for `LIKENESS_HAND_IN`, that only its owner can read."""
    file = beside / "hand-in.toml"
    file.write_text(toml({**(HEAD if set(table) & set(CHANNELS) else {}), **table}))
    file.chmod(0o600)
    return str(file)


def into_folder(beside: Path, identity: pyrage.x25519.Identity, **more: Any) -> str:
    """A file whose receiver fetches from a folder `box`, which is made."""
    (beside / "box").mkdir(exist_ok=True)
    keys = [str(identity.to_public())]
    return written(beside, folder={"path": str(beside / "box"), "recipients": keys}, **more)


@dataclass
class Receiver:
    """A program that takes webhooks: what it was sent, and how it answers."""

    url: str
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: status(handler, 200)


def status(handler: BaseHTTPRequestHandler, number: int, **headers: str) -> None:
    """Answer with a status, headers and no body."""
    handler.send_response(number)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", "0")
    handler.end_headers()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""
    found = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            found.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/headshots"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def give(client: httpx.Client, *portraits: str, **more: Any) -> httpx.Response:
    """Hand in portraits, by default the first."""
    chosen = list(portraits or ("portrait-001",))
    return client.post("/session/hand-in", json={"portraits": chosen, **more})


def given(client: httpx.Client) -> list[dict[str, Any]]:
    """What the page is told of what was given, newest first."""
    told: list[dict[str, Any]] = client.get("/status").json()["given"]
    return told


def with_portraits(place: Place, client: httpx.Client, count: int = 4) -> httpx.Client:
    """A visitor who brought a photo and has so many portraits."""
    session = session_of(place, client)
    place.services.sessions.touch_first_photo(session)
    place.job_queue.deliver(session, count)
    return client


def lines(place: Place, client_r: bytes) -> list[dict[str, Any]]:
    """What the log of receipts says of hand-ins, to whoever holds r."""
    found = place.services.sessions.receipts.find(client_r)
    return [line for line in found.lines if line["event"] == "handed"]
