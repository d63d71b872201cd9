"""Builds the application. Nothing happens at import; Gradio is imported here, once, guarded."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

from settings import Settings
from web.admin.wall import Wall
from web.editor import Editor
from web.gradio import guard
from web.gradio.upload_names import VirtualFiles
from web.http.bodies import Bodies
from web.http.errors import Edge, handle_errors
from web.http.firewall import STUDIO, Firewall
from web.http.heavy import Heavy
from web.http.packed import Packed
from web.http.prefix import Mounted, Prefix
from web.moving import MovingPortraits
from web.routes import (
    admin,
    brand,
    check,
    deletion,
    editor,
    guests,
    hand_in,
    looks,
    moving,
    photos,
    portraits,
    privacy,
    receipts,
    sign_in,
    status,
    welcome,
)
from web.services import Services


def build(settings: Settings, services: Services) -> FastAPI:
    """The whole web layer over connected services.

    Serve it with uvicorn's access log off: addresses and paths belong in no log.

    Raises:
        BadSettings: the wall of the admin page is described wrongly.
    """
    wall = Wall(settings)
    guard.prepare()
    from web.gradio import page, scripts  # after the guard: this import loads Gradio

    app = FastAPI(title="Likeness", docs_url=None, redoc_url=None, openapi_url=None)
    files = VirtualFiles()
    app.state.services = services
    app.state.editor = Editor(services)
    app.state.moving = MovingPortraits(services, app.state.editor)
    # Ours first: the upload and file routes lie where Gradio has its own, and shadow them.
    for router in (
        welcome.router(settings),
        sign_in.router(settings),
        photos.router(services, files, removed=app.state.moving.photo_removed),
        status.router(),
        portraits.router(),
        moving.router(app.state.moving),
        guests.router(),
        hand_in.router(),
        looks.router(),
        editor.router(app.state.editor),
        deletion.router(),
        receipts.router(),
        privacy.router(),
        check.router(settings),
        brand.router(),
        *([admin.router(wall, services)] if wall.stands else []),
    ):
        app.include_router(router)
    app.mount("/static", Packed(Path(__file__).parent / "static"), name="static")
    app.mount(f"{STUDIO}/assets", Packed(scripts.FOLDER, scripts.changed()))
    with guard.building():
        events = page.mount(app, services, STUDIO)
    handle_errors(app)
    # The last added is the outermost.
    app.add_middleware(Mounted)
    app.add_middleware(Heavy, services=services)
    app.add_middleware(Firewall, services=services, files=files, events=events)
    app.add_middleware(Bodies)
    app.add_middleware(Edge, settings=settings, brand=services.brand)
    app.add_middleware(Prefix, root_path=settings.root_path)
    return app
