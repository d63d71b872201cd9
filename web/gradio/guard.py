"""Makes the process safe for Gradio: call `prepare` first, import second, build in `building`.

Gradio reads environment variables when its modules are loaded, so this is the one place in the
project that writes the environment. What is different afterwards:

- no telemetry, no version check, no Hugging Face lookups: nothing leaves this network;
- it writes no type stubs beside its own source files, which it otherwise compares, and rewrites
  where they differ, at every import: more than half of the time that the import takes;
- its temporary folder lies *below the character device* `/dev/null`. No user, not even root, can
  create anything there, so a code path of Gradio that wants to store a visitor's file in the clear
  fails loudly (`NotADirectoryError`) instead of quietly. Paths below it are used as names of files
  that exist only in the vault (`virtual`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace

NOWHERE = "/dev/null/likeness"

_ENVIRONMENT = {
    "GRADIO_TEMP_DIR": NOWHERE,
    "GRADIO_EXAMPLES_CACHE": NOWHERE,
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_SHARE": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def prepare() -> None:
    """Set the variables, and see to it that no stubs are written. Idempotent.

    Raises:
        RuntimeError: Gradio was imported before, with a temporary folder that it can write to.
    """
    if "gradio" in sys.modules and os.environ.get("GRADIO_TEMP_DIR") != NOWHERE:
        raise RuntimeError("gradio was imported before gradio_guard.prepare()")
    os.environ.update(_ENVIRONMENT)
    if "gradio" not in sys.modules:
        sys.meta_path.insert(0, _WithoutStubs())


class _WithoutStubs(MetaPathFinder):
    """Replaces Gradio's writer of stubs while its module is being imported, then steps aside.

    It runs for each component class as that class is defined, so afterwards would be too late.
    """

    _MODULE = "gradio.component_meta"

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                vars(module)["create_or_modify_pyi"] = lambda *_: None

            vars(spec.loader)["exec_module"] = exec_module
        return spec


@contextmanager
def building() -> Iterator[None]:
    """While pages are built: Gradio makes one empty folder then, for a route nobody can reach.

    It gets a folder that is removed at the end of the block; before and after there is none.
    """
    from gradio import routes

    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        routes.DEFAULT_TEMP_DIR = folder
        try:
            yield
        finally:
            routes.DEFAULT_TEMP_DIR = NOWHERE


@contextmanager
def describing() -> Iterator[None]:
    """While a page is described: Gradio makes three servers then that nobody would ever start.

    They take a third of a second; the one that is mounted is made afterwards.
    """
    from gradio import blocks

    real = blocks.App
    vars(blocks)["App"] = SimpleNamespace(create_app=lambda *_, **__: None)
    try:
        yield
    finally:
        vars(blocks)["App"] = real
