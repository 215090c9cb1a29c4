"""Trials that staff grant, once per client, and extend.

A granted trial needs no subscription: it is in force until its end, by the clock, or until a subscription takes its
place, which ends it for good; what Stripe says holds afterwards.
A trial that Stripe runs is extended at Stripe (`trial_sending`), and known here once Stripe says so.
"""

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services import billing
from admin_app.services.billing import planned
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import (
    Plan,
    PlanLine,
    PlannedCall,
    fingerprint,
    require_reason,
    require_same,
    snapshot,
)
from admin_app.services.core.records import client_key, subscription_key
from admin_app.services.inbox import provider_calls
from admin_app.services.subscriptions import billing_mapping
from models.billing import Subscription
from models.clients import BillingStatus, Client
from models.inbox import CallState, ProviderCall

OPERATION = "subscription.extend_trial"
FIELDS = ("billing_status", "trial_used_at", "trial_ends_at", "trial_granted_until")
WISH = "this command"
AT_ITS_END = "At its end the client has no billing, unless a subscription began until then."
# Longer than its job tries. Asking once more afterwards does no harm: an end is a moment, and not a number of days.
TRIED_FOR = timedelta(hours=2)


def plan_grant(ctx: Ctx, *, client_id: int, until: datetime | None) -> Plan:
    """What granting a trial changes; its refusal says when the one trial was used."""
    require(ctx, Permission.BILLING_READ)
    end = _ahead(ctx, until)
    client = _client(ctx, client_id)
    return Plan(
        title=f"Grant {client.name} a trial",
        outcome="trial",
        lines=planned.of_trial(ctx.session, client, ctx.now, values=_granted(ctx.now, end), source=WISH),
        consequences=(
            "It is the one trial of this client: a second one is refused, this one can be extended.",
            AT_ITS_END,
        ),
        fingerprint=_fingerprint(client, end),
        refusal=_not_grantable(ctx, client),
    )


def grant(ctx: Ctx, *, client_id: int, until: datetime | None, reason: str, shown: str) -> Client:
    """Put a client on trial until `until`, once."""
    require(ctx, Permission.TRIALS_GRANT)
    reason = require_reason(reason)
    end = _ahead(ctx, until)
    client = billing.locked(ctx, client_id)
    if refusal := _not_grantable(ctx, client):
        raise Conflict(refusal)
    require_same(shown, _fingerprint(client, end))
    _put(client, _granted(ctx.now, end))
    _note(ctx, client, "client.trial_granted", reason, [Change("trial_ends_at", None, end)], end)
    billing.follow_at(ctx, client.id, end)
    billing.refresh(ctx, client, cause="trial")
    return client


def plan_extend(ctx: Ctx, *, client_id: int, until: datetime | None) -> Plan:
    """What extending the trial changes, here or at Stripe."""
    require(ctx, Permission.BILLING_READ)
    end = _ahead(ctx, until)
    client = _client(ctx, client_id)
    at_stripe = _trialing(ctx, client)
    lines, said = _planned_at_stripe(client, at_stripe, end) if at_stripe else _planned_here(ctx, client, end)
    return Plan(
        title=f"Extend the trial of {client.name}",
        outcome="extended",
        lines=lines,
        consequences=(said,),
        fingerprint=_fingerprint(client, end),
        refusal=_not_extendable(ctx, client, end, at_stripe),
        calls=(PlannedCall("stripe", OPERATION, said),) if at_stripe else (),
    )


def _planned_at_stripe(client: Client, at_stripe: Subscription, end: datetime) -> tuple[tuple[PlanLine, ...], str]:
    key = subscription_key(at_stripe.id)
    lines = (
        PlanLine(client_key(client.id), "trial_ends_at", client.trial_ends_at, end, "Stripe"),
        PlanLine(key, "trial_end", at_stripe.trial_end, end, "Stripe"),
        # The period of a trial ends with it.
        PlanLine(key, "current_period_end", at_stripe.current_period_end, end, "Stripe"),
    )
    said = "Stripe is asked to end the trial then, and charges nothing until then. Its answer is shown with the client."
    return lines, said


def _planned_here(ctx: Ctx, client: Client, end: datetime) -> tuple[tuple[PlanLine, ...], str]:
    values = _extended(client, ctx.now, end)
    lines = planned.of_trial(ctx.session, client, ctx.now, values=values, source=WISH)
    return lines, AT_ITS_END


def extend(ctx: Ctx, *, client_id: int, until: datetime | None, reason: str, shown: str) -> Client:
    """Let a client's trial end later than it does; one that Stripe runs is extended there, after the commit."""
    require(ctx, Permission.TRIALS_GRANT)
    reason = require_reason(reason)
    end = _ahead(ctx, until)
    client = billing.locked(ctx, client_id)
    at_stripe = _trialing(ctx, client)
    if refusal := _not_extendable(ctx, client, end, at_stripe):
        raise Conflict(refusal)
    require_same(shown, _fingerprint(client, end))
    changes = [Change("trial_ends_at", client.trial_ends_at, end)]
    _note(ctx, client, "client.trial_extended", reason, changes, end)
    if at_stripe is not None:
        _leave(ctx, at_stripe, end)
        return client
    _put(client, _extended(client, ctx.now, end))
    billing.follow_at(ctx, client.id, end)
    billing.refresh(ctx, client, cause="trial")
    return client


def _granted(now: datetime, end: datetime) -> dict[str, datetime]:
    return {"trial_used_at": now, "trial_granted_until": end}


def _extended(client: Client, now: datetime, end: datetime) -> dict[str, datetime]:
    # A client of old may have begun one that nobody noted.
    return {"trial_used_at": client.trial_used_at or now, "trial_granted_until": end}


def _put(client: Client, values: dict[str, datetime]) -> None:
    for name, value in values.items():
        setattr(client, name, value)


def _leave(ctx: Ctx, at_stripe: Subscription, end: datetime) -> None:
    """Note the call before it leaves; every extension has a key of its own, for the same end may be asked for again."""
    key = f"extend_trial:{uuid4().hex}"
    provider_calls.intend(ctx, provider="stripe", operation=OPERATION, subject=subscription_key(at_stripe.id), key=key)
    job_queue.defer(
        ctx.session, "extend_trial", subscription_id=at_stripe.stripe_subscription_id, until=end.isoformat(), key=key
    )


def _trialing(ctx: Ctx, client: Client) -> Subscription | None:
    """The subscription whose trial Stripe runs, when it is the one that counts."""
    counts = billing_mapping.most_access(billing.subscriptions_of(ctx.session, client.id))
    return counts if counts is not None and counts.status == "trialing" else None


def _not_grantable(ctx: Ctx, client: Client) -> str | None:
    if client.trial_used_at is not None:
        return (
            f"The one trial of {client.name} was used already: it began on {client.trial_used_at:%d %b %Y} (UTC). "
            "A second one is not granted; extend it, or override the status."
        )
    if billing.live(billing.subscriptions_of(ctx.session, client.id)):
        return f"{client.name} has a subscription at Stripe, so there is nothing to try."
    basis = billing.without_override(ctx.session, client, ctx.now).status
    if basis not in (BillingStatus.NONE, BillingStatus.CANCELED):
        return f"{client.name} counts as {basis.value.replace('_', ' ')} already, so there is nothing to try."
    return None


def _not_extendable(ctx: Ctx, client: Client, end: datetime, at_stripe: Subscription | None) -> str | None:
    if at_stripe is not None and _on_its_way(ctx, at_stripe):
        return "Stripe is being told about an extension already. Wait for its answer."
    subscriptions = billing.subscriptions_of(ctx.session, client.id)
    has_live = bool(billing.live(subscriptions))
    basis = billing.without_override(ctx.session, client, ctx.now).status
    # Whoever subscribed since then had their trial: more of it, after they left, would be a second one.
    subscribed = billing.gave_way(client, subscriptions)
    was_on_trial = basis is BillingStatus.TRIAL or (client.trial_granted_until is not None and not subscribed)
    if at_stripe is None and (has_live or not was_on_trial):
        return f"{client.name} has no trial that could be extended."
    if client.trial_ends_at is not None and end <= client.trial_ends_at:
        return "The trial ends later than that already."
    return None


def _on_its_way(ctx: Ctx, at_stripe: Subscription) -> bool:
    is_open = (
        ProviderCall.subject == subscription_key(at_stripe.id),
        ProviderCall.operation == OPERATION,
        ProviderCall.state.in_((CallState.INTENDED, CallState.UNKNOWN)),
        ProviderCall.created_at > ctx.now - TRIED_FOR,
    )
    return ctx.session.scalar(select(ProviderCall.id).where(*is_open).limit(1)) is not None


def _ahead(ctx: Ctx, until: datetime | None) -> datetime:
    if until is None:
        raise InvalidInput(fields={"until": "Say until when: a trial has an end."})
    if until <= ctx.now:
        raise InvalidInput(fields={"until": "The end must be in the future."})
    return until


def _client(ctx: Ctx, client_id: int) -> Client:
    client = ctx.session.get(Client, client_id, populate_existing=True)
    if client is None:
        raise NotFound("There is no such client.")
    return client


def _note(ctx: Ctx, client: Client, event: str, reason: str, changes: list[Change], end: datetime) -> None:
    audit.record(
        ctx,
        event,
        records=[client_key(client.id)],
        reason=reason,
        changes=changes,
        facts={"name": client.name, "until": end},
    )


def _fingerprint(client: Client, end: datetime) -> str:
    return fingerprint(client.id, snapshot(client, FIELDS), end)
