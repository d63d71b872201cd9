"""privacy/ can be audited alone: it needs neither the pipeline nor the web nor the settings."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "privacy").glob("*.py"))
FOREIGN = {
    "app",
    "gradio",
    "numpy",
    "pandas",
    "pipeline",
    "PIL",
    "settings",
    "torch",
    "web",
    "words",
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_imports_what_it_must_not_know(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            imported.add((node.module or "").split(".")[0])
    assert not imported & FOREIGN
    project = {entry.stem for entry in ROOT.glob("*.py")} | {
        "benchmarks",
        "dev",
        "tests",
        "tools",
        "train_base",
    }
    assert imported & project <= {"errors"}  # which needs `messages`, a leaf without a language


def test_everything_imports_where_the_foreign_modules_do_not_exist() -> None:
    """sqlite-utils takes numpy and pandas along when it finds them; it must not need them."""
    script = f"""
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FOREIGN!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
for name in {[path.stem for path in MODULES]!r}:
    importlib.import_module("privacy" if name == "__init__" else "privacy." + name)
print(*sorted({FOREIGN!r} & {{name.split(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
