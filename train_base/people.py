"""Who is held out, who is shown how often, and the labels that can be computed.

Nothing here is certain about a person: "woman" and "man" come from the public record where it
names the member and else from a linear probe on SFace vectors, and skin tone is an angle
measured on the cheeks under whatever light there was.  They serve to balance the sampling and
to report likeness by group, and for nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train_base.data import Portraits

HELD_OUT_FILE = Path(__file__).with_name("heldout.txt")
HELD_OUT_COUNT = 60

LAST_SEEN_PORTRAIT = "portraits/W000799"
"""The weights that training goes on from had seen all portraits up to this one (by
name).  A judge must be unknown to them as well, so only later portraits and people of the other
folder who look like none of the seen ones can be judges."""

SAME_FACE = 0.45
"""Cosine above which a picture counts as the same person when judges are paired with their
second photo and when look-alikes are kept out of training.  Stricter than SFace's 0.363, which
at 60 x 5,000 comparisons would drop hundreds of strangers."""


PAIR_FACE = 0.55
"""Cosine from which the second photo of a judge is taken on trust; nothing else names it."""


def probe_woman(table: Portraits, ridge: float = 1.0) -> NDArray[np.float32]:
    """Chance in 0..1 that a picture shows a woman: ridge logistic regression on embeddings.

    Fitted on rows whose gender the public record gives; those rows get their record (0 or 1).
    Returns float [n].  With one label missing altogether, 0.5 for everyone.
    """
    labelled = table.gender != ""
    target = (table.gender[labelled] == "F").astype(np.float64)
    if len(set(target)) < 2:
        return np.full(len(table.name), 0.5, np.float32)
    x = _with_bias(table.embedding)
    weights = _logistic(x[labelled], target, ridge)
    chance = 1 / (1 + np.exp(-(x @ weights)))
    chance[labelled] = target
    return chance.astype(np.float32)


def probe_accuracy(table: Portraits, folds: int = 5, ridge: float = 1.0) -> float:
    """Cross-validated share of labelled rows that `probe_woman` would get right."""
    rows = np.flatnonzero(table.gender != "")
    x, target = _with_bias(table.embedding[rows]), table.gender[rows] == "F"
    right = 0
    for fold in range(folds):
        test = np.arange(len(rows)) % folds == fold
        weights = _logistic(x[~test], target[~test].astype(np.float64), ridge)
        right += int(((x[test] @ weights > 0) == target[test]).sum())
    return right / max(1, len(rows))


def _with_bias(embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    scaled = embedding.astype(np.float64) * np.sqrt(embedding.shape[1])
    return np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)


def _logistic(
    x: NDArray[np.float64], target: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    """Newton's method for logistic regression with an L2 penalty; x [n, d], target [n] 0/1."""
    weights = np.zeros(x.shape[1])
    for _ in range(20):
        chance = 1 / (1 + np.exp(-(x @ weights)))
        slope = x.T @ (target - chance) - ridge * weights
        bend = (x * (chance * (1 - chance))[:, None]).T @ x + ridge * np.eye(x.shape[1])
        weights += np.linalg.solve(bend, slope)
    return weights


def skin_third(table: Portraits) -> NDArray[np.int64]:
    """0 darkest, 1 middle, 2 lightest third by cheek angle among the colour pictures given."""
    low, high = np.quantile(table.ita[table.in_colour], [1 / 3, 2 / 3])
    return np.digitize(table.ita, [low, high])


def choose_held_out(table: Portraits, seed: int = 0) -> list[tuple[str, str]]:
    """60 judges as (portrait, second photo or "-"), spread over sex and skin.

    Sharp colour pictures of people whom the weights that training goes on from had not seen.
    Everybody of the better folder who qualifies is taken (they may have a second photo of another
    day in the other folder); then strata of sex x skin sixth take turns.
    """
    rng = np.random.default_rng(seed)
    better = np.char.startswith(table.name, "portraits/")
    seen = better & (table.name <= LAST_SEEN_PORTRAIT)
    known = (table.embedding @ table.embedding[seen].T).max(axis=1, initial=0) >= SAME_FACE
    modern = table.in_colour & (table.congress >= 100)
    good = modern & (table.eyes > 30) & (table.score > 0.85) & ~known
    woman = probe_woman(table) > 0.5
    sixth = np.digitize(table.ita, np.quantile(table.ita[good], np.arange(1, 6) / 6))
    chosen: list[tuple[str, str]] = []
    taken: list[int] = []
    strata: dict[tuple[bool, int], list[int]] = {}
    other = np.flatnonzero(~better & table.in_colour)
    for row in rng.permutation(np.flatnonzero(good)):
        if better[row]:
            second = "-"
            if len(other):
                likeness = table.embedding[other] @ table.embedding[row]
                if likeness.max() > PAIR_FACE:
                    second = str(table.name[other[int(likeness.argmax())]])
                    taken.append(int(other[int(likeness.argmax())]))
            chosen.append((str(table.name[row]), second))
            taken.append(int(row))
        else:
            strata.setdefault((bool(woman[row]), int(sixth[row])), []).append(int(row))
    counts = dict.fromkeys(strata, 0)
    for row in taken:
        key = (bool(woman[row]), int(sixth[row]))
        counts[key] = counts.get(key, 0) + 1
    while len(chosen) < HELD_OUT_COUNT and any(strata.values()):
        key = min((k for k in strata if strata[k]), key=lambda k: (counts[k], k))
        row = strata[key].pop(0)
        if taken and (table.embedding[taken] @ table.embedding[row]).max() > SAME_FACE:
            continue
        counts[key] += 1
        taken.append(row)
        chosen.append((str(table.name[row]), "-"))
    return sorted(chosen)


def read_held_out(path: Path = HELD_OUT_FILE) -> list[tuple[str, str]]:
    """The committed list: (portrait, second photo or "-")."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(line[0], line[1]) for line in lines if line and not line[0].startswith("#")]


def split(
    table: Portraits, held_out: list[tuple[str, str]]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(training rows, held-out rows).  A look-alike of any judge's photo is in neither."""
    first = [name for name, _ in held_out]
    rows = {str(name): row for row, name in enumerate(table.name)}
    judges = np.array([rows[name] for name in first if name in rows], dtype=np.intp)
    seconds = [rows[name] for _, name in held_out if name in rows]
    photos = np.concatenate([judges, np.array(seconds, dtype=np.intp)])
    if len(photos) == 0:
        return np.arange(len(table.name)), judges
    likeness = table.embedding @ table.embedding[photos].T
    return np.flatnonzero(likeness.max(axis=1) < SAME_FACE), judges


def sampling_weights(table: Portraits, colour_share: float = 0.72) -> NDArray[np.float64]:
    """Chance of each row per draw, float [n], sums to 1.

    Colour pictures get `colour_share` of the draws.  In each kind women get four draws in ten
    (they are one picture in six), the darker the cheeks the more draws (the sharpest imbalance
    of the data), and enlarged pictures fewer.
    """
    woman = probe_woman(table) > 0.5
    weights = np.clip(table.eyes / 38.0, 0.5, 1.0).astype(np.float64)
    weights[table.in_colour & (table.ita < 25)] *= 1.6
    weights[table.in_colour & (table.ita < 5)] *= 1.6
    weights[(table.born >= 1965)] *= 1.3
    for kind, share in ((table.in_colour, colour_share), (~table.in_colour, 1 - colour_share)):
        if not kind.any():
            continue
        for sex, part in ((woman, 0.4), (~woman, 0.6)):
            group = kind & sex
            if group.any():
                both = (kind & ~sex).any()
                weights[group] *= share * (part if both else 1.0) / weights[group].sum()
    return weights / weights.sum()
