"""The network: a U-shaped stack of 3 x 3 convolutions, about a million numbers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

WIDTHS = (24, 40, 64, 96, 128)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""

INPUTS = 6
"""What `pipeline.compositing.refine.network_input` gives."""

TRUST = 6.0
"""Logits that a mask of 0 or 1 starts with (halved and signed): training begins at the mask."""


class Refiner(nn.Module):
    """float32 [N, 6, H, W] to alpha [N, 1, H, W], 0 to 1; H and W are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Conv2d(INPUTS, WIDTHS[0], 4, 2, 1, bias=False)
        self.first = nn.Sequential(
            first, nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(), _conv(WIDTHS[0], WIDTHS[0])
        )
        self.down = nn.ModuleList(
            nn.Sequential(_conv(a, b, 2), _conv(b, b)) for a, b in pairwise(WIDTHS)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(WIDTHS))
        self.join = nn.ModuleList(_conv(2 * a, a) for a in WIDTHS[:-1])
        self.last = nn.ConvTranspose2d(WIDTHS[0], 1, 4, 2, 1)
        nn.init.normal_(self.last.weight, std=0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = [self.first(x)]
        for step in self.down:
            kept.append(step(kept[-1]))
        y = kept[-1]
        for level in reversed(range(len(self.up))):
            y = self.join[level](torch.cat([torch.relu(self.up[level](y)), kept[level]], 1))
        return torch.sigmoid(self.last(y) + TRUST * x[:, 3:4])


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
