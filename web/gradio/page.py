"""The studio: a Gradio page for the inputs, with places that `static/studio.js` brings to life.

Gradio gives the frame, the theme and the real inputs: files, camera, looks, number, order. All
that changes by itself (photos and their verdicts, progress, portraits, countdown) is drawn by our
own script from `/status`, so that polling passes no queue and no image is fetched twice.

Import this only after `guard.prepare()`. Handlers use `preprocess=False`: no component ever
opens a path, and by the time a handler runs, the upload route has put the photos into the vault.
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr
from fastapi import FastAPI
from gradio.routes import templates
from gradio.utils import LRUCache
from jinja2 import ChoiceLoader, DictLoader
from starlette.requests import Request

from errors import BadOrder, LikenessError
from pipeline.orders import CLASS_WORDS, Order
from pipeline.portraits.style import GROUPS, Style
from web import consent
from web.brand.kit import brand
from web.gradio import labels
from web.gradio.guard import describing
from web.gradio.scripts import replaced
from web.gradio.theme import theme
from web.http.cookies import cookie_name
from web.http.dependencies import session_of
from web.http.errors import answering, note
from web.http.limits import address_of
from web.http.prefix import root
from web.services import Services
from words import direction, language, say, tell

_SILENT: dict[str, Any] = {
    "preprocess": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
_STYLES = (
    "common",
    "studio",
    "fields",
    "photos",
    "editor",
    "order",
    "job",
    "portraits",
    "downloads",
    *("hand_in", "moving"),
    "dialogs",
)
# Linked, not imported by one another: a browser asks for all at once, and draws nothing before.
_LINKS = "\n".join(
    f'<link rel="stylesheet" href="{{{{ root() }}}}/static/css/{name}.css">' for name in _STYLES
)
_HEAD = f"""
<meta name="likeness-root" content="{{{{ root() }}}}">
<link rel="icon" href="{{{{ root() }}}}/static/favicon.svg" type="image/svg+xml">
{_LINKS}
{{% if brand().colours %}}
<link rel="stylesheet" href="{{{{ root() }}}}/brand/colours.css">
{{% endif %}}
<script type="module" src="{{{{ root() }}}}/static/studio.js"></script>
"""
# Handlers only hand things over, in milliseconds; this bounds how many do so at once.
_HANDLERS_AT_ONCE = 8
_EVENTS_WAITING = 200
_LOOK_FOR_EVENTS_S = 0.1
# Event streams that Gradio remembers, 40 KB each: a browser invents as many as it likes, and 10,000
# are kept else. The page keeps nothing in them, so the oldest go.
CHANNELS = 500


def mount(app: FastAPI, services: Services, path: str) -> frozenset[int]:
    """Mount the page; the numbers of its events.

    The firewall in front of it decides what of Gradio can be reached.
    """
    with describing():
        demo = _page(services)
        demo.queue(default_concurrency_limit=_HANDLERS_AT_ONCE, max_size=_EVENTS_WAITING)
    demo.state_session_capacity = CHANNELS
    gr.mount_gradio_app(
        app,
        demo,
        path=path,
        theme=theme(),
        i18n=gr.I18n(**labels.labels(services)),
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        pwa=False,
        footer_links=[],
        show_error=False,
    )
    # Gradio checks paths only for apps that were launched, and mounting does not count. Without
    # this line a request could name any file on the machine. tests/attacks/test_web.py watches it.
    demo.has_launched = True
    # Gradio looks for events a thousand times a second, which costs an idle server 7 % of a core.
    demo._queue.sleep_when_free = _LOOK_FOR_EVENTS_S
    # Of these small ones it keeps all, but forgets the messages that belong to them.
    demo._queue.pending_event_ids_session = LRUCache(
        demo._queue.pending_messages_per_session.max_size
    )
    _make_the_page_ours()
    return frozenset(demo.fns)


def _page(services: Services) -> gr.Blocks:
    settings = services.settings
    with gr.Blocks(title=say("studio.title"), analytics_enabled=False) as demo:
        gr.Column(elem_id="job", elem_classes="sheet")
        gr.Column(elem_id="portraits", elem_classes="sheet")
        with gr.Column(elem_id="photos", elem_classes="sheet"):
            files = gr.File(
                label=_told("photos.drop"),
                file_count="multiple",
                show_label=False,
                interactive=True,
                elem_id="files",
            )
            with gr.Accordion(_told("photos.camera"), open=False, elem_id="camera-fold"):
                camera = gr.Image(
                    label=_told("photos.camera_field"),
                    sources=["webcam", "clipboard"],
                    type="filepath",
                    buttons=[],
                    interactive=True,
                    elem_id="camera",
                )
        gr.Column(elem_id="editor", elem_classes="sheet")
        with gr.Column(elem_id="order", elem_classes="sheet"):
            way = _choice("way", services.planning.ways, services.planning.default_way)
            with gr.Column(elem_id="looks"):
                grouped = _grouped(services.styles).items()
                looks = [_looks(group, styles) for group, styles in grouped]
            count = gr.Radio(
                choices=[(str(number), number) for number in labels.counts(settings)],
                value=settings.portraits,
                label=_told("order.count"),
                elem_id="count",
                elem_classes="choice",
            )
            # The built-in base has no words for it.
            large = services.planning.gpu_plans
            called = [_choice("class_word", CLASS_WORDS)] if large else []
            keep = gr.Checkbox(
                label=_told("order.keep"), info=_told("order.keep_info"), elem_id="keep"
            )
            agreed = gr.Checkbox(label=_told("order.agree"), elem_id="agree")
            create = gr.Button(_told("order.create"), variant="primary", elem_id="create")
            refusal = gr.Markdown(elem_id="refusal")

        def order(request: gr.Request, *values: Any) -> Iterator[str]:
            yield ""  # so that the same sentence is seen, and heard, a second time
            # Gradio calls this from a thread of its own, where nobody's language is known.
            with answering(request.request, services.brand):
                form = _Form(values[: len(looks)], *values[len(looks) : len(inputs)])
                sentence = _refused(services, request.request, form)
            yield html.escape(sentence)

        for field in (files, camera):
            # The photos are in the vault already: only empty the field for the next ones.
            field.upload(_emptied, None, field, **_SILENT)
        inputs = [*looks, count, way, keep, agreed, *called]
        create.click(order, inputs, refusal, **_SILENT)
    return demo


def _emptied() -> None:
    return None


def _grouped(styles: Mapping[str, Style]) -> dict[str, list[Style]]:
    """Styles by group, groups in their order in `GROUPS`."""
    return {
        group: members
        for group in GROUPS
        if (members := [style for style in styles.values() if style.group == group])
    }


def _looks(group: str, styles: Sequence[Style]) -> gr.CheckboxGroup:
    """The looks of one group as cards: name on the first line, what it is on the second."""
    keys = [style.key for style in styles]
    return gr.CheckboxGroup(
        choices=[(_told(labels.style_label(style.key)), style.key) for style in styles],
        # Work is what most people come for, and Create works at once.
        value=keys if group == GROUPS[0] else [],
        label=_told(f"looks.{group}"),
        elem_classes="cards",
    )


def _choice(name: str, values: Sequence[str], chosen: str = "") -> gr.Radio:
    """One of several, by default the first: `order.<name>` and `order.<name>_<value>`."""
    return gr.Radio(
        choices=[(_told(f"order.{name}_{value}"), value) for value in values],
        value=chosen or values[0],
        label=_told(f"order.{name}"),
        elem_id=name,
        elem_classes="choice",
    )


class _Form(NamedTuple):
    """What the page sent, unchecked."""

    chosen: Sequence[Sequence[Any] | None]
    portraits: Any
    way: Any
    keep_model: Any
    agrees: Any
    class_word: Any = CLASS_WORDS[0]


def _refused(services: Services, request: Request, form: _Form) -> str:
    """Hand the order to the studio; the sentence about what is wrong with it, else ""."""
    try:
        session = session_of(services, request.cookies.get(cookie_name(services.settings)))
        order = _order_of(form)
        if "painted" in order.ways:
            consent.keep(services, session, "painted")
            services.album.compare(session)
        services.job_queue.submit(session, order, address_of(request))
    except LikenessError as error:
        return tell(error.message)
    except Exception as error:  # the edge of an event: Gradio would print a traceback
        return say("errors.unexpected", reference=note(error))
    return ""


def _order_of(form: _Form) -> Order:
    """The order from raw values of the page, which anybody can forge.

    Raises:
        BadOrder: no looks, a number that is none, or a model of the face without agreement.
    """
    keys = tuple(key for group in form.chosen for key in group or ())
    if not keys or not all(isinstance(key, str) for key in keys):
        raise BadOrder("order.no_looks")
    if not isinstance(form.portraits, int | float) or not float(form.portraits).is_integer():
        raise BadOrder("order.no_number")
    if form.way not in ("photo", "dressed") and form.agrees is not True:
        raise BadOrder("order.not_agreed")
    return Order(
        styles=keys,
        count=int(form.portraits),
        seed=secrets.randbelow(2**31),
        keep_adapter=form.keep_model is True,
        class_word=form.class_word,
        way=form.way,
    )


def _told(key: str) -> Any:
    """A label that Gradio's browser code looks up (`labels.labels`)."""
    return gr.I18n()(key)


_FRAME = "frontend/index.html"
_CHANGES = {
    'lang="en"': 'lang="{{ language() }}" dir="{{ direction() }}"',
    "<head>": "<head>{% set _ = config.update(title=say('studio.title')) %}"
    "<script>Object.defineProperty(navigator, 'language', "
    "{value: document.documentElement.lang})</script>",
    "</head>": f"{_HEAD}</head>",
    "<gradio-app": '<p class="opening" role="status">{{ say("studio.loading") }}</p><gradio-app',
}


def _make_the_page_ours() -> None:
    """Gradio's page says it is English, and its script asks the browser by a rule of its own.

    So the page gets our language when it is rendered, and hands it on to the script. It also gets
    our styles, which Gradio would only add once its scripts have drawn the page without them.

    Raises:
        RuntimeError: Gradio's page is no longer what it was.
    """
    environment = templates.env
    assert environment.loader is not None
    if "language" in environment.globals:
        return  # in this process already
    source, _, _ = environment.loader.get_source(environment, _FRAME)
    for theirs, ours in _CHANGES.items():
        source = replaced(source, theirs, ours)
    for function in (language, direction, say, root, brand):
        environment.globals[function.__name__] = function
    environment.loader = ChoiceLoader([DictLoader({_FRAME: source}), environment.loader])
