"""Gradio's scripts as we serve them. Import this only after `guard.prepare()`."""

from __future__ import annotations

from pathlib import Path

from gradio.route_utils import BUILD_PATH_LIB

FOLDER = Path(BUILD_PATH_LIB)
_CLOCK, _WHILE_THERE = b"W&&ze()", b"W&&U&&ze()"


def changed() -> dict[str, bytes]:
    """Those that differ from Gradio's: what a browser gets, by name of the file.

    The clock of its sign of loading asks for sixty frames a second for as long as the page is open,
    although the sign (U) is taken away when the page is there: a phone would never rest.

    Raises:
        RuntimeError: the script is no longer what it was.
    """
    scripts = list(FOLDER.glob("statustracker-*.js"))
    if len(scripts) != 1 or scripts[0].read_bytes().count(_CLOCK) != 1:
        raise RuntimeError("Gradio's sign of loading has no single clock any more")
    return {scripts[0].name: scripts[0].read_bytes().replace(_CLOCK, _WHILE_THERE)}
