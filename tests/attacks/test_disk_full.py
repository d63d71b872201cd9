"""Fact 28 from outside: a visitor and an operator meet a volume that is really full."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import settings as configuration
from tests.attacks.conftest import fill
from tests.support.web import served, upload, visitor


@pytest.mark.fact(28)
def test_an_upload_to_a_full_volume_is_a_sentence_and_loses_nothing(
    small_volume: Path,
    selfie_jpegs: list[bytes],
) -> None:
    with served(small_volume / "scratch") as place, closing(visitor(place)) as ann:
        assert upload(ann, selfie_jpegs[0]).status_code == 200
        [first] = ann.get("/status").json()["photos"]["list"]
        before = ann.get(f"/photo/{first['id']}").content
        fill(small_volume)

        refused = upload(ann, selfie_jpegs[1])
        assert refused.status_code == 507
        assert "no room left" in refused.text
        assert "Traceback" not in refused.text

        assert ann.get(f"/photo/{first['id']}").content == before
        assert ann.post("/session/delete").status_code == 200  # erasing needs no room
        assert list((small_volume / "scratch" / "vault").iterdir()) == []


@pytest.mark.fact(28)
def test_a_run_on_a_full_volume_is_a_sentence(
    small_volume: Path,
    tmp_path_factory: pytest.TempPathFactory,
    selfie_jpegs: list[bytes],
    tiny_base: Path,
) -> None:
    folder = tmp_path_factory.mktemp("photos")
    for number, data in enumerate(selfie_jpegs):
        (folder / f"{number}.jpg").write_bytes(data)
    environment = os.environ | {
        "LIKENESS_SCRATCH": str(small_volume / "scratch"),
        "LIKENESS_BASE": str(tiny_base),
    }
    (small_volume / "ballast").write_bytes(b"\0" * 1_000_000)
    out = folder.parent / "out"
    ran = subprocess.run(
        [sys.executable, "-m", "pipeline", str(folder), "--out", str(out), "--count", "1"],
        cwd=configuration.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    assert "no room left" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert [p for p in (small_volume / "scratch").rglob("*") if p.is_file()] == []
    assert list(out.rglob("*")) == []
