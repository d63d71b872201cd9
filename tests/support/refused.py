"""What somebody is told when something is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from errors import LikenessError
from words import tell


@contextmanager
def refused(kind: type[LikenessError], words: str) -> Iterator[None]:
    """Expect an error whose sentence, in English, has `words` (a regular expression) in it."""
    with pytest.raises(kind) as caught:
        yield
    sentence = tell(caught.value.message)
    assert re.search(words, sentence), sentence
