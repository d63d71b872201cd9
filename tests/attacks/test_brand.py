"""Attack: what stands in a company's kit, from the pages and at the start."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import pytest
from PIL import Image, PngImagePlugin

import app
import settings as configuration
from errors import BadSettings
from tests.support.brands import STYLES, kit
from tests.support.web import served
from web.brand import kit as brand

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>\\" {0} {{ 7*7 }}'


@pytest.mark.fact(60)
def test_texts_of_a_kit_are_text_and_its_logo_is_pixels(tmp_path: Path) -> None:
    file = kit(
        tmp_path,
        f'name = "{HOSTILE}"\nlogo = "logo.png"\n[consent]\npurpose = "{HOSTILE}"\n'
        f'operator = "{HOSTILE}"\nalternative = "https://a.example/?q=1"\n',
    )
    hidden = PngImagePlugin.PngInfo()
    hidden.add_text("Comment", "SECRET-OF-THE-FILE")
    Image.new("RGB", (200, 60), "navy").save(tmp_path / "logo.png", pnginfo=hidden)
    with (tmp_path / "logo.png").open("ab") as logo:
        logo.write(b"<script>APPENDED</script>")
    with served(tmp_path / "scratch", brand=str(file)) as place:
        for path in ("/", "/privacy", "/receipt", "/nothing"):
            page = httpx.get(place.url + path, headers={"accept": "text/html"})
            assert "&lt;script&gt;alert(1)" in page.text
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
            assert "script-src 'self';" in page.headers["content-security-policy"]
        sent = httpx.get(f"{place.url}/brand/logo.png").content
        assert b"SECRET" not in sent
        assert b"APPENDED" not in sent
        assert Image.open(io.BytesIO(sent)).size == (200, 60)


@pytest.mark.fact(60)
@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "http://a.example",
        "data:text/html,x",
        "//a.example",
        "HTTPS:javascript:x",
        'https://a.example/\\"onclick=x',
        "https://a.example/<x>",
        "https://a.example/ b",
        "mailto:a@b.example\\nx",
        "https://",
    ],
)
def test_a_link_leads_to_https_or_mail_alone(tmp_path: Path, link: str) -> None:
    file = kit(tmp_path, f'name = "Acme"\n[consent]\nalternative = "{link}"\n')
    with pytest.raises(BadSettings, match="'alternative' must be an address"):
        brand.load(str(file), STYLES)


@pytest.mark.fact(60)
@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"\x89PNG\r\n\x1a\n cut off",
        b"",
    ],
)
def test_a_logo_that_is_no_png_is_refused(tmp_path: Path, content: bytes) -> None:
    file = kit(tmp_path, 'name = "Acme"\nlogo = "logo.png"\n')
    (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(BadSettings, match=r"the logo 'logo\.png' is not a PNG that can be read"):
        brand.load(str(file), STYLES)


MISTAKES = {
    "slogan = 'x'": "'slogan' is not one of",
    "accent = 'blue'": "'accent' must be a colour",
    "accent = '#12'": "'accent' must be a colour",
    "accent = 5": "'accent' must be a colour",
    "accent = '#ffffff'": "'accent' #ffffff has a contrast of 1.1",
    "accent = '#0b5cad'\naccent_dark = '#0b5cad'": "'accent_dark' #0b5cad has a contrast of",
    "accent_dark = '#6fb3f2'": "'accent_dark' needs an 'accent'",
    "logo = 'none.png'": "'logo' names 'none.png', and there is no such file",
    "logo = '../logo.png'": "'logo' must be the name of a file beside it",
    "logo = 'white.png'": "is not seen on the page's ground",
    "logo = 7": "'logo' must be the name of a file beside it",
    "languages = []": "'languages' must list some of",
    "languages = ['it']": "'languages' must list some of",
    "languages = 'de'": "'languages' must list some of",
    "consent = 'yes'": "[consent] must be a table",
    "[consent]": "'alternative' is missing",
    "[consent]\nsince = 1": "'since' is not one of",
    "[consent]\nalternative = 'mailto:a@b.example'\npurpose = ''": "'purpose' must be a text",
    "[consent]\nalternative = 'mailto:a@b.example'\npurpose = {de = 'x'}": "in the language 'en'",
    "[consent]\nalternative = 'mailto:a@b.example'\npurpose = {it = 'x'}": "'it' is not one of",
    "looks = []": "'looks' must be a list of looks that is not empty",
    "looks = ['corporate', 'corporat']": "'looks' names 'corporat', and there are only",
    "walls = 5": "[walls] must be a table",
    "[walls.a]\nname = 'A'": "[walls.a]: a wall has either 'colour' or 'picture'",
    "[walls.a]\nname = 'A'\ncolour = 'blue'": "[walls.a]: 'colour' must be like",
    "[walls.a]\ncolour = '#000000'": "[walls.a]: the key 'name' is missing",
    "[walls.'A b']\nname = 'A'\ncolour = '#000000'": "a wall's key may have",
    "[walls.a]\nname = 'A'\npicture = 'none.jpg'": "[walls.a]: 'picture' names 'none.jpg'",
    "[walls.a]\nname = 'A'\npicture = 'brand.toml'": "[walls.a]: 'picture' must end in",
    "[walls.a]\nname = 'A'\npicture = 'white.png'": "its shorter side needs 512 pixels",
    "[walls.corporate]\nname = 'A'\ncolour = '#000000'": "'corporate' is the name of another",
    "looks = ['corporate']\n[walls.a]\nname = 'A'\ncolour = '#000000'": "not among 'looks'",
    "[portrait]\nheight = 1": "[portrait]: 'height' is not one of",
    "[portrait]\neyes = 0.9": "[portrait]: 'eyes' must be a number from",
    "[portrait]\nhead = true": "[portrait]: 'head' must be a number from",
    "[portrait]\neyes = 0.3\nhead = 0.7": "'eyes' 0.3 has no room above for a head 0.7",
    "[portrait]\nclothes = 'pink'": "[portrait]: 'clothes' must be one of",
    "[portrait]\nlight = 'disco'": "[portrait]: 'light' must be one of",
    "sizes = 5": "[sizes] must be a table",
    "[sizes]\nBadge = [600]": "'Badge' must be [width, height]",
    "[sizes]\nBadge = [600, 8000]": "'Badge' must be [width, height]",
    "[sizes]\nBadge = [600, 80.5]": "'Badge' must be [width, height]",
    "[sizes]\nBanner = [1600, 400]": "'Banner' is too slender",
    "[sizes]\noriginal = [600, 800]": "'original' cannot be a name",
    "[sizes]\n'\"]x' = [600, 800]": "cannot be a name",
    "file_names = 5": "'file_names' must be made of",
    "file_names = '{look}'": "'file_names' must be made of",
    "file_names = '../{number}'": "'file_names' must be made of",
    "file_names = 'a/{number}'": "'file_names' must be made of",
    "file_names = '{number.__class__}'": "'file_names' must be made of",
    "file_names = '{name}-{number}'": "'file_names' must be made of",
    "file_names = '{number:>99999}'": "'file_names' must be made of",
    "accent =": "is not valid TOML",
}


@pytest.mark.fact(61)
@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_sentence_that_names_file_and_key(tmp_path: Path, text: str) -> None:
    file = kit(tmp_path, f"name = 'Acme'\n{text}\n")
    Image.new("RGBA", (80, 80), "white").save(tmp_path / "white.png")
    with pytest.raises(BadSettings) as problem:
        brand.load(str(file), STYLES)
    assert MISTAKES[text] in problem.value.sentence
    assert problem.value.sentence.startswith("brand.toml")
    assert len(problem.value.sentence.splitlines()) == 1


@pytest.mark.fact(61)
@pytest.mark.parametrize("text", ["", "name = 7", "name = ' '", 'name = "a\\nb"'])
def test_a_kit_needs_a_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettings, match="'name'"):
        brand.load(str(kit(tmp_path, text)), STYLES)


@pytest.mark.fact(61)
def test_the_server_does_not_start_with_a_mistake(tmp_path: Path) -> None:
    chosen = configuration.load(
        scratch=tmp_path / "scratch",
        receipts=tmp_path / "receipts",
        port=0,
        brand=str(tmp_path / "none.toml"),
    )
    with pytest.raises(BadSettings, match=r"none\.toml cannot be read: No such file"):
        app.serve(chosen)
    assert not (tmp_path / "scratch").exists()
