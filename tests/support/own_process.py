"""Python code in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import settings as configuration


def in_own_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code from the repository's root; it has to come to its end."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=configuration.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
