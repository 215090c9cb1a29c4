"""The mail server: what the product hands over can be read and followed, and does nothing by itself."""

import re
import smtplib
from email.message import EmailMessage

import html5lib
import httpx
import pytest

from admin_app.integrations.mail import SmtpMail
from admin_app.simulator import control
from admin_app.simulator.app import close, create_app
from admin_app.simulator.mail import mail_server
from admin_app.simulator.settings import SimulatorSettings
from admin_app.simulator.store import Store
from tests.house import free_port, served

LINK = "http://127.0.0.1:8000/claim?token=a-b_c"
HTML = f'<!doctype html><html lang="en"><head><title>x</title></head><body><a href="{LINK}">Claim</a></body></html>'


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def simulator(tmp_path, ports):
    """With a mail server beside its pages."""
    web, smtp = ports
    settings = SimulatorSettings(f"http://127.0.0.1:{web}", "http://127.0.0.1:8000", *["x"] * 5, smtp_port=smtp)
    app = create_app(settings, tmp_path / "state.sqlite")
    mails = mail_server.start(app.extensions["world"].store, smtp)
    with served(app, web):
        yield settings.own_url
    mails.stop()
    close(app)


@pytest.fixture
def mailer(simulator, ports):
    """The product's own way to a mail server."""
    return SmtpMail(f"smtp://127.0.0.1:{ports[1]}", "Backdesk <backdesk@example.com>")


@pytest.fixture
def browser(simulator):
    with httpx.Client(base_url=simulator) as client:
        yield client


def test_a_mail_is_kept_whole(simulator, mailer):
    mailer.send("ada@example.com", "Grüße", f"Dear Ädä,\n\n{LINK}\n", HTML)
    (mail,) = control.mails(simulator)
    assert (mail["to"], mail["subject"]) == ("ada@example.com", "Grüße")
    assert mail["from"] == "Backdesk <backdesk@example.com>"
    assert mail["text"] == f"Dear Ädä,\n\n{LINK}\n"
    assert mail["html"].strip() == HTML


LONG_SUBJECT = "Canceled: First consultation on Wednesday, 2 December 2026, 08:00 (UTC)"
LONG_NAME = "Praxis für Psychotherapie und Persönlichkeitsentwicklung"


@pytest.mark.parametrize(
    "subject",
    [
        LONG_SUBJECT,
        f"{LONG_SUBJECT} and once more at 09:00 for everybody who could not come",
        "Canceled: Erstgespräch mit Zoë Übermäßig-Schönfärber on Wednesday, 30 September 2026",
        "ü" * 300,
    ],
)
def test_long_headers_are_shown_as_they_were_written(simulator, ports, browser, subject):
    SmtpMail(f"smtp://127.0.0.1:{ports[1]}", f"{LONG_NAME} <backdesk@example.com>").send(
        "a@b.example", subject, "t", "h"
    )
    (mail,) = control.mails(simulator)
    assert (mail["subject"], mail["from"]) == (subject, f"{LONG_NAME} <backdesk@example.com>")
    assert f">{subject}</a>" in browser.get("/_sim/mails").text
    assert f"<h1>{subject}</h1>" in browser.get(f"/_sim/mails/{mail['id']}").text


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject:\r\n Hello there\r\n\r\n",
        b"Subject:\n\tHello\n there\n\n",
        b"Subject:  Hello there \r\n\r\n",
        b"Subject:\r\n =?utf-8?q?Hello_t?=\r\n =?utf-8?q?here?=\r\n\r\n",
    ],
)
def test_a_fold_is_no_part_of_the_subject(simulator, ports, raw):
    with smtplib.SMTP("127.0.0.1", ports[1]) as server:
        server.sendmail("a@example.com", ["b@example.com"], raw)
    assert [mail["subject"] for mail in control.mails(simulator)] == ["Hello there"]


def test_its_link_can_be_followed_from_the_text_and_from_a_window_of_the_html(simulator, mailer, browser):
    mailer.send("ada@example.com", "Claim", f"Open {LINK} now", HTML)
    (mail,) = control.mails(simulator)
    assert f'href="/_sim/mails/{mail["id"]}"' in browser.get("/_sim/mails").text
    page = browser.get(f"/_sim/mails/{mail['id']}")
    assert f'href="{LINK}"' in page.text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    inside = browser.get(f"/_sim/mails/{mail['id']}/html")
    assert '<head><base target="_blank"><title>' in inside.text
    policy = inside.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy


def test_pages_of_a_mail_are_valid_and_escape_what_it_says(simulator, mailer, browser):
    mailer.send("ada@example.com", "<i>Subject", "<script>alert(1)</script> https://x.example/?a='\"><b>", "")
    (mail,) = control.mails(simulator)
    for path in ("/_sim/mails", f"/_sim/mails/{mail['id']}", "/_sim/mails/mail_unknown", "/_sim/"):
        answer = browser.get(path)
        html5lib.HTMLParser(strict=True).parse(answer.text)
        assert len(re.findall("<h1", answer.text)) == 1
        assert not re.search(r"<script|<i>|<b>|\sstyle=|\son\w+=", answer.text)
    assert browser.get("/_sim/mails/mail_unknown").status_code == 404
    assert browser.get("/_sim/mails/mail_unknown/html").status_code == 404


def test_without_a_head_the_links_of_a_mail_still_open_outside(simulator, mailer, browser):
    mailer.send("ada@example.com", "s", "t", "<p>hello")
    (mail,) = control.mails(simulator)
    assert browser.get(f"/_sim/mails/{mail['id']}/html").text.startswith('<base target="_blank"><p>hello')


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no header at all",
        b"Subject: =?utf-8?b?////?=\n\n\xff\xfe",
        b"Subject: =?utf-8?b?a?= =?no-such?q?b?=\n\n",
        b"Content-Type: multipart/alternative; boundary=x\n\n--x\n\n--x",
        b'Content-Type: text/plain; charset="no-such"\n\n\xff text',
        b"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n/////w==",
        b"From: a\xffb\nTo: \xff\nSubject: \xff\xfe\n\nhello",
    ],
)
def test_whatever_comes_is_kept_and_shown(simulator, ports, browser, raw):
    with smtplib.SMTP("127.0.0.1", ports[1]) as server:
        server.sendmail("a@example.com", ["b@example.com"], raw)
    (mail,) = control.mails(simulator)
    assert mail["to"] == "b@example.com"
    assert browser.get(f"/_sim/mails/{mail['id']}").status_code == 200
    assert browser.get("/_sim/mails").status_code == 200


def test_a_mail_that_is_too_large_is_refused(simulator, ports):
    message = EmailMessage()
    message.set_content("x" * 70 + "\n")
    with smtplib.SMTP("127.0.0.1", ports[1]) as server, pytest.raises(smtplib.SMTPResponseException) as refused:
        server.sendmail("a@example.com", ["b@example.com"], message.as_bytes() * 15_000)
    assert refused.value.smtp_code == 552
    assert control.mails(simulator) == []


def test_only_the_latest_are_kept_and_they_survive_a_restart(tmp_path):
    store = Store(tmp_path / "state.sqlite")
    for number in range(mail_server.KEPT + 5):
        mail_server.keep(store, f"Subject: {number}\n\n".encode(), ["ada@example.com"])
    store.close()
    again = Store(tmp_path / "state.sqlite")
    kept = [mail["subject"] for mail in again.all("mail")]
    assert kept == [str(number) for number in range(5, mail_server.KEPT + 5)]
    again.close()
