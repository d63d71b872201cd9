"""Stage 7: what the base model can do, in numbers and in sheets to look at.

    python -m tools.train_base.evaluate --work /work/train-base \
        [--parts autoencoder,styles,samples,people] [--people 6] [--samples 500]

Everything is measured on the held-out people, with OpenCV's own SFace, as the product does.
Writes `<work>/evaluation/report.json` (parts are merged into what is there) and PNG sheets.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.align import TEMPLATE_SIZE
from pipeline.backdrops import BACKDROPS, caption
from tools.train_base.autoencoder import load_autoencoder
from tools.train_base.checkpoint import step_rng
from tools.train_base.data import Portraits
from tools.train_base.denoiser import averaged
from tools.train_base.export import best_autoencoder
from tools.train_base.faces import SAME_PERSON, Faces
from tools.train_base.likeness import inner_crops, reconstruction_likeness
from tools.train_base.people import probe_woman, read_held_out, skin_third, split
from tools.train_base.personalise import SUBJECT, Recipe, adapt, eight_photos
from tools.train_base.restyle import person_at
from tools.train_base.sampling import Sampler, sheet


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


def wall_features(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What can be seen of the wall: mean and spread of both upper side strips, [12]."""
    size = picture.shape[0]
    strip, rows = int(size * 0.13), int(size * 0.55)
    wall = np.concatenate([picture[:rows, :strip], picture[:rows, -strip:]], axis=1) / 255.0
    upper, lower = wall[: rows // 2], wall[rows // 2 :]
    parts = [part.reshape(-1, 3) for part in (upper, lower)]
    return np.concatenate([f(p, axis=0) for p in parts for f in (np.mean, np.std)])


class WallClassifier:
    """Which backdrop a picture shows, by colour: nearest Gaussian over `wall_features`."""

    def __init__(self, per_backdrop: int = 60) -> None:
        self._words = list(BACKDROPS)
        groups = []
        for number, words in enumerate(self._words):
            rng = step_rng(99, number)
            walls = [BACKDROPS[words](rng, TEMPLATE_SIZE) * 255 for _ in range(per_backdrop)]
            groups.append(np.stack([wall_features(wall) for wall in walls]))
        self._means = np.stack([g.mean(0) for g in groups])
        # One shared spread: a denoiser's wall varies in its own ways, not in the painter's.
        self._spread = np.sqrt(np.mean([g.var(0) for g in groups], axis=0)) + 0.03

    def __call__(self, picture: NDArray[np.uint8]) -> str:
        distance = (((wall_features(picture) - self._means) / self._spread) ** 2).sum(1)
        return self._words[int(distance.argmin())]


class Evaluation:
    """One base model before its judges."""

    def __init__(self, work: Path, weights: Path) -> None:
        self.folder = work / "evaluation"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._weights = weights
        self._faces = Faces(weights)
        self._table = Portraits.load(work / "data" / "portraits.npz")
        self._training, self._judges = split(self._table, read_held_out())
        self._autoencoder = load_autoencoder(best_autoencoder(work))
        self._state = torch.load(work / "denoiser" / "last.pt", weights_only=True)

    def _save(self, name: str, picture: NDArray[np.uint8]) -> None:
        cv2.imwrite(str(self.folder / name), picture[:, :, ::-1])

    def _sampler(self, trainer=None) -> Sampler:
        base = trainer or averaged(self._state)
        return Sampler(base.unet, base.text, base.tokenizer, self._autoencoder, base.scale)

    def autoencoder(self) -> dict:
        """Likeness of reconstruction to original, over all judges and by skin third."""
        table = self._table.take(self._judges)
        scores, shown = reconstruction_likeness(self._autoencoder, table, self._weights)
        self._save("reconstruction.png", shown)
        third = skin_third(table)
        names = ("darkest", "middle", "lightest")
        report = {"all": quantiles(scores)}
        report.update({f"{n} third": quantiles(scores[third == i]) for i, n in enumerate(names)})
        return report

    def styles(self, per_backdrop: int = 4) -> dict:
        """Share of samples whose wall the classifier calls by its own words."""
        classifier = WallClassifier()
        words = [w for w in BACKDROPS for _ in range(per_backdrop)]
        pictures = self._sampler()([caption(backdrop=w) for w in words], seed=21)
        right = np.array([classifier(p) == w for p, w in zip(pictures, words, strict=True)])
        self._save("styles.png", sheet(pictures, per_backdrop * 4))
        by_words = {w: float(right[np.array(words) == w].mean()) for w in BACKDROPS}
        return {"right": round(float(right.mean()), 3), "by_words": by_words}

    def samples(self, count: int) -> dict:
        """Unpersonalised samples: copies of training faces, and distance to held-out faces."""
        rng = step_rng(5, 0)
        prompts = [caption(backdrop=str(rng.choice(list(BACKDROPS)))) for _ in range(count)]
        pictures = self._sampler()(prompts, seed=31)
        self._save("samples.png", sheet(pictures[:64], 16))
        vectors = [self._faces.embedding(p) for p in pictures]
        found = np.stack([v for v in vectors if v is not None])
        nearest = (found @ self._table.embedding[self._training].T).max(axis=1)
        judges = self._table.embedding[self._judges]
        real = (judges @ self._table.embedding[self._training].T).max(axis=1)
        return {
            "count": count,
            "faces_found": round(len(found) / count, 3),
            "nearest_training_face": quantiles(nearest),
            "share_nearest_above_0.6": round(float((nearest > 0.6).mean()), 4),
            "nearest_training_face_of_judges": quantiles(real),
            "frechet_sface_to_judges": round(frechet(found, judges), 4),
        }

    def people(self, count: int, recipe: Recipe, per_person: int = 24) -> dict:
        """Adapters for held-out people: likeness of their portraits, before and after."""
        woman = probe_woman(self._table)
        order = self._spread_out(count)
        report: dict[str, dict] = {}
        rows, after_all, before_all = [], [], []
        for row in order:
            person = person_at(self._table, int(row), woman)
            photos = eight_photos(step_rng(17, int(row)), person)
            base = averaged(self._state)
            backdrops = [list(BACKDROPS)[i % len(BACKDROPS)] for i in range(per_person)]
            prompts = [caption(subject=SUBJECT, backdrop=b) for b in backdrops]
            before = self._likeness(row, self._sampler(base)(prompts[:8], seed=41))
            start = time.monotonic()
            adapt(base, self._autoencoder, photos, recipe)
            trained = time.monotonic() - start
            base.unet.eval()
            start = time.monotonic()
            made = self._sampler(base)(prompts, seed=41)
            after = self._likeness(row, made)
            report[str(self._table.name[row])] = {
                "before": round(float(np.median(before)), 3),
                "after": quantiles(after),
                "share_same_person": round(float((after > SAME_PERSON).mean()), 3),
                "train_s": round(trained),
                "sample_s": round(time.monotonic() - start),
            }
            print(self._table.name[row], report[str(self._table.name[row])], flush=True)
            rows.append(np.stack([inner_crops(self._table.take(np.array([row])))[0], *made[:11]]))
            after_all.append(after)
            before_all.append(before)
            self._save("people.png", sheet(np.concatenate(rows), 12))
        after, before = np.concatenate(after_all), np.concatenate(before_all)
        return {
            "people": report,
            "before_median": round(float(np.median(before)), 3),
            "after_median": round(float(np.median(after)), 3),
            "share_same_person": round(float((after > SAME_PERSON).mean()), 3),
        }

    def _likeness(self, row: int, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        wanted = self._table.embedding[row]
        vectors = [self._faces.embedding(p) for p in pictures]
        return np.array([0.0 if v is None else float(v @ wanted) for v in vectors])

    def _spread_out(self, count: int) -> NDArray[np.intp]:
        """Judges in an order that takes women and men and all skin tones in turn."""
        woman = probe_woman(self._table)[self._judges] > 0.5
        by_skin = np.argsort(self._table.ita[self._judges])
        women = [i for i in by_skin if woman[i]]
        men = [i for i in by_skin if not woman[i]]
        half = (count + 1) // 2
        picked = [
            group[int(place)]
            for group in (women, men)
            for place in np.linspace(0, len(group) - 1, half)
        ]
        return self._judges[picked][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--parts", default="autoencoder,styles,samples,people")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    evaluation = Evaluation(args.work, args.work / "weights")
    path = evaluation.folder / "report.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    parts = {
        "autoencoder": evaluation.autoencoder,
        "styles": evaluation.styles,
        "samples": lambda: evaluation.samples(args.samples),
        "people": lambda: evaluation.people(args.people, Recipe()),
    }
    for name in args.parts.split(","):
        report[name] = parts[name]()
        path.write_text(json.dumps(report, indent=1))
        print(name, json.dumps(report[name]), flush=True)


if __name__ == "__main__":
    main()
