"""Event streams whose names a browser invents without end."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.attacks.test_web import mounted_gradio
from tests.support.gradio_client import (
    event_of,
    gradio_config,
    send_event,
)
from tests.support.waiting import until
from tests.support.web import served, visitor
from web.gradio import guard

ORDER = [["corporate"], [], [], [], 200, "painted", False, True]


@pytest.mark.slow
def test_gradio_remembers_no_more_channels_than_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.prepare()
    from gradio.utils import LRUCache

    from web.gradio import page

    assert page.CHANNELS <= 500
    monkeypatch.setattr(page, "CHANNELS", 10)
    with served(tmp_path / "scratch") as place, closing(visitor(place)) as ann:
        create = event_of(gradio_config(ann), "create")
        gradio = mounted_gradio(place)
        queue, states = gradio.get_blocks()._queue, gradio.state_holder
        for number in range(40):
            event = {"data": ORDER, "fn_index": create["id"], "session_hash": f"page{number}"}
            answer = ann.post("/studio/gradio_api/queue/join", json=event)
            assert answer.status_code == 200
        until(lambda: not queue.event_ids_to_events, 20)
        assert (len(states.session_data), len(states.time_last_used)) == (10, 10)
        for kept in (queue.pending_messages_per_session, queue.pending_event_ids_session):
            assert isinstance(kept, LRUCache)  # a few bytes each
            assert kept.max_size <= 2000
        # The page still gets its answers.
        for channel in ("page0", "page39", "another"):
            _, messages = send_event(ann, create, ORDER, channel)
            # The first two had an answer already, which nobody had heard.
            answers = [str(m["output"]) for m in messages if m["msg"] == "process_completed"]
            assert len(answers) == (1 if channel == "another" else 2)
            assert all("good photos" in answer for answer in answers)
