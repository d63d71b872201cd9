"""Makes the process safe for Gradio: call `prepare` first, import second, build in `building`.

Gradio reads these variables when its modules are loaded, so this is the one place in the project
that writes the environment:

- no telemetry, no version check, no Hugging Face lookups: nothing leaves this network;
- its temporary folder lies *below the character device* `/dev/null`. No user, not even root, can
  create anything there, so a code path of Gradio that wants to store a visitor's file in the clear
  fails loudly (`NotADirectoryError`) instead of quietly. Paths below it are used as names of files
  that exist only in the vault (`virtual`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Set the variables. Idempotent.

    Raises:
        RuntimeError: Gradio was imported before, with a temporary folder that it can write to.
    """
    if "gradio" in sys.modules and os.environ.get("GRADIO_TEMP_DIR") != NOWHERE:
        raise RuntimeError("gradio was imported before gradio_guard.prepare()")
    os.environ.update(_ENVIRONMENT)


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
