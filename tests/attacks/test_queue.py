"""One address, or orders of the sample photos, do not take the queue from everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from dev.own_server import own_server
from tests.support.gradio_client import order_portraits
from tests.support.waiting import until

ATTACKER, COMPANY = "192.0.2.66", "198.51.100.7"


class House:
    """The real server, and visitors at any address, as a proxy of it would say."""

    def __init__(self, url: str, closing: ExitStack) -> None:
        self._url, self._closing = url, closing

    def visitor(self, address: str, photo: bytes | None) -> httpx.Client:
        """Somebody with one photo of their own, or with the samples."""
        headers = {"origin": self._url, "x-forwarded-for": address}
        client = self._closing.enter_context(
            httpx.Client(base_url=self._url, headers=headers, timeout=60)
        )
        assert client.post("/session", data={"consent": "yes"}).status_code == 303
        if photo is None:
            assert client.post("/photos/samples").status_code == 204
        else:
            files = {"files": ("me.jpg", photo, "image/jpeg")}
            assert client.post("/studio/gradio_api/upload", files=files).status_code == 200
        return client


@pytest.fixture
def house() -> Iterator[House]:
    narrow = {"QUEUE_LENGTH": 4, "SAMPLE_PORTRAITS": 2, "TRUSTED_PROXIES": "127.0.0.1"}
    with own_server(**narrow) as (_, url), ExitStack() as closing:
        yield House(url, closing)


def job(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/status").json()["job"] or {})


@pytest.mark.slow
@pytest.mark.fact(40)
def test_neither_samples_nor_one_address_fill_the_queue(
    house: House, selfie_jpegs: list[bytes]
) -> None:
    first = house.visitor(ATTACKER, selfie_jpegs[0])
    assert order_portraits(first, 200) == ""
    until(lambda: job(first)["phase"] not in ("queued", "preparing"), 60)
    samples = [house.visitor(ATTACKER, None) for _ in range(2)]
    assert order_portraits(samples[0], 200) == ""
    assert "try again" in order_portraits(samples[1], 200)
    flood = [house.visitor(ATTACKER, selfie_jpegs[0]) for _ in range(3)]
    assert [order_portraits(client, 200) for client in flood[:2]] == ["", ""]
    assert "your network" in order_portraits(flood[2], 200)

    colleague = house.visitor(COMPANY, selfie_jpegs[1])
    assert order_portraits(colleague, 1) == ""
    waiting = {
        "colleague": job(colleague)["sentence"],
        "flood": job(flood[1])["sentence"],
        "sample": job(samples[0])["sentence"],
    }
    assert waiting["sample"].startswith("4 people are before you. Portraits of the sample")
    assert "left" in job(samples[0])["left"]
    assert flood[0].post("/session/delete").status_code < 400
    until(lambda: job(samples[0])["sentence"].startswith("3 people"), 10)
    assert first.post("/job/stop").status_code == 204
    # At most one order of the flood, which stood level, and never one of samples, goes before.
    assert flood[1].post("/job/stop").status_code == 204
    until(lambda: job(colleague)["phase"] == "done", 60)
    until(lambda: job(samples[0])["phase"] == "done", 60)
    assert len(samples[0].get("/status").json()["portraits"]) == 2
    assert waiting["colleague"] == "2 people are before you."
    assert waiting["flood"] == "3 people are before you."
