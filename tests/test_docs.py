"""Documents that say what is, kept true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import settings as configuration
from dev import fact_table

ROOT = configuration.ROOT


def test_the_fact_table_of_security_md_is_complete_and_current() -> None:
    assert fact_table.table() in (ROOT / "SECURITY.md").read_text(), (
        "run `python -m dev.fact_table` and paste it into SECURITY.md"
    )


def test_every_number_is_a_known_fact() -> None:
    assert set(fact_table.attacks(ROOT / "tests")) <= set(fact_table.FACTS)


def test_every_make_target_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`?make (\w[\w-]*)", (ROOT / "README.md").read_text()))
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "headshots"} <= named <= targets


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_retention_schedule_has_the_numbers_of_the_settings() -> None:
    fields = configuration.Settings.model_fields
    schedule = " ".join((ROOT / "RETENTION.md").read_text().split())
    delivered, undelivered = (
        fields[name].default for name in ("retention_hours", "undelivered_hours")
    )
    most, longest = (
        next(m.le for m in fields[name].metadata if hasattr(m, "le"))
        for name in ("retention_hours", "undelivered_hours")
    )
    for sentence in (
        f"{delivered} hours after delivery; {undelivered} hours after the first photo",
        f"is erased {delivered + undelivered} hours after that photo",
        f"longer than {most} hours after delivery or {longest} hours without one",
    ):
        assert sentence in schedule


def test_ci_runs_what_everybody_runs() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_requirements_are_exact() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_nothing_private_or_heavy_is_tracked() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not [
        name
        for name in tracked
        if name.startswith((".venv", "scratch", "receipts", "models/faces"))
    ]
    sizes = {name: Path(ROOT, name).stat().st_size for name in tracked if Path(ROOT, name).exists()}
    heavy = [n for n, size in sizes.items() if size > 2_000_000 and "models/studio-mini" not in n]
    assert heavy == []
