"""Rooms of `pipeline/` know only what lies below them.

    __main__, cluster > assembly > job_queue > running > line, outcome > lanes
    > photo_job, painted_job > trials > job
    > planning, training, portraits
    > bases, photos, compositing > orders, imaging, memory, model_files, overlap

Types count as much as code. Rooms of one floor do not know each other. Two exceptions have a
reason: `orders` is a leaf for web/ that names a base's `Plan`, itself a leaf; and the ways of a job
are its upper half, so `job` imports them only where it calls them.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    ("imaging", "memory", "model_files", "overlap"),
    ("bases", "photos", "compositing"),
    ("orders",),
    ("planning", "training", "portraits", "kept_order", "turns", "step_down"),
    ("job", "job_counts", "clip_base"),
    ("trials",),
    ("photo_job", "painted_job"),
    ("lanes",),
    ("line", "outcome"),
    ("running",),
    ("job_queue",),
    ("assembly", "moving", "folders"),
    ("__main__", "cluster"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LATE = {("job", "photo_job"), ("job", "painted_job")}
"""Imports inside a function that lead upwards, see above."""
MODULES = sorted((ROOT / "pipeline").rglob("*.py"))


def room_of(module: str) -> str:
    """The room of `pipeline.<room>...`."""
    return module.split(".")[1]


@cache
def imported(path: Path) -> list[tuple[str, int]]:
    """What a module imports, absolute, with the line."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            module = node.module or ""
            found += (
                [(f"pipeline.{alias.name}", node.lineno) for alias in node.names]
                if module == "pipeline"
                else [(module, node.lineno)]
            )
    return found


def faults(path: Path) -> list[str]:
    """Imports of a module that lead upwards or sideways."""
    parts = path.relative_to(ROOT / "pipeline").with_suffix("").parts
    here = parts[0]
    if here == "__init__":
        return []
    wrong = []
    for module, line in imported(path):
        if not module.startswith("pipeline."):
            continue
        there = room_of(module)
        allowed = there == here or FLOOR[there] < FLOOR[here] or (here, there) in LATE
        if not allowed:
            wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_lead_downwards(path: Path) -> None:
    assert faults(path) == []


def test_the_rule_would_notice(tmp_path: Path) -> None:
    module = ROOT / "pipeline" / "imaging.py"
    upwards = ast.parse("from pipeline.portraits.style import Style").body[0]
    assert isinstance(upwards, ast.ImportFrom)
    assert FLOOR[room_of(upwards.module or "")] > FLOOR[module.stem]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pipeline_knows_neither_web_nor_tools(path: Path) -> None:
    tops = {module.split(".")[0] for module, _ in imported(path)}
    assert not tops & {"web", "tools", "dev", "benchmarks", "tests", "train_base", "gradio"}


@pytest.mark.parametrize(
    "path",
    [ROOT / "errors.py", ROOT / "messages.py", *(ROOT / "privacy").rglob("*.py"), *MODULES],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_words_are_for_the_web_and_the_command_line(path: Path) -> None:
    tops = {module.split(".")[0] for module, _ in imported(path)}
    assert ("words" in tops) == (path == ROOT / "pipeline" / "__main__.py")


def everything_below(paths: list[Path]) -> set[Path]:
    """Files of the project that these import, and those that they import, and so on."""
    waiting, seen = list(paths), set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            bases = [ROOT.joinpath(*module.split(".")) for module, _ in imported(path)]
            files = [f for base in bases for f in (base.with_suffix(".py"), base / "__init__.py")]
            waiting += [file for file in files if file.is_file()]
    return seen


def test_nothing_below_speaks_a_language_through_what_it_imports() -> None:
    words, command_line = ROOT / "words" / "__init__.py", ROOT / "pipeline" / "__main__.py"
    below = [path for path in MODULES if path != command_line]
    assert words not in everything_below([*below, *(ROOT / "privacy").rglob("*.py")])
    assert words in everything_below([command_line])


def test_a_page_is_shown_without_torch() -> None:
    code = (
        "import sys; from web.gradio import guard; guard.prepare(); import web.server; "
        "import pipeline.assembly, pipeline.job_queue, pipeline.photo_job; "
        "sys.exit('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
