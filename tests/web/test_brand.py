"""A company's kit: what it changes of the pages, and that nothing changes without one."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from errors import BadSettings
from pipeline.compositing.look import Alike
from pipeline.portraits.score import PortraitRecord
from pipeline.portraits.style import load_styles
from settings import ROOT
from tests.support.brands import STYLES, kit
from tests.support.gradio_client import order_portraits
from tests.support.web import Place, served, session_of, upload, visitor
from web import offered_sizes
from web.brand import appearance
from web.brand import kit as brand


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server with the kit of docs/brand.md."""
    folder = tmp_path_factory.mktemp("kit")
    with served(folder / "scratch", brand=str(kit(folder))) as place:
        yield place


def test_the_documented_kit_is_read(tmp_path: Path) -> None:
    read = brand.load(str(kit(tmp_path)), STYLES)
    assert (read.name, read.languages) == ("Acme AG", ("de", "en"))
    assert "Dienstausweis" in read.consent.purpose["de"]
    assert read.consent.operator["de"] == read.consent.operator["en"]


def test_without_a_kit_the_pages_name_none(ann: httpx.Client) -> None:
    assert brand.load("", STYLES) == brand.NO_BRAND
    for page in ("/", "/privacy", "/studio/", "/studio-parts"):
        text = ann.get(page).text
        assert "/brand/" not in text
        assert "without AI instead" not in text
    assert (
        ann.get("/brand/logo.png").status_code == ann.get("/brand/colours.css").status_code == 404
    )


def test_the_pages_have_logo_colours_and_texts(acme: Place) -> None:
    client = httpx.Client(base_url=acme.url, headers={"accept-language": "de"})
    page = client.get("/").text
    assert '<img class="logo" src="/brand/logo.png" alt="Acme AG">' in page
    assert "Für das Mitarbeiterverzeichnis und den Dienstausweis." in page
    assert "Acme AG, People &amp; Culture" in page
    assert 'href="https://intranet.acme.example/photographer"' in page
    assert "dpo@acme.example" in client.get("/privacy").text
    sheet = client.get("/brand/colours.css")
    assert sheet.headers["content-type"].startswith("text/css")
    assert "--accent: #0b5cad;" in sheet.text
    logo = Image.open(io.BytesIO(client.get("/brand/logo.png").content))
    assert (logo.format, logo.size) == ("PNG", (400, 120))


def test_the_studio_has_them_too(acme: Place) -> None:
    client = visitor(acme)
    assert '/brand/colours.css"' in client.get("/studio/").text
    assert 'alt="Acme AG"' in client.get("/studio-parts").text


@pytest.mark.parametrize(
    ("accepted", "spoken"), [("fr", "de"), ("en;q=0.5, fr", "en"), ("de-AT", "de"), ("", "de")]
)
def test_the_first_language_is_for_whoever_wants_none_of_them(
    acme: Place, accepted: str, spoken: str
) -> None:
    answer = httpx.get(acme.url, headers={"accept-language": accepted})
    assert answer.headers["content-language"] == spoken


def test_a_language_that_is_not_offered_is_not_spoken(tmp_path: Path) -> None:
    file = kit(tmp_path, 'name = "Acme"\nlanguages = ["de"]\n')
    with brand.branded(brand.load(str(file), STYLES)):
        from web.http.errors import language_of

        request = httpx.Request("GET", "/", headers={"accept-language": "en"})
        assert language_of(request) == "de"  # type: ignore[arg-type]
    assert brand.brand().languages == ()


@pytest.mark.parametrize("accent", ["#0b5cad", "#7a1f3d", "#00594c", "#222222"])
def test_every_pair_of_the_sheet_can_be_read_in_both_themes(accent: str) -> None:
    light, dark = appearance.colours("brand.toml", accent, None).split("@media")
    for sheet, theme in ((light, appearance.LIGHT), (dark, appearance.DARK)):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", sheet))
        for ground in (theme.paper, theme.card, colours["tint"]):
            assert appearance.contrast(colours["accent"], ground) >= 4.5
        for ground in (colours["accent"], colours["accent-strong"]):
            assert appearance.contrast(colours["on-accent"], ground) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert appearance.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert appearance.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_grounds_are_those_of_the_style_sheet() -> None:
    light, dark = (ROOT / "web/static/css/common.css").read_text().split("@media", 1)
    for sheet, theme in ((light, appearance.LIGHT), (dark, appearance.DARK)):
        assert f"--paper: {theme.paper};" in sheet
        assert f"--card: {theme.card};" in sheet


def test_white_text_would_not_be_taken() -> None:
    with pytest.raises(BadSettings, match=r"'accent' #ffffff has a contrast of 1\.1"):
        appearance.colours("brand.toml", "#ffffff", None)


def test_looks_come_in_the_kits_order_with_its_walls(acme: Place) -> None:
    assert list(acme.services.styles) == ["acme-blue", "reception", "corporate", "clean-white"]
    wall = acme.services.styles["acme-blue"]
    assert wall.told("de") == ("Acme-Blau", "Unsere Farbe, weiches Licht.")
    assert wall.told("en") == ("Acme blue", "Our colour, soft light.")
    parts = visitor(acme).get("/studio-parts").text
    assert re.findall(r'name="look" value="([a-z-]+)"', parts) == list(acme.services.styles)
    assert "/studio-wall/acme-blue.webp" in parts


def test_the_walls_of_a_kit_are_painted_in_the_editor(acme: Place) -> None:
    """The middle of the swatch has the wall's colour: blue much stronger than red."""
    for key in ("acme-blue", "reception"):
        answer = visitor(acme).get(f"/studio-wall/{key}.webp")
        red, _, blue = Image.open(io.BytesIO(answer.content)).convert("RGB").getpixel((48, 40))  # type: ignore[misc]
        assert blue > red * (2 if key == "acme-blue" else 1)


def test_without_a_list_all_looks_stay_behind_the_walls(tmp_path: Path) -> None:
    file = kit(tmp_path, 'name = "A"\n[walls.own]\nname = "Own"\ncolour = "#123456"\n')
    looks = brand.load(str(file), STYLES).styles
    assert list(looks) == ["own", *load_styles(STYLES)]
    assert all(look.photo is None or look.photo.alike is None for look in looks.values())
    assert looks["corporate"] == load_styles(STYLES)["corporate"]


def test_one_light_and_one_frame_for_every_look(acme: Place) -> None:
    photos = [look.photo for look in acme.services.styles.values()]
    assert {photo.light for photo in photos if photo} == {"soft"}
    assert {photo.alike for photo in photos if photo} == {Alike(0.46, 0.6, "navy")}


@pytest.fixture
def made(acme: Place) -> httpx.Client:
    """A visitor of the company with portraits."""
    client = visitor(acme)
    acme.job_queue.deliver(session_of(acme, client), 3)
    return client


def test_downloads_have_the_companys_sizes_and_names(made: httpx.Client) -> None:
    sizes = made.get("/status").json()["shapes"][0]["sizes"]
    assert {"key": "Badge", "told": "Badge (600 × 800 px)", "off": False} in sizes
    assert '<option value="Teams">Teams (648 × 648 px)</option>' in made.get("/studio-parts").text
    for size, px in (("Badge", (600, 800)), ("Teams", (648, 648))):
        answer = made.get("/portrait/portrait-001/download", params={"size": size})
        assert Image.open(io.BytesIO(answer.content)).size == px
        name = re.search(r"filename\*=UTF-8''(\S+)", answer.headers["content-disposition"])
        assert name is not None
        assert re.fullmatch(r"Acme-AG-[a-z-]+-001\.png", name[1])
    refused = made.get("/portrait/portrait-001/download", params={"size": "Poster"})
    assert (refused.status_code, "sentence" in refused.json()) == (400, True)


def test_a_zip_is_named_by_the_pattern_and_after_nobody(made: httpx.Client) -> None:
    bundle = zipfile.ZipFile(
        io.BytesIO(made.get("/portraits.zip", params={"size": "Teams"}).content)
    )
    names = [name.removeprefix("doubtful/") for name in bundle.namelist()]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"Acme-AG-[a-z-]+-00[123]\.png", name) for name in names)
    made.post("/portraits/wish", json={"name": "Ann Lee"})
    bundle = zipfile.ZipFile(io.BytesIO(made.get("/portraits.zip").content))
    assert all("Ann-Lee-Acme-AG-" in name for name in bundle.namelist())


def test_a_size_that_photos_cannot_give_is_off() -> None:
    small = PortraitRecord("p", "corporate", 1, 0.5, False, way="photo", px=(300, 300))
    tight = replace(small, px=(1024, 1024), face=(0.1, 0.1, 0.8, 0.8))
    roomy = replace(tight, face=(0.3, 0.2, 0.4, 0.45))
    kit = brand.Brand("Acme", sizes={"Badge": (600, 800)})
    with brand.branded(kit):
        for record, off in ((small, True), (tight, True), (roomy, False)):
            badge = offered_sizes.shape("made", [record])["sizes"][-1]
            assert (badge["key"], badge["off"]) == ("Badge", off)


def test_an_order_is_agreed_and_answered_in_the_companys_name_and_languages(
    acme: Place, selfie_jpegs: list[bytes]
) -> None:
    with closing(visitor(acme)) as ann:
        ann.headers["accept-language"] = "fr"
        assert upload(ann, *selfie_jpegs[:4]).status_code == 200
        assert order_portraits(ann, 4, "painted") == ""
        agreed = ann.get("/session/consent").json()["dpv:hasRecordOfActivity"]
    assert len(agreed) == 2  # at the entrance, and before a model is learnt
    for record in agreed:
        assert record["dpv:hasDataController"]["dpv:hasName"] == "Acme AG, People & Culture"
        assert record["dpv:hasNotice"]["dct:language"] == "de"  # French is not offered
