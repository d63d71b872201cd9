"""GPUs: what their makers say of those that are known; any other is measured."""

from __future__ import annotations

from typing import NamedTuple

GB = 1e9
CONTEXT = 0.6 * GB
"""What CUDA itself takes of a card; not in the memory that a job finds free."""

UTILISATION = 0.45
"""Share of a card's peak that training and painting are taken to reach: not measured, but published
times of the RTX 5090 and 4070 lie around it."""
HOPPER = 0.30
"""The same of an H200, measured: FLUX.2 klein and Z-Image, wherever operations decide."""


class Card(NamedTuple):
    """A GPU: memory in GB as it is sold, dense bfloat16 TFLOPS at its peak (maker's figures, with
    sums in float32), and the share of it that is reached."""

    name: str
    gigabytes: int
    tflops: float
    share: float = UTILISATION

    @property
    def free(self) -> int:
        """Bytes that a job finds free on it."""
        return round(self.gigabytes * 2**30 * 0.985 - CONTEXT)

    @property
    def reached(self) -> float:
        """TFLOPS of training and painting."""
        return self.tflops * self.share


CARDS = (
    Card("RTX 4060", 8, 30),
    Card("RTX 3060", 12, 26),
    Card("RTX 4070", 12, 58),
    Card("RTX 4080", 16, 97),
    Card("RTX 5080", 16, 113),
    Card("RTX 3090", 24, 71),
    Card("RTX 4090", 24, 165),
    Card("A10", 24, 125),
    Card("L4", 24, 121),
    Card("RTX 5090", 32, 210),
    Card("A6000", 48, 155),
    Card("L40S", 48, 362),
    Card("A100", 80, 312),
    Card("H100", 80, 989, HOPPER),
    Card("RTX PRO 6000", 96, 504),
    Card("H200", 141, 989, HOPPER),
)


def known(name: str) -> Card | None:
    """The card of the table with the longest name that is in the one that CUDA gives.

    None for one that is not there, or in a laptop, where the same name is a slower card.
    """
    words = set(name.upper().replace("-", " ").split())
    found = [card for card in CARDS if set(card.name.upper().split()) <= words]
    return max(found, key=lambda c: len(c.name), default=None) if "LAPTOP" not in words else None


def reached(name: str) -> float:
    """TFLOPS that jobs reach on this machine's GPU: of the table, or measured where it is not."""
    from pipeline.bases import device

    card = known(name)
    return device.product_tflops() * UTILISATION if card is None else card.reached
