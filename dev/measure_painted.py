"""Measure how much painted portraits are the person: `python -m dev.measure_painted PEOPLE`.

PEOPLE holds a folder of photos for each person. The last photo by name is held out of everything
and measures: likeness is the cosine of SFace embeddings to it. The rest learn, once all of them
(`train_all`), once with the choice among adapters (`pipeline/trials.py`). Prints a Markdown table,
and the medians over all people. Takes two trainings a person; nothing is written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import settings as configuration
from pipeline.assembly import Assembly, open_assembly
from pipeline.bases.folder import sees_pictures
from pipeline.job import JobRun
from pipeline.orders import Order
from pipeline.photos.detection import SAME_PERSON
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.judge import Judge
from pipeline.portraits.references import shown
from pipeline.portraits.starts import Starts
from pipeline.training import train as training
from pipeline.training.train import Personalisation, recipe_for
from pipeline.trials import ENOUGH, split, trials
from privacy.keys import MasterKey
from privacy.log import configure as configure_log


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


def measure(assembly: Assembly, folder: Path, enough: int, count: int) -> Row | None:
    """Learn and paint one person twice; None of one with fewer than two good photos.

    The photos are erased with their session.
    """
    services = assembly.services
    session, _ = services.sessions.create()
    try:
        for file in sorted(folder.glob("*.jp*g")):
            services.album.add(session, file.read_bytes(), file.name)
        good = services.album.training_photos(session)
        if len(good) < 2:
            print(f"{folder.name} has fewer than two good photos.", file=sys.stderr)
            return None
        *photos, last = good
        base = services.load_base(lambda: False)
        recipe = recipe_for(base, len(photos))
        job = JobRun(session, Order((), count), services, lambda _: None, lambda: False)
        judge = Judge(services.faces, services.mesh, [last])
        segment = services.segmenter.matte
        shots = plan(list(services.styles.values()), count, seed=7)
        shots = Starts(photos, segment).given(shots)
        if sees_pictures(base.folder):
            shots = shown(shots, photos)

        def learnt(held_out: list[TrainingPhoto], others: list[TrainingPhoto]) -> Likeness:
            choosing = trials(job, base, others, held_out)
            person = Personalisation(others, segment, recipe, training.SEED, trials=choosing)
            adapter = training.train(base, person, report=lambda _: None, stop=lambda: False)
            with closing(generate(base, adapter, shots, stop=lambda: False)) as making:
                judged = [judge.judged("", shot, image).record.likeness for shot, image in making]
            return Likeness.of([score for score in judged if score is not None])

        train_all = learnt([], photos)
        others, held_out = split(photos, enough)
        chosen = learnt(held_out, others) if held_out else train_all
        step = job.result.choice.get("steps")
        return Row(folder.name, len(photos), train_all, chosen, step, recipe.steps)
    finally:
        services.sessions.erase(session.id, "user")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("people", type=Path, help="a folder with a folder of photos per person")
    parser.add_argument("--count", type=int, default=12, help="portraits of each adapter (12)")
    parser.add_argument(
        "--enough", type=int, default=ENOUGH, help=f"photos of which one is held out ({ENOUGH})"
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
        rows = [measure(assembly, folder, chosen.enough, chosen.count) for folder in folders]
    if measured := [row for row in rows if row is not None]:
        print("\n".join(table(measured)))


if __name__ == "__main__":
    main()
