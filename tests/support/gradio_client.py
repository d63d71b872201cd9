"""What Gradio's browser code does, without a browser."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx


def gradio_config(client: httpx.Client) -> dict[str, Any]:
    """What the server tells Gradio's browser code about the page."""
    page = client.get("/studio/").text
    start = page.index("window.gradio_config = ") + len("window.gradio_config = ")
    config, _ = json.JSONDecoder().raw_decode(page, start)
    return config


def event_of(config: dict[str, Any], elem_id: str) -> dict[str, Any]:
    """The event that a component of the page starts."""
    component = next(c for c in config["components"] if c["props"].get("elem_id") == elem_id)
    return next(
        event
        for event in config["dependencies"]
        if component["id"] in [target[0] for target in event["targets"]]
    )


def send_event(
    client: httpx.Client, event: dict[str, Any], data: list[Any], channel: str = "page1"
) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """Start an event as Gradio's browser code does, and hear what comes of it."""
    joined = client.post(
        "/studio/gradio_api/queue/join",
        json={"data": data, "fn_index": event["id"], "session_hash": channel},
    )
    return joined, hear(client, channel) if joined.status_code == 200 else []


def refusal(messages: list[dict[str, Any]]) -> str:
    """What an order was answered with; "" if it was taken."""
    (last,) = [message for message in messages if message["msg"] == "process_completed"]
    return str(last["output"]["data"][0])


def order_portraits(client: httpx.Client, count: int, way: str = "photo") -> str:
    """Press Create, as the page does; what it was answered with, "" if the order was taken."""
    config = gradio_config(client)
    create = event_of(config, "create")
    data = usual_inputs(config, create)
    data[0] = ["corporate"]
    data[element_place(config, create, "count")] = count
    data[element_place(config, create, "way")] = way
    data[element_place(config, create, "agree")] = way in ("painted", "both")
    return refusal(send_event(client, create, data)[1])


def hear(client: httpx.Client, channel: str) -> list[dict[str, Any]]:
    """Everything on an event stream until the server closes it."""
    messages = []
    address, query = "/studio/gradio_api/queue/data", {"session_hash": channel}
    # A stream that nobody may hear is broken off after its one message.
    with suppress(httpx.RemoteProtocolError), client.stream("GET", address, params=query) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                messages.append(json.loads(line.removeprefix("data:")))
    return messages


def usual_inputs(config: dict[str, Any], event: dict[str, Any]) -> list[Any]:
    """What the page would send if nobody had touched anything."""
    values = {part["id"]: part["props"].get("value") for part in config["components"]}
    return [[] if isinstance(values[i], list) else values[i] for i in event["inputs"]]


def element_place(config: dict, event: dict, elem_id: str) -> int:
    """Where the value of a component stands among an event's inputs."""
    ids = [p["id"] for p in config["components"] if p["props"].get("elem_id") == elem_id]
    return event["inputs"].index(ids[0])
