"""What each route answers to a visitor who means well."""

from __future__ import annotations

import io
import time
import zipfile

import httpx
import pytest
from PIL import Image
from structlog.testing import capture_logs

from tests.support.gradio_client import event_of, gradio_config, refusal, send_event
from tests.support.web import Place, session_of, upload

# --- entrance ---------------------------------------------------------------------------------


def test_welcome_tells_the_promise_from_the_live_settings(
    stranger: httpx.Client, place: Place
) -> None:
    page = stranger.get("/").text
    assert "24 hours" in page
    assert "48 hours" in page
    assert place.services.settings.contact in page
    assert place.services.settings.operator in page


def test_no_session_without_consent(stranger: httpx.Client) -> None:
    answer = stranger.post("/session", data={})
    assert answer.status_code == 400
    assert "tick the box" in answer.text
    assert not stranger.cookies


def test_consent_opens_a_session_in_an_http_only_cookie(stranger: httpx.Client) -> None:
    answer = stranger.post("/session", data={"consent": "yes"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/studio/")
    attributes = answer.headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Path=/", "HttpOnly", "Max-Age=259200", "SameSite=Lax"]
    assert stranger.get("/studio/").status_code == 200


def test_who_has_a_session_keeps_it(ann: httpx.Client) -> None:
    before = ann.cookies["likeness"]
    assert "Continue where you left off" in ann.get("/").text
    assert ann.post("/session", data={"consent": "yes"}).status_code == 303
    assert ann.cookies["likeness"] == before


def test_studio_without_a_session_leads_to_the_entrance(stranger: httpx.Client) -> None:
    answer = stranger.get("/studio/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?cookies=0")
    assert "No session was found in this browser" in stranger.get("/?cookies=0").text


def test_who_had_a_session_is_told_that_it_has_ended(place: Place, ann: httpx.Client) -> None:
    place.services.sessions.erase(session_of(place, ann).id, "expired")
    answer = ann.get("/studio/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?ended=1")
    assert "session has ended" in ann.get("/?ended=1").text


@pytest.mark.parametrize("cookie", [None, "", "nonsense", "alive"])
def test_nobody_is_told_of_an_erasure_that_was_none(
    ann: httpx.Client, stranger: httpx.Client, cookie: str | None
) -> None:
    alive = ann.cookies["likeness"]
    if cookie is not None:
        stranger.cookies.set("likeness", alive if cookie == "alive" else cookie)
    for address in ("/studio/", "/?ended=1", "/?cookies=0"):
        page = stranger.get(address, follow_redirects=True)
        assert page.status_code == 200
        assert "was erased" not in page.text, address
    led_here = stranger.get("/studio/", follow_redirects=True).text
    assert ("No session was found" in led_here) is (cookie != "alive")


def test_private_link_opens_the_session_elsewhere(
    ann: httpx.Client, stranger: httpx.Client
) -> None:
    path = ann.get("/session/link").json()["path"]
    page, _, ticket = path.partition("#")
    assert page == "/return"
    assert stranger.get(page).status_code == 200
    answer = stranger.post("/session/return", json={"ticket": ticket})
    assert answer.json() == {"next": "/studio/"}
    assert stranger.cookies["likeness"] == ann.cookies["likeness"]


@pytest.mark.parametrize("ticket", ["", "x", "a" * 300, "AAAAAAAAAAAAAAAAAAAAAA." + "A" * 43])
def test_a_wrong_link_opens_nothing(stranger: httpx.Client, ticket: str) -> None:
    answer = stranger.post("/session/return", json={"ticket": ticket})
    assert answer.status_code == 404
    assert not stranger.cookies


def test_health(stranger: httpx.Client) -> None:
    assert stranger.get("/health").text == "ok"


# --- photos -----------------------------------------------------------------------------------


def test_each_photo_is_judged_and_a_bad_one_loses_none(
    ann: httpx.Client, selfie_jpegs: list[bytes]
) -> None:
    answer = upload(ann, selfie_jpegs[0], b"not a photo", b"", selfie_jpegs[1])
    assert answer.status_code == 200
    assert len(answer.json()) == 4
    photos = ann.get("/status").json()["photos"]
    assert photos["good"] == 2
    assert sorted(photo["accepted"] for photo in photos["list"]) == [False, False, True, True]
    assert all(photo["sentence"] for photo in photos["list"])


def test_a_photo_over_the_limit_is_a_record_with_a_reason(
    ann: httpx.Client, selfie_jpegs: list[bytes], place: Place
) -> None:
    limit = place.services.settings.max_photo_mb * 1_000_000
    huge = selfie_jpegs[0] + bytes(limit)
    assert upload(ann, huge, selfie_jpegs[1]).status_code == 200
    photos = ann.get("/status").json()["photos"]
    assert photos["good"] == 1
    (rejected,) = [photo for photo in photos["list"] if not photo["accepted"]]
    assert "20 MB" in rejected["sentence"]


def test_thumbnails_come_from_the_vault_as_png(ann_with_photos: httpx.Client) -> None:
    photo = ann_with_photos.get("/status").json()["photos"]["list"][0]
    answer = ann_with_photos.get(f"/photo/{photo['id']}")
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.info == {}


def test_gradio_finds_an_uploaded_photo_under_its_virtual_path(
    ann: httpx.Client, selfie_jpegs: list[bytes]
) -> None:
    (path,) = upload(ann, selfie_jpegs[0]).json()
    assert path.startswith("/dev/null/")
    assert ann.get(f"/studio/gradio_api/file={path}").headers["content-type"] == "image/png"


def test_a_photo_can_be_removed(ann_with_photos: httpx.Client) -> None:
    assert ann_with_photos.delete("/photo/photo-02").status_code == 204
    assert ann_with_photos.get("/photo/photo-02").status_code == 404
    assert ann_with_photos.delete("/photo/photo-02").status_code == 404
    assert ann_with_photos.get("/status").json()["photos"]["good"] == 3


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"hello", "text/plain"),
        (b"hello", "multipart/form-data"),
        (b"hello", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data", "multipart/form-data; boundary=y"),
    ],
)
def test_a_damaged_upload_is_one_plain_sentence(
    ann: httpx.Client, body: bytes, content_type: str
) -> None:
    answer = ann.post(
        "/studio/gradio_api/upload", content=body, headers={"content-type": content_type}
    )
    assert answer.status_code == 415
    assert answer.text == "The upload arrived damaged. Please try again."


# --- progress ---------------------------------------------------------------------------------


def test_a_poll_repeats_only_what_changed(ann_with_photos: httpx.Client) -> None:
    first = ann_with_photos.get("/status").json()
    seen = {"photos": first["photos_mark"], "portraits": first["portraits_mark"]}
    second = ann_with_photos.get("/status", params=seen).json()
    assert "photos" not in second
    assert "portraits" not in second
    ann_with_photos.delete("/photo/photo-01")
    third = ann_with_photos.get("/status", params=seen).json()
    assert len(third["photos"]["list"]) == 3
    assert "portraits" not in third


def test_order_reaches_the_studio_and_runs_to_the_end(
    ann_with_photos: httpx.Client, place: Place
) -> None:
    create = event_of(gradio_config(ann_with_photos), "create")
    data = [["corporate"], ["old-money"], [], None, 6, "painted", True, True]
    joined, messages = send_event(ann_with_photos, create, data)
    assert joined.status_code == 200
    assert messages[-2]["success"] is True
    order = place.job_queue.orders[-1]
    assert (order.styles, order.count, order.keep_adapter) == (("corporate", "old-money"), 6, True)
    assert (order.crop, order.tone, order.way) == ("look", "look", "painted")
    stages = set()
    for _ in range(200):
        status = ann_with_photos.get("/status").json()
        stages.add(status["stage"])
        if status["stage"] == "done":
            break
        time.sleep(0.02)
    assert stages == {"working", "done"}
    assert status["time"]["sentence"] == "Everything is erased in 24 hours"
    assert status["model_kept"] is True
    assert len(status["portraits"]) == 6


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([[], None, [], [], 6, "painted", False, True], "choose at least one look"),
        ([["corporate"], [], [], [], "many", "painted", False, True], "how many portraits"),
        ([["corporate"], [], [], [], None, "painted", False, True], "how many portraits"),
        ([["nonsense"], [], [], [], 6, "painted", False, True], "There is no look"),
        ([["corporate"], [], [], [], 6, "painted", False, True], "good photos are needed"),
        ([["corporate"], [], [], [], 6, "painted", False, False], "tick the box that you agree"),
        ([["corporate"], [], [], [], 6, "painted", False, None], "tick the box that you agree"),
    ],
)
def test_a_bad_order_is_a_sentence_on_the_page(
    ann: httpx.Client, data: list[object], words: str
) -> None:
    create = event_of(gradio_config(ann), "create")
    _, messages = send_event(ann, create, data)
    assert words in refusal(messages)
    assert ann.get("/status").json()["stage"] == "choosing"


def test_a_job_can_be_stopped(ann_with_photos: httpx.Client, place: Place) -> None:
    send_event(
        ann_with_photos,
        event_of(gradio_config(ann_with_photos), "create"),
        [["corporate"], [], [], [], 200, "painted", False, True],
    )
    assert ann_with_photos.post("/job/stop").status_code == 204
    assert ann_with_photos.get("/status").json()["stage"] != "working"


# --- portraits --------------------------------------------------------------------------------


@pytest.fixture
def ann_with_portraits(ann: httpx.Client, place: Place) -> httpx.Client:
    place.job_queue.deliver(session_of(place, ann), 6)
    return ann


def test_portraits_come_best_first_with_the_doubtful_marked(
    ann_with_portraits: httpx.Client,
) -> None:
    portraits = ann_with_portraits.get("/status").json()["portraits"]
    assert [portrait["doubtful"] for portrait in portraits] == [False] * 5 + [True]
    first = {"id": "portrait-001", "style": "Corporate", "doubtful": False, "like": None}
    first |= {"way": "painted"}
    assert portraits[0] == first


@pytest.mark.parametrize(("size", "side"), [("original", 320), ("400", 400), ("800", 800)])
def test_a_portrait_comes_in_three_sizes(
    ann_with_portraits: httpx.Client, size: str, side: int
) -> None:
    answer = ann_with_portraits.get("/portrait/portrait-001", params={"size": size})
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (side, side)


def test_an_unknown_size_is_a_sentence(ann_with_portraits: httpx.Client) -> None:
    for address in ("/portrait/portrait-001", "/portraits.zip"):
        answer = ann_with_portraits.get(address, params={"size": "../../etc"})
        assert answer.status_code == 400
        assert answer.json()["sentence"].startswith("Sizes are")


def test_the_zip_opens_and_holds_every_portrait(ann_with_portraits: httpx.Client) -> None:
    answer = ann_with_portraits.get("/portraits.zip", params={"size": "400"})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        assert bundle.testzip() is None
        assert len(bundle.namelist()) == 6


# --- leaving ----------------------------------------------------------------------------------


def test_delete_model_leaves_the_rest(ann_with_portraits: httpx.Client, place: Place) -> None:
    session = session_of(place, ann_with_portraits)
    place.services.vault.put(session, "adapter", "adapter", b"a model")
    assert ann_with_portraits.get("/status").json()["model_kept"] is True
    assert ann_with_portraits.post("/session/delete-model").status_code == 204
    assert ann_with_portraits.get("/status").json()["model_kept"] is False
    assert ann_with_portraits.get("/portrait/portrait-001").status_code == 200


def test_delete_everything_says_goodbye_and_takes_the_cookie(
    ann_with_portraits: httpx.Client,
) -> None:
    ticket = ann_with_portraits.cookies["likeness"]
    answer = ann_with_portraits.post("/session/delete")
    assert answer.json() == {"next": "/goodbye"}
    assert "likeness" not in ann_with_portraits.cookies
    assert "Everything is erased" in ann_with_portraits.get("/goodbye").text
    ann_with_portraits.cookies.set("likeness", ticket)
    for address in ("/status", "/portrait/portrait-001", "/portraits.zip", "/session/link"):
        assert ann_with_portraits.get(address).status_code == 404


# --- the edge ---------------------------------------------------------------------------------


def test_a_bug_is_a_sentence_with_a_number_and_no_content_in_the_log(
    ann: httpx.Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session_id: str) -> None:
        raise RuntimeError(f"SECRET {session_id}")

    monkeypatch.setattr(place.job_queue, "progress", broken)
    with capture_logs() as events:
        answer = ann.get("/status")
    assert answer.status_code == 500
    assert "SECRET" not in answer.text
    assert "Traceback" not in answer.text
    (event,) = [event for event in events if event["event"] == "unexpected"]
    assert event["reference"] in answer.json()["sentence"]
    assert event["error"] == "RuntimeError"
    assert "SECRET" not in repr(event)
    assert session_of(place, ann).id not in repr(event)


def test_an_unknown_address_is_a_page_for_people_and_json_for_scripts(
    stranger: httpx.Client,
) -> None:
    page = stranger.get("/nothing", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing here" in page.text
    assert stranger.get("/nothing").json()["sentence"].startswith("There is nothing here")


# --- handing in ---------------------------------------------------------------------------------


def test_where_nobody_is_named_nothing_can_be_handed_in(place: Place, ann: httpx.Client) -> None:
    place.job_queue.deliver(session_of(place, ann), 1)
    ask = {"portraits": ["portrait-001"]}
    assert ann.post("/session/hand-in", json=ask).status_code == 404
    assert ann.get("/session/hand-in", params=ask).status_code == 404
    assert ann.get("/session/done").status_code == 404
    parts = ann.get("/studio-parts").text
    assert "show-hand-in" not in parts
    assert '<dialog id="hand-in"' not in parts
    assert ann.get("/status").json()["given"] == []
