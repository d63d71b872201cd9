"""No module that cannot be read in one go, no function that nobody can call by heart."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from settings import ROOT

MOST_LINES = 300
MOST_PARAMETERS = 6
TOPS = (
    "app.py",
    "errors.py",
    "messages.py",
    "settings.py",
    *("pipeline", "privacy", "web", "words", "tools", "dev", "benchmarks"),
    *("train_base", "train_matting"),
)
MODULES = sorted(
    module
    for top in TOPS
    for module in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"))
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def too_many_parameters(source: str) -> list[str]:
    """Functions, with line and count, that take more than they may; `self` and `cls` are free."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        taken = node.args
        names = [a.arg for a in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
        names += [a.arg for a in (taken.vararg, taken.kwarg) if a is not None]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > MOST_PARAMETERS:
            name = getattr(node, "name", "lambda")
            found.append(f"line {node.lineno}: {name} takes {count} parameters")
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES, f"{name_of(path)} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_takes_few_parameters(path: Path) -> None:
    found = too_many_parameters(path.read_text())
    assert found == [], f"{name_of(path)}: {'; '.join(found)}"


def test_the_rule_would_notice() -> None:
    seven = "a, b, c, d, e, f, g"
    for source in (
        f"def f({seven}): ...",
        f"async def f(*, {seven}): ...",
        f"lambda {seven}: 0",
        f"class C:\n    def f(self, {seven}): ...",
        "def f(a, b, c, d, e, *f, **g): ...",
    ):
        assert len(too_many_parameters(source)) == 1, source
    assert too_many_parameters("class C:\n    def f(self, a, b, c, d, e, f): ...") == []


def test_all_of_the_project_is_looked_at() -> None:
    ours = {p.parent.name for p in ROOT.glob("*/*.py")} | {p.name for p in ROOT.glob("*.py")}
    assert ours - set(TOPS) <= {"tests"}
