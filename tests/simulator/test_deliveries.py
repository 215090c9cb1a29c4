"""What the simulator sends is what the product lets in, with the providers' own retries."""

import json
import time
from datetime import UTC, datetime

import pytest

from admin_app.integrations import clerk, whop
from admin_app.simulator import control
from tests.integrations.signing import CLERK_SECRET, WHOP_SECRET


@pytest.mark.parametrize("form", ["v1", "pinned", "v5", "v2"])
def test_a_purchase_sends_both_events_in_every_form(simulator, receiver, form):
    made = control.purchase(simulator, email="ada@example.com", plan="yearly", event=form)
    kinds = set()
    for path, headers, body in receiver.wait_for(2):
        assert path == "/api/webhooks/whop"
        now = datetime.now(UTC)
        whop.verify(body, headers, WHOP_SECRET, now)
        event = whop.parse_event(body, headers, now)
        assert (event.kind, event.membership_id) == ("purchase", made["membership_id"])
        assert event.whop_user_id == made["user_id"]
        kinds.add(event.type)
    activated = "membership.activated" if form in {"v1", "pinned"} else "membership.went_valid"
    assert kinds == {activated, "payment.succeeded"}


@pytest.mark.parametrize("form", ["v1", "pinned", "v5", "v2"])
def test_cancellation_and_ending_are_sent_in_every_form(simulator, receiver, form):
    made = control.purchase(simulator, email="ada@example.com", deliver=False)
    control.cancel_at_period_end(simulator, made["membership_id"], event=form)
    control.deactivate(simulator, made["membership_id"], event=form)
    events = [whop.parse_event(body, headers, datetime.now(UTC)) for _, headers, body in receiver.wait_for(2)]
    assert [event.kind for event in events] == ["cancellation", "ended"]
    assert events[0].cancel_at_period_end is True
    assert {event.membership_id for event in events} == {made["membership_id"]}


def test_what_is_not_to_be_delivered_is_not(simulator, receiver):
    control.purchase(simulator, email="ada@example.com", deliver=False)
    control.create_user(simulator, name="Ada", email="ada@example.com")
    assert control.deliveries(simulator) == []
    assert receiver.received == []


def test_whop_tries_four_times_with_one_id_and_gives_up(simulator, receiver):
    receiver.statuses = [500]
    made = control.purchase(simulator, email="ada@example.com", deliver=False)
    control.deactivate(simulator, made["membership_id"])
    tries = receiver.wait_for(4)
    assert len({headers["webhook-id"] for _, headers, _ in tries}) == 1
    assert len({body for _, _, body in tries}) == 1
    for _, headers, body in tries:
        whop.verify(body, headers, WHOP_SECRET, datetime.now(UTC))
    _wait_until(lambda: control.deliveries(simulator)[0]["outcome"] == "given up")
    time.sleep(0.1)
    assert len(receiver.received) == 4


def test_a_delivery_that_succeeds_later_is_done(simulator, receiver):
    receiver.statuses = [503, 302, 200]
    made = control.purchase(simulator, email="ada@example.com", deliver=False)
    control.deactivate(simulator, made["membership_id"])
    receiver.wait_for(3)
    _wait_until(lambda: control.deliveries(simulator)[0]["outcome"] == "delivered")
    assert control.deliveries(simulator)[0]["attempts"] == 3


def test_signing_up_verifying_and_deleting_are_told_by_clerk(simulator, receiver):
    person = control.create_user(simulator, name="Ada Byron", email="ada@example.com", verified=False, webhook=True)
    control.verify_user(simulator, person["id"])
    control.delete_user(simulator, person["id"])
    seen = []
    for path, headers, body in receiver.wait_for(3):
        assert path == "/api/webhooks/clerk"
        clerk.verify_webhook(body, headers, CLERK_SECRET)
        event = clerk.parse_event(body, headers)
        assert event.user_id == person["id"]
        seen.append((event.type, sorted(event.user.verified_emails) if event.user else None))
    assert seen == [
        ("user.created", []),
        ("user.updated", ["ada@example.com"]),
        ("user.deleted", None),
    ]
    assert len({headers["svix-id"] for _, headers, _ in receiver.received}) == 3


def test_the_email_is_left_out_where_whop_leaves_it_out(simulator, receiver):
    control.purchase(simulator, email="ada@example.com", event="pinned")
    bodies = {json.loads(body)["type"]: body.decode() for _, _, body in receiver.wait_for(2)}
    assert "ada@example.com" not in bodies["membership.activated"]
    assert "ada@example.com" in bodies["payment.succeeded"]


def _wait_until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()
