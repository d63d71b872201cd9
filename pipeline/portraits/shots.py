"""Which photo, which look, which frame, which side the light comes from: the plan of the photo way.

Knows merits and looks only: no pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pipeline.portraits.style import Style

DISTANCES = ("head_and_shoulders", "face", "half_body")
"""Camera distances in the order in which they are used."""

WORTH = 0.7
"""Photos whose merit is below this share of the best one's are left out, so that one bad photo does
not become many bad portraits."""


@dataclass(frozen=True)
class PhotoShot:
    """One portrait to be composed.

    index: from 0 in the order of making. photo: index into the photos that were given. distance:
    of `DISTANCES`. mirrored: the look's light comes from its other side. seed: of the wall. turn:
    how many of the look come before it.
    """

    index: int
    style: Style
    photo: int
    distance: str
    mirrored: bool
    seed: int
    turn: int = 0


def plan_photo_shots(
    styles: Sequence[Style], merits: Sequence[float], count: int, seed: int
) -> list[PhotoShot]:
    """`count` shots that go round the looks, each time with another photo, frame or light.

    merits: of the photos, larger is better; at least one. The same arguments give the same shots.
    Within a look no combination repeats before all have been used.
    """
    order = [int(i) for i in np.argsort([-merit for merit in merits], kind="stable")]
    best = merits[order[0]]
    good = [i for i in order if merits[i] >= WORTH * best] or order[:1]
    # Photo, frame and light change together: neighbours in a look differ most.
    rounds = [
        (photo, DISTANCES[(photo + step) % len(DISTANCES)], (photo + step + half) % 2 == 1)
        for half, step, photo in product(range(2), range(len(DISTANCES)), range(len(good)))
    ]
    if any(style.photo and style.photo.alike for style in styles):  # then only the photo changes
        rounds = [(photo, DISTANCES[0], False) for photo in range(len(good))]
    shots = []
    for index in range(count):
        place, turn = index % len(styles), index // len(styles)
        photo, distance, mirrored = rounds[turn % len(rounds)]
        style = styles[place]
        origin = seed if style.seed is None else style.seed
        state = np.random.SeedSequence((origin, turn // len(rounds), *style.key.encode()))
        shots.append(
            PhotoShot(
                index,
                style,
                good[(photo + place) % len(good)],
                distance,
                mirrored,
                int(state.generate_state(1)[0]),
                turn,
            )
        )
    return shots
