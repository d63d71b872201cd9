"""The portraits that a visitor chose to give, as the files that their downloads would be."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from errors import BadOrder, UnknownSession
from pipeline.portraits.archive import one
from pipeline.portraits.export import FORMATS
from privacy.sessions import Session
from web.finished import file_name, how_of, record_of
from web.hand_in.parcel import Picture, apart
from web.services import Services

MOST = 3


def pictures(
    services: Services, session: Session, ids: Sequence[str], asked: Mapping[str, Any]
) -> list[Picture]:
    """Portraits of the session, each once, as files.

    asked: as for `how_of`.

    Raises:
        BadOrder: not one to three portraits, or something that is not offered.
        UnknownSession: one is not of this session.
    """
    chosen = list(dict.fromkeys(ids))
    if not 1 <= len(chosen) <= MOST:
        raise BadOrder("hand_in.how_many", most=MOST)
    how = how_of(services, session, asked)
    records = [record_of(services, session, portrait_id) for portrait_id in chosen]
    names = apart([file_name(services, record, how) for record in records])
    try:
        made = [one(services.vault, session, record, how, services.mattes) for record in records]
    except KeyError:
        raise UnknownSession from None
    media_type = FORMATS[how.format]
    return [Picture(name, media_type, data) for name, data in zip(names, made, strict=True)]


def size_px(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels."""
    with Image.open(io.BytesIO(picture.data)) as image:
        return image.size
