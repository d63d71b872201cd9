"""Documents that say what is, kept true."""

from __future__ import annotations

import datetime
import re
import subprocess
from pathlib import Path

import pytest

import settings as configuration
from dev import fact_table, lock

ROOT = configuration.ROOT


def test_the_fact_table_is_complete_and_current() -> None:
    assert fact_table.PAGE.read_text() == fact_table.page(), "run `python -m dev.fact_table`"
    assert fact_table.table() in fact_table.PAGE.read_text()
    assert "(docs/facts.md)" in (ROOT / "SECURITY.md").read_text()


def test_every_fact_is_attacked() -> None:
    assert set(fact_table.attacks(ROOT / "tests")) == set(fact_table.FACTS)


def test_every_number_is_a_known_fact() -> None:
    assert set(fact_table.attacks(ROOT / "tests")) <= set(fact_table.FACTS)


def test_every_make_target_that_is_named_exists() -> None:
    written = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`?\bmake ([a-z][a-z-]*)", written))
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "headshots"} <= named <= targets


def modules_of_the_architecture() -> set[str]:
    """Paths that docs/architecture.md names: in its tables below a folder's row, or written out."""
    named, folder = set(), ""
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        if heading := re.match(r"## (\w+/)", line):
            folder = heading[1]
        elif line.startswith("#"):
            folder = ""
        cell = line.split("|")[1] if line.startswith("|") else ""
        if row := re.fullmatch(r" \*\*`([\w/]+/)`\*\* ", cell):
            folder = row[1]
            named.add(folder)
        elif folder:
            named |= {f"{folder}{name}.py" for name in re.findall(r"`(\w+)`", cell)}
        named |= set(re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?)`", line))
    return named - {"distilled/", "tools/bases/KEY.toml"}  # in a base's folder; any base


def test_every_module_that_the_architecture_names_exists() -> None:
    named = modules_of_the_architecture()
    assert {"privacy/vault.py", "pipeline/job.py", "pipeline/photos/ingest.py"} < named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("top", ["pipeline", "web"])
def test_the_architecture_names_every_room(top: str) -> None:
    rooms = {
        f"{file.parent.relative_to(ROOT)}/" for file in (ROOT / top).glob("*/**/__init__.py")
    } | {f"{top}/"}
    assert len(rooms) > 2
    assert rooms <= modules_of_the_architecture()


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    glossary = (ROOT / "docs" / "architecture.md").read_text().split("## Glossary")[1]
    words = re.findall(r"^\| ([^|]+) \|", glossary, re.MULTILINE)[1:]
    assert len(words) > 20
    assert words == sorted(set(words))


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


def test_the_changelog_knows_the_version_and_what_is_to_come() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    version, date = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})", headings[1]).groups()  # type: ignore[union-attr]
    assert version == configuration.VERSION
    datetime.date.fromisoformat(date)


def test_ci_runs_what_everybody_runs() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_requirements_are_exact() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def locked_in(file: str) -> dict[str, str]:
    """Versions by name, each with at least one digest."""
    text = (ROOT / file).read_text().replace("\\\n", "")
    locked = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, *digests = line.split()
            assert digests, line
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", digest) for digest in digests)
            locked[name.partition("==")[0]] = name.partition("==")[2]
    return locked


def test_a_cluster_needs_ray_and_no_other_version_of_anything() -> None:
    locked, beside = locked_in("requirements.lock"), locked_in("requirements-cluster.txt")
    assert f"ray=={beside['ray']}" == lock.CLUSTER
    assert "ray" not in locked
    both = locked.keys() & beside.keys()
    assert {name: locked[name] for name in both} == {name: beside[name] for name in both}


def test_whatever_runs_is_locked_by_digest() -> None:
    locked = locked_in("requirements.lock")
    # What was installed here is what requirements.txt needs, each thing that those bring included.
    needed = lock.closure(lock.asked_for())
    assert locked == {name: package.version for name, package in needed.items()}
    assert "!requirements.lock" in (ROOT / ".dockerignore").read_text().splitlines()
    asked = {wanted.name.lower().replace("_", "-"): wanted.specifier for wanted in lock.asked_for()}
    assert asked.keys() - locked.keys() == {"torch"}
    assert all(version in asked[name] for name, version in locked.items() if name in asked)


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
    weights = ("models/studio-mini/", "models/matting/")
    heavy = [n for n, size in sizes.items() if size > 2_000_000 and not n.startswith(weights)]
    assert heavy == []
