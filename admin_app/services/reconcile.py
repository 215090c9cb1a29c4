"""Brings in what no event brought: a provider stops retrying after about a minute, its list does not forget."""

import json
from datetime import datetime
from enum import StrEnum

from admin_app.context import Ctx
from admin_app.integrations.ports import WhopMembership
from admin_app.services import holders, inbox, purchases
from admin_app.services.holders import Holder
from admin_app.services.purchases import Applied, PurchaseFacts
from models.inbox import EventState
from models.people import MembershipStatus


class Outcome(StrEnum):
    KNOWN = "known"
    UPDATED = "updated"
    BROUGHT_IN = "brought_in"
    DELETED_BY_STAFF = "deleted_by_staff"
    ENDED_UNSEEN = "ended_unseen"


def bring_in(ctx: Ctx, *, membership: WhopMembership, as_of: datetime | None = None) -> Outcome:
    """Make what we hold of one membership agree with the provider; what agrees is left alone.

    `as_of` is a time before the provider was asked: an event that happened since then knows better.
    """
    holders.lock(ctx, membership_id=membership.id, email=membership.email)
    holder = holders.of_membership(ctx, membership.id)
    if holder is not None:
        return _update(ctx, holder, membership, as_of or ctx.now)
    since = membership.period_start or membership.created_at or ctx.now
    if holders.deleted_since(ctx.session, membership.id, since):
        return Outcome.DELETED_BY_STAFF
    if membership.status == "inactive":
        return Outcome.ENDED_UNSEEN  # came and went: there is nothing left to claim
    if _gave_way_to_what_ended(ctx, membership):
        applied = purchases.record(ctx, PurchaseFacts.of(membership, occurred_at=as_of or ctx.now))
        return Outcome.UPDATED if applied is Applied.DONE else Outcome.KNOWN
    return _receive(ctx, membership, since)


def _gave_way_to_what_ended(ctx: Ctx, membership: WhopMembership) -> bool:
    """Whether another membership took this one's place here and is over by now, while this one is still paid."""
    if not membership.email or not holders.was_held(ctx.session, membership.id):
        return False
    holder = holders.of_email(ctx, membership.email)
    return holder is not None and holder.status is MembershipStatus.INACTIVE


def _update(ctx: Ctx, holder: Holder, membership: WhopMembership, as_of: datetime) -> Outcome:
    facts = PurchaseFacts.of(membership, occurred_at=as_of)
    active = holder.status is MembershipStatus.ACTIVE
    stale_cycle = membership.period_end is not None and membership.period_end != holder.billing_cycle_end
    if membership.status == "inactive":
        applied = purchases.end(ctx, facts) if active else None
    elif not active or stale_cycle:
        applied = purchases.record(ctx, facts)
    elif membership.cancel_at_period_end != holder.cancel_at_period_end:
        applied = purchases.set_cancellation(ctx, facts)
    else:
        applied = None
    return Outcome.UPDATED if applied is Applied.DONE else Outcome.KNOWN


def _receive(ctx: Ctx, membership: WhopMembership, since: datetime) -> Outcome:
    """Put it through the inbox like a delivery, so that it parks, shows and replays like one."""
    event_id = inbox.receive(
        ctx,
        provider="whop",
        external_id=f"reconcile:{membership.id}:{since:%Y%m%dT%H%M%S}",
        type="membership.activated",
        body=_as_event(membership, since),
        occurred_at=membership.updated_at or since,
        subject=membership.id,
    )
    if event_id is None:
        return Outcome.KNOWN
    state = inbox.apply(ctx, event_id=event_id)
    return Outcome.KNOWN if state is EventState.SUPERSEDED else Outcome.BROUGHT_IN


def _as_event(membership: WhopMembership, since: datetime) -> bytes:
    """The membership as the delivery that should have come."""
    end = membership.period_end.isoformat() if membership.period_end else None
    data = {
        "id": membership.id,
        "status": "active",
        "cancel_at_period_end": membership.cancel_at_period_end,
        "user": {"id": membership.user_id, "email": membership.email, "name": membership.name},
        "plan": {"billing_period": 365 if membership.plan_duration == "yearly" else 30},
        "renewal_period_start": since.isoformat(),
        "renewal_period_end": end,
    }
    event = {
        "id": f"reconcile:{membership.id}",
        "api_version": "v1",
        "timestamp": (membership.updated_at or since).isoformat(),
        "type": "membership.activated",
        "data": data,
    }
    return json.dumps(event, separators=(",", ":")).encode()
