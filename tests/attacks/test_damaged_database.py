"""A database that is damaged: nothing is kept in silence because nobody can read what is due."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog

from errors import BadSettings
from privacy import erase_all
from privacy.database import Database
from privacy.scratch import hold
from privacy.sweeper import Sweeper
from settings import ROOT
from tests.support.store import HOUR, Store
from tests.support.waiting import until
from tests.support.web import served, visitor

PAGE = 4096


def damage(path: Path) -> None:
    """Overwrite every page but the first: the header stays, and the file opens.

    Its change counter moves, so that a connection does not go on from the pages it remembers.
    """
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(24)
        file.write(b"\x7f\xff\xff\xff")
        file.seek(PAGE)
        file.write(b"\xa5" * (size - PAGE))


def kept(folder: Path) -> Store:
    """A store with a session and a file of its own in it, closed."""
    store = Store(folder)
    session, _ = store.sessions.create()
    store.vault.put(session, "photo", "photo-01", b"face" * 1000)
    store.database.close()
    return store


@pytest.mark.fact(43)
@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_database_is_one_sentence_with_the_way_out(tmp_path: Path, whole: bool) -> None:
    kept(tmp_path)
    path = tmp_path / "likeness.db"
    if whole:
        path.write_bytes(b"\xa5" * path.stat().st_size)
    else:
        damage(path)
    with pytest.raises(BadSettings, match=r"damaged.*python -m privacy.erase_all"):
        Database(path)


@pytest.mark.slow
@pytest.mark.fact(43)
def test_the_real_start_says_it_and_the_command_it_names_works(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    store = kept(scratch)
    assert store.files()
    damage(scratch / "likeness.db")
    environment = {
        "LIKENESS_SCRATCH": str(scratch),
        "LIKENESS_RECEIPTS": str(tmp_path / "receipts"),
        "LIKENESS_PORT": "0",
    }
    start = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert start.returncode == 2
    assert "Traceback" not in start.stderr
    sentence = start.stderr.strip().splitlines()[-1]
    command = sentence.rpartition("python -m ")[2].split()
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 session(s)" in done.stdout
    assert store.files() == []
    assert not (scratch / "likeness.db").exists()
    Store(scratch).database.close()  # the next start finds an empty place


@pytest.mark.fact(43)
def test_everything_goes_and_nothing_that_is_not_ours(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "scratch", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.write_bytes(b"somebody else's")
    store = kept(folder)
    (folder / "likeness.db").unlink()
    (folder / "likeness.db").symlink_to(elsewhere)
    (folder / "vault" / "README").write_text("not a session")
    assert erase_all.main([str(folder)]) == 0
    assert [path.name for path in store.files()] == ["README"]
    assert not (folder / "likeness.db").is_symlink()
    assert elsewhere.read_bytes() == b"somebody else's"


@pytest.mark.fact(43)
def test_a_folder_that_a_server_holds_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = kept(tmp_path)
    with hold(tmp_path):
        assert erase_all.main([str(tmp_path)]) == 2
    assert "another server is using" in capsys.readouterr().out
    assert store.files()
    assert erase_all.main([str(tmp_path / "nowhere")]) == 2


@pytest.mark.fact(43)
def test_a_sweeper_that_cannot_read_the_database_does_not_stay_silent(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.sessions.create()
    store.time += 49 * HOUR
    sweeper = Sweeper(store.sessions, store.vault, interval_s=0.02)
    damage(tmp_path / "likeness.db")
    with structlog.testing.capture_logs() as logs:
        sweeper.start()
        until(lambda: any(line["event"] == "erasure_is_late" for line in logs))
        sweeper.stop()
    assert sweeper.late()
    assert any(line["event"] == "sweep_failed" for line in logs)


def test_one_whole_sweep_and_it_is_not_late_any_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    sweeper = Sweeper(store.sessions, store.vault, interval_s=0)
    until(sweeper.late)
    sweeper = Sweeper(store.sessions, store.vault, interval_s=60)
    sweeper.sweep()
    assert not sweeper.late()


@pytest.mark.fact(43)
def test_while_erasure_is_late_nobody_new_is_let_in(tmp_path: Path) -> None:
    with served(tmp_path / "scratch") as place:
        visitor(place).close()
        place.app.state.services = replace(place.services, erasure_is_late=lambda: True)
        answer = httpx.post(
            f"{place.url}/session", data={"consent": "yes"}, headers={"origin": place.url}
        )
        assert answer.status_code == 503
        assert "cannot promise erasure" in answer.text
        assert "set-cookie" not in answer.headers
        assert httpx.get(f"{place.url}/health").status_code == 503
