"""Mail over SMTP, or nowhere: every mail is kept by the product itself, delivered or not."""

import smtplib
import ssl
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from admin_app.config import Settings
from admin_app.errors import ProviderUnavailable
from admin_app.integrations.ports import MailPort

_TIMEOUT_SECONDS = 10
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


def client(settings: Settings) -> MailPort:
    """The configured mail server, or none."""
    return SmtpMail(settings.smtp_url, settings.mail_from) if settings.smtp_url else NoDelivery()


class NoDelivery:
    """No mail server is configured: nothing leaves the house."""

    delivers = False

    def send(self, to: str, subject: str, text: str, html: str, calendar: str | None = None) -> None:
        return


class SmtpMail:
    """`MailPort` by `smtp://` (with STARTTLS when offered) or `smtps://`, with `user:password@` if needed."""

    delivers = True

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("SMTP_URL must look like smtp://user:password@host:port or smtps://…")
        self._secure = parts.scheme == "smtps"
        self._host = parts.hostname
        self._port = parts.port or (465 if self._secure else 25)
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._sender = sender

    def send(self, to: str, subject: str, text: str, html: str, calendar: str | None = None) -> None:
        try:
            message = self._message(to, subject, text, html, calendar)
            with self._connection() as server:
                if self._user:
                    server.login(self._user, self._password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException, ValueError):
            # The server's own words may quote the address: they go nowhere.
            raise ProviderUnavailable("mail", "The mail server did not take the mail. Try again later.") from None

    def _message(self, to: str, subject: str, text: str, html: str, calendar: str | None) -> EmailMessage:
        message = EmailMessage(_POLICY)
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="backdesk.invalid")
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        if calendar is not None:
            # Programs that read it want the method of the file in its type too.
            method = "CANCEL" if "METHOD:CANCEL" in calendar else "REQUEST"
            message.add_attachment(
                calendar, subtype="calendar", filename="appointment.ics", params={"method": method}, cte="base64"
            )
        return message

    def _connection(self) -> smtplib.SMTP:
        trusted = ssl.create_default_context()
        if self._secure:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=_TIMEOUT_SECONDS, context=trusted)
        server = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=trusted)
                server.ehlo()
        except BaseException:
            server.close()
            raise
        return server
