"""A booking's and a meeting's page with its story, and the commands on them, by their pages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup

import models as m
from admin_app.db import Database
from admin_app.services import appointments, bookings
from admin_app.services.bookings import holds
from models import BookingStatus, PaymentState, RefundState, Role
from tests.console.conftest import SETUP, counted_queries
from tests.console.diary import Diary, soon, state_of, story_of
from tests.console.forms import fields_of, form_of, plan_of
from tests.console.page_checks import CheckedClient

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def diary(db: Database) -> Diary:
    with db.unit_of_work(SETUP) as ctx:
        return Diary(db, ctx.session)


# -- the page ------------------------------------------------------------------------------------------------------


def test_the_story_is_told_newest_first_and_each_part_leads_on(
    diary: Diary, db: Database, client_for: ClientFor
) -> None:
    client = client_for(Role.SUPPORT)
    with db.unit_of_work(SETUP) as ctx:
        held = holds.hold(
            ctx,
            practitioner_id=diary.person,
            session_type_id=diary.kind,
            starts_at=soon(db),
            client_name="Ann Client",
            client_email="ann@example.com",
        )
        key = held.number
        payment = diary.pay(key)
        bookings.confirm(ctx, appointments.locked(ctx, held.subject))
        mail = m.SentEmail(
            template="confirmation",
            to_email="ann@example.com",
            subject="Confirmed",
            text_body="",
            html_body="",
            booking_id=key,
            state="sent",
            created_at=ctx.now + timedelta(seconds=3),
        )
        event = m.WebhookEvent(
            provider="stripe", external_id="evt_9", type="checkout.session.completed", body=b"{}", booking_id=key
        )
        call = m.ProviderCall(
            provider="calcom",
            operation="booking.create",
            idempotency_key="k1",
            subject=held.subject,
            state=m.CallState.UNKNOWN,
        )
        ctx.session.add_all([mail, event, call])
        ctx.session.flush()
        refund = m.Refund(
            payment_id=payment,
            amount=2000,
            currency="usd",
            reason=m.RefundReason.OTHER,
            requested_by="support@example.com",
            state=RefundState.UNKNOWN,
        )
        ctx.session.add(refund)
        ctx.session.flush()
        found = {
            f"/admin/sent-emails/{mail.id}",
            f"/admin/webhook-events/{event.id}",
            f"/admin/provider-calls/{call.id}",
            f"/admin/payments/{payment}",
            f"/admin/refunds/{refund.id}",
        }
    html = client.get(f"/admin/bookings/{key}").text
    told = story_of(html)
    assert told[0].startswith("The mail “Confirmed” went to ann@example.com")
    for part in ("Confirmed by", "Made, and its time held", "Paid 95.00 USD", "A refund of 20.00 USD was asked for"):
        assert any(item.startswith(part) for item in told), part
    assert any("Cal.com was asked to enter the booking; no answer came unknown" in item for item in told)
    assert any("Stripe told about checkout.session.completed received" in item for item in told)
    page = BeautifulSoup(html, "html5lib")
    assert found <= {str(link["href"]) for link in page.select("main a")}
    stated = state_of(html)
    assert "Confirmed. It begins in" in stated
    assert "95.00 USD were paid" in stated
    assert "A refund of 20.00 USD left, and nobody knows yet what became of it." in stated


def test_a_page_asks_for_its_story_once(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    diary.pay(key)
    client = client_for(Role.SUPPORT)
    with counted_queries(db) as statements:
        client.get(f"/admin/bookings/{key}")
    assert len(statements) == 3, statements  # who is asking, the record, the whole story


@pytest.mark.parametrize(
    ("days", "status", "more", "sentence"),
    [
        (3, BookingStatus.PENDING, {"hold_expires_at": 20}, "then the time is free again."),
        (3, BookingStatus.PENDING, {"hold_expires_at": -20}, "so the time is free again."),
        (3, BookingStatus.CONFIRMED, {}, "A reminder goes out the day before."),
        (-3, BookingStatus.CONFIRMED, {}, "Mark it as completed, or note that nobody came."),
        (3, BookingStatus.CANCELED, {"canceled_because": "by_client"}, "because the client called it off"),
        (-3, BookingStatus.COMPLETED, {}, "It took place."),
        (-3, BookingStatus.NO_SHOW, {}, "Nobody came."),
        (3, BookingStatus.REFUNDED, {}, "All of the money went back"),
    ],
)
def test_the_state_is_a_sentence_that_says_what_happens_next(
    diary: Diary,
    db: Database,
    client_for: ClientFor,
    days: int,
    status: BookingStatus,
    more: dict[str, Any],
    sentence: str,
) -> None:
    if "hold_expires_at" in more:
        more = {"hold_expires_at": db.clock() + timedelta(minutes=more["hold_expires_at"])}
    if "canceled_because" in more:
        more = {"canceled_because": m.CanceledBecause(more["canceled_because"]), "canceled_at": db.clock()}
    key = diary.book(soon(db, days), status, **more)
    assert sentence in state_of(client_for(Role.AUDITOR).get(f"/admin/bookings/{key}").text)


@pytest.mark.parametrize(
    ("payment", "sentence"),
    [
        ({"state": PaymentState.OPEN, "captured_amount": 0, "paid_at": None}, "95.00 USD wait to be paid"),
        ({"state": PaymentState.PROCESSING, "captured_amount": 0, "paid_at": None}, "has not said yes or no"),
        ({"state": PaymentState.EXPIRED, "captured_amount": 0, "paid_at": None}, "were not paid in time"),
        ({"state": PaymentState.FAILED, "captured_amount": 0, "paid_at": None}, "failed"),
        ({"dispute_status": "needs_response", "dispute_id": "dp_1"}, "The payer disputes it. Answer at Stripe."),
        ({"dispute_status": "lost", "dispute_id": "dp_1"}, "lost: 95.00 USD are gone"),
        ({"dispute_status": "lost", "dispute_id": "dp_1", "dispute_amount": 4_000}, "lost: 40.00 USD are gone"),
    ],
)
def test_where_the_money_is(
    diary: Diary, db: Database, client_for: ClientFor, payment: dict[str, Any], sentence: str
) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    diary.pay(key, **payment)
    assert sentence in state_of(client_for(Role.FINANCE).get(f"/admin/bookings/{key}").text)


def test_a_record_from_before_the_audit_has_a_story_too(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.meet(soon(db), BookingStatus.CONFIRMED)
    told = story_of(client_for(Role.AUDITOR).get(f"/admin/meetings/{key}").text)
    assert len(told) == 1
    assert told[0].startswith("Made")


def test_the_page_leads_to_the_week_in_the_practitioners_zone(
    diary: Diary, db: Database, client_for: ClientFor
) -> None:
    with db.unit_of_work(SETUP) as ctx:
        ctx.session.get_one(m.Practitioner, diary.person).time_zone = "Asia/Tokyo"
    key = diary.book(datetime(2026, 11, 22, 23, tzinfo=UTC), BookingStatus.CONFIRMED)  # Monday there
    html = client_for(Role.AUDITOR).get(f"/admin/bookings/{key}").text
    assert f"/admin/calendar/?practitioner={diary.person}&amp;week=2026-W48" in html


# -- the commands --------------------------------------------------------------------------------------------------


def commands_of(client: CheckedClient, address: str) -> set[str]:
    page = BeautifulSoup(client.get(address).text, "html5lib")
    return {link.get_text(strip=True) for link in page.select(".page-head .actions a")}


def test_only_what_fits_the_state_and_the_role_is_offered(diary: Diary, db: Database, client_for: ClientFor) -> None:
    paid = diary.book(soon(db), BookingStatus.CONFIRMED)
    diary.pay(paid)
    ahead = f"/admin/bookings/{paid}"
    over = f"/admin/bookings/{diary.book(soon(db, -3), BookingStatus.CONFIRMED)}"
    held = f"/admin/bookings/{diary.book(soon(db, 4), BookingStatus.PENDING)}"
    support, ops = client_for(Role.SUPPORT), client_for(Role.OPS)
    assert commands_of(support, ahead) == {"Reschedule", "Send confirmation again", "Refund", "Cancel"}
    assert commands_of(ops, ahead) == {"Reschedule", "Send confirmation again", "Cancel"}
    assert {"Mark completed", "Nobody came"} <= commands_of(ops, over)
    assert "Refund" not in commands_of(support, over), "nothing was paid for it"
    assert "Send confirmation again" not in commands_of(support, over)
    assert "nothing to confirm any more" in support.get(f"{over}/resend").text
    assert commands_of(ops, held) == {"Cancel"}
    assert commands_of(client_for(Role.AUDITOR), ahead) == set()
    assert commands_of(client_for(Role.FINANCE), ahead) == {"Refund"}


def test_canceling_with_a_refund_of_a_part(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    payment = diary.pay(key)
    client = client_for(Role.SUPPORT)
    address = f"/admin/bookings/{key}/cancel"
    first = client.get(address).text
    assert "All that is left: 95.00 USD" in first
    assert "fingerprint" not in first
    shown = client.get(f"{address}?because=by_client&refund=part&amount=40&tell=no").text
    assert "Nobody is written to." in shown
    assert "40.00 USD go back" in shown
    form = plan_of(client, f"{address}?because=by_client&refund=part&amount=40&tell=no")
    assert client.post(address, data=form).status_code == 422
    answer = client.post(address, data=form | {"reason": "She is ill"})
    assert answer.status_code == 303
    page = client.get(answer.location).text
    assert "A refund of 40.00 USD was asked for." in page
    assert any("the client called it off" in item and "She is ill" in item for item in story_of(page))
    with db.read_only() as session:
        refund = session.query(m.Refund).filter_by(payment_id=payment).one()
        assert (refund.amount, refund.state) == (4000, RefundState.REQUESTED)
    assert diary.status(key) is BookingStatus.CANCELED


def test_canceling_says_what_is_wrong_and_keeps_what_was_chosen(
    diary: Diary, db: Database, client_for: ClientFor
) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    diary.pay(key)
    client = client_for(Role.SUPPORT)
    address = f"/admin/bookings/{key}/cancel"
    for query, status, sentence in (
        ("because=nobody", 422, "Choose who called it off."),
        ("because=by_staff&refund=part&amount=x", 422, "not an amount in USD"),
        ("because=by_staff&refund=some", 422, "Choose whether money goes back."),
        ("because=by_staff&refund=part&amount=95.01", 200, "Only 95.00 USD can be given back"),
    ):
        answer = client.get(f"{address}?{query}")
        assert answer.status_code == status, query
        assert sentence in answer.text, query
    kept = client.get(f"{address}?because=by_staff&refund=part&amount=95.01").text
    assert 'value="95.01"' in kept
    assert diary.status(key) is BookingStatus.CONFIRMED


def test_ops_cancels_without_touching_money(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    diary.pay(key)
    client = client_for(Role.OPS)
    address = f"/admin/bookings/{key}/cancel"
    assert "Refunds are asked for by support and finance." in client.get(address).text
    refused = client.get(f"{address}?because=by_staff&refund=all").text
    assert "Cancel without a refund" in refused
    form = plan_of(client, f"{address}?because=by_practitioner&refund=none&tell=yes")
    assert client.post(address, data=form | {"reason": "Ill"}).status_code == 303
    assert diary.status(key) is BookingStatus.CANCELED


def test_a_plan_that_moved_is_shown_again(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    client = client_for(Role.SUPPORT)
    address = f"/admin/bookings/{key}/cancel"
    form = plan_of(client, f"{address}?because=by_client")
    with db.unit_of_work(SETUP) as ctx:
        ctx.session.get_one(m.Booking, key).version += 1
    answer = client.post(address, data=form | {"reason": "Because"})
    assert answer.status_code == 409
    assert "Something changed since this plan was shown" in answer.text
    assert client.post(address, data=fields_of(answer.text)).status_code == 303


@pytest.mark.parametrize(
    ("word", "status"), [("complete", BookingStatus.COMPLETED), ("no-show", BookingStatus.NO_SHOW)]
)
def test_what_became_of_it_is_noted(
    diary: Diary, db: Database, client_for: ClientFor, word: str, status: BookingStatus
) -> None:
    key = diary.book(soon(db, -2), BookingStatus.CONFIRMED)
    client = client_for(Role.SUPPORT)
    address = f"/admin/bookings/{key}/{word}"
    answer = client.post(address, data=form_of(client, address) | {"reason": "As told"})
    assert answer.status_code == 303
    assert diary.status(key) is status


def test_the_confirmation_is_sent_again(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.book(soon(db), BookingStatus.CONFIRMED)
    client = client_for(Role.SUPPORT)
    address = f"/admin/bookings/{key}/resend"
    answer = client.post(address, data=form_of(client, address) | {"reason": "She lost it"})
    assert answer.status_code == 303
    told = story_of(client.get(answer.location).text)
    assert any(item.startswith("The confirmation mail was asked for once more") for item in told)


def test_meetings_have_the_same_commands(diary: Diary, db: Database, client_for: ClientFor) -> None:
    key = diary.meet(soon(db), BookingStatus.CONFIRMED)
    client = client_for(Role.SUPPORT)
    address = f"/admin/meetings/{key}/cancel"
    form = plan_of(client, f"{address}?because=by_client&tell=yes")
    assert client.post(address, data=form | {"reason": "She cannot come"}).status_code == 303
    page = client.get(f"/admin/meetings/{key}").text
    assert "because the client called it off" in state_of(page)
    assert "It costs nothing." in state_of(page)


def test_what_is_not_there_is_not_found(diary: Diary, client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)
    for word in ("cancel", "reschedule", "complete", "no-show", "resend"):
        assert client.get(f"/admin/bookings/999999/{word}").status_code == 404
        assert client.get(f"/admin/meetings/9223372036854775807/{word}").status_code == 404
