from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from errors import BadSettings
from privacy.database import Database
from tests.support.store import Store


def test_the_settings_that_erasure_rests_on_hold(store: Store) -> None:
    wanted = {
        "journal_mode": "truncate",
        "secure_delete": 1,
        "synchronous": 2,
        "foreign_keys": 1,
        "temp_store": 2,
    }
    assert {name: store.database.rows(f"PRAGMA {name}")[0][0] for name in wanted} == wanted


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.database.transaction():
            store.database.change("INSERT INTO clock VALUES (1, 5.0)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.database.rows("SELECT * FROM clock") == []


def test_a_file_that_is_no_database_is_a_clear_mistake(tmp_path: Path) -> None:
    path = tmp_path / "likeness.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(BadSettings, match="cannot be opened"):
        Database(path)


def test_a_linked_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "likeness.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(BadSettings, match="cannot be opened"):
        Database(tmp_path / "likeness.db")


def test_a_database_is_opened_again_with_what_it_held(tmp_path: Path) -> None:
    first = Database(tmp_path / "likeness.db")
    first.change("INSERT INTO clock VALUES (1, 5.0)")
    first.close()
    assert Database(tmp_path / "likeness.db").rows("SELECT latest FROM clock") == [(5.0,)]


@pytest.mark.parametrize("version", [1, 99])
def test_another_versions_database_is_refused(tmp_path: Path, version: int) -> None:
    with sqlite3.connect(tmp_path / "likeness.db") as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(BadSettings, match=r"another version.*python -m privacy.erase_all"):
        Database(tmp_path / "likeness.db")
