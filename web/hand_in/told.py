"""What a visitor is told of handing in: before, what goes where; after, what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from privacy.hand_ins import HandIn
from privacy.sessions import Session
from web.hand_in.parcel import Picture
from web.hand_in.pictures import size_px
from web.hand_in.service import HandingIn
from web.services import Services
from words import count, language, say, span

_KB = 1000


def names(handing_in: HandingIn) -> dict[str, str]:
    """Values for words: to whom, whom to ask about what they hold, what a visitor is to type."""
    receiver = handing_in.receiver
    return {key: getattr(receiver, key).get(language(), "") for key in ("to", "contact", "ask")}


def parts(handing_in: HandingIn | None) -> dict[str, str] | None:
    """What the page is built with: `names`, and how it goes; None where nothing can be given."""
    if handing_in is None:
        return None
    told = names(handing_in)
    return told | {"way": say(f"hand_in.way.{handing_in.receiver.channel.name}", **told)}


def offer(handing_in: HandingIn, session: Session, chosen: Sequence[Picture]) -> dict[str, Any]:
    """Exactly what goes, and until when it can be taken back."""
    return {
        "files": [_file(picture) for picture in chosen],
        "until": _until(handing_in, handing_in.holds_s(session)),
    }


def all_given(services: Services, session: Session) -> list[dict[str, Any]]:
    """What became of each hand-in of the session, newest first; `back`: it can be taken back."""
    handing_in = services.hand_in
    if handing_in is None:
        return []
    return [
        {"id": one.id, "sentence": _sentence(handing_in, one, back, services.now()), "back": back}
        for one in reversed(handing_in.all_of(session))
        for back in (handing_in.can_be_taken_back(one),)
    ]


def _file(picture: Picture) -> str:
    width, height = size_px(picture)
    kilobytes = max(1, round(len(picture.data) / _KB))
    return say("hand_in.file", file=picture.file, w=width, h=height, kb=kilobytes)


def _until(handing_in: HandingIn, hold_s: float) -> str:
    folder = handing_in.receiver.channel.name == "folder"
    if hold_s:
        return say(
            "hand_in.until.hold_folder" if folder else "hand_in.until.hold", hold=span(hold_s)
        )
    return say("hand_in.until.folder" if folder else "hand_in.until.now")


def _sentence(handing_in: HandingIn, one: HandIn, back: bool, now: float) -> str:
    state: str = one.state
    if state == "waiting" and one.tries:
        state = "late"
    elif state == "withdrawn" and one.unsure:
        state = "unconfirmed"
    elif state == "delivered" and back:
        state = "laid"
    return count(f"hand_in.{state}", one.portraits, left=span(one.due - now), **names(handing_in))
