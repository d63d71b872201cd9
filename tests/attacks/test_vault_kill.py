"""Facts 11 and 12: SIGKILL of a real process at every step of what it does to the vault.

`victim` dies before step n, for every n until it comes through: overwriting and adding a file,
making a session, delivering, erasing, sweeping one session and several. So that the inside of
SQLite's commit is hit as well, it is also killed from outside at chance times. Every kill is
counted by what the kernel says the child died of.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacy.keys import Ticket
from tests.support.store import HOUR, Store
from tests.support.victim import EARLIER, LATER, open_store

ROOT = Path(__file__).resolve().parents[2]


class Victim:
    """The process of victim.py, and its children one after the other."""

    def __init__(self) -> None:
        self.kills: Counter[str] = Counter()
        self._action = ""
        command = [sys.executable, "-m", "tests.support.victim"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, folder: Path, ticket: Ticket, action: str, step: int = 0) -> int:
        """Start an action; the child's process id."""
        order = {"folder": str(folder), "ticket": ticket.text(), "action": action, "step": step}
        self._action = action
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> int:
        """Wait for the child; its exit code, negative for a signal."""
        code = int(self._process.stdout.readline())
        self.kills[self._action] += code == -signal.SIGKILL
        return code

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    victim = Victim()
    yield victim
    victim.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ticket]:
    """A store with one session that has an adapter and two photos."""
    folder = tmp_path_factory.mktemp("template")
    store = open_store(folder)
    session, ticket = store.sessions.create()
    store.vault.put(session, "adapter", "adapter", EARLIER)
    for name in ("photo-01", "photo-02"):
        store.vault.put(session, "photo", name, name.encode())
    store.database.close()
    return folder, ticket


@pytest.fixture(scope="module")
def crowd(template: tuple[Path, Ticket], tmp_path_factory: pytest.TempPathFactory):
    """The same store, with three more sessions of two files each."""
    source, ticket = template
    folder = tmp_path_factory.mktemp("crowd") / "store"
    shutil.copytree(source, folder)
    store = open_store(folder)
    for _ in range(3):
        session, _ = store.sessions.create()
        for name in ("photo-01", "photo-02"):
            store.vault.put(session, "photo", name, name.encode())
    store.database.close()
    return folder, ticket


def _killed_at_every_step(victim, template, tmp_path: Path, action: str) -> Iterator[Store]:
    """The store after each kill, one step later each time, until the action comes through."""
    source, ticket = template
    for step in range(1, 200):
        folder = tmp_path / str(step)
        shutil.copytree(source, folder)
        victim.begin(folder, ticket, action, step)
        code = victim.end()
        assert code in (0, -signal.SIGKILL)
        store = open_store(folder)
        yield store
        store.database.close()
        shutil.rmtree(folder)
        if code == 0:
            return
    pytest.fail("the action has no end")


def _consistent(store: Store) -> bool:
    """One file for each row, nothing else."""
    ((count,),) = store.database.rows("SELECT count(*) FROM files")
    ((verdict,),) = store.database.rows("PRAGMA integrity_check")
    return len(store.files()) == count and verdict == "ok"


@pytest.mark.fact(11)
def test_killed_at_any_step_of_a_write_the_old_or_the_new_file_is_there(
    victim, template, tmp_path: Path
) -> None:
    seen = []
    for store in _killed_at_every_step(victim, template, tmp_path, "write"):
        store.sweeper.sweep()
        session = store.sessions.open(template[1].text())
        seen.append(store.vault.open(session, "adapter", "adapter"))
        assert store.vault.open(session, "photo", "photo-01") == b"photo-01"
        assert _consistent(store)
    assert len(seen) >= 15
    turned = seen.index(LATER)  # all old before the commit, all new after it
    assert seen == [EARLIER] * turned + [LATER] * (len(seen) - turned)
    assert 0 < turned < len(seen)


@pytest.mark.fact(11)
def test_killed_at_any_step_of_a_first_write_the_file_is_whole_or_was_never_there(
    victim, template, tmp_path: Path
) -> None:
    seen = []
    for store in _killed_at_every_step(victim, template, tmp_path, "add"):
        store.sweeper.sweep()
        session = store.sessions.open(template[1].text())
        there = [entry.name for entry in store.vault.list(session, "portrait")]
        if there:
            assert store.vault.open(session, "portrait", "portrait-001") == LATER
        seen.append(bool(there))
        assert store.vault.open(session, "adapter", "adapter") == EARLIER
        assert _consistent(store)
    assert seen == sorted(seen)  # never there before the commit, always after it
    assert {False, True} == set(seen)


@pytest.mark.fact(11)
def test_killed_at_any_step_of_writing_two_files_both_are_there_or_neither(
    victim, template, tmp_path: Path
) -> None:
    seen = []
    for store in _killed_at_every_step(victim, template, tmp_path, "together"):
        store.sweeper.sweep()
        session = store.sessions.open(template[1].text())
        replaced = store.vault.open(session, "adapter", "adapter") == LATER
        added = [entry.name for entry in store.vault.list(session, "portrait")]
        assert added == ["portrait-001"] * replaced
        assert not added or store.vault.open(session, "portrait", "portrait-001") == LATER
        seen.append(replaced)
        assert _consistent(store)
    assert seen == sorted(seen)  # neither before the commit, both after it
    assert {False, True} == set(seen)


@pytest.mark.fact(11)
def test_killed_while_a_session_is_made_there_is_all_of_it_or_nothing(
    victim, template, tmp_path: Path
) -> None:
    seen = []
    for store in _killed_at_every_step(victim, template, tmp_path, "create"):
        store.sweeper.sweep()
        ids = {session_id for (session_id,) in store.database.rows("SELECT id FROM sessions")}
        assert set(os.listdir(store.folder / "vault")) == ids
        assert template[1].session_id in ids
        assert _consistent(store)
        seen.append(len(ids))
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}


@pytest.mark.fact(11)
def test_killed_while_a_deadline_is_fixed_it_is_the_old_one_or_the_new_one(
    victim, template, tmp_path: Path
) -> None:
    seen = []
    for store in _killed_at_every_step(victim, template, tmp_path, "delivered"):
        deadline = store.sessions.deadline(store.sessions.open(template[1].text()))
        new = (store.time + 24 * HOUR, store.time)
        assert (deadline.erase_at, deadline.delivered_at) in ((store.time + 48 * HOUR, None), new)
        seen.append(deadline.delivered_at is not None)
        assert _consistent(store)
    assert seen == sorted(seen)
    assert {False, True} == set(seen)


@pytest.mark.fact(12)
@pytest.mark.parametrize("action", ["erase", "sweep"])
def test_killed_at_any_step_of_an_erasure_the_next_start_finishes_it(
    victim, template, tmp_path: Path, action: str
) -> None:
    steps, untouched, finished_later = 0, 0, 0
    session_id = template[1].session_id
    for store in _killed_at_every_step(victim, template, tmp_path, action):
        steps += 1
        begun = not store.sessions.alive(session_id)
        if len(store.files()) < 3:  # first the key, then the files
            keys = store.database.rows("SELECT wrapped_key, verifier FROM sessions")
            assert keys in ([], [(None, None)])
        finished_later += store.sweeper.sweep()
        assert store.sweeper.sweep() == 0
        if begun:
            assert (store.files(), store.rows()) == ([], 0)
            assert session_id.encode() not in store.bytes_on_disk()
        else:
            untouched += 1
            assert len(store.files()) == 3
            assert _consistent(store)
    assert steps >= 20
    assert 0 < untouched < steps
    assert finished_later > 0


@pytest.mark.fact(12)
def test_killed_at_any_step_of_a_sweep_of_many_none_is_forgotten(
    victim, crowd, tmp_path: Path
) -> None:
    finished_later = []
    for store in _killed_at_every_step(victim, crowd, tmp_path, "sweep"):
        ids = [session_id for (session_id,) in store.database.rows("SELECT id FROM sessions")]
        alive = [session_id for session_id in ids if store.sessions.alive(session_id)]
        keys = store.database.rows("SELECT wrapped_key, verifier FROM sessions")
        if len(store.files()) < 9:  # no file goes before every key has gone
            assert alive == []
            assert set(keys) <= {(None, None)}
        finished_later.append(store.sweeper.sweep())
        if alive:
            assert alive == ids
            assert len(store.files()) == 9
            assert _consistent(store)
        else:
            assert (store.files(), store.rows()) == ([], 0)
            on_disk = store.bytes_on_disk()
            assert not [session_id for session_id in ids if session_id.encode() in on_disk]
    assert {0, 4} <= set(finished_later)


@pytest.mark.fact(11)
@pytest.mark.fact(12)
def test_killed_at_chance_times_everything_is_old_new_or_gone(
    victim, template, tmp_path: Path
) -> None:
    dice = random.Random(11)
    source, ticket = template
    folder = tmp_path / "store"
    shutil.copytree(source, folder)
    for _ in range(30):
        child = victim.begin(folder, ticket, "everything")
        time.sleep(dice.random() * 0.12)
        os.kill(child, signal.SIGKILL)
        assert victim.end() == -signal.SIGKILL
        store = open_store(folder)
        half_erased = store.database.rows("SELECT id FROM sessions WHERE state = 'erasing'")
        assert store.sweeper.sweep() == len(half_erased)
        session = store.sessions.open(ticket.text())
        assert store.vault.open(session, "adapter", "adapter") in (EARLIER, LATER)
        assert _consistent(store)
        store.database.close()


@pytest.mark.fact(11)
@pytest.mark.fact(12)
def test_there_were_at_least_a_hundred_kills_everywhere(
    victim, request: pytest.FixtureRequest
) -> None:
    """Counts what the tests above did, so it says something only after all of them."""
    module = request.node.getparent(pytest.Module)
    ran = {item.name for item in request.session.items if item.parent is module}
    if len(ran) < 10:
        pytest.skip("only some of the kill tests were asked for")
    assert sum(victim.kills.values()) >= 100
    least = {"write": 14, "add": 10, "together": 20, "create": 5, "delivered": 5}
    least |= {"erase": 20, "sweep": 40}
    assert {action: count for action, count in least.items() if victim.kills[action] < count} == {}
