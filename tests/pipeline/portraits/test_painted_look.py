"""What large bases are asked for: fit for everybody, drawn anew for each portrait, checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from errors import BadSettings
from pipeline.bases.base import Base, Sampling
from pipeline.compositing.backdrops import PERSON
from pipeline.portraits.generate import Shot, generate, plan
from pipeline.portraits.painted_look import NEGATIVE, POOLS, PaintedLook, filled, painted_look
from pipeline.portraits.style import Style, load_styles
from pipeline.portraits.tries import another
from tests.support.looks import STYLES

PLACES = "{subject}, {distance}, {pose}, {expression}, {attire}"
GOOD = {
    "prompt": f"A photograph of {PLACES}.",
    "short": f"photo of {PLACES}",
    "attire": ["a blue shirt", "a grey jumper", "a black jacket"],
    "expression": ["a calm look", "a smile"],
    "pose": ["facing the camera"],
    "distance": ["framed from the chest up"],
}
LOOK = painted_look("plain.toml", GOOD)

NOT_FOR_EVERYBODY = re.compile(
    r"\b(m[ae]n|wom[ae]n|(fe)?male|gentlem[ae]n|lad(y|ies)|boys?|girls?|he|she|his|hers?|him"
    r"|(neck|bow )?ties?|dress(es)?|skirts?|blouses?|gowns?|tuxedos?|heels|neckline|make-?up"
    r"|lipstick|ear-?rings?|necklaces?|jewel\w+|hair\w*|beard\w*|moustaches?|bald|bare\w*"
    r"|hats?|caps?|hoods?|scar(f|ves)|headscar\w+|hijabs?|turbans?|veils?|glasses|spectacles"
    r"|young|aged|slim|thin|pretty|handsome|sexy|standing|sitting|seated|hands?|arms?)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def shipped() -> dict[str, PaintedLook]:
    looks = {key: style.painted for key, style in load_styles(STYLES).items()}
    return {key: look for key, look in looks.items() if look is not None}


def test_every_shipped_look_has_sentences_and_pools_of_its_own(
    shipped: dict[str, PaintedLook],
) -> None:
    assert set(shipped) == set(load_styles(STYLES))
    for texts in ("prompt", "short", "attire"):
        assert len({getattr(look, texts) for look in shipped.values()}) == len(shipped)
    for key, look in shipped.items():
        assert len(look.attire) >= 5, key
        assert all(len(getattr(look, pool)) >= 2 for pool in POOLS), key
        # Lens, light in the eyes and skin: what makes a photograph of a portrait.
        assert re.search(r"\d+ mm lens", look.prompt), key
        assert "catchlight" in look.prompt, key
        assert "visible pores" in look.prompt, key
        assert look.prompt.count(". ") >= 3, key


def test_no_shipped_look_says_who_somebody_is_or_what_is_on_their_head(
    shipped: dict[str, PaintedLook],
) -> None:
    for key, look in shipped.items():
        texts = [look.prompt, look.short, *(m for pool in POOLS for m in getattr(look, pool))]
        assert [text for text in texts if NOT_FOR_EVERYBODY.search(text)] == [], key
        assert look.negative == NEGATIVE


def test_looks_without_colour_ask_for_none(shipped: dict[str, PaintedLook]) -> None:
    for key, style in load_styles(STYLES).items():
        grey = style.finish == "monochrome"
        assert ("black-and-white" in shipped[key].prompt) == grey, key
        assert ("black and white" in shipped[key].short) == grey, key


def test_a_pool_is_used_up_before_anything_comes_again() -> None:
    turns = [LOOK.drawn((7,), turn) for turn in range(12)]
    assert turns == [LOOK.drawn((7,), turn) for turn in range(12)]
    for pool in POOLS:
        members = getattr(LOOK, pool)
        worn = [details[pool] for details in turns]
        for lap in range(0, 12, len(members)):
            assert sorted(worn[lap : lap + len(members)]) == sorted(members)
    assert turns != [LOOK.drawn((8,), turn) for turn in range(12)]
    # Attire and expression go round apart from each other.
    assert len({(d["attire"], d["expression"]) for d in turns}) > 3


def style(key: str) -> Style:
    prompt = "photo of {subject}, navy studio backdrop"
    return Style(key, key, "A look.", "work", prompt, "grain", painted=LOOK)


def test_a_plan_draws_the_same_for_an_order_whatever_the_other_looks() -> None:
    alone, both = plan([style("one")], 6, 7), plan([style("one"), style("two")], 12, 7)
    assert [s.details for s in alone] == [s.details for s in both if s.style.key == "one"]
    assert [s.details for s in alone] != [s.details for s in both if s.style.key == "two"]
    assert [s.details for s in alone] != [s.details for s in plan([style("one")], 6, 8)]


def test_another_try_wears_the_same() -> None:
    [shot] = plan([style("one")], 1, 7)
    again = another(shot, 1)
    assert again.seed != shot.seed
    assert again.details == shot.details


@pytest.mark.parametrize(("knows", "sentences"), [(False, False), (True, False), (True, True)])
def test_a_base_is_asked_in_the_form_that_it_reads(
    base: Base, monkeypatch: pytest.MonkeyPatch, knows: bool, sentences: bool
) -> None:
    """The embedded one by its own words, CLIP in short, a language model in sentences."""
    asked: list[str] = []
    encode = base.encode_prompts

    def heard(prompts: list[str]) -> dict:
        asked.extend(prompts)
        return encode(prompts)

    monkeypatch.setattr(base, "encode_prompts", heard)
    monkeypatch.setattr(base, "reads_sentences", sentences, raising=False)
    if knows:
        monkeypatch.setattr(base, "knows", lambda _: True)
    [shot] = plan([style("one")], 1, 7)
    list(generate(base, None, [shot], stop=lambda: False, sampling=Sampling(1, 2.0)))
    if not knows:
        assert asked == ["photo of a person, navy studio backdrop", "grain"]
    else:
        text = LOOK.prompt if sentences else LOOK.short
        assert asked == [filled(text, "a person", shot.details), NEGATIVE]
        assert shot.details["attire"] in asked[0]


def test_the_embedded_base_is_asked_what_it_always_was(base: Base) -> None:
    for look in load_styles(STYLES).values():
        assert look.painted is not None
        [shot] = plan([look], 1, 7)
        assert not base.knows(filled(look.painted.short, PERSON, shot.details)), look.key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"atire": ["a shirt"]}, "'atire' is not one of prompt, short, negative, attire"),
        ({"pose": None}, "'pose' is missing"),
        ({"prompt": None}, "'prompt' is missing"),
        ({"prompt": " "}, "'prompt' must be a text"),
        ({"short": 3}, "'short' must be a text"),
        ({"negative": 3}, "'negative' must be a text"),
        ({"attire": []}, "'attire' must be a list"),
        ({"attire": "a shirt"}, "'attire' must be a list"),
        ({"attire": ["a shirt", ""]}, "'attire' must be a list"),
        ({"attire": ["a shirt", "a shirt"]}, "'attire' must be a list of different texts"),
        ({"attire": [["a shirt"]]}, "'attire' must be a list"),
        ({"prompt": "A photograph of {subject}."}, "'prompt' must contain each of {subject}"),
        ({"short": f"{PLACES} {{hat}}"}, "'short' must contain each of"),
        ({"short": f"{PLACES} {{subject}}"}, "'short' must contain each of"),
        ({"short": PLACES + " and" * 70}, "'short' with the longest of each list counts"),
        ({"pose": ["so " * 70, "up"]}, "'short' with the longest of each list counts"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(changes: dict[str, object], message: str) -> None:
    table = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(BadSettings) as caught:
        painted_look("plain.toml", table)
    assert caught.value.sentence.startswith("plain.toml [painted]: ")
    assert message in caught.value.sentence


def test_painted_must_be_a_table(tmp_path: Path) -> None:
    keys = "name = 'A'\ndescription = 'A.'\ngroup = 'work'\nprompt = '{subject}'\npainted = 3\n"
    (tmp_path / "plain.toml").write_text(keys)
    with pytest.raises(BadSettings, match=r"plain.toml: 'painted' must be a table"):
        load_styles(tmp_path)


def test_what_stands_in_a_pool_is_taken_as_it_is() -> None:
    shot = Shot(0, style("one"), 1, details=dict.fromkeys(POOLS, "{subject} {"))
    assert filled("{attire} of {subject}", PERSON, shot.details) == "{subject} { of sks person"
