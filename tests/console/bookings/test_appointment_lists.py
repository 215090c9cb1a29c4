"""The lists of bookings and meetings, and what mails and provider events say of them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

import models as m
from admin_app.db import Database
from models import BookingStatus, PaymentState, Role
from tests.console.conftest import SETUP
from tests.console.diary import Diary, soon
from tests.console.page_checks import CheckedClient

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def diary(db: Database) -> Diary:
    with db.unit_of_work(SETUP) as ctx:
        return Diary(db, ctx.session)


def spans_of(html: str) -> dict[str, tuple[str, bool]]:
    """Each shortcut's address, and whether it is the one that is shown."""
    page = BeautifulSoup(html, "html5lib")
    return {
        link.get_text(strip=True): (str(link["href"]), link.get("aria-current") == "true")
        for link in page.select(".spans a")
    }


@pytest.mark.parametrize("section", ["bookings", "meetings"])
def test_shortcuts_lead_to_addresses_that_name_their_days(section: str, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    spans = spans_of(client.get(f"/admin/{section}/").text)
    assert list(spans) == ["Today", "Next 7 days", "From today on", "Past", "To settle", "All"]
    assert [label for label, (_, shown) in spans.items() if shown] == ["All"]
    for label, (href, _) in spans.items():
        answer = client.get(href)
        assert answer.status_code == 200
        assert [name for name, (_, shown) in spans_of(answer.text).items() if shown] == [label]
        assert label == "All" or "starts_" in href


def test_a_shortcut_shows_its_days_in_order(diary: Diary, db: Database, client_for: ClientFor) -> None:
    for days in (-2, 2, 4, 12):
        diary.book(soon(db, days), BookingStatus.CONFIRMED)
    client = client_for(Role.OPS)
    spans = spans_of(client.get("/admin/bookings/").text)

    def times(label: str) -> list[str]:
        page = BeautifulSoup(client.get(spans[label][0]).text, "html5lib")
        return [str(time["datetime"])[:10] for time in page.select("table.sheet time")]

    def day(days: int) -> str:
        return f"{soon(db, days):%Y-%m-%d}"

    assert times("Next 7 days") == [day(2), day(4)]
    assert times("From today on") == [day(2), day(4), day(12)]
    assert times("Past") == [day(-2)]
    assert times("To settle") == [day(-2)]


def test_the_last_payment_stands_beside_the_price(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    diary.pay(key, state=PaymentState.EXPIRED, captured_amount=0, paid_at=None, stripe_payment_intent_id=None)
    diary.pay(key)
    unpaid = diary.book(soon(db, 5), BookingStatus.PENDING)
    page = BeautifulSoup(client_for(Role.OPS).get("/admin/bookings/").text, "html5lib")
    shown = {
        str(row.select_one("a")["href"]): row.select_one('td[data-label="Payment"]').get_text(strip=True)  # type: ignore
        for row in page.select("table.sheet tbody tr")
    }
    assert shown == {f"/admin/bookings/{key}": "paid", f"/admin/bookings/{unpaid}": "–"}


def test_a_mail_says_what_it_is_about_and_gives_its_calendar_file(
    diary: Diary, db: Database, client_for: ClientFor
) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    with db.unit_of_work(SETUP) as ctx:
        shared = {"template": "confirmation", "to_email": "a@example.com", "subject": "S", "text_body": "T"}
        mail = m.SentEmail(**shared, html_body="<p>H</p>", booking_id=key, calendar_body="BEGIN:VCALENDAR\r\n")
        plain = m.SentEmail(**shared, html_body="<p>H</p>")
        ctx.session.add_all([mail, plain])
        ctx.session.flush()
        with_file, without = mail.id, plain.id
    client = client_for(Role.AUDITOR)
    page = client.get(f"/admin/sent-emails/{with_file}").text
    assert f'href="/admin/bookings/{key}"' in page
    assert f'href="/admin/sent-emails/{with_file}/calendar.ics"' in page
    assert f'href="/admin/bookings/{key}"' in client.get("/admin/sent-emails/").text
    file = client.get(f"/admin/sent-emails/{with_file}/calendar.ics")
    assert file.data == b"BEGIN:VCALENDAR\r\n"
    assert file.mimetype == "text/calendar"
    assert file.headers["Content-Disposition"] == f'attachment; filename="appointment-{with_file}.ics"'
    assert "calendar.ics" not in client.get(f"/admin/sent-emails/{without}").text
    assert client.get(f"/admin/sent-emails/{without}/calendar.ics").status_code == 404


def test_an_event_leads_to_what_it_was_about(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.meet(soon(db) + timedelta(hours=2), BookingStatus.CONFIRMED)
    with db.unit_of_work(SETUP) as ctx:
        event = m.WebhookEvent(
            provider="stripe", external_id="evt_1", type="charge.refunded", body=b"{}", meeting_id=key
        )
        ctx.session.add(event)
        ctx.session.flush()
        event_id = event.id
    client = client_for(Role.SUPPORT)
    for address in ("/admin/webhook-events/", f"/admin/webhook-events/{event_id}"):
        assert f'href="/admin/meetings/{key}"' in client.get(address).text
    assert "evt_1" in client.get(f"/admin/webhook-events/{event_id}").text


def test_a_parked_event_leads_to_what_it_waits_for(diary: Diary, db: Database, client_for: ClientFor) -> None:
    given = {"provider": "calcom", "type": "BOOKING_CREATED", "body": b"{}", "state": m.EventState.PARKED}
    kept = [
        ("taken", "time_taken", f"practitioner:{diary.person}"),
        ("silent", "not_asked", "answer:calcom"),
    ]
    with db.unit_of_work(SETUP) as ctx:
        events = [
            m.WebhookEvent(external_id=key, parked_because=because, waits_for=what, **given)
            for key, because, what in kept
        ]
        ctx.session.add_all(events)
        ctx.session.flush()
        taken, silent = [event.id for event in events]
    client, way = client_for(Role.SUPPORT), f'href="/admin/practitioners/{diary.person}"'
    assert way in client.get(f"/admin/webhook-events/{taken}").text
    assert "answer:calcom" not in client.get(f"/admin/webhook-events/{silent}").text
    assert "events are parked until what they need is there" in client.get("/admin/").text
