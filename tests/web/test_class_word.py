"""What a large base is to call somebody: their own choice on the page, asked nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from errors import BadOrder
from pipeline import job
from pipeline.orders import CLASS_WORDS, Limits, Order
from tests.support.gradio_client import (
    element_place,
    event_of,
    gradio_config,
    refusal,
    send_event,
    usual_inputs,
)
from tests.support.large import served_with_sdxl
from tests.support.waiting import until
from tests.support.web import Place, upload, visitor


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served_with_sdxl(tmp_path_factory.mktemp("scratch")) as place:
        yield place


def offered(config: dict[str, Any]) -> list[str]:
    parts = [c for c in config["components"] if c["props"].get("elem_id") == "class_word"]
    return [value for part in parts for _, value in part["props"]["choices"]]


def test_the_small_base_asks_nobody(ann: httpx.Client) -> None:
    assert offered(gradio_config(ann)) == []


def test_an_order_says_what_was_chosen_and_person_where_nothing_was(
    large: Place, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(large)) as anna:
        upload(anna, *selfie_jpegs[:4])
        config = gradio_config(anna)
        assert offered(config) == list(CLASS_WORDS)
        create = event_of(config, "create")
        data = usual_inputs(config, create)
        data[0] = ["corporate"]
        for part, value in {"count": 1, "way": "painted", "agree": True}.items():
            data[element_place(config, create, part)] = value
        for word in ("person", "woman", "man"):
            assert refusal(send_event(anna, create, data)[1]) == ""
            assert large.job_queue.orders[-1].class_word == word
            until(lambda: anna.get("/status").json()["job"]["phase"] == "done")
            following = {"person": "woman"}.get(word, "man")
            data[element_place(config, create, "class_word")] = following


@pytest.mark.parametrize("forged", ["child", "", None, ["man"], 7])
def test_no_other_word_is_taken(large: Place, forged: Any) -> None:
    order = Order(("corporate",), 1, way="photo", class_word=forged)
    services: Any = large.services
    limits = Limits(min_photos=4, max_portraits=9, sample_portraits=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(services), "limits", limits, raising=False)
        with pytest.raises(BadOrder) as refused:
            job.check(order, 4, services)
    assert refused.value.message.key == "order.unknown_choice"
