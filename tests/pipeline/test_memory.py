"""What was freed, and then overwritten."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline import memory
from settings import ROOT
from tests.support.memory_search import found_in

SECRET = os.urandom(24)

PROGRAM = """
import ctypes, random, sys
from pipeline import memory

memory.keep()
library, draw = ctypes.CDLL(None), random.Random(1)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
secret = bytes.fromhex(sys.stdin.readline())
sizes = draw.choices([56, 72, 300, 1200, 5000, 70_000, 3 << 20], [9, 9, 9, 9, 9, 3, 1], k=4000)
blocks = [(library.malloc(size), size) for size in sizes]
for block, size in blocks[::2]:
    for at in (*range(16, size - 24, 3000), size - 24):
        ctypes.memmove(block + at, secret, len(secret))
for block, _ in blocks[::2]:  # each between two that stay
    library.free(block)
del secret
if "overwrite" in sys.argv:
    memory.overwrite_free()
print("freed", flush=True)
sys.stdin.readline()
"""


@pytest.mark.fact(75)
@pytest.mark.parametrize(("overwrite", "found"), [(True, set()), (False, {"secret"})])
def test_what_was_free_is_nowhere_in_memory_once_it_was_overwritten(
    overwrite: bool, found: set[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *(["overwrite"] if overwrite else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=memory.NO_OTHER_POOLS,
    )
    assert process.stdin
    assert process.stdout
    with process:
        process.stdin.write(SECRET.hex() + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "freed\n"
        assert found_in(process.pid, {"secret": SECRET}) == found
        process.stdin.close()
