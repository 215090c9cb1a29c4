"""The mail server of the demo: takes every mail, delivers none, and keeps the latest for its pages."""

import re
import secrets
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import compat32, default
from typing import Protocol

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from admin_app.simulator.store import Document, Store

KEPT = 200
LARGEST_BYTES = 1024 * 1024


class Running(Protocol):
    def stop(self) -> None: ...


def start(store: Store, port: int) -> Running:
    """Serve on the loopback address from a thread of its own; raises OSError when the port is taken."""
    server = Controller(
        _Mailbox(store),
        hostname="127.0.0.1",
        port=port,
        # Without a name it asks the network for one, which may take long.
        server_hostname="localhost",
        data_size_limit=LARGEST_BYTES,
    )
    server.start()
    running: Running = server
    return running


class _Mailbox:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        keep(self._store, envelope.original_content or b"", list(envelope.rcpt_tos))
        return "250 kept"


def keep(store: Store, raw: bytes, recipients: list[str]) -> None:
    """The mail as its pages show it; the oldest one goes when there are too many."""
    message = message_from_bytes(raw, _class=EmailMessage, policy=default)
    with store.lock:
        store.put("mail", _document(message, _headers(raw), recipients))
        for old in store.all("mail")[:-KEPT]:
            store.delete("mail", old["id"])


def _headers(raw: bytes) -> dict[str, str]:
    """From and Subject as a mail program shows them: unfolded (RFC 5322, 2.2.3), encoded words decoded (RFC 2047, 6.2).

    Not by the message's own policy: older Pythons keep the space of a fold directly after the name, and put one between
    the encoded words of a long name.
    """
    found = BytesHeaderParser(policy=compat32).parsebytes(raw)
    return {name: _shown(found.get(name, "")) for name in ("From", "Subject")}


def _shown(value: str | Header) -> str:
    unfolded = re.sub(r"\r?\n", "", value) if isinstance(value, str) else value
    try:
        text = str(make_header(decode_header(unfolded)))
    except (HeaderParseError, LookupError, UnicodeError):  # encoded words that are none
        text = str(unfolded)
    return _clean(text).strip()


def _document(message: EmailMessage, headers: dict[str, str], recipients: list[str]) -> Document:
    return {
        "id": f"mail_{secrets.token_hex(8)}",
        "received_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": headers["From"],
        "to": _clean(", ".join(recipients)),
        "subject": headers["Subject"],
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
    }


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return _clean(part.get_content())
    except LookupError:  # a charset that Python does not know
        return _clean(part.as_bytes().decode("ascii", "replace"))


def _clean(text: str) -> str:
    """Bytes that are no text in their charset come as lone surrogates, which no page can be made of."""
    return text.encode("utf-8", "replace").decode().replace("\r\n", "\n")
