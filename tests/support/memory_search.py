"""Looking for bytes in the memory of another process, as root or its debugger could."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_PIECE = 1 << 24


def found_in(pid: int, needles: Mapping[str, bytes]) -> set[str]:
    """Names of the needles that are somewhere in the memory of a process; none if it is gone."""
    found, longest = set[str](), max(map(len, needles.values()))
    with suppress(FileNotFoundError, ProcessLookupError):
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in maps:
                span, rights, *_ = line.split()
                if "r" not in rights or line.endswith(("[vvar]", "[vsyscall]")):
                    continue
                start, end = (int(text, 16) for text in span.split("-"))
                for at in range(start, end, _PIECE):
                    with suppress(OSError, ValueError):
                        memory.seek(at)
                        piece = memory.read(min(_PIECE + longest, end - at))
                        found |= {name for name, needle in needles.items() if needle in piece}
    return found
