"""A command called in this process, which stays as it is: what is one sentence needs no other."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import pytest

Asked = Callable[..., subprocess.CompletedProcess[str]]


@contextmanager
def in_this_process(
    main: Callable[[Sequence[str]], int],
    environment: Mapping[str, str],
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Asked]:
    """Gives what calls `main` with arguments, and tells its exit code and what it printed.

    main: of `python -m pipeline` or of what calls that. environment: beside that of this process.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        code = main(words)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    try:
        # The whole environment is put back: `gpu_check` names its base there.
        with patch.dict(os.environ, environment), pytest.MonkeyPatch.context() as patching:
            for name in ("configure_log", "harden", "memory.keep"):  # for good, in a process
                patching.setattr(f"pipeline.__main__.{name}", lambda *_: None)
            yield ask
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
