"""The front meets a worker: a question, and an answer that a machine of the cluster signed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from errors import TamperedError
from pipeline.cluster.frames import Frame
from pipeline.cluster.identity import Authority
from pipeline.cluster.link import Link, LinkLost
from pipeline.cluster.talk import signed
from settings import VERSION

log = structlog.get_logger()

ANSWER_S = 60.0
"""Longest wait for a worker's answer: it may still read its models."""

_TICK_S = 0.25


@dataclass(frozen=True)
class Facts:
    """What a worker says of itself, and its machine's name."""

    machine: str
    base: str
    ways: tuple[str, ...]


@dataclass(frozen=True)
class Met:
    """public: an X25519 key, 32 bytes, whose other half is in that worker alone."""

    public: bytes
    facts: Facts


def meet(link: Link, authority: Authority, job: str, others: Callable[[Frame | None], None]) -> Met:
    """Ask a worker for a new key.

    job: that it will be for; empty before there is one. others: given frames that are no answer.

    Raises:
        LinkLost: it does not answer. TamperedError: no machine of this cluster signed the answer,
            or it is of another version.
    """
    challenge = os.urandom(32)
    link.send(Frame("hello", job, (challenge,)))
    until = time.monotonic() + ANSWER_S
    while (left := until - time.monotonic()) > 0:
        frame = link.receive(min(left, _TICK_S))
        if frame is None or frame.kind != "key" or frame.job != job:
            others(frame)
            continue
        if len(frame.parts) != 4:
            raise TamperedError
        public, facts, certificate, signature = frame.parts
        machine = authority.verify(certificate, signature, signed(challenge, public, facts))
        said = json.loads(facts)
        if said["version"] != VERSION:
            log.error("worker_of_another_version", version=str(said["version"])[:20])
            raise TamperedError
        return Met(public, Facts(machine, str(said["base"]), tuple(said["ways"])))
    raise LinkLost
