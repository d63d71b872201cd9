"""An nginx as somebody may already have one: with its own limits and its own pages of errors."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx
import pytest

from settings import ROOT
from tests.support.waiting import until

ENTRANCE = ROOT / "docs" / "entrance.md"

_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    proxy_set_header Host $http_host;
    {locations}
  }}
}}
"""


@contextmanager
def plain_proxy(folder: Path, behind: str, uploads: str = "") -> Iterator[str]:
    """The address of an nginx before a server. uploads: whereto these go, if elsewhere."""
    route = "/studio/gradio_api/upload"
    locations = [f"/ {{ proxy_pass {behind}; }}", f"{route} {{ proxy_pass {uploads or behind}; }}"]
    with _nginx(folder, locations, "/health") as url:
        yield url


@contextmanager
def below(folder: Path, path: str, behind: str, *, stripped: bool) -> Iterator[str]:
    """The address of an nginx that has a server below a path, and what else there is beside it.

    stripped: whether the server gets addresses without the path.
    """
    there = f"{behind}/" if stripped else behind
    locations = [
        f"{path}/ {{ proxy_pass {there}; client_max_body_size 20m; proxy_request_buffering off; }}",
        '/ { return 418 "not ours"; }',
    ]
    with _nginx(folder, locations, f"{path}/health") as url:
        yield url


@contextmanager
def signing_in(folder: Path, behind: str, passwords: Mapping[str, str]) -> Iterator[str]:
    """The address of an nginx that asks for a name and password, and says at 127.0.0.2 whose."""
    # Outside of `folder`, which nginx's workers, another user's where root runs it, may not enter.
    with NamedTemporaryFile("w", suffix="-people") as people, ExitStack() as running:
        people.writelines(f"{name}:{{PLAIN}}{word}\n" for name, word in passwords.items())
        people.flush()
        os.chmod(people.name, 0o644)
        told = (
            f"auth_basic portal; auth_basic_user_file {people.name}; proxy_bind 127.0.0.2;"
            " proxy_set_header Host $http_host; proxy_set_header X-Forwarded-User $remote_user;"
        )
        locations = [
            f"/ {{ {told} proxy_pass {behind}; }}",
            f"= /health {{ proxy_pass {behind}; }}",
        ]
        yield running.enter_context(_nginx(folder, locations, "/health"))


@contextmanager
def asking(folder: Path, behind: str, people: Mapping[str, str]) -> Iterator[str]:
    """The address of an nginx that docs/entrance.md describes, which asks a program who comes.

    people: names by the cookies that the program knows; it speaks like oauth2-proxy.
    """
    (documented,) = re.findall(r"```nginx\n(.*?)```", ENTRANCE.read_text(), re.DOTALL)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = people.get(self.headers.get("cookie", ""))
            self.send_response(202 if name else 401)
            if name:
                self.send_header("X-Auth-Request-User", name)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as program, ExitStack() as running:
        thread = threading.Thread(target=program.serve_forever)
        thread.start()
        running.callback(thread.join)
        running.callback(program.shutdown)
        asked = f"http://127.0.0.1:{program.server_port}/oauth2/auth"
        written = documented.replace("http://likeness:7860;", f"{behind}; proxy_bind 127.0.0.2;")
        written = written.replace("http://oauth2-proxy:4180/oauth2/auth", asked)
        parts = [part.strip() for part in re.split(r"^location ", written, flags=re.M)[1:]]
        health = f"= /health {{ proxy_pass {behind}; }}"
        yield running.enter_context(_nginx(folder, [*parts, health], "/health"))


@contextmanager
def _nginx(folder: Path, locations: Sequence[str], health: str) -> Iterator[str]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("needs nginx: apt install nginx-light")
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(
        _CONFIGURATION.format(
            folder=folder, port=port, locations=" ".join(f"location {place}" for place in locations)
        )
    )
    process = subprocess.Popen([nginx, "-p", folder, "-c", file, "-e", folder / "errors"])
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(url + health))
        yield url
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
