"""The page /privacy: what this server does with a face, told from its live settings.

Says only what the code does; the words are in the catalogues of `words/` under [privacy].
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from pipeline.photos import sandbox
from web import pages
from web.hand_in import told
from web.http.dependencies import Parts
from web.routes.receipts import public_key
from web.services import Services
from web.units import HOUR_S
from words import say, span

GLANCE = (
    "encryption",
    "retention",
    "undelivered",
    "own",
    "identity",
    "training",
    "where",
    "operator",
)
CHECKLIST = (
    "rest",
    "transit",
    "keys",
    "deletion",
    "training",
    "third_parties",
    "access",
    "logs",
    "decoder",
    "metadata",
    "marking",
    "backups",
)


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/privacy")
    def privacy(services: Parts) -> Response:
        settings = services.settings
        values = {
            "retention": span(settings.retention_hours * HOUR_S),
            "undelivered": span(settings.undelivered_hours * HOUR_S),
            **pages.responsible(settings),
            "to": told.names(services.hand_in)["to"] if services.hand_in else "",
        }
        return pages.page(
            "privacy.html",
            glance=[_told("glance", name, values) for name in GLANCE] + pages.of_the_company(),
            checklist=[
                _told("checklist", name, values, _form(name, services)) for name in CHECKLIST
            ],
            key=public_key(services.sessions.receipts),
            contact=values["contact"],
        )

    return routes


def _form(name: str, services: Services) -> str:
    """Which of two answers holds for these settings, or on this machine."""
    settings = services.settings
    if name == "third_parties":
        return ".given" if services.hand_in else ".nobody"
    if name == "transit":
        return ".https" if settings.https else ".http"
    if name == "marking":
        return ".always" if settings.marking == "always" else ".choice"
    if name == "decoder":
        return ".walls" if sandbox.supported() else ".limits"
    if name == "keys":
        return ".ram" if settings.master_key == "ram" else ".file"
    return ""


def _told(part: str, name: str, values: dict[str, str], form: str = "") -> tuple[str, str]:
    """The term and what is said about it."""
    key = f"privacy.{part}.{name}"
    return say(f"{key}_term"), say(f"{key}{form}", **values)
