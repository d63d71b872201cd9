"""A portrait as its download: which one it is, how it is finished, and what its file is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from errors import UnknownSession
from pipeline.portraits.archive import named
from pipeline.portraits.export import SUFFIXES, Finish
from pipeline.portraits.score import PortraitRecord
from privacy.sessions import Session
from web import download_options
from web.services import Services


def record_of(services: Services, session: Session, portrait_id: str) -> PortraitRecord:
    """What is known of a portrait of this session.

    Raises:
        UnknownSession: there is none of that name.
    """
    for record in services.job_queue.portraits(session):
        if record.id == portrait_id:
            return record
    raise UnknownSession


def how_of(services: Services, session: Session, asked: Mapping[str, Any]) -> Finish:
    """How a download is finished: what is asked for, and the visitor's and the company's options.

    asked: `size`, `format`, `shape` and `tone` of `Finish`.

    Raises:
        BadOrder: something that is not offered.
    """
    options = download_options.chosen(services.vault, session, services.settings)
    asked, kit = dict(asked), services.brand
    if asked["size"] in kit.sizes:
        options |= {"px": kit.sizes[asked["size"]]}
        asked["size"] = "original"
    if kit.names:
        options |= {"names": kit.names}
    return Finish(**asked, **options, signer=services.signer())


def plain_name(record: PortraitRecord, how: Finish) -> str:
    """The name of a download in letters that every program reads."""
    return f"{record.id}.{SUFFIXES[how.format]}"


def file_name(services: Services, record: PortraitRecord, how: Finish) -> str:
    """The name of a download: after the person if they typed a name, or as the company names its
    own. It may hold letters of any language."""
    if services.brand.names:
        return named(record.id.rpartition("-")[2], record, how)
    return f"{how.name}-{plain_name(record, how)}" if how.name else plain_name(record, how)
