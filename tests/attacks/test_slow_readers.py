"""Clients that ask and do not read: what waits for them takes memory, so they are cut off."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvicorn
from starlette.responses import Response

from app import listen
from tests.support.waiting import until
from web.http import connections

LARGE = bytes(30_000_000)
"""More than any kernel takes over for a socket."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    """Answers everything with `LARGE`; who reads nothing for three seconds is cut off."""
    monkeypatch.setattr(connections, "UNREAD_S", 3.0)
    with listen("127.0.0.1", 0) as listening:
        made = uvicorn.Server(
            connections.config(Response(LARGE), lifespan="off", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: made.started)
        yield made
        made.should_exit = True
        thread.join(10)


def asked(server: uvicorn.Server) -> socket.socket:
    """A connection that has asked."""
    connection = socket.create_connection(server.servers[0].sockets[0].getsockname(), timeout=30)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return connection


def body_length(connection: socket.socket) -> int:
    """Bytes after the headers until the server closes."""
    read = bytearray()
    while piece := connection.recv(1 << 16):
        read += piece
    return len(read) - read.index(b"\r\n\r\n") - 4


@pytest.mark.slow
@pytest.mark.fact(48)
def test_who_does_not_read_is_cut_off_and_who_reads_is_not(server: uvicorn.Server) -> None:
    silent = [asked(server) for _ in range(20)]
    until(lambda: len(server.server_state.connections) == 20)
    with ThreadPoolExecutor(1) as reading, asked(server) as reader:
        assert reading.submit(body_length, reader).result() == len(LARGE)
    until(lambda: not server.server_state.connections)
    for connection in silent:
        with connection, pytest.raises(ConnectionResetError):
            body_length(connection)
