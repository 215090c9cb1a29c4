"""Mail over SMTP, or nowhere: every mail is kept by the product itself, delivered or not."""

import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate, make_msgid
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

from admin_app.config import Settings
from admin_app.errors import OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.http import deadline
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.ports import MailPort

TOTAL_SECONDS = 30.0
_STEP_SECONDS = 10.0
_REFUSED = 400
_ANSWERED = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError)
# Narrower than this, words of ordinary length would be cut to pieces.
_NARROWEST = 40


class _NameAndValueTogether(EmailPolicy):
    """Folds long headers (RFC 5322, 2.2.3), but not directly after their name.

    `Subject:` alone on its line is legal, and is what Python makes of a subject of 70 to 77 characters; mail programs
    show it with a leading space or as no subject at all. A value without any place to fold may still stand below.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        folded = super().fold_binary(name, value)
        alone = f"{name}:{self.linesep}".encode()
        for length in range((self.max_line_length or 78) - 1, _NARROWEST, -1):
            if not folded.startswith(alone):
                break
            folded = EmailPolicy.fold_binary(self.clone(max_line_length=length), name, value)
        return folded


_POLICY = _NameAndValueTogether()


def client(settings: Settings, limits: Limits = WEB) -> MailPort:
    """The configured mail server, or none."""
    if not settings.smtp_url:
        return NoDelivery()
    return SmtpMail(settings.smtp_url, settings.mail_from, Guard("mail", limits))


class NoDelivery:
    """No mail server is configured: nothing leaves the house."""

    delivers = False

    def send(
        self,
        to: str,
        subject: str,
        text: str,
        html: str,
        calendar: str | None = None,
        *,
        message_id: str | None = None,
    ) -> None:
        return


class SmtpMail:
    """`MailPort` by `smtp://` (with STARTTLS when offered) or `smtps://`, with `user:password@` if needed."""

    delivers = True

    def __init__(self, url: str, sender: str, guard: Guard | None = None, *, seconds: float = TOTAL_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("SMTP_URL must look like smtp://user:password@host:port or smtps://…")
        self._secure = parts.scheme == "smtps"
        self._host = parts.hostname
        self._port = parts.port or (465 if self._secure else 25)
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._sender = sender
        self._guard, self._seconds = guard or Guard("mail"), seconds

    def send(
        self,
        to: str,
        subject: str,
        text: str,
        html: str,
        calendar: str | None = None,
        *,
        message_id: str | None = None,
    ) -> None:
        server: _Server | None = None
        with self._guard.call(self._seconds) as call:
            try:
                message = self._message(to, subject, text, html, calendar, message_id)
                server = self._connection()
                if self._user:
                    server.login(self._user, self._password)
                server.send_message(message)
            except (OSError, smtplib.SMTPException, ValueError) as error:
                # A server that answers is well, whatever it says of one mail.
                if isinstance(error, OSError) and not isinstance(error, _ANSWERED):
                    call.failed()
                refused = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= _REFUSED
                if server is not None and server.had_all and not refused:
                    raise OutcomeUnknown("mail") from None
                # The server's own words may quote the address: they go nowhere.
                raise ProviderUnavailable("mail", "The mail server did not take the mail. Try again later.") from None
            finally:
                if server is not None:
                    _leave(server)

    def _message(
        self, to: str, subject: str, text: str, html: str, calendar: str | None, message_id: str | None = None
    ) -> EmailMessage:
        message = EmailMessage(_POLICY)
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), message_id or make_msgid(domain="backdesk.invalid")
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        if calendar is not None:
            # Programs that read it want the method of the file in its type too.
            method = "CANCEL" if "METHOD:CANCEL" in calendar else "REQUEST"
            message.add_attachment(
                calendar, subtype="calendar", filename="appointment.ics", params={"method": method}, cte="base64"
            )
        return message

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """The system's authorities, read once and only for a server that encrypts: it takes some 50 ms."""
        return ssl.create_default_context()

    def _connection(self) -> "_Server":
        if self._secure:
            return _SecureServer(self._host, self._port, timeout=_seconds_a_step(), context=self._trusted)
        server = _Server(self._host, self._port, timeout=_seconds_a_step())
        try:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=self._trusted)
                server.ehlo()
        except BaseException:
            server.close()
            raise
        return server


def _seconds_a_step() -> float:
    return max(0.1, deadline.clipped(_STEP_SECONDS) or 0)


class _Server(smtplib.SMTP):
    """Broken off at the deadline, for smtplib's time-out bounds one read and not a server that drips.

    Knows whether the server had the mail's last byte: what breaks then says nothing about what became of it.
    """

    had_all = False
    _timer: threading.Timer | None = None

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        self._timer = threading.Timer(max(0.1, deadline.clipped(TOTAL_SECONDS) or 0), self._break_off)
        self._timer.daemon = True
        self._timer.start()
        try:
            return super().connect(host, port, source_address)
        except BaseException:
            self.close()
            raise

    def send(self, s: Any) -> None:
        super().send(s)
        # Commands are text; a mail's content alone is bytes, and comes in one piece.
        self.had_all = isinstance(s, bytes)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().close()

    def _break_off(self) -> None:
        with suppress(OSError):
            if self.sock is not None:
                # Not that of the TLS socket, which takes away what another thread is reading from.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _SecureServer(_Server, smtplib.SMTP_SSL):
    """The same from the first byte behind TLS."""


def _leave(server: smtplib.SMTP) -> None:
    """Whatever the server says to this, it has said what becomes of the mail."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()
