"""The real server in a process of its own, on empty folders, for whoever wants to walk it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import settings as configuration


@contextmanager
def own_server(*program: str, **overrides: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python app.py` and its address, once it has said it; ended with the block.

    program: arguments of Python instead of `app.py`.
    overrides: settings in capitals without LIKENESS_, over what everybody starts with.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")}
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "PORT": 0,
            "SCRATCH": f"{folder}/SCRATCH",
            "RECEIPTS": f"{folder}/RECEIPTS",
        } | overrides
        environment |= {f"LIKENESS_{name}": str(value) for name, value in own.items()}
        with subprocess.Popen(
            [sys.executable, *(program or ("app.py",))],
            cwd=configuration.ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                yield process, process.stdout.readline().rsplit(" ", 1)[-1].strip()
            finally:
                process.terminate()
