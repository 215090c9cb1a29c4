"""What Stripe tells of what is not ours, or what nobody can read, ends as ignored or parked, never as failed."""

from typing import Any

import pytest
from sqlalchemy import select

from admin_app.errors import AnswerUnreadable
from admin_app.integrations.money_ports import StripeSession
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services.billing import stripe_events
from admin_app.services.checkout import settlement
from admin_app.services.inbox.handling import Parked, Settled
from models import EventState, WebhookEvent
from tests.house import House
from tests.services.factories import OPERATOR

SETUP: dict[str, Any] = {
    "id": "cs_setup",
    "url": None,
    "status": "complete",
    "payment_status": "no_payment_required",
    "payment_intent_id": None,
    "amount": 0,
    "currency": "",
    "subject": None,
    "expires_at": None,
    "mode": "setup",
}


def event(house: House) -> WebhookEvent:
    body = {
        "id": "evt_setup",
        "object": "event",
        "type": "checkout.session.completed",
        "created": int(house.db.clock().timestamp()),
        "livemode": False,
        "data": {"object": {"id": "cs_setup", "object": "checkout.session", "mode": "setup", "currency": None}},
    }
    assert house.stripe(body).status_code == 200
    (stored,) = house.rows(select(WebhookEvent))
    return stored


@pytest.mark.parametrize("subject", [None, "booking:1"])
def test_a_session_that_only_sets_up_a_card_is_ignored(house: House, subject: str | None) -> None:
    stored = event(house)
    with house.db.unit_of_work(OPERATOR) as ctx:
        told = CheckoutSnapshot(StripeSession(**SETUP | {"subject": subject, "payment_status": "paid"}))
        outcome = stripe_events.apply(ctx, stored, stripe_events.read(ctx, stored).snapshot, told)
        assert settlement.apply(ctx, told) is None
    assert isinstance(outcome, Settled)
    assert outcome.state is EventState.IGNORED


def test_what_cannot_be_read_is_parked_at_once_with_its_reason(house: House) -> None:
    stored = event(house)

    class Odd:
        def checkout(self, session_id: str) -> StripeSession:
            raise AnswerUnreadable("stripe")

    class Providers:
        stripe = Odd()

    found = stripe_events.fetch(Providers(), "session:cs_setup")  # type: ignore[arg-type]
    with house.db.unit_of_work(OPERATOR) as ctx:
        snapshot = stripe_events.read(ctx, stored).snapshot
        assert stripe_events.apply(ctx, stored, snapshot, found) == Parked("unreadable_at_stripe")
