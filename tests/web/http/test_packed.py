"""Files that are the same for everybody, over HTTP: packed, whole, and only those."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable

import brotli
import httpx
import pytest

from settings import ROOT

SCRIPT = "/static/studio.js"
UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "": bytes,
}


def raw(client: httpx.Client, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """An answer, and its body as it came over the wire."""
    with client.stream("GET", path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("deflate, br;q=0", ""),
        ("identity", ""),
    ],
)
def test_a_script_is_packed_as_the_browser_takes_it(
    ann: httpx.Client, accepted: str, encoding: str
) -> None:
    answer, body = raw(ann, SCRIPT, **{"accept-encoding": accepted})
    whole = (ROOT / "web" / SCRIPT.removeprefix("/")).read_bytes()
    assert UNPACKED[encoding](body) == whole
    assert answer.headers.get("content-encoding", "") == encoding
    assert int(answer.headers["content-length"]) == len(body)
    assert (len(body) < 0.5 * len(whole)) == bool(encoding)
    assert answer.headers["vary"] == "Accept-Encoding"


def test_a_picture_is_not_packed_again(ann: httpx.Client) -> None:
    answer, body = raw(ann, "/static/looks/corporate.webp")
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "image/webp"
    assert body == (ROOT / "web/static/looks/corporate.webp").read_bytes()


def test_gradios_scripts_are_those_of_the_package(ann: httpx.Client) -> None:
    import gradio

    found = re.search(r"assets/index-[\w-]+\.js", ann.get("/studio/").text)
    assert found
    answer, body = raw(ann, f"/studio/{found[0]}", **{"accept-encoding": "br"})
    assert "javascript" in answer.headers["content-type"]
    package = next(iter(gradio.__path__))
    with open(f"{package}/templates/frontend/{found[0]}", "rb") as file:
        assert brotli.decompress(body) == file.read()


def test_a_script_that_is_served_in_place_of_gradios_is_packed_too(ann: httpx.Client) -> None:
    from web.gradio import scripts

    [(name, instead)] = scripts.changed().items()
    for accepted, encoding in (("br", "br"), ("identity", "")):
        answer, body = raw(ann, f"/studio/assets/{name}", **{"accept-encoding": accepted})
        assert answer.headers.get("content-encoding", "") == encoding
        assert UNPACKED[encoding](body) == instead


def test_what_a_browser_has_already_is_not_sent_again(ann: httpx.Client) -> None:
    tag = ann.get(SCRIPT).headers["etag"]
    answer = ann.get(SCRIPT, headers={"if-none-match": f'"other", {tag}'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert ann.get(SCRIPT, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["", "css", "css/", "nothing.js", "..%2fserver.py", "%2e%2e/server.py", "/etc/passwd", "a%00b"],
)
@pytest.mark.parametrize("folder", ["/static/", "/studio/assets/"])
def test_nothing_else_is_there(ann: httpx.Client, folder: str, path: str) -> None:
    assert ann.get(folder + path).status_code == 404


def test_files_are_only_read(ann: httpx.Client) -> None:
    origin = str(ann.base_url).rstrip("/")
    assert ann.post(SCRIPT, headers={"origin": origin}).status_code == 405
