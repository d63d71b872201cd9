"""Handing in: what a visitor gives goes when its time to be taken back is over, and is tried again
until it arrives or everything is erased.

Deliveries have a thread of their own, so that a receiver that hangs delays nobody: no page, no job
and no erasure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from errors import BadOrder, Busy
from privacy.hand_ins import HandIn, new_id
from privacy.sessions import Session, Sessions
from settings import Settings
from web.done import Done
from web.hand_in.config import Receiver, load
from web.hand_in.parcel import NotDelivered, Parcel, Picture

NAME_CHARS = 100

_RESERVE_S = 1800.0
"""Seconds before the erasure at which a hand-in goes at the latest: it can be tried again."""
_BACK_OFF_S, _MOST_BACK_OFF_S = 60.0, 1800.0
_LOOK_S = 5.0

log = structlog.get_logger()


class HandingIn:
    """What visitors give to the operator's receiver. Thread-safe."""

    def __init__(self, receiver: Receiver, sessions: Sessions, now: Callable[[], float]) -> None:
        """now: the sessions' clock, epoch seconds."""
        self.receiver = receiver
        self._channel = receiver.channel
        self._sessions, self._hand_ins, self._now = sessions, sessions.hand_ins, now
        self._ending = threading.Event()
        self._look = threading.Event()
        self._thread: threading.Thread | None = None

    def holds_s(self, session: Session) -> float:
        """How long a hand-in that is given now can surely be taken back, seconds.

        Raises:
            UnknownSession: overdue or erased.
        """
        left = self._sessions.deadline(session).erase_at - self._now()
        return max(0.0, min(self.receiver.hold_s, left - _RESERVE_S))

    def give(self, session: Session, pictures: Sequence[Picture], name: str) -> None:
        """Hand in portraits. name: what the visitor typed where they are asked.

        Raises:
            BadOrder: a name that is missing or cannot be, another one waits.
            UnknownSession: the session was erased. DiskFull: no room.
        """
        now, hold_s = self._now(), self.holds_s(session)
        parcel = Parcel(new_id(), now, self._name(name), pictures)
        packed = self._channel.pack(parcel)
        self._hand_ins.create(
            session, self._channel.name, len(pictures), now + hold_s, packed, parcel.id
        )
        if not hold_s:
            self._look.set()

    def take_back(self, session: Session, id_: str) -> bool:
        """Take a hand-in back; False if it is with the receiver already.

        Raises:
            UnknownSession: there is none. Busy: it is being sent at this moment.
        """
        before = self._hand_ins.take_back(session, id_)
        if before.state == "delivered":
            if self._channel.withdraw(id_):
                self._hand_ins.withdrawn(session, id_)
            else:  # fetched, or taken back by another tab at this moment
                states = {one.id: one.state for one in self._hand_ins.list(session)}
                return states.get(id_) == "withdrawn"
        elif before.tries:
            self._channel.withdraw(id_)  # a try that was cut off may have laid it down
        return True

    def take_all_back(self, session: Session) -> None:
        """Take back all that can be, before the session is erased. One that is being sent at this
        moment is not waited for: `deliver_due` takes it back."""
        for one in self._hand_ins.list(session):
            with suppress(Busy):
                self.take_back(session, one.id)

    def all_of(self, session: Session) -> list[HandIn]:
        """A session's hand-ins, oldest first."""
        return self._hand_ins.list(session)

    def can_be_taken_back(self, one: HandIn) -> bool:
        """Whether it waits, or lies ready and was not fetched yet."""
        laid = one.state == "delivered" and self._channel.lies_ready(one.id)
        return one.state == "waiting" or laid

    def counts(self) -> dict[str, int]:
        """How many wait, of these fail, and were delivered today: `HandIns.counts`."""
        return self._hand_ins.counts()

    def deliver_due(self) -> int:
        """Send what is due, one after the other; how many were tried."""
        tried = 0
        while not self._ending.is_set() and (claimed := self._hand_ins.claim()):
            tried += 1
            try:
                self._channel.send(claimed.id, claimed.packed)
            except Exception as problem:  # the edge of a delivery
                known = isinstance(problem, NotDelivered)
                wait_s = min(_MOST_BACK_OFF_S, _BACK_OFF_S * 2**claimed.tried)
                self._hand_ins.failed(claimed, self._now() + wait_s)
                log.warning(
                    "hand_in_not_delivered",
                    channel=self._channel.name,
                    why=str(problem) if known else type(problem).__name__,
                    hint="It is tried again until its session is erased; docs/hand-in.md.",
                )
            else:
                if not self._hand_ins.delivered(claimed):
                    self._channel.withdraw(claimed.id)
        return tried

    def start(self) -> None:
        """Deliver in a thread from now on."""
        self._thread = threading.Thread(target=self._work, name="hand-in", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, after a try that is under way; one that hangs is left behind and tried again at the
        next start."""
        self._ending.set()
        self._look.set()
        if self._thread is not None:
            self._thread.join(_LOOK_S)

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                self.deliver_due()
            except Exception as problem:  # the edge of a thread; the next round tries again
                log.error("hand_in_round_failed", error=type(problem).__name__)
                self._hand_ins.resume()
            self._look.wait(_LOOK_S)
            self._look.clear()

    def _name(self, typed: str) -> str:
        if not self.receiver.ask:
            return ""
        name = " ".join(typed.split())
        if not name:
            raise BadOrder("hand_in.name_missing")
        if len(name) > NAME_CHARS or not name.isprintable():
            raise BadOrder("hand_in.name_wrong", most=NAME_CHARS)
        return name


def open_desk(
    settings: Settings, sessions: Sessions, now: Callable[[], float]
) -> tuple[HandingIn | None, Done | None]:
    """Where portraits are given to, and where a portal wants visitors back, if anywhere.

    Raises:
        BadSettings: the file of `LIKENESS_HAND_IN` has a mistake.
    """
    receiver, done = load(settings)
    return HandingIn(receiver, sessions, now) if receiver else None, done
