"""Stage 6: what a base can do, in numbers and in sheets to look at.

    python -m train_base.evaluate --work /work/train-base --base models/studio-mini \
        [--parts autoencoder,samples,people] [--people 20] [--samples 500]

Judged is the exported folder, as the product loads it, on people held out of training, with the
product's own training, generation and likeness.  Writes `<work>/evaluation/<base>/report.json`
(parts are merged into what is there) and PNG sheets.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import settings as configuration
from pipeline.bases.loading import load_base
from pipeline.compositing.backdrops import BACKDROPS
from pipeline.photos.detection import SAME_PERSON
from pipeline.portraits.generate import Shot, generate
from pipeline.portraits.style import Style, load_styles
from train_base.checkpoint import step_rng
from train_base.data import Portraits
from train_base.judges import HeldOut, Judge, Likeness, embedding, never, portrait_of
from train_base.likeness import inner_crops
from train_base.people import probe_woman, read_held_out, skin_third, split
from train_base.sampling import sheet
from train_base.walls import WallClassifier

Picture = NDArray[np.uint8]


def quantiles(values: NDArray[np.floating]) -> dict[str, float]:
    """Median, tenth and ninetieth percentile."""
    shares = {"p10": 0.1, "median": 0.5, "p90": 0.9}
    return {name: round(float(np.quantile(values, share)), 3) for name, share in shares.items()}


def frechet(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Frechet distance between Gaussians fitted to two sets of vectors [n, d], [m, d].

    |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)); with fewer vectors than dimensions it is
    biased upwards, so compare only runs with the same counts.
    """
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ b @ root), 0, None)).sum()
    gap = first.mean(0) - second.mean(0)
    return float(gap @ gap + np.trace(a) + np.trace(b) - 2 * cross)


class Evaluation:
    """One base before its judges."""

    def __init__(self, work: Path, base: Path, portraits: Path) -> None:
        self.folder = work / "evaluation" / base.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._portraits = portraits
        self._base = load_base(base)
        self._judge = Judge(self._base, configuration.load().models / "faces")
        self._styles = load_styles(configuration.load().styles)
        self._table = Portraits.load(work / "data" / "portraits.npz")
        self._training, self._judges = split(self._table, read_held_out())

    def autoencoder(self) -> dict[str, object]:
        """Likeness of reconstruction to original, over all judges and by skin third."""
        table = self._table.take(self._judges)
        crops = inner_crops(table)
        made = [self._base.decode(self._base.encode_images(crop[None]))[0] for crop in crops]
        pairs = [
            (embedding(self._judge.faces, crop), embedding(self._judge.faces, other))
            for crop, other in zip(crops, made, strict=True)
        ]
        scores = np.array([0.0 if a is None or b is None else float(a @ b) for a, b in pairs])
        columns = np.concatenate([crops[:12], np.stack(made[:12])])
        self._save("reconstruction", sheet(columns, 12))
        return {"all": quantiles(scores), **self._by_skin(scores, skin_third(table))}

    def samples(self, count: int) -> dict[str, float]:
        """People who do not exist: copies of training faces, and distance to held-out faces."""
        rng = step_rng(5, 0)
        shots = []
        for index in range(count):
            words = f"photo of {{subject}}, {rng.choice(list(BACKDROPS)[:12])}"
            shots.append(Shot(index, Style("any", "Any", "-", "work", words), seed=31_000 + index))
        pictures = [self._small(p) for _, p in generate(self._base, None, shots, stop=never)]
        self._save("samples", sheet(np.stack(pictures[:64]), 16))
        vectors = [embedding(self._judge.faces, picture) for picture in pictures]
        found = np.stack([vector for vector in vectors if vector is not None])
        training = self._table.embedding[self._training].T
        judges = self._table.embedding[self._judges]
        nearest = (found @ training).max(axis=1)
        self._save_copies(found, pictures, vectors)
        return {
            "count": count,
            "faces_found": round(len(found) / count, 3),
            "nearest_training_face": quantiles(nearest)["median"],
            "share_nearest_above_0.6": round(float((nearest > 0.6).mean()), 4),
            "nearest_training_face_of_judges": quantiles((judges @ training).max(axis=1))["median"],
            "frechet_sface_to_judges": round(frechet(found, judges), 4),
        }

    def people(self, count: int, rounds: int = 2, whole: int = 6) -> dict[str, object]:
        """Adapters for held-out people: likeness and walls of their portraits.

        rounds: portraits per look.  The first `whole` people get 100 portraits and a sheet of
        their own, to look for broken ones.
        """
        styles = list(self._styles.values())
        classify = WallClassifier(styles)
        thirds = skin_third(self._table.take(self._judges))
        third_of = dict(zip(self._judges.tolist(), thirds.tolist(), strict=True))
        seconds = dict(read_held_out())
        people: dict[str, dict[str, object]] = {}
        rows: list[Picture] = []
        after, before, skin, right = [], [], [], []
        for place, row in enumerate(self._spread_out(count)):
            name = str(self._table.name[row])
            other = seconds.get(name, "-")
            second = None if other == "-" else portrait_of(other, self._portraits)
            who = HeldOut(portrait_of(name, self._portraits), second)
            wanted = 100 if place < whole else rounds * len(styles)
            result = self._judge.judged(who, styles, count=wanted)
            walls = [
                classify(p, self._judge.segment(p)) == classify.wall_of(s)
                for s, p in result.portraits
            ]
            people[name] = {
                **result.numbers(),
                "walls_right": round(float(np.mean(walls)), 3),
                "skin_third": third_of[int(row)],
            }
            print(name, json.dumps(people[name]), flush=True)
            shown = [result.photos[0], *(p for _, p in result.portraits[: len(styles)])]
            rows += [self._small(picture) for picture in shown]
            self._save("people", sheet(np.stack(rows), len(styles) + 1))
            if place < whole:
                hundred = [self._small(picture) for _, picture in result.portraits]
                self._save(f"person-{place + 1}", sheet(np.stack(hundred), len(styles)))
            # Everybody counts alike in the totals.
            after.append(result.after[: rounds * len(styles)])
            before.append(result.before)
            skin += [third_of[int(row)]] * len(after[-1])
            right += walls[: len(after[-1])]
        made, chance = np.concatenate(after), np.concatenate(before)
        return {
            "people": people,
            "before": Likeness.of(chance).as_dict(),
            "after": Likeness.of(made).as_dict(),
            "walls_right": round(float(np.mean(right)), 3),
            **self._by_skin(made, np.array(skin)),
        }

    def _by_skin(self, scores: NDArray[np.floating], third: NDArray[np.integer]) -> dict:
        names = ("darkest third", "middle third", "lightest third")
        return {
            name: {**quantiles(part), "share": round(float((part > SAME_PERSON).mean()), 3)}
            for i, name in enumerate(names)
            if len(part := scores[third == i])
        }

    def _save(self, name: str, picture: Picture) -> None:
        cv2.imwrite(str(self.folder / f"{name}.png"), picture[:, :, ::-1])

    def _save_copies(
        self, found: NDArray[np.floating], pictures: list[Picture], vectors: list
    ) -> None:
        """The samples nearest to a training face, each above that face: to look at."""
        shown = [p for p, v in zip(pictures, vectors, strict=True) if v is not None]
        likeness = found @ self._table.embedding[self._training].T
        worst = np.argsort(-likeness.max(axis=1))[:10]
        nearest = self._table.take(self._training[likeness[worst].argmax(axis=1)])
        pairs = [*(shown[i] for i in worst), *inner_crops(nearest)]
        self._save("nearest", sheet(np.stack(pairs), len(worst)))

    def _small(self, picture: Picture) -> Picture:
        side = self._base.resolution
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)

    def _spread_out(self, count: int) -> NDArray[np.intp]:
        """Judges, women and men and all skin tones in turn; those with a second photo first."""
        woman = probe_woman(self._table)[self._judges] > 0.5
        by_skin = np.argsort(self._table.ita[self._judges])
        groups = ([i for i in by_skin if woman[i]], [i for i in by_skin if not woman[i]])
        half = (count + 1) // 2
        picked = [
            int(group[int(place)])
            for pair in zip(*(_places(group, half) for group in groups), strict=True)
            for group, place in zip(groups, pair, strict=True)
        ]
        return self._judges[picked][:count]


def _places(group: list, count: int) -> list[int]:
    """`count` places spread over a group, in an order whose every beginning is spread out too."""
    places = np.linspace(0, len(group) - 1, min(count, len(group))).astype(int)
    step = next(s for s in (7, 5, 3, 1) if np.gcd(s, len(places)) == 1)
    return [int(places[i * step % len(places)]) for i in range(len(places))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--base", type=Path, default=configuration.load().base_folder)
    parser.add_argument("--portraits", type=Path, default=configuration.ROOT.parent / "shared")
    parser.add_argument("--parts", default="autoencoder,samples,people")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--samples", type=int, default=500)
    args = parser.parse_args()
    evaluation = Evaluation(args.work, args.base, args.portraits)
    path = evaluation.folder / "report.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    parts = {
        "autoencoder": evaluation.autoencoder,
        "samples": lambda: evaluation.samples(args.samples),
        "people": lambda: evaluation.people(args.people),
    }
    for name in args.parts.split(","):
        report[name] = parts[name]()
        path.write_text(json.dumps(report, indent=1))
        print(name, json.dumps(report[name]), flush=True)


if __name__ == "__main__":
    main()
