"""The inbox: stored once, applied once, parked for people, released by people or by the purchase that was missing."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, NotFound
from admin_app.integrations.ports import WhopMembership
from admin_app.services import inbox
from admin_app.services.core import audit
from models import EventState, PendingProfile, Profile, WebhookEvent
from tests.services import deliveries
from tests.services.deliveries import BUYER, deliver, event_of, membership, needed, payment, receive, work
from tests.services.factories import AUDITOR, NOON, OPERATOR, SUPPORT, buy, pending_of, profile_of, waiting

NAMELESS = membership("activated", NOON)


def parked(db: Database, body: bytes = NAMELESS, delivery: str = "msg_1") -> int:
    event_id = receive(db, body, delivery)
    assert event_id is not None
    work(db)
    assert event_of(db, event_id).state is EventState.PARKED
    return event_id


def as_clerk(type_: str, *emails: tuple[str, str], primary: str | None = None, **data: Any) -> bytes:
    listed = [{"id": a, "email_address": a, "verification": {"status": status}} for a, status in emails]
    user = {"id": "user_a", "first_name": "Ada", "email_addresses": listed, "primary_email_address_id": primary}
    return json.dumps({"type": type_, "data": user | data}).encode()


def test_the_same_delivery_twice_is_one_event_and_one_job(db: Database) -> None:
    body = membership("activated", NOON, user=BUYER)
    assert receive(db, body, "msg_1") is not None
    assert receive(db, body, "msg_1") is None
    assert work(db) == 2  # the event and the mail of the purchase that it makes
    assert receive(db, body, "msg_1") is None
    assert work(db) == 0


def test_a_settled_event_stays_as_it_is(db: Database) -> None:
    event_id = receive(db, membership("activated", NOON, user=BUYER), "msg_1")
    assert event_id is not None
    work(db)
    before = event_of(db, event_id)
    with db.unit_of_work(OPERATOR) as ctx:
        assert inbox.apply(ctx, event_id=event_id) is EventState.PROCESSED
        inbox.fail(ctx, event_id=event_id, error_code="late")
        inbox.requeue_unfinished(ctx, event_id=event_id)
    after = event_of(db, event_id)
    assert (after.state, after.version, after.attempts) == (before.state, before.version, 1)
    assert work(db) == 0


@pytest.mark.parametrize("type_", ["payment.failed", "experience.claimed"])
def test_what_is_not_about_a_purchase_is_ignored(db: Database, type_: str) -> None:
    body = json.dumps({"type": type_, "timestamp": NOON.isoformat(), "data": {"id": "x"}}).encode()
    assert deliver(db, body, "msg_1") is EventState.IGNORED


def test_a_purchase_without_an_address_asks_the_provider_first(db: Database) -> None:
    event_id = receive(db, NAMELESS, "msg_1")
    assert event_id is not None
    told = WhopMembership(
        "mem_1", "user_whop1", None, "asked@example.com", None, "active", "yearly", None, None, False, None, None
    )
    with db.unit_of_work(OPERATOR) as ctx:
        assert needed(ctx, event_id) == "mem_1"
        inbox.apply(ctx, event_id=event_id, looked_up=told)
        assert waiting(ctx, "asked@example.com").whop_membership_id == "mem_1"
        assert needed(ctx, event_id) is None


def test_nobody_is_asked_about_a_membership_that_is_held(db: Database) -> None:
    buy(db)
    event_id = receive(db, payment(NOON + timedelta(days=30)), "msg_1")
    assert event_id is not None
    with db.unit_of_work(OPERATOR) as ctx:
        assert needed(ctx, event_id) is None
    assert deliver(db, payment(NOON + timedelta(days=30)), "msg_1") is EventState.PROCESSED


def test_no_address_anywhere_parks_with_the_reason(db: Database) -> None:
    event = event_of(db, parked(db))
    assert event.parked_because == "email_missing"
    assert event.parked_because in inbox.PARKED_SENTENCES
    with db.read_only() as session:
        assert audit.history(session, f"webhook_event:{event.id}")[0].event == "inbox.parked"


def test_support_attaches_the_address_and_it_goes_on(db: Database) -> None:
    event_id = parked(db)
    with db.unit_of_work(SUPPORT) as ctx:
        inbox.attach_email(ctx, event_id=event_id, email=" Told@Example.com ", reason="by phone")
    work(db)
    assert event_of(db, event_id).state is EventState.PROCESSED
    with db.unit_of_work(SUPPORT) as ctx:
        assert waiting(ctx, "told@example.com").whop_membership_id == "mem_1"
    with pytest.raises(Conflict), db.unit_of_work(SUPPORT) as ctx:
        inbox.attach_email(ctx, event_id=event_id, email="other@example.com", reason="again")


def test_a_parked_event_goes_on_by_itself_once_its_membership_is_known(db: Database) -> None:
    nameless, ended = parked(db), parked(db, membership("deactivated", NOON + timedelta(days=2)), "msg_2")
    assert event_of(db, ended).parked_because == "membership_unknown"
    deliver(db, membership("activated", NOON + timedelta(minutes=1), user=BUYER), "msg_3")
    assert event_of(db, nameless).state in {EventState.PROCESSED, EventState.SUPERSEDED}
    assert event_of(db, ended).state is EventState.PROCESSED
    with db.unit_of_work(SUPPORT) as ctx:
        assert waiting(ctx, "buyer@example.com").status.value == "inactive"


def test_a_release_tries_again_and_may_park_again(db: Database) -> None:
    event_id = parked(db)
    with db.unit_of_work(SUPPORT) as ctx:
        inbox.release(ctx, event_id=event_id, reason="look again")
        assert event_of_state(ctx, event_id) is EventState.RECEIVED
    work(db)
    assert event_of(db, event_id).state is EventState.PARKED


def event_of_state(ctx: Any, event_id: int) -> EventState:
    return ctx.session.get_one(WebhookEvent, event_id).state


def test_refusals_of_attaching_and_releasing(db: Database) -> None:
    event_id = parked(db)
    with pytest.raises(Forbidden), db.unit_of_work(AUDITOR) as ctx:
        inbox.release(ctx, event_id=event_id, reason="x")
    with pytest.raises(InvalidInput), db.unit_of_work(SUPPORT) as ctx:
        inbox.release(ctx, event_id=event_id, reason="")
    with pytest.raises(InvalidInput), db.unit_of_work(SUPPORT) as ctx:
        inbox.attach_email(ctx, event_id=event_id, email="nobody", reason="x")
    with pytest.raises(NotFound), db.unit_of_work(SUPPORT) as ctx:
        inbox.release(ctx, event_id=event_id + 1, reason="x")
    assert event_of(db, event_id).state is EventState.PARKED


def test_what_broke_is_unfinished_until_a_job_has_it(db: Database) -> None:
    event_id = receive(db, membership("activated", NOON, user=BUYER), "msg_1")
    assert event_id is not None
    later = {"older_than": timedelta(minutes=5), "now": event_of(db, event_id).received_at + timedelta(minutes=6)}
    with db.unit_of_work(OPERATOR) as ctx:
        assert inbox.unfinished(ctx.session, **later) == []  # its job still waits
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
        inbox.fail(ctx, event_id=event_id, error_code="OperationalError")
    assert (event_of(db, event_id).state, event_of(db, event_id).last_error) == (EventState.FAILED, "OperationalError")
    with db.unit_of_work(OPERATOR) as ctx:
        assert inbox.unfinished(ctx.session, **later) == [event_id]
        inbox.requeue_unfinished(ctx, event_id=event_id)
        assert inbox.unfinished(ctx.session, **later) == []
    work(db)
    assert event_of(db, event_id).state is EventState.PROCESSED


# Clerk


@pytest.mark.parametrize("type_", ["user.created", "user.updated"])
def test_clerk_claims_for_the_verified_primary_address(db: Database, type_: str) -> None:
    pending = buy(db)
    body = as_clerk(type_, ("buyer@example.com", "verified"), primary="buyer@example.com")
    assert deliver(db, body, "evt_1", provider="clerk") is EventState.PROCESSED
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.claimed_by_user_id == "user_a"


@pytest.mark.parametrize(
    "body",
    [
        as_clerk("user.created", ("buyer@example.com", "unverified"), primary="buyer@example.com"),
        as_clerk("user.created", ("buyer@example.com", "verified")),
        as_clerk(
            "user.updated",
            ("buyer@example.com", "verified"),
            ("mine@example.com", "unverified"),
            primary="mine@example.com",
        ),
        as_clerk("user.deleted", ("buyer@example.com", "verified"), primary="buyer@example.com", deleted=True),
        as_clerk("session.created", ("buyer@example.com", "verified"), primary="buyer@example.com"),
    ],
    ids=["unverified", "no primary", "only another verified", "deleted", "not about a user"],
)
def test_clerk_claims_nothing_otherwise(db: Database, body: bytes) -> None:
    pending = buy(db)
    assert deliver(db, body, "evt_1", provider="clerk") is EventState.IGNORED
    row = pending_of(db, pending.id)
    assert row is not None
    assert not row.claimed
    assert profile_of(db, "user_a") is None


def test_only_the_primary_of_two_verified_addresses_counts_in_an_event(db: Database) -> None:
    pending = buy(db)
    body = as_clerk(
        "user.created", ("mine@example.com", "verified"), ("buyer@example.com", "verified"), primary="mine@example.com"
    )
    deliver(db, body, "evt_1", provider="clerk")
    row = pending_of(db, pending.id)
    assert row is not None
    assert not row.claimed
    with db.read_only() as session:
        assert [profile.email for profile in session.query(Profile)] == ["mine@example.com"]
        assert session.query(PendingProfile).count() == 1


def test_what_is_named_in_jobs_is_never_personal(db: Database) -> None:
    deliver_ids = receive(db, membership("activated", NOON, user=BUYER), "msg_1")
    with db.read_only() as session:
        (arguments,) = session.scalars(text("SELECT args FROM procrastinate_jobs"))
        assert arguments == {"event_id": deliver_ids}
    assert deliveries.work(db) == 2
