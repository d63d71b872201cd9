"""What jobs measured on this machine outlives them, and lies apart from the log for auditors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import assembly
from privacy.keys import MasterKey
from settings import Settings


@pytest.mark.parametrize("own", [False, True], ids=["server", "command line"])
def test_calibration_is_kept_in_the_scratch_folder_of_the_settings(
    tiny_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """Not in the folder of one run of the command line, which goes with it."""
    files = []

    class Noted(assembly.Planning):
        def __init__(self, facts: Any, file: Path, *rest: Any, **named: Any) -> None:
            super().__init__(facts, file, *rest, **named)
            files.append(file)

    monkeypatch.setattr(assembly, "Planning", Noted)
    scratch = tmp_path / "own" if own else None
    with assembly.open_assembly(tiny_settings, scratch=scratch, master_key=MasterKey.ram()):
        pass
    assert files == [tiny_settings.scratch / "calibration.json"]
