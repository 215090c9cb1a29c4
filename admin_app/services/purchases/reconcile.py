"""Brings in what no event brought: a provider stops retrying after about a minute, its list does not forget."""

import json
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from admin_app.addresses import comparable
from admin_app.context import Ctx
from admin_app.integrations.ports import WhopMembership
from admin_app.services import inbox, purchases
from admin_app.services.memberships import pro_rules
from admin_app.services.memberships.order import ENDLESS
from admin_app.services.memberships.rows import DELETED, put
from admin_app.services.purchases import Applied, MembershipSnapshot, holders
from models.inbox import EventState
from models.memberships import MembershipStatus, ProviderMembership

DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


class Outcome(StrEnum):
    """What comparing one membership with Whop's led to."""

    KNOWN = "known"
    UPDATED = "updated"
    BROUGHT_IN = "brought_in"
    DELETED_BY_STAFF = "deleted_by_staff"
    ENDED_UNSEEN = "ended_unseen"
    IGNORED = "ignored"


def bring_in(ctx: Ctx, *, membership: WhopMembership, as_of: datetime | None = None) -> Outcome:
    """Make what we hold of one membership agree with the provider; what agrees is left alone.

    `as_of` is a time before the provider was asked: an event that happened since then knows better.
    """
    holders.lock(ctx, membership_id=membership.id, email=membership.email)
    row, holder = holders.of_membership(ctx, membership.id)
    if row is not None and holder is not None:
        return _update(ctx, row, membership, as_of or ctx.now)
    since = membership.period_start or membership.created_at or ctx.now
    if row is not None:
        _keep_up(ctx, row, membership, as_of or ctx.now)
    if row is not None and row.ignored_because == DELETED and row.ignored_at and row.ignored_at >= since:
        return Outcome.DELETED_BY_STAFF
    if pro_rules.of(ctx.session).ignored_because(membership) is not None:
        if membership.status == "active":
            purchases.record(ctx, _snapshot(ctx, membership, as_of or ctx.now))
        return Outcome.IGNORED
    if membership.status == "inactive":
        return Outcome.ENDED_UNSEEN  # came and went: there is nothing left to claim
    return _receive(ctx, membership, since)


def _snapshot(ctx: Ctx, membership: WhopMembership, as_of: datetime) -> MembershipSnapshot:
    because = pro_rules.of(ctx.session).ignored_because(membership)
    return MembershipSnapshot.of(membership, occurred_at=as_of, ignored_because=because)


def _update(ctx: Ctx, row: ProviderMembership, membership: WhopMembership, as_of: datetime) -> Outcome:
    snapshot = _snapshot(ctx, membership, as_of)
    is_stale = membership.period_end is not None and membership.period_end != row.period_end
    if snapshot.is_for_ever:
        is_stale = row.period_end is not None or row.rhythm not in ENDLESS
    is_ignored = snapshot.ignored_because is not None
    if membership.status == "inactive":
        applied = purchases.end(ctx, snapshot) if row.status is MembershipStatus.ACTIVE else None
    elif is_ignored and row.ignored_because is not None:
        ends_otherwise = membership.cancel_at_period_end != row.cancel_at_period_end
        is_over = row.status is MembershipStatus.INACTIVE
        applied = purchases.record(ctx, snapshot) if is_over or is_stale or ends_otherwise else None
    elif is_ignored or not row.is_live or is_stale or _has_another_buyer(row, membership):
        applied = purchases.record(ctx, snapshot)
    elif membership.cancel_at_period_end != row.cancel_at_period_end:
        applied = purchases.set_cancellation(ctx, snapshot)
    else:
        applied = None
        _keep_word(ctx, row, membership, as_of)
    return Outcome.UPDATED if applied in (Applied.DONE, Applied.IGNORED) else Outcome.KNOWN


def _keep_up(ctx: Ctx, row: ProviderMembership, membership: WhopMembership, as_of: datetime) -> None:
    """One that nobody holds is shown as it is there: that it ended, or is to end; a cycle begins once it is held."""
    snapshot = replace(MembershipSnapshot.of(membership, occurred_at=as_of), period_start=None, period_end=None)
    if membership.status == "inactive":
        if row.status is MembershipStatus.ACTIVE:
            purchases.end(ctx, snapshot)
    elif row.ignored_at is not None and membership.cancel_at_period_end != row.cancel_at_period_end:
        purchases.set_cancellation(ctx, snapshot)


def _keep_word(ctx: Ctx, row: ProviderMembership, membership: WhopMembership, as_of: datetime) -> None:
    """A payment that is late, or came after all, changes nothing but Whop's word at first."""
    is_newer = row.provider_event_at is None or as_of >= row.provider_event_at
    if is_newer and membership.provider_status not in (None, row.provider_status):
        put(ctx, row, provider_status=membership.provider_status)


def _has_another_buyer(row: ProviderMembership, membership: WhopMembership) -> bool:
    """Whether the buyer corrected their address there, or handed the membership to somebody else."""
    told, known = membership.email, row.email
    other_address = told is not None and known is not None and comparable(told) != comparable(known)
    there, here = membership.user_id, row.provider_user_id
    return other_address or (there is not None and here is not None and there != here)


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


def _rhythm(membership: WhopMembership) -> dict[str, object]:
    """As a delivery tells it: in days, or that it is paid once."""
    if membership.rhythm in ("one_time", "lifetime"):
        return {"plan_type": "one_time"}
    if membership.interval is not None:
        unit, count = membership.interval
        return {"billing_period": count * DAYS[unit]}
    return {"billing_period": 365 if membership.plan_duration == "yearly" else 30}


def _as_event(membership: WhopMembership, since: datetime) -> bytes:
    """The membership as the delivery that should have come."""
    end = membership.period_end.isoformat() if membership.period_end else None
    data = {
        "id": membership.id,
        "status": "active",
        "cancel_at_period_end": membership.cancel_at_period_end,
        "user": {"id": membership.user_id, "email": membership.email, "name": membership.name},
        "product": {"id": membership.product_id},
        "plan": {"id": membership.plan_id, **_rhythm(membership)},
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
