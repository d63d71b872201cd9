"""Hand-ins as e-mails through the company's own mail server.

What the visitor typed stands in the text and nowhere in a header. A try that is repeated has the
same Message-ID.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

from web.hand_in.parcel import PATIENCE_S, Channel, NotDelivered, Parcel

Tls = Literal["starttls", "tls", "none"]


@dataclass(frozen=True)
class Server:
    """The company's mail server. tls: `starttls` on a plain connection, `tls` from the start."""

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = field(default="", repr=False)


class Mail(Channel):
    """A mailbox."""

    name = "mail"

    def __init__(
        self, server: Server, sender: str, recipient: str, trusted: ssl.SSLContext
    ) -> None:
        self._server, self._trusted = server, trusted
        self._sender, self._recipient = sender, recipient

    def pack(self, parcel: Parcel) -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = self._sender, self._recipient
        message["Subject"] = "Portraits handed in with Likeness"
        message["Date"] = format_datetime(datetime.fromtimestamp(parcel.made, UTC))
        message["Message-ID"] = f"<{parcel.id}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        told = [f"{key}: {value}" for key, value in parcel.told().items() if value]
        message.set_content("\n".join((*told, "")), cte="quoted-printable")
        for picture in parcel.pictures:
            main, _, sub = picture.media_type.partition("/")
            message.add_attachment(picture.data, main, sub, filename=picture.file)
        return message.as_bytes()

    def send(self, id_: str, packed: bytes) -> None:
        try:
            with self._connected() as server:
                if self._server.tls == "starttls":
                    server.starttls(context=self._trusted)
                if self._server.user:
                    server.login(self._server.user, self._server.password)
                server.sendmail(self._sender, [self._recipient], packed)
        except smtplib.SMTPResponseException as problem:
            raise NotDelivered(f"the mail server answered {problem.smtp_code}") from None
        except smtplib.SMTPRecipientsRefused:
            raise NotDelivered("the mail server does not know the mailbox") from None
        except (OSError, smtplib.SMTPException) as problem:
            raise NotDelivered(f"no mail server ({type(problem).__name__})") from None

    def _connected(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        us = self._sender.rpartition("@")[2]  # or it would ask DNS for this machine's name
        if self._server.tls == "tls":
            return smtplib.SMTP_SSL(host, port, us, timeout=PATIENCE_S, context=self._trusted)
        return smtplib.SMTP(host, port, us, timeout=PATIENCE_S)
