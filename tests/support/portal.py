"""A company's portal on an origin of its own that shows the page in a frame, both over TLS."""

from __future__ import annotations

import datetime
import html
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app import listen
from tests.support.hand_in import PORTAL_SECRET, written
from tests.support.waiting import until
from tests.support.web import Place, place
from web.http.connections import config

PORTAL, OURS = "portal.test", "headshots.test"
RESOLVE = f"--host-resolver-rules=MAP {PORTAL} 127.0.0.1, MAP {OURS} 127.0.0.1"


@dataclass(frozen=True)
class Portal:
    """Where the portal is, what it frames, and the server behind that."""

    url: str
    framed: str
    place: Place


@contextmanager
def portal(folder: Path, **options: object) -> Iterator[Portal]:
    """Both, on free ports; `options` of the server. A browser needs `RESOLVE` to find them.

    The portal wants visitors back at its `/back`; what its own address has behind "?" it hands on.
    """
    folder.mkdir(exist_ok=True)
    tls = certificate(folder / "tls.pem", PORTAL, OURS)
    with _framing(tls) as shown:
        url = f"https://{PORTAL}:{shown.server_port}"
        done = {"url": f"{url}/back", "secret": PORTAL_SECRET}
        settings = {"https": True, "portals": url, "hand_in": written(folder, done=done), **options}
        with place(folder / "scratch", **settings) as built, listen("127.0.0.1", 0) as listening:  # type: ignore[arg-type]
            server = uvicorn.Server(
                config(built.app, ssl_certfile=str(tls), timeout_graceful_shutdown=1)
            )
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            until(lambda: server.started)
            framed = f"https://{OURS}:{listening.getsockname()[1]}"
            shown.framed = framed
            try:
                yield Portal(url, framed, built)
            finally:
                server.should_exit = True
                thread.join(5)


class _Server(ThreadingHTTPServer):
    framed = ""


class _Page(BaseHTTPRequestHandler):
    """Our page in a frame, and where its visitors come back to."""

    server: _Server

    def do_GET(self) -> None:
        place, _, query = self.path.partition("?")
        shown = "<p>You are back.</p>"
        if place == "/":
            src = f"{self.server.framed}/?{html.escape(query)}"
            shown = f'<iframe src="{src}" width="1200" height="800" allow="camera"></iframe>'
        body = f"<!doctype html><title>Portal</title><h1>Portal</h1>{shown}".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def _framing(tls: Path) -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def certificate(path: Path, *names: str) -> Path:
    """Key and self-signed certificate of these names, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    told = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(told, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path
