"""The sample photos come through the same door as anybody's."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.web import served, session_of, visitor


@pytest.mark.slow
@pytest.mark.fact(38)
def test_samples_asked_for_many_times_at_once_come_once(tmp_path: Path) -> None:
    with served(tmp_path / "scratch") as place, closing(visitor(place)) as client:
        with ThreadPoolExecutor(12) as many:
            asked = [many.submit(client.post, "/photos/samples") for _ in range(24)]
            statuses = Counter(answer.result().status_code for answer in asked)
        assert statuses[204] == 1
        assert set(statuses) <= {204, 400, 429}
        session = session_of(place, client)
        assert len(place.services.album.records(session)) == 8
