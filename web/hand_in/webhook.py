"""Hand-ins as signed HTTP requests to a program inside the company's network.

Signed as Standard Webhooks 1.0 has it (standardwebhooks.com), for which there are libraries in most
languages: HMAC-SHA256 over "<id>.<time>.<body>", in base64. A try that is repeated has the same id,
also as `Idempotency-Key`. Redirects and the environment's proxies are not followed, and of the
answer nothing but its status is read.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import ssl
import time

import httpx2

from web.hand_in.parcel import PATIENCE_S, Channel, NotDelivered, Parcel


class Webhook(Channel):
    """A program that takes hand-ins by POST."""

    name = "webhook"

    def __init__(self, url: str, secret: bytes, trusted: ssl.SSLContext) -> None:
        self._url, self._secret, self._trusted = url, secret, trusted

    def pack(self, parcel: Parcel) -> bytes:
        pictures = [
            {
                "file": picture.file,
                "type": picture.media_type,
                "data": base64.b64encode(picture.data).decode(),
            }
            for picture in parcel.pictures
        ]
        return parcel.json(pictures=pictures)

    def send(self, id_: str, packed: bytes) -> None:
        try:
            status = asyncio.run(self._status(id_, packed))
        except TimeoutError:
            raise NotDelivered(f"no answer within {PATIENCE_S:.0f} seconds") from None
        except (httpx2.HTTPError, OSError) as problem:
            raise NotDelivered(f"no answer ({type(problem).__name__})") from None
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status}")

    async def _status(self, id_: str, body: bytes) -> int:
        now = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "idempotency-key": id_,
            "webhook-id": id_,
            "webhook-timestamp": now,
            "webhook-signature": f"v1,{signature(self._secret, id_, now, body)}",
        }
        # The whole try is bounded, not only each byte's wait.
        async with (
            asyncio.timeout(PATIENCE_S),
            httpx2.AsyncClient(verify=self._trusted, trust_env=False, timeout=None) as client,
            client.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            return int(answer.status_code)


def signature(secret: bytes, id_: str, now: str, body: bytes) -> str:
    """The signature of a body sent at a time, epoch seconds, in base64."""
    signed = f"{id_}.{now}.".encode() + body
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
