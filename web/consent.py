"""What a visitor has agreed to, in words and as a receipt that machines can read, too.

A consent is written down when it is given: the words as they were shown, who asks, and for how long
what is kept. It lies encrypted with the session, is its visitor's to download, and is erased with
the rest. No account is asked for, so nothing in it says who agreed.

Source: ISO/IEC TS 27560:2023 in the terms of W3C's Data Privacy Vocabulary 2.2, by its guide
"Consent records and receipts". A complete record also has the operator's country and postal
address, which this server does not know: so none says that it conforms.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

from errors import UnknownSession
from privacy import kinds
from privacy.sessions import Session
from settings import VERSION, Settings
from web import pages
from web.services import Services
from web.units import HOUR_S
from words import language, say, span

Asked = Literal["portraits", "painted"]
"""At the entrance; and before a model of the face is learnt."""

ASKED: tuple[Asked, ...] = ("portraits", "painted")
_PARTS = ("purpose", "kept", "long", "who", "misuse")
_DATA = {"portraits": "pd:Picture", "painted": "pd:FacialPrint"}
_BASIS = {"portraits": "eu-gdpr:A6-1-a", "painted": "eu-gdpr:A9-2-a"}
_RIGHTS = ("A7-3", "A15", "A17", "A20")
"""Of the GDPR: to withdraw, to see, to have erased, to take along."""
_CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "schema": "https://schema.org/",
}


def notice(settings: Settings) -> list[tuple[str, str]]:
    """What is told at the entrance before anybody agrees: term and words, in the order shown."""
    values = {
        "retention": span(settings.retention_hours * HOUR_S),
        "undelivered": span(settings.undelivered_hours * HOUR_S),
        **pages.responsible(settings),
    }
    told = [
        (say(f"welcome.consent.{part}_term"), say(f"welcome.consent.{part}", **values))
        for part in _PARTS
    ]
    return told + pages.of_the_company()


def keep(services: Services, session: Session, asked: Asked) -> None:
    """Write down that the visitor has agreed now.

    Raises:
        DiskFull, UnknownSession: from the vault.
    """
    record = _record(services.settings, asked, _time(services.now()))
    services.vault.put(session, kinds.CONSENT, asked, json.dumps(record).encode())


def receipt(services: Services, session: Session, here: str) -> dict[str, Any]:
    """All that the visitor has agreed to, as JSON-LD. here: the address of this server.

    Raises:
        UnknownSession: nothing was written down.
    """
    kept = {entry.name for entry in services.vault.list(session, kinds.CONSENT)}
    if not kept:
        raise UnknownSession
    where = {"dpv:isExercisedAt": f"{here}/studio/"}
    rights = [{"@type": ["dpv:DataSubjectRight", f"eu-gdpr:{name}"], **where} for name in _RIGHTS]
    ways = {"dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", **where}}
    records = (
        json.loads(services.vault.open(session, kinds.CONSENT, asked))
        for asked in ASKED
        if asked in kept
    )
    return {
        "@context": _CONTEXT,
        **_named("dpv:ConsentReceipt"),
        "rdfs:comment": say("consent.what"),
        "dct:created": _time(services.now()),
        "dpv:hasRecordOfActivity": [record | ways | {"dpv:hasRight": rights} for record in records],
    }


def _record(settings: Settings, asked: Asked, time: str) -> dict[str, Any]:
    if asked == "portraits":
        tick, told = say("welcome.tick"), notice(settings)
        purpose = told[0][1]
        text = "\n".join([*(f"{term}: {words}" for term, words in told), tick])
    else:
        tick = purpose = text = say("order.agree")
    who = pages.responsible(settings)
    return {
        **_named("dpv:ConsentRecord"),
        "dpv:hasDataSubject": {"@id": "_:you", "@type": "dpv:DataSubject"},
        "dpv:hasDataController": {
            "@id": "_:operator",
            "@type": "dpv:DataController",
            "dpv:hasName": who["operator"],
            "dpv:hasContact": who["contact"],
        },
        "dpv:hasLegalBasis": _BASIS[asked],
        "dpv:hasNotice": {
            "@type": "dpv:ConsentNotice",
            "dct:language": language(),
            "schema:version": VERSION,
            "schema:text": text,
            "schema:sha256": sha256(text.encode()).hexdigest(),
        },
        "dpv:hasProcess": {
            "@type": "dpv:Process",
            "dpv:hasPurpose": {
                "@type": "dpv:RequestedServiceProvision",
                "dct:description": purpose,
            },
            "dpv:hasPersonalData": _DATA[asked],
            "dpv:hasRecipient": [],
            "dpv:hasStorageCondition": [
                _storage(settings.retention_hours, say("consent.delivered")),
                _storage(settings.undelivered_hours, say("consent.undelivered")),
            ],
        },
        "dpv:hasConsentStatus": {
            "@type": ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"],
            "dpv:isIndicatedBy": {"@id": "_:you"},
            "dpv:hasIndicationMethod": tick,
            "dpv:isIndicatedAtTime": time,
        },
    }


def _named(kind: str) -> dict[str, str]:
    identifier = str(uuid4())
    return {"@id": f"urn:uuid:{identifier}", "@type": kind, "dct:identifier": identifier}


def _storage(hours: float, since: str) -> dict[str, str]:
    duration = {"@type": "dpv:StorageDuration", "dpv:hasDuration": f"PT{hours:g}H"}
    return duration | {"dct:description": since}


def _time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds")
