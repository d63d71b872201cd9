"""A small model hub on this machine, with the download routes of the real one, and its faults."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """`files` are {repository: {path: content}}; all repositories are at COMMIT.

    break_at: the byte of a file's content at which the connection breaks, once.
    status: what every later request for a file is answered with, instead of its content.
    """

    files: dict[str, dict[str, bytes]]
    url: str = ""
    break_at: int | None = None
    status: int | None = None
    error_code: str = ""
    sent: list[tuple[str, int, int]] = field(default_factory=list)
    """(path, first byte, bytes) of every answer with content, in order."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/"):
                self._list(path.removeprefix("/api/models/"))
            elif "/resolve/" in path and hub.status is None:
                self._answer(302, {"Location": path.replace("/resolve/", "/cdn/")})
            elif "/cdn/" in path and hub.status is None:
                self._content(path)
            else:
                self._answer(hub.status or 404, {"X-Error-Code": hub.error_code})

        def _list(self, repository: str) -> None:
            siblings = []
            for path, content in hub.files[repository].items():
                entry = {"rfilename": path, "size": len(content), "blobId": "b"}
                if path.endswith(".safetensors"):
                    digest = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 1}
                siblings.append(entry)
            about = {"id": repository, "sha": COMMIT, "siblings": siblings}
            body = json.dumps(about).encode()
            self._answer(200, {"Content-Type": "application/json"}, body)

        def _content(self, path: str) -> None:
            repository, _, rest = path.lstrip("/").partition("/cdn/")
            commit, _, name = rest.partition("/")
            content = hub.files.get(repository, {}).get(name)
            if content is None or commit != COMMIT:
                self._answer(404, {"X-Error-Code": "EntryNotFound"})
                return
            span = self.headers.get("Range")
            first = int(span.removeprefix("bytes=").partition("-")[0]) if span else 0
            headers = {"ETag": '"x"'}
            if span:
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            body = content[first:]
            if hub.break_at is not None and hub.break_at < len(body):
                part, hub.break_at, hub.status = body[: hub.break_at], None, 503
                hub.sent.append((name, first, len(part)))
                self._answer(200, headers | {"Content-Length": str(len(body))}, part)
                self.close_connection = True
                return
            hub.sent.append((name, first, len(body)))
            self._answer(206 if span else 200, headers, body)

        def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
