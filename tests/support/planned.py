"""Bases, cards and a workload that the tests of planning share."""

from __future__ import annotations

from pipeline.bases.plan import Plan
from pipeline.planning.calibration import Calibration
from pipeline.planning.cost import CARDS, UTILISATION, Card, Machine, Workload
from pipeline.planning.search import candidates, plan
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
    return plan(KNOWN[key], workload, machine(free, tflops))


def way(key: str, **chosen: object) -> Plan:
    """The first plan of a base that runs in a certain way."""
    for found in candidates(KNOWN[key], WORKLOAD, machine(0, card("RTX 5090").tflops)):
        if all(getattr(found, name) == value for name, value in chosen.items()):
            return found
    raise AssertionError(f"{key} has no plan with {chosen}")
