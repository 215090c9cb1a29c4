"""Providers deliver in any order, more than once: the end is the same."""

import json
import time
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.simulator import control
from admin_app.simulator.whop import whop_events
from admin_app.simulator.whop.whop_records import Membership, Payment, started
from models import AuditEntry, EventState, MembershipStatus, PendingProfile, WebhookEvent
from tests.house import House

BOUGHT_AT = 1_795_000_000
BOUGHT = started(
    email="reordered@example.com",
    name="Max Member",
    plan="monthly",
    at=BOUGHT_AT,
    membership_id="mem_reordered",
    user_id="user_reordered",
)
CANCELING = BOUGHT.canceling(BOUGHT_AT + 200, cancels=True)
ENDED = CANCELING.ended(BOUGHT_AT + 300)
STORY: dict[str, tuple[int, Membership]] = {
    "membership.activated": (0, BOUGHT),
    "payment.succeeded": (100, BOUGHT),
    "membership.cancel_at_period_end_changed": (200, CANCELING),
    "membership.deactivated": (300, ENDED),
}


def delivery(form: str, event: str) -> bytes:
    after, record = STORY[event]
    paid = Payment("pay_reordered", BOUGHT.id, BOUGHT_AT + after, first=True) if "payment" in event else None
    body = whop_events.event(form, event, BOUGHT_AT + after, record, paid)
    body |= {"id": f"msg_{event}"} if "id" in body else {}
    return json.dumps(body).encode()


def seed(house: House) -> None:
    """Whop itself knows the membership, and so the e-mail that the pinned form leaves out."""
    control.seed_memberships(
        house.simulator,
        [{"membership_id": BOUGHT.id, "user_id": BOUGHT.user_id, "email": BOUGHT.email, "name": BOUGHT.name}],
    )


def end_of(house: House) -> dict[str, Any]:
    (pending,) = house.rows(select(PendingProfile))
    left_out = {"id", "created_at", "updated_at", "version", "owners_checked_at", "token", "token_expires_at"}
    return {c.name: getattr(pending, c.name) for c in PendingProfile.__table__.c if c.name not in left_out}


@pytest.mark.parametrize("form", ["v1", "pinned"])
@pytest.mark.parametrize("order", list(permutations(STORY)), ids=lambda order: ">".join(e[-11:] for e in order))
def test_any_order_ends_in_one_state(house: House, form: str, order: tuple[str, ...]) -> None:
    seed(house)
    for event in order:
        raw = delivery(form, event)
        assert house.whop(raw, delivery=f"msg_{event}").status_code == 200
        house.work(last_try=True)
        assert house.whop(raw, delivery=f"msg_{event}").json == {"status": "duplicate"}
    house.work(last_try=True)
    end = end_of(house)
    assert end["status"] is MembershipStatus.INACTIVE
    assert (end["membership"].value, end["plan_duration"].value) == ("free", "monthly")
    assert (end["usage_credits"], end["used_credits"], end["cancel_at_period_end"]) == (1000, 0, False)
    assert end["billing_cycle_start"].timestamp() == BOUGHT.period_start
    assert end["billing_cycle_end"].timestamp() == BOUGHT.period_end
    assert (end["next_credit_renewal"] - end["billing_cycle_start"]).days == 28
    states = {event.state for event in house.rows(select(WebhookEvent))}
    assert states <= {EventState.PROCESSED, EventState.SUPERSEDED, EventState.PARKED}


# What the provider has it as in the end, whatever came in the same second.
IN_ONE_SECOND = ("membership.deactivated", "membership.activated")


@pytest.mark.parametrize("order", list(permutations(IN_ONE_SECOND)), ids=">".join)
@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("apart", [0, 0.4])
def test_an_end_and_a_beginning_of_one_second_have_no_order(
    house: House, order: tuple[str, ...], is_active: bool, apart: float
) -> None:
    second = int(time.time()) - 60
    known = control.purchase(
        house.simulator, email=BOUGHT.email, membership_id=f"mem_second_{is_active}", deliver=False
    )
    record = started(
        email=BOUGHT.email, name="Max Member", plan="monthly", at=second - 86400, membership_id=known["membership_id"]
    )
    tell(house, "membership.activated", record, second - 86400)
    if not is_active:
        control.deactivate(house.simulator, record.id, deliver=False)
    for place, event in enumerate(order):
        told = record if event == "membership.activated" else record.ended(second)
        tell(house, event, told, second + place * apart)
    (pending,) = house.rows(select(PendingProfile))
    assert pending.status is (MembershipStatus.ACTIVE if is_active else MembershipStatus.INACTIVE)
    assert pending.membership.value == ("pro" if is_active else "free")


def tell(house: House, event: str, record: Membership, at: float, delivery: str | None = None) -> None:
    body = whop_events.event("v1", event, int(at), record)
    body["timestamp"] = datetime.fromtimestamp(at, UTC).isoformat()
    house.whop(json.dumps(body).encode(), delivery=delivery or f"msg_{event}_{at}")
    house.work(last_try=True)


@pytest.mark.parametrize("later", [0, 0.3, 7])
def test_the_same_news_twice_are_one_entry_of_the_audit(house: House, later: float) -> None:
    at = int(time.time()) - 60
    ending = BOUGHT.canceling(at, cancels=True)
    known = control.purchase(house.simulator, email=BOUGHT.email, membership_id=BOUGHT.id, deliver=False)
    control.deactivate(house.simulator, known["membership_id"], deliver=False)
    tell(house, "membership.activated", BOUGHT, at - 300)
    for number in range(2):
        tell(house, "membership.cancel_at_period_end_changed", ending, at - 200 + number * later, f"msg_c{number}")
    for number in range(2):
        tell(house, "membership.deactivated", ending.ended(at), at + number * later, f"msg_e{number}")
    events = [entry.event for entry in house.rows(select(AuditEntry))]
    assert (events.count("purchase.cancellation"), events.count("purchase.ended")) == (1, 1)
    assert {event.state for event in house.rows(select(WebhookEvent))} == {EventState.PROCESSED}
