"""What is changed of Gradio's own files. Import this only after `guard.prepare()`."""

from __future__ import annotations

from pathlib import Path

from gradio.route_utils import BUILD_PATH_LIB

FOLDER = Path(BUILD_PATH_LIB)
_CLOCK, _WHILE_THERE = "W&&ze()", "W&&U&&ze()"


def replaced(source: str, theirs: str, ours: str) -> str:
    """A file of Gradio's with ours in place of theirs, which stands there once.

    Raises:
        RuntimeError: the file is no longer what it was.
    """
    if source.count(theirs) != 1:
        raise RuntimeError(f"Gradio's page has no single {theirs} any more")
    return source.replace(theirs, ours)


def changed() -> dict[str, bytes]:
    """Scripts that differ from Gradio's: what a browser gets, by name of the file.

    The clock of its sign of loading asks for sixty frames a second for as long as the page is open,
    although the sign (U) is taken away when the page is there: a phone would never rest.

    Raises:
        RuntimeError: the script is no longer what it was.
    """
    scripts = list(FOLDER.glob("statustracker-*.js"))
    if len(scripts) != 1:
        raise RuntimeError("Gradio's sign of loading is no longer one script")
    [script] = scripts
    source = script.read_bytes().decode()
    return {script.name: replaced(source, _CLOCK, _WHILE_THERE).encode()}
