"""The same job without a browser: `python -m pipeline PHOTOS --out OUT`.

Photos go through the same checks, the same encrypted vault and the same erasure as a visitor's.
Only the finished portraits are written, to OUT. Exit codes: 0 done, 1 could not finish, 2 bad
input, 130 interrupted; everything of the run is erased in each case.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

import settings as configuration
from errors import BadOrder, BadSettings, LikenessError, OperatorError, Stopped
from pipeline import folders, job, memory, moving
from pipeline.assembly import Assembly, open_assembly
from pipeline.compositing.tone import TONES
from pipeline.orders import CLASS_WORDS, ORDERED_WAYS, Order, Progress, Report
from pipeline.portraits import archive, signing
from pipeline.portraits.export import Finish
from pipeline.portraits.score import rank
from pipeline.portraits.sheet import load_sheet
from pipeline.portraits.style import CROPS
from privacy.harden import harden
from privacy.keys import MasterKey
from privacy.log import configure as configure_log
from privacy.scratch import hold
from privacy.sessions import Session
from words import tell

SCRATCH_PREFIX = "run-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    chosen = build_parser().parse_args(arguments)
    code, result = attempt(chosen)
    if result is None:
        return code
    _say(result, chosen.out)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def attempt(chosen: argparse.Namespace) -> tuple[int, dict[str, Any] | None]:
    """`headshots` as a command runs it: hardened, stopped by signals, errors as sentences.

    Returns:
        The exit code, and the numbers if it is 0.
    """
    configure_log("error")
    harden()
    memory.keep()
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: stopping.append(n))
    try:
        return 0, headshots(chosen, stop=lambda: bool(stopping))
    except Stopped as why:
        print(tell(why.message), "Everything of this run has been erased.", file=sys.stderr)
        return 130, None
    except (BadOrder, OperatorError) as why:
        print(tell(why.for_operator), file=sys.stderr)
        return 2, None
    except LikenessError as why:
        print(tell(why.message), file=sys.stderr)
        return 1, None
    except OSError as why:
        reason = why.strerror or "unknown reason"
        print(f"{chosen.out} cannot be written: {reason}.", file=sys.stderr)
        return 1, None


def headshots(chosen: argparse.Namespace, stop: Any) -> dict[str, Any]:
    """One whole run; the returned numbers are what `--json` writes.

    Raises:
        LikenessError: one sentence about what could not be done. OSError: OUT cannot be written.
    """
    started = time.monotonic()
    files = folders.photo_files(chosen.photos)
    folders.require_empty(chosen.out)
    with _own_assembly() as assembly:
        services, settings = assembly.services, assembly.settings
        signs = signing.load(settings.c2pa_key, settings.c2pa_chain, settings.c2pa_sign)
        how = Finish(signer=signs())
        order = Order(
            tuple(chosen.styles),
            chosen.count,
            chosen.seed,
            crop=chosen.crop,
            tone=chosen.tone,
            class_word=chosen.class_word,
            way=chosen.way or services.planning.default_way,
        )
        job.check(order, settings.min_photos, services)  # before minutes of work
        moving.check(chosen, order.ways, settings)
        session, _ = services.sessions.create()
        try:
            services.album.compare(session)  # whoever runs this asks for the numbers
            rejected = _ingest(assembly, session, files, stop)
            ingested = time.monotonic() - started
            with _bar() as show:
                report = job.run(session, order, services, report=show, stop=stop)
            records = rank(load_sheet(services.vault, session))
            for place, record in enumerate(records, start=1):
                target = chosen.out / archive.file_name(place, record)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.one(services.vault, session, record, how))
            films = moving.Films(services, session, settings, chosen, how, stop, tell)
            moved = films.write(records)
        finally:
            services.sessions.erase(session.id, "user")
        erased = not services.sessions.alive(session.id)
    told: dict[str, Any] = {
        "photos": {"accepted": len(files) - len(rejected), "rejected": rejected},
        "ways": list(report.ways),
        "seconds": {
            "ingest": round(ingested, 2),
            **report.seconds,
            "total": round(time.monotonic() - started, 2),
        },
        "erased": erased,
    }
    if chosen.moving:
        told["moving"] = moved
    if report.photo is not None:
        told["photo"] = {"seconds_cut_out": round(services.album.seconds_cut_out, 2)}
        told["photo"] |= asdict(report.photo)
    if report.dressed is not None:
        told["dressed"] = {"base": report.base} | asdict(report.dressed)
    return told | (_painted(report) if "painted" in report.ways else {})


def _painted(report: Report) -> dict[str, Any]:
    """The numbers of the painted way."""
    return {
        "base": report.base,
        "adapter": report.adapter,
        "choice": report.choice,
        "headshots": report.headshots,
        "likeness": report.likeness,
        "again": report.again,
        "planned": asdict(report.planned) if report.planned else None,
        "plan": asdict(report.plan) if report.plan else None,
        "seconds_per_step": report.seconds_per_step,
        "memory": report.memory,
        "steps_down": report.steps_down,
    }


@contextmanager
def _own_assembly() -> Iterator[Assembly]:
    """An assembly on a scratch folder of its own under SCRATCH, with a key that only RAM holds."""
    settings = configuration.load()
    settings.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    for stale in settings.scratch.glob(f"{SCRATCH_PREFIX}*"):
        # Left by a killed run: unreadable since its key is gone. One that is held still runs.
        with suppress(BadSettings), hold(stale):
            shutil.rmtree(stale, ignore_errors=True)
    with ExitStack() as closing:
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=settings.scratch))
        closing.callback(shutil.rmtree, scratch, ignore_errors=True)
        yield closing.enter_context(
            open_assembly(settings, scratch=scratch, master_key=MasterKey.ram())
        )


def _ingest(
    assembly: Assembly, session: Session, files: list[Path], stop: Any
) -> list[dict[str, str]]:
    """Check and keep the photos; returns those that cannot be used, with the reason."""
    album, most = assembly.services.album, assembly.settings.max_photo_mb * 1_000_000
    for file in tqdm(files, desc="Checking photos", unit="photo", disable=None):
        if stop():
            raise Stopped
        with file.open("rb") as opened:  # a film of gigabytes is refused by its first megabytes
            album.add(session, opened.read(most + 1), file.name)
        assembly.services.sessions.touch_first_photo(session)
    rejected = [
        {"file": tell(record.label), "reason": tell(record.verdict)}
        for record in album.records(session)
        if not record.accepted
    ]
    for photo in rejected:
        print(f"{photo['file']}: {photo['reason']}", file=sys.stderr)
    return rejected


@contextmanager
def _bar() -> Iterator[Any]:
    """A bar on a terminal: training steps first, then portraits."""
    bars: dict[str, tqdm[Any]] = {}

    def show(progress: Progress) -> None:
        now, total = (
            (progress.step, progress.steps)
            if progress.phase == "training"
            else (progress.made, progress.count)
        )
        if progress.phase not in bars and progress.phase in ("training", "generating"):
            words = {"training": "Learning your face", "generating": "Making portraits"}
            unit = {"training": "step", "generating": "portrait"}[progress.phase]
            bars[progress.phase] = tqdm(
                total=total, desc=words[progress.phase], unit=unit, disable=None
            )
        if bar := bars.get(progress.phase):
            bar.update(now - bar.n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def _say(result: dict[str, Any], out: Path) -> None:
    parts = [result, result.get("photo", {}), result.get("dressed", {})]
    total, minutes = sum(p.get("headshots", 0) for p in parts), result["seconds"]["total"] / 60
    print(f"{total} portraits in {out}, best first, in {minutes:.1f} minutes.")
    for way, words in (("photo", "From your photos"), ("dressed", "In other clothes")):
        if made := result.get(way):
            print(
                f"{words}: {made['headshots']}, {made['px']['median']} pixels, "
                f"likeness to the photo {made['likeness']['median']:.2f}."
            )
    if likeness := result.get("likeness"):
        print(
            f"Painted: {result['headshots']}, likeness median {likeness['median']:.2f}, "
            f"{likeness['share_same_person']:.0%} above the same-person line "
            f"(your photos among themselves: {likeness['baseline']:.2f})."
        )
    if films := result.get("moving"):
        print(f"Moving: {len(films)}, each beside its picture.")
    print("Erased: photos, adapter, key and working copies of the portraits.")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    parser.add_argument("photos", type=Path, help="folder with the photos of one person")
    parser.add_argument("--out", type=Path, required=True, help="folder for the portraits")
    parser.add_argument(
        "--styles",
        type=lambda text: [key.strip() for key in text.split(",") if key.strip()],
        default=[],
        help="style keys, separated by commas; all of them if left out",
    )
    parser.add_argument("--count", type=int, default=100, help="how many portraits (100)")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same portraits (7)")
    parser.add_argument(
        "--crop",
        choices=("look", *CROPS),
        default="look",
        help="shape of the portraits; each look's own if left out",
    )
    words = "what a large base is to call you when it paints (person)"
    parser.add_argument("--class-word", choices=CLASS_WORDS, default=CLASS_WORDS[0], help=words)
    parser.add_argument("--tone", choices=TONES, default="look", help="backdrop; else the look's")
    parser.add_argument(
        "--way",
        choices=ORDERED_WAYS,
        help="photo: your own photo in a new studio; dressed: in other clothes, too; painted: "
        "by a model of your face; both: photo, painted (photo if left out; both with a GPU)",
    )
    moving.options(parser)
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
