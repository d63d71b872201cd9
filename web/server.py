"""Builds the application. Nothing happens at import; Gradio is imported here, once, guarded."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from settings import Settings
from web import (
    entrance,
    gradio_guard,
    leaving,
    looks,
    photos,
    portraits,
    progress,
    receipts,
    shared,
    transparency,
)
from web.edge import Edge, handle_errors
from web.firewall import STUDIO, Firewall
from web.services import Services
from web.virtual import VirtualFiles


def build(settings: Settings, services: Services) -> FastAPI:
    """The whole web layer over connected services.

    Serve it with uvicorn's access log off: addresses and paths belong in no log.
    """
    gradio_guard.prepare()
    from web import studio_page  # after the guard: this import loads Gradio

    app = FastAPI(title="Likeness", docs_url=None, redoc_url=None, openapi_url=None)
    files = VirtualFiles()
    app.state.services = services
    # Ours first: the upload and file routes lie where Gradio has its own, and shadow them.
    for router in (
        entrance.router(),
        photos.router(services, files),
        progress.router(),
        portraits.router(),
        shared.router(),
        looks.router(),
        leaving.router(),
        receipts.router(),
        transparency.router(),
    ):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    with gradio_guard.building():
        studio_page.mount(app, services, STUDIO)
    handle_errors(app)
    # The last added is the outermost.
    app.add_middleware(Firewall, services=services, files=files)
    app.add_middleware(Edge, settings=settings)
    return app
