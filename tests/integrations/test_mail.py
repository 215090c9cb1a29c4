"""Mail handed to a mail server, or to none."""

import base64
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest

from admin_app.errors import OutcomeUnknown, ProviderUnavailable
from admin_app.integrations import mail
from tests.integrations import smtp_server
from tests.integrations.smtp_server import Inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()
    server = smtp_server.start(box)
    yield box
    server.shutdown()
    server.server_close()


def test_a_mail_arrives_with_both_bodies(settings, inbox):
    port = mail.client(settings(smtp_url=f"smtp://127.0.0.1:{inbox.port}", mail_from="Backdesk <b@example.com>"))
    assert port.delivers
    port.send("ada@example.com", "Grüße", "plain – text", "<p>html</p>")
    message = message_from_bytes(inbox.mails[0], policy=policy.default)
    assert (message["To"], message["From"], message["Subject"]) == (
        "ada@example.com",
        "Backdesk <b@example.com>",
        "Grüße",
    )
    bodies = [part.get_content().strip() for part in message.iter_parts()]
    assert bodies == ["plain – text", "<p>html</p>"]
    assert message["Date"]
    assert message["Message-ID"]


LONG_DAY = "Wednesday, 30 September 2026, 16:00 (America/Argentina/Buenos_Aires)"


@pytest.mark.parametrize(
    "words",
    [
        f"Canceled: First consultation with Dr. Ingrid Solheim on {LONG_DAY} ",
        f"Canceled: Erstgespräch mit Dr. Zoë Übermäßig-Schönfärber on {LONG_DAY} ",
        "Überraschungspaarberatungsgespräch",
        "Donaudampfschifffahrtsgesellschaft",
    ],
)
@pytest.mark.parametrize("length", range(60, 140))
def test_a_subject_of_any_length_begins_beside_its_name(settings, words, length):
    """Folded directly after `Subject:`, mail programs show it with a leading space, or none."""
    subject = (words * 6)[:length].strip()
    port = mail.client(settings(smtp_url="smtp://nobody.example", mail_from="Praxis für Überlegtes <b@example.com>"))
    assert isinstance(port, mail.SmtpMail)
    sent = port._message("ada@example.com", subject, "t", "h", None)
    raw = sent.as_bytes(policy=sent.policy.clone(linesep="\r\n"))
    head = raw.split(b"\r\n\r\n")[0]
    assert max(len(line) for line in head.split(b"\r\n")) <= 78
    assert not re.search(rb"^\S+:\s*$", head, re.MULTILINE)
    for name, wanted in {"Subject": subject, "From": "Praxis für Überlegtes <b@example.com>"}.items():
        folded = str(message_from_bytes(raw)[name])
        assert str(make_header(decode_header(folded.replace("\r\n", "")))) == wanted


def test_name_and_password_of_the_url_sign_in(settings, inbox):
    port = mail.client(settings(smtp_url=f"smtp://us%40er:p%3Aw@127.0.0.1:{inbox.port}"))
    port.send("ada@example.com", "s", "t", "h")
    credentials = next(line for line in inbox.said if line.startswith("AUTH PLAIN ")).split(" ")[2]
    assert base64.b64decode(credentials) == b"\0us@er\0p:w"


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_server_that_refuses_is_a_passing_trouble_without_its_words(settings, inbox, verb):
    inbox.refuse = verb
    port = mail.client(settings(smtp_url=f"smtp://127.0.0.1:{inbox.port}"))
    with pytest.raises(ProviderUnavailable) as refused:
        port.send("ada@example.com", "s", "t", "h")
    assert "@" not in f"{refused.value.sentence}{refused.value}"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:9", "smtps://127.0.0.1:9"])
def test_a_server_that_is_off_is_a_passing_trouble(settings, url):
    with pytest.raises(ProviderUnavailable):
        mail.client(settings(smtp_url=url)).send("ada@example.com", "s", "t", "h")


@pytest.mark.parametrize("to", ["ada@example.com\nBcc: all@example.com", "ada@exa\rmple.com"])
def test_an_address_cannot_add_headers(settings, inbox, to):
    with pytest.raises(ProviderUnavailable):
        mail.client(settings(smtp_url=f"smtp://127.0.0.1:{inbox.port}")).send(to, "s", "t", "h")
    assert inbox.mails == []


class TestEncryption:
    @pytest.fixture
    def trusted(self, tmp_path, inbox, monkeypatch) -> Inbox:
        inbox.certificate = smtp_server.certificate(tmp_path, "localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(inbox.certificate))
        return inbox

    def test_is_used_when_the_server_offers_it(self, settings, trusted):
        mail.client(settings(smtp_url=f"smtp://u:p@localhost:{trusted.port}")).send("a@example.com", "s", "t", "h")
        assert len(trusted.mails) == 1
        before, after = (trusted.said[: (cut := trusted.said.index("(encrypted)"))], trusted.said[cut:])
        assert not any(line.startswith("AUTH") for line in before)
        assert any(line.startswith("AUTH") for line in after)

    def test_is_there_from_the_start_with_smtps(self, settings, trusted):
        trusted.implicit_tls = True
        mail.client(settings(smtp_url=f"smtps://u:p@localhost:{trusted.port}")).send("a@example.com", "s", "t", "h")
        assert len(trusted.mails) == 1

    @pytest.mark.parametrize("scheme", ["smtp", "smtps"])
    @pytest.mark.parametrize("name", ["localhost", "other.example"])
    def test_with_a_certificate_that_is_not_trusted_nothing_is_told(
        self, settings, inbox, tmp_path, monkeypatch, scheme, name
    ):
        inbox.certificate = smtp_server.certificate(tmp_path, name)
        inbox.implicit_tls = scheme == "smtps"
        if name == "other.example":
            monkeypatch.setenv("SSL_CERT_FILE", str(inbox.certificate))
        with pytest.raises(ProviderUnavailable):
            mail.client(settings(smtp_url=f"{scheme}://u:p@localhost:{inbox.port}")).send(
                "a@example.com", "s", "t", "h"
            )
        assert inbox.mails == []
        assert not any(line.startswith("AUTH") for line in inbox.said)


def test_without_a_server_nothing_is_sent(settings):
    port = mail.client(settings())
    assert not port.delivers
    port.send("ada@example.com", "s", "t", "h")


@pytest.mark.parametrize("url", ["http://x", "smtp://", "mail.example.com:25", "smtp:///x"])
def test_a_url_that_is_none_is_said_at_the_start(settings, url):
    with pytest.raises(ValueError, match="SMTP_URL"):
        mail.client(settings(smtp_url=url))


def test_a_line_that_breaks_after_the_last_byte_says_nothing(settings, inbox):
    inbox.hang_up_after = "mail"
    with pytest.raises(OutcomeUnknown):
        mail.client(settings(smtp_url=f"smtp://127.0.0.1:{inbox.port}")).send("ada@example.com", "s", "t", "h")
    assert len(inbox.mails) == 1


@pytest.mark.parametrize("verb", ["MAIL", "DATA"])
def test_a_line_that_breaks_before_it_says_no(settings, inbox, verb):
    inbox.refuse, inbox.hang_up_after = ("MAIL", "") if verb == "MAIL" else ("", "DATA")
    with pytest.raises(ProviderUnavailable) as broken:
        # More than fits on its way unread: the server is gone before it has the end.
        mail.client(settings(smtp_url=f"smtp://127.0.0.1:{inbox.port}")).send(
            "ada@example.com", "s", "t" * 9_000_000, "h"
        )
    assert not isinstance(broken.value, OutcomeUnknown)
    assert inbox.mails == []


def test_what_the_server_says_at_the_end_does_not_undo_that_it_took_the_mail(settings, inbox):
    inbox.leaves = "421 too busy to part"
    mail.client(settings(smtp_url=f"smtp://127.0.0.1:{inbox.port}")).send(
        "ada@example.com", "s", "t", "h", message_id="<mail-7@backdesk.invalid>"
    )
    (taken,) = inbox.mails
    assert b"Message-ID: <mail-7@backdesk.invalid>" in taken
