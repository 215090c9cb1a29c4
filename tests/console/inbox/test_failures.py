"""What failed for good in the console: counted on the first page, listed, and tried again or settled with a reason."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from admin_app.db import Database
from models import AuditEntry, BookingStatus, CallState, MailState, ProviderCall, Role, SentEmail
from tests.console.conftest import SETUP
from tests.console.diary import Diary, soon, state_of, story_of
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient
from tests.services.diary import jobs

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def call(db: Database) -> int:
    with db.unit_of_work(SETUP) as ctx:
        since = ctx.now - timedelta(hours=3)
        shared = {"provider": "calcom", "subject": "booking:12", "operation": "booking.create", "attempts": 1}
        waits = ProviderCall(
            **shared,
            idempotency_key="k1",
            state=CallState.FAILED,
            error_code="no_available_users_found_error",
            attention_since=since,
        )
        ctx.session.add_all([waits, ProviderCall(**shared, idempotency_key="k2", state=CallState.SUCCEEDED)])
        ctx.session.flush()
        return waits.id


@pytest.fixture
def mail(db: Database) -> int:
    with db.unit_of_work(SETUP) as ctx:
        lost = SentEmail(
            template="confirmation",
            to_email="ada@example.com",
            subject="Confirmed: Consultation",
            text_body="t",
            html_body="h",
            state=MailState.UNKNOWN,
            last_error="worker_died",
            once_key="confirmation:booking:12:3",
        )
        ctx.session.add(lost)
        ctx.session.flush()
        return lost.id


def test_a_call_is_counted_listed_and_settled(db: Database, call: int, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    home = client.get("/admin/").text
    assert "call at a provider needs attention" in home
    assert "the oldest for 3 h" in home
    listed = client.get("/admin/provider-calls/?attention=yes").text
    assert "no available users found error" in listed
    assert "succeeded</span>" not in listed
    page = client.get(f"/admin/provider-calls/{call}").text
    assert f'href="/admin/provider-calls/{call}/retry"' in page
    address = f"/admin/provider-calls/{call}/settle"
    assert "Cal.com refused it for good: nobody is free there at that time (no_available_users_found_error)" in page
    assert "do it by hand at Cal.com and mark it as settled" in page
    assert "nothing changes at Cal.com" in client.get(address).text
    given = form_on(client, address)
    assert client.post(address, data=given | {"reason": ""}).status_code == 422
    assert client.post(address, data=given | {"reason": "made by hand"}).status_code == 303
    assert "needs attention" not in client.get("/admin/").text
    with db.read_only() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.event == "provider_call.settled")).one()
    assert (entry.reason, entry.records) == ("made by hand", [f"provider_call:{call}", "booking:12"])
    page = client.get(f"/admin/provider-calls/{call}").text
    assert "marked booking.create at calcom as settled" in page
    assert "refused it for good" not in page, "nothing is left to do"


def test_a_call_is_tried_again(db: Database, call: int, client_for: ClientFor) -> None:
    client, address = client_for(Role.SUPPORT), f"/admin/provider-calls/{call}/retry"
    assert client.post(address, data=form_on(client, address) | {"reason": "freed"}).status_code == 303
    assert jobs(db, "sync_calendar") == [{"booking_id": 12}]


def test_a_call_without_an_answer_is_never_to_be_repeated_by_hand_unseen(db: Database, client_for: ClientFor) -> None:
    with db.unit_of_work(SETUP) as ctx:
        shared = {"provider": "stripe", "subject": "booking:12", "state": CallState.UNKNOWN, "attempts": 1}
        asked, not_asked = (
            ProviderCall(**shared, operation=operation, idempotency_key=operation, attention_since=ctx.now)
            for operation in ("checkout.create", "trial.extend")
        )
        ctx.session.add_all([asked, not_asked])
        ctx.session.flush()
        first, second = asked.id, not_asked.id
    client = client_for(Role.SUPPORT)
    page = client.get(f"/admin/provider-calls/{first}").text
    assert "Look at Stripe before you repeat anything by hand" in page
    assert "Stripe is asked in a moment" in client.get(f"/admin/provider-calls/{first}/retry").text
    page = client.get(f"/admin/provider-calls/{second}").text
    assert f"/admin/provider-calls/{second}/settle" in page
    assert f"/admin/provider-calls/{second}/retry" not in page, "it would be refused"


def test_a_mail_is_counted_listed_and_settled(db: Database, mail: int, client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)
    assert "mail may or may not have gone out" in client.get("/admin/").text
    assert "Confirmed: Consultation" in client.get("/admin/sent-emails/?state=unknown").text
    page = client.get(f"/admin/sent-emails/{mail}").text
    assert f'href="/admin/sent-emails/{mail}/settle"' in page
    assert "It may have been sent" in page
    again = client.get(f"/admin/sent-emails/{mail}/again").text
    assert "What it was about is not here any more" in again
    address = f"/admin/sent-emails/{mail}/settle"
    assert client.post(address, data=form_on(client, address) | {"reason": "told by phone"}).status_code == 303
    assert "mails may or may not" not in client.get("/admin/").text


def test_who_may_not_is_refused(call: int, mail: int, client_for: ClientFor) -> None:
    client = client_for(Role.AUDITOR)
    for address in (f"/admin/provider-calls/{call}", f"/admin/sent-emails/{mail}"):
        assert "/settle" not in client.get(address).text
        assert client.get(f"{address}/settle").status_code == 403


@pytest.mark.parametrize("waits", [True, False])
def test_a_calendar_that_was_not_told_stands_at_the_top_until_it_is_settled(
    db: Database, client_for: ClientFor, waits: bool
) -> None:
    with db.unit_of_work(SETUP) as ctx:
        diary = Diary(db, ctx.session)
    booking_id = diary.book(soon(db), BookingStatus.CONFIRMED)
    with db.unit_of_work(SETUP) as ctx:
        call = ProviderCall(
            provider="calcom",
            operation="booking.create",
            subject=f"booking:{booking_id}",
            idempotency_key="k1",
            state=CallState.FAILED,
            error_code="no_available_users_found_error",
            attention_since=ctx.now if waits else None,
        )
        ctx.session.add(call)
        ctx.session.flush()
        number = call.id
    html = client_for(Role.SUPPORT).get(f"/admin/bookings/{booking_id}").text
    assert "it refused: nobody is free there at that time" in " ".join(story_of(html))
    assert (f"Call {number}" in state_of(html)) is waits
    assert ("now-bad" in html) is waits
