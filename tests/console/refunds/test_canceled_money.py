"""The console's side of it: a refund's form asks what becomes of the appointment; finance finds what nobody decided."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.services import appointments, bookings
from admin_app.services.payments import held_money
from models import Booking, CanceledBecause, Payment, Refund, Role
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient
from tests.services.checkout.test_settlement import hear, paid, pay_page
from tests.services.diary import Clock, held, offered, tomorrow
from tests.services.factories import OPERATOR

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def payment(db: Database, clock: Clock) -> Payment:
    subject = held(db, offered(db), tomorrow(clock.now))
    payment = pay_page(db, subject)
    hear(db, paid(payment))
    return payment


def only_refund(db: Database) -> Refund:
    with db.read_only() as session:
        return session.scalars(select(Refund)).one()


def test_the_form_asks_and_the_mail_can_be_read(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client, page = client_for(Role.SUPPORT), f"/admin/payments/{payment.id}/refund"
    plan = client.get(f"{page}?amount=120").text
    assert "Read the mail that goes to cleo@example.com once Stripe has made the refund" in plan
    assert "you get back all that you paid for it" in plan
    stays = client.get(f"{page}?amount=120&appointment=stays").text
    assert "Read the mail" not in stays
    assert "It takes place although nothing is paid for it" in stays
    form = form_on(client, page, amount="120", appointment="stays")
    assert form["appointment"] == "stays"
    done = client.post(page, data=form | {"reason_code": "other", "note": "Goodwill"})
    assert done.status_code == 303
    assert only_refund(db).ends_appointment is False


def test_what_was_chosen_is_what_is_done(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client, page = client_for(Role.SUPPORT), f"/admin/payments/{payment.id}/refund"
    form = form_on(client, page, amount="120")
    refused = client.post(page, data=form | {"reason_code": "duplicate", "note": "", "appointment": "stays"})
    assert refused.status_code == 409
    done = client.post(page, data=form_on(client, page, amount="120", tell="no") | {"reason_code": "duplicate"})
    assert done.status_code == 303
    refund = only_refund(db)
    assert (refund.ends_appointment, refund.tells_client) == (True, False)


def test_of_what_has_begun_nothing_is_asked(
    db: Database, clock: Clock, payment: Payment, client_for: ClientFor
) -> None:
    clock.forward(hours=5)
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(Booking, payment.booking_id)
        row.starts_at, row.ends_at = ctx.now - (row.ends_at - row.starts_at), ctx.now
    page = client_for(Role.SUPPORT).get(f"/admin/payments/{payment.id}/refund?amount=120").text
    assert 'name="appointment"' not in page
    assert "It has begun." in page


def test_finance_finds_what_nobody_decided_and_keeps_it(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client, address = client_for(Role.FINANCE), f"/admin/payments/{payment.id}"
    assert "Keep the money" not in client.get(address).text
    with db.unit_of_work(OPERATOR) as ctx:
        subject = f"booking:{payment.booking_id}"
        bookings.cancel(ctx, appointments.locked(ctx, subject), CanceledBecause.BY_CLIENT)
        held_money.review_all(ctx, subject)
    assert "payment of a canceled appointment waits for a decision" in client.get("/admin/").text
    assert address in client.get("/admin/payments/?decision=waits").text
    page = client.get(f"{address}/keep").text
    assert "120.00 EUR" in page
    data = form_on(client, f"{address}/keep")
    assert client.post(f"{address}/keep", data=data | {"reason": " "}).status_code == 422
    assert client.post(f"{address}/keep", data=data | {"reason": "An hour before"}).status_code == 303
    record = client.get(address).text
    assert "An hour before" in record
    assert address not in client.get("/admin/payments/?decision=waits").text
    assert address in client.get("/admin/payments/?decision=kept").text
    assert client.post(f"{address}/keep", data=data | {"reason": "Twice"}).status_code == 409
