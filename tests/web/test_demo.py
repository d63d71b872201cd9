"""A demonstration for everybody: what is set for it, and what its pages say."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

import settings as configuration
from settings import ROOT
from tests.support.web import place

BANNER = "demonstration for everybody"
START = {"consent": "yes"}


@pytest.fixture
def anybody(tmp_path: Path) -> Iterator[TestClient]:
    with (
        place(tmp_path / "scratch", demo=True) as shown,
        TestClient(shown.app, headers={"origin": "http://testserver"}) as client,
    ):
        yield client


@pytest.mark.parametrize("demo", [True, "true", "1"])
def test_a_demonstration_is_short_and_small(demo: object) -> None:
    shown = configuration.load(demo=demo)
    assert (shown.retention_hours, shown.undelivered_hours) == (1, 1)
    assert (shown.portraits, shown.max_portraits, shown.sample_portraits) == (12, 12, 12)


def test_what_is_set_beside_it_counts() -> None:
    assert configuration.load(demo=True, retention_hours=0.5).retention_hours == 0.5
    assert configuration.load(demo=False).max_portraits == 200


def test_it_says_so_and_offers_sample_photos_first(anybody: TestClient) -> None:
    text = anybody.get("/").text
    assert BANNER in text
    assert "1 hour" in text
    assert text.index('name="samples"') < text.index('id="choose"')
    answer = anybody.post("/session", data=START | {"samples": "yes"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/#samples")
    assert BANNER in anybody.get("/studio-parts").text


def test_elsewhere_nothing_says_so(ann: httpx.Client) -> None:
    assert BANNER not in ann.get("/studio-parts").text
    ann.cookies.clear()
    text = ann.get("/").text
    assert BANNER not in text
    assert 'name="samples"' not in text


def test_a_space_is_made_of_what_is_committed(tmp_path: Path) -> None:
    subprocess.run([ROOT / "deploy/space/make.sh", tmp_path], check=True, capture_output=True)
    _, about, _ = (tmp_path / "README.md").read_text().split("---\n", 2)
    told = dict(line.split(": ", 1) for line in about.splitlines())
    assert told["sdk"] == "docker"
    assert int(told["app_port"]) == configuration.Settings.model_fields["port"].default
    dockerfile = (tmp_path / "Dockerfile").read_text()
    assert dockerfile.startswith((ROOT / "Dockerfile").read_text())
    assert dockerfile.count("LIKENESS_DEMO=true") == 1
    assert (tmp_path / "app.py").exists()
