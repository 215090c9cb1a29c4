"""Mail handed to a mail server, or to none."""

import base64
from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest

from admin_app.errors import ProviderUnavailable
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


def test_without_a_server_nothing_is_sent(settings):
    port = mail.client(settings())
    assert not port.delivers
    port.send("ada@example.com", "s", "t", "h")


@pytest.mark.parametrize("url", ["http://x", "smtp://", "mail.example.com:25", "smtp:///x"])
def test_a_url_that_is_none_is_said_at_the_start(settings, url):
    with pytest.raises(ValueError, match="SMTP_URL"):
        mail.client(settings(smtp_url=url))
