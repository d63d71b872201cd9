"""Gradio after the guard: nowhere to write, nothing written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.web import Place
from web.gradio import guard


def test_gradio_has_no_folder_to_write_to(place: Place) -> None:
    from gradio import routes, utils

    assert utils.get_upload_folder() == guard.NOWHERE
    assert routes.DEFAULT_TEMP_DIR == guard.NOWHERE
    with pytest.raises(NotADirectoryError):
        Path(guard.NOWHERE, "a").mkdir(parents=True)
    with pytest.raises(NotADirectoryError):
        Path(guard.NOWHERE).write_bytes(b"a")


def test_gradio_writes_no_stubs(place: Place) -> None:
    from gradio import component_meta

    assert component_meta.create_or_modify_pyi(object, "Nothing", []) is None
    assert not [finder for finder in sys.meta_path if "WithoutStubs" in type(finder).__name__]


def test_an_unguarded_gradio_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    with pytest.raises(RuntimeError, match="imported before"):
        guard.prepare()
