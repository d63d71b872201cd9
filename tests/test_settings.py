"""Settings are checked at start, a sentence per mistake, and documented in one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import settings as configuration
from dev import settings_table
from errors import BadSettings


def test_the_documented_table_is_the_fields() -> None:
    documented = (configuration.ROOT / "docs" / "settings.md").read_text()
    assert settings_table.table() in documented


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "http"),
        ("RETENTION_HOURS", "0"),
        ("RETENTION_HOURS", "for ever"),
        ("PORTALS", "portal.example"),
        ("PORTALS", "https://portal.example/path"),
        ("LOG_LEVEL", "loud"),
        ("MIN_PHOTOS", "1"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"LIKENESS_{name}", value)
    with pytest.raises(BadSettings) as problem:
        configuration.load()
    lines = problem.value.sentence.splitlines()
    assert len(lines) == 1
    assert f"LIKENESS_{name}" in lines[0]


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_PORT", "-1")
    monkeypatch.setenv("LIKENESS_LOG_LEVEL", "loud")
    monkeypatch.setenv("LIKENESS_TYPO", "1")
    with pytest.raises(BadSettings) as problem:
        configuration.load()
    assert len(problem.value.sentence.splitlines()) == 3


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(BadSettings, match="MIN_PHOTOS"):
        configuration.load(min_photos=20, max_photos=10)


@pytest.mark.parametrize("inside", ["scratch", "scratch/receipts", "scratch/../scratch/a", "link"])
def test_the_log_of_receipts_is_kept_away_from_the_vault(tmp_path: Path, inside: str) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "scratch")
    with pytest.raises(BadSettings, match="RECEIPTS lies inside SCRATCH"):
        configuration.load(scratch=tmp_path / "scratch", receipts=tmp_path / inside)
    assert configuration.load(scratch=tmp_path / "scratch", receipts=tmp_path / "receipts")


def test_settings_cannot_change_after_start() -> None:
    settings = configuration.load()
    with pytest.raises(Exception, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_nothing_else_reads_the_environment() -> None:
    reading = re.compile(r"os\.environ|os\.getenv|getenv\(")
    allowed = {"settings.py", "web/gradio/guard.py"}
    places = [
        str(file.relative_to(configuration.ROOT))
        for folder in ("privacy", "pipeline", "web")
        for file in (configuration.ROOT / folder).rglob("*.py")
        if reading.search(file.read_text())
    ]
    assert set(places) <= allowed


def test_a_base_is_a_name_under_models_or_a_path(tmp_path: Path) -> None:
    assert configuration.load(base="sdxl").base_folder == configuration.ROOT / "models" / "sdxl"
    assert configuration.load(base=str(tmp_path)).base_folder == tmp_path
