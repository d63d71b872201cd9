"""Bases, cards and a workload that the tests of planning share."""

from __future__ import annotations

from dataclasses import replace

from pipeline.bases.plan import Plan
from pipeline.planning.calibration import Calibration
from pipeline.planning.cards import CARDS, UTILISATION, Card
from pipeline.planning.cost import Workload
from pipeline.planning.planning import Machine, choose, costed, ways
from tools.fetch_base import BASES
from tools.plan_tables import WORKLOAD, known

KNOWN = {facts.key: facts for facts in known(BASES)}


TFLOPS = 40.0
"""At its peak, of a machine of which a test says nothing else."""


def card(name: str) -> Card:
    return next(c for c in CARDS if c.name == name)


def machine(free: float, tflops: float = TFLOPS, measured: Calibration | None = None) -> Machine:
    return Machine(round(free), tflops * UTILISATION, measured or Calibration())


def planned(key: str, free: float, tflops: float = TFLOPS, workload: Workload = WORKLOAD) -> Plan:
    return choose(KNOWN[key], workload, machine(free, tflops))


def way(key: str, resolution: int, **chosen: object) -> Plan:
    """A plan of a base that learns and paints at one size, in a certain way; the cost with it."""
    asked = machine(0, card("RTX 5090").tflops)
    draft = replace(ways(KNOWN[key], WORKLOAD, asked)[0], **chosen)  # type: ignore[arg-type]
    draft = replace(draft, resolution=resolution, train_resolution=resolution)
    return costed(draft, KNOWN[key], WORKLOAD, asked)
