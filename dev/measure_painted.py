"""Measure how much painted portraits are the person: `python -m dev.measure_painted PEOPLE`.

PEOPLE holds a folder of photos for each person. The last photo by name is held out of everything
and measures: likeness is the cosine of SFace embeddings to it. The rest learn, once all of them
(`train_all`), once with the choice among adapters (`pipeline/trials.py`). Prints a Markdown table,
and the medians over all people. Takes two trainings a person; nothing is written.

With `--paintings` they learn once, and are painted with different noise and weight of the adapter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import settings as configuration
from pipeline.assembly import Assembly, open_assembly
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.folder import sees_pictures
from pipeline.job import JobRun
from pipeline.orders import Order
from pipeline.photos.detection import SAME_PERSON
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot, generate, plan
from pipeline.portraits.judge import Judge
from pipeline.portraits.references import shown
from pipeline.portraits.starts import Starts
from pipeline.training import train as training
from pipeline.training.train import Personalisation, recipe_for
from pipeline.trials import ENOUGH, split, trials
from privacy.keys import MasterKey
from privacy.log import configure as configure_log

PAINTINGS = ((1.0, 1.0), (1.0, 1.25), (0.5, 1.25), (0.33, 1.25), (0.5, 1.5), (0.33, 1.5))
"""Noise and how much the adapter counts, see `Sampling`; the third is the built-in base's."""


@dataclass(frozen=True)
class Likeness:
    """Of one adapter's portraits, -1 to 1: median, share that is the same person, lowest."""

    median: float
    share: float
    lowest: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> Likeness:
        """Of the likeness of each portrait, -1 where there is no face."""
        share = float(np.mean([score > SAME_PERSON for score in scores]))
        return cls(float(np.median(scores)), share, min(scores))

    def __str__(self) -> str:
        return f"{self.median:.3f}, {self.share:.3f}, {self.lowest:.3f}"


@dataclass(frozen=True)
class Row:
    """One person. photos: that learn where all do. step: whose adapter was chosen, of `steps`;
    None with too few photos."""

    person: str
    photos: int
    train_all: Likeness
    chosen: Likeness
    step: int | None
    steps: int


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of a Markdown table; the last row has the median of each number."""
    yield "| person | photos | all train: median, share, lowest | with the choice | step used |"
    yield "|---|---|---|---|---|"
    for row in rows:
        step = "no choice" if row.step is None else f"{row.step} of {row.steps}"
        yield f"| {row.person} | {row.photos} | {row.train_all} | {row.chosen} | {step} |"
    both = (middle([row.train_all for row in rows]), middle([row.chosen for row in rows]))
    yield f"| median | | {both[0]} | {both[1]} | |"


def middle(people: Sequence[Likeness]) -> Likeness:
    """The median of each number over people."""
    numbers = np.median([(one.median, one.share, one.lowest) for one in people], axis=0)
    return Likeness(*map(float, numbers))


@dataclass(frozen=True)
class _Person:
    """One person, loaded. photos: that may learn; `judge` knows the one that is held out."""

    job: JobRun
    base: Base
    photos: list[TrainingPhoto]
    judge: Judge
    shots: list[Shot]

    def learnt(self, photos: list[TrainingPhoto], held_out: Sequence[TrainingPhoto] = ()) -> bytes:
        """An adapter; one of several where photos are held out for a choice."""
        tools, recipe = self.job.services, recipe_for(self.base, len(self.photos))
        choosing = trials(self.job, self.base, photos, list(held_out))
        person = Personalisation(
            photos, tools.segmenter.matte, recipe, training.SEED, trials=choosing
        )
        return training.train(self.base, person, report=lambda _: None, stop=lambda: False)

    def painted(self, adapter: bytes, sampling: Sampling | None = None) -> Likeness:
        """Of its portraits."""
        painting = generate(self.base, adapter, self.shots, stop=lambda: False, sampling=sampling)
        with closing(painting):
            judged = [self.judge.judged("", shot, image).record for shot, image in painting]
        return Likeness.of([one.likeness for one in judged if one.likeness is not None])


@contextmanager
def person(assembly: Assembly, folder: Path, count: int) -> Iterator[_Person | None]:
    """A person's photos in a session, erased with the block; None with fewer than two good ones."""
    services = assembly.services
    session, _ = services.sessions.create()
    try:
        for file in sorted(folder.glob("*.jp*g")):
            services.album.add(session, file.read_bytes(), file.name)
        good = services.album.training_photos(session)
        if len(good) < 2:
            print(f"{folder.name} has fewer than two good photos.", file=sys.stderr)
            yield None
            return
        *photos, last = good
        base = services.load_base(lambda: False)
        job = JobRun(session, Order((), count), services, lambda _: None, lambda: False)
        shots = plan(list(services.styles.values()), count, seed=7)
        shots = Starts(photos, services.segmenter.matte).given(shots)
        if sees_pictures(base.folder):
            shots = shown(shots, photos)
        yield _Person(job, base, photos, Judge(services.faces, services.mesh, [last]), shots)
    finally:
        services.sessions.erase(session.id, "user")


def choice(one: _Person, name: str, enough: int) -> Row:
    """Learn and paint twice, without the choice and with it."""
    train_all = one.painted(one.learnt(one.photos))
    others, held_out = split(one.photos, enough)
    chosen = one.painted(one.learnt(others, held_out)) if held_out else train_all
    step, steps = one.job.result.choice.get("steps"), recipe_for(one.base, len(one.photos)).steps
    return Row(name, len(one.photos), train_all, chosen, step, steps)


def paintings(one: _Person) -> list[Likeness]:
    """Learn once, and paint in each of `PAINTINGS`."""
    adapter, usual = one.learnt(one.photos), one.base.sampling
    return [
        one.painted(adapter, replace(usual, noise=noise, adapter=strength))
        for noise, strength in PAINTINGS
    ]


def paintings_table(rows: Mapping[str, Sequence[Likeness]]) -> Iterator[str]:
    """The lines of a Markdown table: a row for each person, a column for each of `PAINTINGS`."""
    yield " | ".join(["| person", *(f"noise {n}, adapter {a}" for n, a in PAINTINGS)]) + " |"
    yield "|---" * (len(PAINTINGS) + 1) + "|"
    for name, row in (
        *rows.items(),
        ("median", list(map(middle, zip(*rows.values(), strict=True)))),
    ):
        yield " | ".join([f"| {name}", *map(str, row)]) + " |"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("people", type=Path, help="a folder with a folder of photos per person")
    parser.add_argument("--count", type=int, default=12, help="portraits of each adapter (12)")
    parser.add_argument(
        "--enough", type=int, default=ENOUGH, help=f"photos of which one is held out ({ENOUGH})"
    )
    parser.add_argument(
        "--paintings", action="store_true", help="learn once, and paint in several ways instead"
    )
    chosen = parser.parse_args()
    folders = sorted(chosen.people.glob("*/"))
    if not folders:
        parser.error(f"{chosen.people} has no folder in it. It takes one for each person.")
    configure_log("error")
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_assembly(
            configuration.load(), scratch=Path(scratch) / "scratch", master_key=MasterKey.ram()
        ) as assembly,
    ):
        rows, painted = list[Row](), dict[str, list[Likeness]]()
        for folder in folders:
            with person(assembly, folder, chosen.count) as one:
                if one is not None and chosen.paintings:
                    painted[folder.name] = paintings(one)
                elif one is not None:
                    rows.append(choice(one, folder.name, chosen.enough))
    if painted:
        print("\n".join(paintings_table(painted)))
    elif rows:
        print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
