"""The kinds of files stand in one module: nobody else spells one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from privacy import kinds
from privacy.receipt_lines import COUNTED
from privacy.shares import READABLE, WRITABLE

ROOT = Path(__file__).resolve().parents[2]
MODULES = [path for top in ("pipeline", "privacy", "web") for path in (ROOT / top).rglob("*.py")]
KINDS = {value for name, value in vars(kinds).items() if isinstance(value, str) and name.isupper()}
KEEPERS = ("vault", "shares", "session_files")
"""How what keeps files is called."""


def spelt(path: Path) -> list[str]:
    """Calls of a keeper with the kind, its second argument, as a literal."""
    return [
        f"{path.name}:{call.lineno}"
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value).endswith(KEEPERS)
        and any(isinstance(argument, ast.Constant) for argument in call.args[1:2])
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_kind_is_spelt_where_files_are_kept(path: Path) -> None:
    assert spelt(path) == []


def test_the_rule_would_notice(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text('self._vault.open(session, "photo", name)')
    assert spelt(wrong) == ["wrong.py:1"]


def test_what_is_counted_and_what_guests_see_are_kinds() -> None:
    assert {*COUNTED.values(), *READABLE, *WRITABLE} <= KINDS
