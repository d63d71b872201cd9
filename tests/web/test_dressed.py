"""Other clothes on the page: there where they can be painted, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from pipeline.planning.facts import Facts
from pipeline.planning.planning import Planning
from privacy import kinds
from tests.support.gradio_client import gradio_config, order_portraits
from tests.support.planned import KNOWN
from tests.support.waiting import until
from tests.support.web import Place, served, session_of, upload, visitor


@pytest.fixture(scope="module")
def dressing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server as if it had FLUX.2 klein on a GPU."""

    def planning(_: object, file: Path, others: list[Facts]) -> Planning:
        return Planning(KNOWN["flux2-klein-4b"], file, others, sees_pictures=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.web.Planning", planning)
        with served(tmp_path_factory.mktemp("scratch")) as place:
            yield place


def offered(client: httpx.Client) -> list[str]:
    """The ways among which the page lets choose."""
    config = gradio_config(client)
    [way] = [c for c in config["components"] if c["props"].get("elem_id") == "way"]
    return [value for _, value in way["props"]["choices"]]


def test_a_server_that_cannot_paint_clothes_offers_none(ann: httpx.Client) -> None:
    assert offered(ann) == ["photo", "painted", "both"]
    assert list(ann.get("/status").json()["photos"]["enough"]) == ["photo", "painted", "both"]


def test_one_photo_is_enough_and_no_face_is_measured(
    dressing: Place, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(dressing)) as anna:
        assert offered(anna) == ["photo", "dressed", "painted", "both"]
        takes = re.findall(r'<data value="dressed 12">(.*?)</data>', anna.get("/studio-parts").text)
        assert len(takes) == 1
        assert "only clothes and room are painted" in takes[0]
        upload(anna, selfie_jpegs[0])
        photos = anna.get("/status").json()["photos"]
        assert (photos["enough"]["dressed"], photos["missing"]["dressed"]) == (True, "")
        assert order_portraits(anna, 2, "dressed") == ""
        until(lambda: anna.get("/status").json()["stage"] == "done")
        assert [p["way"] for p in anna.get("/status").json()["portraits"]] == ["dressed"] * 2
        file = anna.get("/portrait/portrait-001/download")
        assert b"compositeWithTrainedAlgorithmicMedia" in file.content
        vault, session = dressing.services.vault, session_of(dressing, anna)
        for entry in vault.list(session, kinds.FACE):
            assert b"embedding" not in vault.open(session, kinds.FACE, entry.name)
