"""A billing status that finance puts in force instead of Stripe's, with a reason and an end; one per client.

It begins at once and ends by the clock. What Stripe says meanwhile is taken in all the same and holds afterwards.
"""

from datetime import datetime

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services import billing
from admin_app.services.billing import Meaning, planned
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same, snapshot
from admin_app.services.core.records import billing_override_key, client_key
from models.billing import BillingOverride
from models.clients import BillingStatus, Client

NONE_OPEN = "No override is in force: it ended, or somebody lifted it."
REPLACED = "another override took its place"
FIELDS = ("billing_status", "payment_active", "trial_ends_at", "pending_cancellation")


def plan_override(ctx: Ctx, *, client_id: int, status: str, until: datetime | None) -> Plan:
    """What putting a status in force changes; refused when the status is none, or the end not ahead."""
    require(ctx, Permission.BILLING_READ)
    wanted, end = _checked(ctx, status, until)
    client = _client(ctx, client_id)
    about = client_key(client.id)
    standing, means = billing.open_override(ctx.session, client.id), Meaning.decided(wanted)
    to_be = BillingOverride(status=wanted, until=end)
    returns = billing.without_override(ctx.session, client, ctx.now)
    said = [
        f"{client.name} counts as {_word(wanted)} until then, whatever Stripe says; "
        f"{'payment counts as active' if means.payment_active else 'payment counts as not active'}.",
        "What Stripe says is taken in all the same, and holds again afterwards. "
        f"As it stands now that is {_word(returns.status)}.",
        "Nothing changes at Stripe, and no revenue is counted for it.",
    ]
    if standing is not None:
        said.append(f"It takes the place of the override by {standing.by}: {standing.reason}")
    return Plan(
        title=f"Override the billing of {client.name}",
        outcome=wanted.value,
        lines=(
            *planned.of_override(ctx.session, client, to_be, ctx.now, source="this override"),
            PlanLine(about, "override_until", standing.until if standing else None, end, "this override"),
            *_lifted(standing, ctx.now, REPLACED),
        ),
        consequences=tuple(said),
        fingerprint=_fingerprint(client, standing, wanted.value, end),
        adds=("billing_override",),
    )


def override(
    ctx: Ctx, *, client_id: int, status: str, until: datetime | None, reason: str, shown: str
) -> BillingOverride:
    """Put a status in force from now on until `until`."""
    require(ctx, Permission.BILLING_OVERRIDE)
    reason = require_reason(reason)
    wanted, end = _checked(ctx, status, until)
    client = billing.locked(ctx, client_id)
    standing = billing.open_override(ctx.session, client.id)
    require_same(shown, _fingerprint(client, standing, wanted.value, end))
    was = Meaning.of(client) if standing is None else billing.without(standing)
    if standing is not None:
        _lift(ctx, standing, REPLACED)
    made = BillingOverride(
        client_id=client.id,
        status=wanted,
        reason=reason,
        by=ctx.actor.label,
        since=ctx.now,
        until=end,
        status_without=was.status,
        payment_active_without=was.payment_active,
        created_at=ctx.now,
    )
    ctx.session.add(made)
    billing.follow_at(ctx, client.id, end)
    audit.record(
        ctx,
        "client.billing_overridden",
        records=[client_key(client.id)],
        reason=reason,
        changes=[Change("override_until", standing.until if standing else None, end)],
        facts={"name": client.name, "status": _word(wanted), "until": end},
    )
    billing.refresh(ctx, client, cause="override")
    return made


def plan_lift(ctx: Ctx, *, client_id: int) -> Plan:
    """What holds again once the override is lifted."""
    require(ctx, Permission.BILLING_READ)
    client = _client(ctx, client_id)
    standing = billing.open_override(ctx.session, client.id)
    return Plan(
        title=f"Lift the override of {client.name}",
        outcome="lifted",
        lines=(
            *planned.of_override(ctx.session, client, None, ctx.now, source="without the override"),
            *_lifted(standing, min(standing.until, ctx.now) if standing else ctx.now, "this command"),
        ),
        consequences=(f"It was made by {standing.by}: {standing.reason}",) if standing else (),
        fingerprint=_fingerprint(client, standing),
        refusal=None if standing else NONE_OPEN,
    )


def lift(ctx: Ctx, *, client_id: int, reason: str, shown: str) -> BillingOverride:
    """End the override now; what holds without it holds again."""
    require(ctx, Permission.BILLING_OVERRIDE)
    reason = require_reason(reason)
    client = billing.locked(ctx, client_id)
    standing = billing.open_override(ctx.session, client.id)
    if standing is None:
        raise Conflict(NONE_OPEN)
    require_same(shown, _fingerprint(client, standing))
    if standing.until > ctx.now:
        _lift(ctx, standing, reason)
    audit.record(
        ctx,
        "client.billing_override_lifted",
        records=[client_key(client.id)],
        reason=reason,
        facts={"name": client.name, "status": _word(standing.status)},
    )
    billing.refresh(ctx, client, cause="override_ended", goes_back_to=billing.without(standing))
    return standing


def _lift(ctx: Ctx, standing: BillingOverride, reason: str) -> None:
    standing.lifted_at, standing.lifted_by, standing.lift_reason = ctx.now, ctx.actor.label, reason
    standing.version += 1
    ctx.session.flush()


def _lifted(standing: BillingOverride | None, at: datetime, source: str) -> tuple[PlanLine, ...]:
    return (PlanLine(billing_override_key(standing.id), "lifted_at", None, at, source),) if standing else ()


def _word(status: BillingStatus) -> str:
    return status.value.replace("_", " ")


def _checked(ctx: Ctx, status: str, until: datetime | None) -> tuple[BillingStatus, datetime]:
    problems: dict[str, str] = {}
    if status not in [each.value for each in BillingStatus]:
        problems["status"] = "Choose the status that is to hold."
    if until is None:
        problems["until"] = "Say until when: an override has an end."
    elif until <= ctx.now:
        problems["until"] = "The end must be in the future."
    if problems or until is None:
        raise InvalidInput(fields=problems)
    return BillingStatus(status), until


def _client(ctx: Ctx, client_id: int) -> Client:
    client = ctx.session.get(Client, client_id, populate_existing=True)
    if client is None:
        raise NotFound("There is no such client.")
    return client


def _fingerprint(client: Client, standing: BillingOverride | None, *asked: object) -> str:
    return fingerprint(client.id, snapshot(client, FIELDS), standing, *asked)
