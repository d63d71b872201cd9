"""Every visible word is in the catalogues, in every language, and nothing else is."""

from __future__ import annotations

import ast
import json
import re
import string
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from errors import (
    BadFolder,
    BadOrder,
    BaseUnavailable,
    DiskFull,
    Stopped,
    TamperedError,
    UnknownSession,
)
from messages import Message
from pipeline.orders import Phase
from pipeline.photos.record import FaceRecord
from pipeline.photos.similarity import Lack
from pipeline.portraits.style import GROUPS
from tests.support.looks import SHIPPED, STYLES
from web.gradio.labels import english_only
from words import (
    ENGLISH,
    LANGUAGES,
    catalogue,
    count,
    preferred,
    say,
    span,
    speaking,
    tell,
    tell_kept,
)

ROOT = Path(__file__).parents[2]
SOURCES = [
    ROOT / "errors.py",
    *(ROOT / "pipeline").rglob("*.py"),
    *(ROOT / "web").rglob("*.py"),
    *(ROOT / "web").glob("templates/*.html"),
]
FOR_VISITORS = {"BadPhoto", "BadOrder", "Busy", "NotAdmitted", "TamperedError"}
SAYING = "|".join(("say", "count", "Message", "__init__", *sorted(FOR_VISITORS)))
KEYS = {
    key
    for source in SOURCES
    for key in re.findall(rf"""\b(?:{SAYING})\(\s*["']([\w.]+)["']\s*[,)]""", source.read_text())
}
OTHERS = [name for name in LANGUAGES if name != ENGLISH]

# The same in every language: names, numbers, and what is only a place to fill in.
ALIKE = {
    "name.product",
    "privacy.glance.operator",
    "photos.alt",
    "portraits.size_square-800",
    "portraits.size_square-400",
    "portraits.format_png",
    "portraits.format_jpeg",
    "portraits.format_webp",
}
WORDS_ALIKE = {
    "de": {"privacy.glance.training_term"},
    "fr": {
        "time.minutes.one",
        "time.minutes.other",
        "receipt.count.photos.one",
        "receipt.count.photos.other",
        "receipt.count.portraits.one",
        "receipt.count.portraits.other",
        "photos.nameless",
        "editor.photo",
    },
}
STYLE_NAMES_ALIKE = {"Corporate", "Corporate Baddie", "Film Noir", "LinkedIn Classic", "Old Money"}


def places(words: str) -> set[tuple[str, str]]:
    """What a text has to be filled in with, and how."""
    return {(name, how or "") for _, name, how, _ in string.Formatter().parse(words) if name}


def test_every_key_that_is_used_exists() -> None:
    known = set(catalogue(ENGLISH)) | {key.rsplit(".", 1)[0] for key in catalogue(ENGLISH)}
    assert known >= KEYS
    assert len(KEYS) > 100
    assert known >= {f"job.{phase}" for phase in get_args(Phase)}
    assert known >= {f"looks.{group}" for group in GROUPS}
    assert known >= {f"photos.lacking.{lack}" for lack in get_args(Lack)}


@pytest.mark.parametrize("name", OTHERS)
def test_every_language_has_the_same_keys_and_places(name: str) -> None:
    english, other = catalogue(ENGLISH), catalogue(name)
    assert sorted(set(english) ^ set(other)) == []  # all that are missing or too many
    assert list(other) == list(english)  # in the same order, so that they can be read side by side
    assert {key: places(other[key]) for key in other} == {k: places(english[k]) for k in english}


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_was_left_in_english(name: str) -> None:
    english, other = catalogue(ENGLISH), catalogue(name)
    assert {key for key in english if english[key] == other[key]} == ALIKE | WORDS_ALIKE.get(
        name, set()
    )


def test_punctuation_is_that_of_the_language() -> None:
    """A narrow no-break space in French; in Spanish the mark that opens a question."""
    styles = [tomllib.loads((STYLES / f"{key}.toml").read_text()) for key in SHIPPED]
    for words in (*catalogue("fr").values(), *(style["fr"]["description"] for style in styles)):
        assert not re.search(r"[^\u202f][?!;»]|«[^\u202f]|[^\u202f]:(\s|$)|'(?!PUB| )", words), (
            words
        )
    for words in (*catalogue("es").values(), *(style["es"]["description"] for style in styles)):
        assert words.count("¿") == words.count("?"), words
        assert words.count("¡") == words.count("!"), words


@pytest.mark.parametrize("name", OTHERS)
def test_every_style_is_told_in_every_language(name: str) -> None:
    for path in (STYLES / f"{key}.toml" for key in SHIPPED):
        style = tomllib.loads(path.read_text())
        told = style[name]
        assert told["description"] != style["description"], path.name
        assert "name" in told or style["name"] in STYLE_NAMES_ALIKE, path.name


# --- what is raised --------------------------------------------------------------------------

# The command line speaks English, and to nobody else; decoder.py imports nothing of the project.
NOT_FOR_VISITORS = {"__main__.py", "decoder.py"}
MODULES = [
    path
    for folder in ("pipeline", "privacy", "web")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name not in NOT_FOR_VISITORS
]


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    return [
        (node.func.id, node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_no_sentence_for_a_visitor_stands_in_the_code(path: Path) -> None:
    for name, call in calls(path):
        if name in {*FOR_VISITORS, "Message"} and call.args:
            key = ast.unparse(call.args[0])
            texts = [
                node.value
                for node in ast.walk(call.args[0])
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
            assert all(re.fullmatch(r"[\w.]+", text) for text in texts), (
                f"line {call.lineno}: {key}"
            )
            assert not isinstance(call.args[0], ast.Call), f"line {call.lineno}: {key}"
        for keyword in call.keywords:
            if keyword.arg in ("sentence", "message", "verdict"):
                literal = isinstance(keyword.value, ast.Constant | ast.JoinedStr)
                assert not literal, f"line {call.lineno}: {ast.unparse(keyword.value)}"


def test_every_verdict_has_words() -> None:
    codes = {"good", "too_many", "duplicate", "different_person"}
    for module in ("ingest", "quality"):
        for name, call in calls(ROOT / "pipeline" / "photos" / f"{module}.py"):
            if name in ("_refusal", "_fault", "_Refused") and call.args:
                codes |= {
                    node.value
                    for node in ast.walk(call.args[0])
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                }
    codes |= {"too_many_pixels", "too_many_scans", "animated"}  # of the decoding process
    assert {f"verdict.{code}" for code in codes} == {
        key for key in catalogue(ENGLISH) if key.startswith("verdict.")
    }


def test_a_visitor_does_not_read_what_is_for_the_operator() -> None:
    error = BaseUnavailable("There is no base model in the folder 'sdxl'.")
    assert "sdxl" in tell(error.for_operator)
    assert tell(error.message) == catalogue(ENGLISH)["errors.operator"]


@pytest.mark.parametrize("error", [UnknownSession, DiskFull, Stopped, TamperedError])
def test_an_error_without_words_of_its_own_has_some_in_every_language(
    error: type[UnknownSession],
) -> None:
    raised = error()
    with speaking("de"):
        german = tell(raised.message)
    assert german in catalogue("de").values()
    assert tell(raised.message) == tell(raised.for_operator) in catalogue(ENGLISH).values()


def test_the_scripts_have_no_words_of_their_own() -> None:
    for path in (ROOT / "web" / "static").glob("*.js"):
        code = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        found = set(re.findall(r"""["'`]([A-Z][a-z]+ [a-z]+[^"'`\n]*)["'`]""", code))
        # Gradio's words may be looked for.
        assert found <= {*english_only(), "Click to upload or drop files"}, path.name


@pytest.mark.parametrize(
    ("module", "needs"),
    [("messages.py", set()), ("errors.py", {"messages"}), ("words/__init__.py", {"messages"})],
)
def test_words_need_nothing_but_the_standard_library(module: str, needs: set[str]) -> None:
    """privacy/ raises errors, and must be auditable alone."""
    imported = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported - sys.stdlib_module_names == needs


# --- saying ----------------------------------------------------------------------------------


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("bar.delivered")


def test_one_and_many() -> None:
    assert count("time.hours", 1) == "1 hour"
    assert count("time.hours", 24) == "24 hours"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (86400, "24 hours"),
        (86399.5, "24 hours"),
        (86340, "23 h 59 min"),
        (61, "2 minutes"),
        (-5, "1 minute"),
    ],
)
def test_times_are_told_to_the_next_minute(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_message_is_told_to_each_in_their_language() -> None:
    left = Message("bar.delivered", {"left": Message("time.hours", {"n": 1})})
    assert tell(left) == "Everything is erased in 1 hour"
    with speaking("de"):
        assert tell(left) == "Alles wird in 1 Stunde gelöscht"
        assert tell("me.jpg") == "me.jpg"
    assert tell(left) == "Everything is erased in 1 hour"


def test_a_message_with_a_number_chooses_between_one_and_many() -> None:
    one, many = (BadOrder("order.too_few", n=n, needed=4).message for n in (1, 2))
    assert "there is 1 so far" in tell(one)
    assert "there are 2 so far" in tell(many)


def test_a_message_is_written_and_read_with_those_in_it() -> None:
    left = Message("bar.delivered", {"left": Message("time.hours", {"n": 1})})
    assert Message.from_json(json.loads(json.dumps(left.to_json()))) == left


def test_an_error_is_told_in_the_language_of_whoever_reads_it() -> None:
    with speaking("de"):
        error = BadOrder("order.running")
        assert tell(error.message) == "Ihre Porträts entstehen bereits."
    assert tell(error.message) == "Your portraits are already being made."
    assert tell(BadFolder("Of the command line.").for_operator) == "Of the command line."


def test_a_stored_verdict_is_told_in_the_language_of_whoever_reads_it() -> None:
    verdict = Message("verdict.too_large_file", {"megabytes": 20.0})
    stored = FaceRecord("photo-01", "me.jpg", verdict, None).to_json()
    with speaking("de"):
        told = tell(FaceRecord.from_json("photo-01", stored).verdict)
    assert told.startswith("Diese Datei ist größer als 20 MB.")
    assert FaceRecord.from_json("photo-01", stored).verdict == verdict


def test_a_name_that_is_not_the_visitors_own_is_told_in_their_language() -> None:
    sample = Message("photos.sample", {"n": 2})
    stored = FaceRecord("photo-01", sample, Message("verdict.good"), None).to_json()
    label = FaceRecord.from_json("photo-01", stored).label
    assert tell(label) == "Sample photo 2"
    with speaking("de"):
        assert tell(label) == "Beispielfoto 2"


def test_a_record_of_another_version_is_read_all_the_same() -> None:
    stored = b'{"label": "me.jpg", "verdict": {"key": "verdict.gone", "values": {}}}'
    verdict = FaceRecord.from_json("photo-01", stored).verdict
    assert tell_kept(verdict) == ""
    with pytest.raises(KeyError):
        tell(verdict)


@pytest.mark.parametrize(
    ("accepted", "name"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-DE,de;q=0.9,en;q=0.5", "de"),
        ("DE-at", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("en;q=0.3, de;q=0.8", "de"),
        ("fr-CA,fr;q=0.9", "fr"),
        ("es-MX", "es"),
        ("fr;q=0.4,es-419;q=0.6", "es"),
        ("it-IT,it;q=0.9", "en"),
        ("it,de;q=0.5,en;q=0.2", "de"),
        ("de;q=0,en", "en"),
        ("de;q=0", "en"),
        ("de;q=nan", "en"),
        ("de;q=many", "en"),
        ("*", "en"),
        (",;,;q=1,,-", "en"),
        ("den", "en"),
    ],
)
def test_the_browser_chooses_among_the_languages_there_are(accepted: str, name: str) -> None:
    assert preferred(accepted) == name
