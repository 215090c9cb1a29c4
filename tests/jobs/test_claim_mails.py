"""The claim mail: kept without a mail server, handed over with one, and its failure is told."""

import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import ProviderUnavailable
from admin_app.jobs import mails
from models import PendingProfile, SentEmail
from tests.house import House, build, free_port
from tests.services.factories import buy


class MailServer(ThreadingTCPServer):
    """Speaks as much SMTP as it takes to accept a mail."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.hangs_up = False
        super().__init__(("127.0.0.1", 0), Talk)


class Talk(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            command = line[:4].upper().strip()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    body += line
                self.server.received.append(message_from_bytes(body, policy=policy.default))
                if self.server.hangs_up:
                    return
            self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 fine\r\n")
            if command == b"QUIT":
                return


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_mail_server_the_mail_is_kept(house: House) -> None:
    pending = buy(house.db, "kept@example.com")
    mails.send_claim_mail(house.bench, pending.id)
    (mail,) = house.rows(select(SentEmail))
    assert (mail.state, mail.to_email) == ("kept", "kept@example.com")
    assert "token=" not in mail.text_body + mail.html_body


def test_the_mail_that_goes_out_holds_the_link_and_nothing_kept_does(
    simulator: str, db: Database, mail_server: MailServer
) -> None:
    house = build(simulator, db, smtp_url=f"smtp://127.0.0.1:{mail_server.server_address[1]}")
    pending = buy(db, "sent@example.com")
    mails.send_claim_mail(house.bench, pending.id)
    (mail,) = house.rows(select(SentEmail))
    (received,) = mail_server.received
    plain = received.get_body(("plain",))
    assert plain is not None
    token = plain.get_content().split("/claim?token=")[1].split()[0]
    assert (mail.state, received["To"]) == ("sent", "sent@example.com")
    (waiting,) = house.rows(select(PendingProfile))
    assert token not in f"{mail.text_body}{mail.html_body}{waiting.token}"
    assert "Your purchase is waiting" in house.get(f"/claim?token={token}").text


def test_a_mail_server_that_is_away_is_told_and_asked_again(simulator: str, db: Database) -> None:
    house = build(simulator, db, smtp_url=f"smtp://127.0.0.1:{free_port()}")
    pending = buy(db, "away@example.com")
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            mails.send_claim_mail(house.bench, pending.id)
    (mail,) = house.rows(select(SentEmail))
    assert (mail.state, mail.last_error) == ("failed", "provider_unavailable")


def test_a_purchase_that_is_gone_needs_no_mail(house: House) -> None:
    mails.send_claim_mail(house.bench, 987654)
    assert house.rows(select(SentEmail)) == []
