"""Connections: how many there may be, and how long one may say nothing.

Each costs a descriptor, and the sweeper, the database and the decoder need some too. So the server
takes fewer connections than it has descriptors, and when all are taken, the one that has been
silent longest makes room. A connection that is being answered is never cut off for another; but one
that does not read its answer, which waits in memory, ends after half a minute.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
from collections.abc import Sequence
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.http.proxies import Proxies

HEADER_S = 10.0
UNREAD_S = 30.0
_SLOWEST_BYTES_PER_S = 1024  # as with uploads: a phone in a train gets through
BACKLOG = 32  # accepted in one turn of the loop, before any of them can be counted
# Or the kernel would keep for minutes what it took over of the answer.
_DROP_UNSENT = socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
_READ_BYTES = 64 * 1024  # from a connection at once
_KEPT_FREE = 96  # for files, the database, the decoder's pipes and what libraries open
_MOST = 2000


def most_connections() -> int:
    """How many connections this process can hold beside everything else that it opens."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _MOST
    # Twice the backlog: those just accepted, and those just cut off that are not closed yet.
    return max(16, min(_MOST, limit - _KEPT_FREE - 2 * BACKLOG))


def config(app: Any, trusted_proxies: Sequence[str] = (), **options: Any) -> Config:
    """How uvicorn serves `app`: nothing of a visitor in a log, connections counted.

    Args:
        trusted_proxies: addresses and networks whose `X-Forwarded-For` is believed.
    """
    limit = most_connections()

    class Counted(_Connection):
        connections_at_most = limit

    return Config(
        Proxies(app, trusted_proxies),
        http=Counted,
        loop="asyncio",
        ws="none",
        backlog=BACKLOG,
        proxy_headers=False,  # `Proxies` reads them
        log_config=None,  # uvicorn's own log would print addresses and paths
        access_log=False,
        server_header=False,
        **options,
    )


class _Connection(H11Protocol):
    """One connection, which makes room when there are too many and ends when it stays silent."""

    connections_at_most = _MOST

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._header_deadline: asyncio.TimerHandle | None = None
        self._reading_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # Of a transport over sockets: 256 KB otherwise, which each body that waits would hold.
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]
        super().connection_made(transport)
        self._watch()
        # Oldest first: a dictionary keeps the order in which they came, uvicorn's set does not.
        waiting = _waiting_in(self.server_state)
        waiting[self] = None
        if len(self.connections) > self.connections_at_most:
            silent = next((one for one in waiting if one._silent), self)
            silent._cut()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._silent:
            self._unwatch()
        elif self._header_deadline is None:
            self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()  # nothing more is written before what there is was read
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unwatch_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._unwatch_reader()
        _waiting_in(self.server_state).pop(self, None)
        super().connection_lost(exc)

    @property
    def _silent(self) -> bool:
        """Whether nobody waits for an answer here."""
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        self._header_deadline = self.loop.call_later(HEADER_S, self._overdue)

    def _unwatch(self) -> None:
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None

    def _watch_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reading_deadline = self.loop.call_later(UNREAD_S, self._look_at_reader, unread)

    def _unwatch_reader(self) -> None:
        if self._reading_deadline is not None:
            self._reading_deadline.cancel()
            self._reading_deadline = None

    def _look_at_reader(self, unread: int) -> None:
        """Cut off who took less than the slowest of `unread` bytes."""
        if unread - self.transport.get_write_buffer_size() < UNREAD_S * _SLOWEST_BYTES_PER_S:
            self.transport.get_extra_info("socket").setsockopt(*_DROP_UNSENT)
            self._cut()
        else:
            self._watch_reader()

    def _overdue(self) -> None:
        self._header_deadline = None
        if self._silent:
            self._cut()

    def _cut(self) -> None:
        # At once, whatever is still to be sent: the descriptor is what is wanted back.
        self.connections.discard(self)
        _waiting_in(self.server_state).pop(self, None)
        self.transport.abort()


def _waiting_in(state: Any) -> dict[_Connection, None]:
    """The connections of one server in the order in which they came."""
    if not hasattr(state, "in_order"):
        state.in_order = {}
    in_order: dict[_Connection, None] = state.in_order
    return in_order
