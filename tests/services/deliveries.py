"""Whop's and Clerk's deliveries as the inbox gets them, and the jobs they leave done without a worker."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from admin_app.context import Ctx
from admin_app.db import Database
from admin_app.services import inbox
from admin_app.services.purchases import clerk_events
from models import EventState, WebhookEvent
from tests.services.factories import CLERK, NOON, OPERATOR, WHOP

PERIOD = {"renewal_period_start": NOON.isoformat(), "renewal_period_end": (NOON + timedelta(days=30)).isoformat()}
BUYER = {"id": "user_whop1", "email": "buyer@example.com", "name": "Bea Buyer"}


def membership(
    type_: str, at: datetime, *, id: str = "mem_1", user: dict[str, Any] | None = None, **data: Any
) -> bytes:
    """An event about a membership; without `user` it names nobody."""
    content = {"id": id, "plan": {"billing_period": 30}} | data
    if user:
        content["user"] = user
    return _event(f"membership.{type_}", at, content)


def payment(at: datetime, *, membership_id: str | None = "mem_1", user: dict[str, Any] | None = None) -> bytes:
    content: dict[str, Any] = {"id": f"pay_{at:%d%H%M}", "membership": membership_id and {"id": membership_id}}
    if user:
        content["user"] = user
    return _event("payment.succeeded", at, content)


def _event(type_: str, at: datetime, data: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "timestamp": at.isoformat(), "data": data}).encode()


def receive(db: Database, body: bytes, delivery: str, *, provider: str = "whop") -> int | None:
    """Store a delivery as the door does; None when it was there before."""
    told = json.loads(body)
    data = told["data"]
    subject = data["id"] if told["type"].startswith("membership.") else (data.get("membership") or {}).get("id")
    with db.unit_of_work(WHOP if provider == "whop" else CLERK) as ctx:
        return inbox.receive(
            ctx,
            provider=provider,
            external_id=delivery,
            type=told["type"],
            body=body,
            occurred_at=datetime.fromisoformat(told["timestamp"]) if "timestamp" in told else None,
            subject=subject if provider == "whop" else None,
        )


def work(db: Database) -> int:
    """Apply what is queued until nothing is left, like the worker; mails stay unsent."""
    done = 0
    while queued := next_job(db):
        if queued.task_name == "process_event":
            with db.unit_of_work(OPERATOR) as ctx:
                event = ctx.session.get_one(WebhookEvent, queued.args["event_id"])
                # As where nobody can be asked: a delivery of Clerk's says itself who the person is.
                said = clerk_events.Silence.NOT_CONFIGURED if event.provider == "clerk" else None
                inbox.apply(ctx, event_id=event.id, looked_up=said)
        done += 1
    return done


def next_job(db: Database) -> Any:
    query = text(
        "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs) RETURNING task_name, args"
    )
    with db.unit_of_work(OPERATOR) as ctx:
        return ctx.session.execute(query).first()


def deliver(db: Database, body: bytes, delivery: str, *, provider: str = "whop") -> EventState:
    """Store a delivery and do what it leads to; returns what became of it."""
    event_id = receive(db, body, delivery, provider=provider)
    work(db)
    return state_of(db, delivery) if event_id is None else event_of(db, event_id).state


def needed(ctx: Ctx, event_id: int) -> str | None:
    """What must be fetched from the provider before the event can be applied; None also for one that is settled."""
    opened = inbox.open_event(ctx, event_id=event_id)
    return None if opened is None else opened.reading.needed


def event_of(db: Database, event_id: int) -> WebhookEvent:
    with db.read_only() as session:
        return session.get_one(WebhookEvent, event_id)


def state_of(db: Database, delivery: str) -> EventState:
    with db.read_only() as session:
        return session.query(WebhookEvent).filter_by(external_id=delivery).one().state
