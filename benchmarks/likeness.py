"""Are the portraits the person?  Share and median likeness, with the adapter beside without it.

People held out of the base's training, where their portraits lie beside the repository (see
`train_base/heldout.txt`; the portraits are not part of it); else the people of
tests/samples, whom the base itself dreamt up, which is easier.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import settings as configuration
from benchmarks.measure import Measurement
from pipeline.bases.loading import load_base
from pipeline.portraits.style import load_styles
from train_base.judges import HeldOut, Judge, Judged, Likeness, portrait_of
from train_base.people import read_held_out

PEOPLE = 3
PORTRAITS = 26


def likeness_embedded() -> dict[str, Measurement]:
    """Each person learns from eight pictures made of one portrait."""
    chosen = configuration.load()
    judge = Judge(load_base(chosen.base_folder), chosen.models / "faces")
    styles = list(load_styles(chosen.styles).values())
    judged: list[Judged] = []
    for portrait in people():
        judged.append(judge.judged(HeldOut(portrait), styles, count=PORTRAITS))
        print(f"{portrait.stem}: {judged[-1].numbers()}", file=sys.stderr, flush=True)
    before = Likeness.of(np.concatenate([one.before for one in judged]))
    after = Likeness.of(np.concatenate([one.after for one in judged]))
    return {
        "likeness_embedded_share": Measurement(
            after.share, "share of portraits", ">= 0.80", before.share
        ),
        "likeness_embedded_median": Measurement(
            after.median, "cosine, beside no adapter", ">= 0.50", before.median
        ),
    }


def people() -> list[Path]:
    """Portraits of held-out people, spread over the list, or those of tests/samples."""
    shared = configuration.ROOT.parent / "shared"
    files = [portrait_of(name, shared) for name, _ in read_held_out()]
    found = [file for file in files if file.is_file()]
    if not found:
        return sorted((configuration.ROOT / "tests" / "samples").glob("*.jpg"))
    return found[:: len(found) // PEOPLE][:PEOPLE]
