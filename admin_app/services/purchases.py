"""A provider's purchase, applied to whoever holds it: a profile, a waiting purchase, or a new waiting purchase."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.integrations.ports import WhopEvent, WhopMembership
from admin_app.services import audit, holders, owners
from admin_app.services.audit import Change
from admin_app.services.holders import Holder, assign
from admin_app.services.records import membership_key, pending_key, profile_key
from models.people import (
    ExtraPurchase,
    Membership,
    MembershipStatus,
    PaymentProvider,
    PendingProfile,
    PlanDuration,
    Profile,
)

CREDITS_PER_PURCHASE = 1000
CREDIT_PERIOD = timedelta(days=28)
MONTHLY_CYCLE = timedelta(days=30)
GUESSED_WITHIN = timedelta(days=1)
# Some of a provider's times are of whole seconds: what happened within one has no order that anybody could tell.
NO_ORDER_WITHIN = timedelta(seconds=1)
ENDED_BY_ITSELF = "the provider ended it"


class Applied(StrEnum):
    """What became of a provider's news."""

    DONE = "done"
    SUPERSEDED = "superseded"
    EMAIL_MISSING = "email_missing"
    MEMBERSHIP_UNKNOWN = "membership_unknown"


@dataclass(frozen=True)
class PurchaseFacts:
    """What a provider says about one membership at one moment; None means that it does not say.

    `is_answer`: the provider was asked what the membership is, and did not just tell what happened to it.
    """

    occurred_at: datetime
    membership_id: str | None
    email: str | None = None
    name: str | None = None
    whop_user_id: str | None = None
    plan_duration: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    cancel_at_period_end: bool | None = None
    is_answer: bool = False

    @classmethod
    def of(
        cls, source: WhopEvent | WhopMembership, *, occurred_at: datetime, email: str | None = None
    ) -> "PurchaseFacts":
        return cls(
            occurred_at=occurred_at,
            membership_id=source.membership_id if isinstance(source, WhopEvent) else source.id,
            email=email or source.email,
            name=source.name,
            whop_user_id=source.whop_user_id if isinstance(source, WhopEvent) else source.user_id,
            plan_duration=source.plan_duration,
            period_start=source.period_start,
            period_end=source.period_end,
            cancel_at_period_end=source.cancel_at_period_end,
            is_answer=isinstance(source, WhopMembership),
        )


def record(ctx: Ctx, facts: PurchaseFacts) -> Applied:
    """A paid or activated membership: credit its holder, or make the one waiting purchase of that e-mail."""
    holders.lock(ctx, membership_id=facts.membership_id, email=facts.email)
    holder = holders.of_membership(ctx, facts.membership_id) if facts.membership_id else None
    if (
        holder is None
        and facts.membership_id
        and holders.deleted_since(ctx.session, facts.membership_id, facts.occurred_at)
    ):
        return Applied.SUPERSEDED
    if holder is None and facts.email:
        holder = holders.of_email(ctx, facts.email)
        if holder is not None and _gives_way(ctx, holder, facts):
            return Applied.SUPERSEDED
    if holder is None:
        if not facts.email:
            return Applied.EMAIL_MISSING
        _create_pending(ctx, facts)
        return Applied.DONE
    told = {"status": MembershipStatus.ACTIVE, "cancel_at_period_end": facts.cancel_at_period_end}
    _ask_where_no_order(ctx, holder, facts, **told)
    if _is_older(holder, facts, purchase=True):
        return Applied.DONE if _fill_in(ctx, holder, facts) else Applied.SUPERSEDED
    if isinstance(holder, Profile):
        _credit_profile(ctx, holder, facts)
    else:
        _update_pending(ctx, holder, facts)
    return Applied.DONE


def end(ctx: Ctx, facts: PurchaseFacts) -> Applied:
    """A membership that is over: its holder becomes free and inactive; credits and rows stay."""
    aside = _lying_aside(ctx, facts.membership_id) if facts.membership_id else None
    applied = _change_state(
        ctx,
        facts,
        "purchase.ended",
        membership=Membership.FREE,
        status=MembershipStatus.INACTIVE,
        cancel_at_period_end=False,
    )
    if aside is not None:
        _settle_aside(ctx, aside)
        return Applied.DONE
    if applied is Applied.DONE and facts.membership_id:
        _ask_for_what_gave_way(ctx, facts.membership_id)
    return applied


def set_cancellation(ctx: Ctx, facts: PurchaseFacts) -> Applied:
    """The customer asked for, or took back, a cancellation at the end of the period."""
    cycle = {
        "billing_cycle_start": facts.period_start,
        "billing_cycle_end": facts.period_end,
    }
    stated = {name: value for name, value in cycle.items() if value is not None}
    return _change_state(
        ctx, facts, "purchase.cancellation", cancel_at_period_end=bool(facts.cancel_at_period_end), **stated
    )


def _change_state(ctx: Ctx, facts: PurchaseFacts, event: str, **values: object) -> Applied:
    if facts.membership_id is None:
        return Applied.MEMBERSHIP_UNKNOWN
    holders.lock(ctx, membership_id=facts.membership_id, email=None)
    # Only the membership's id tells whose end it is: its address may hold another membership by now.
    holder = holders.of_membership(ctx, facts.membership_id)
    if holder is None:
        known = holders.was_held(ctx.session, facts.membership_id)
        return Applied.SUPERSEDED if known else Applied.MEMBERSHIP_UNKNOWN
    _ask_where_no_order(ctx, holder, facts, **values)
    if _is_older(holder, facts, purchase=False):
        return Applied.DONE if _fill_in(ctx, holder, facts) else Applied.SUPERSEDED
    changes = _take(ctx, holder, _corrections(holder, facts) | values | {"provider_event_at": facts.occurred_at})
    if changes:
        audit.record(
            ctx,
            event,
            records=[holders.key(holder), membership_key(facts.membership_id)],
            changes=changes,
            facts={"membership_id": facts.membership_id},
        )
    return Applied.DONE


def _take(ctx: Ctx, holder: Holder, values: dict[str, Any]) -> list[Change]:
    """Set what the news say. The same news again, only later, are nothing that anybody did: they move the time of the
    newest news, so that what was before stays before, and make no entry and no new version.
    """
    moved = [name for name, value in values.items() if audit.plain(getattr(holder, name)) != audit.plain(value)]
    if moved == ["provider_event_at"]:
        holder.provider_event_at = values["provider_event_at"]
        return []
    return assign(ctx, holder, **values)


def _ask_where_no_order(ctx: Ctx, holder: Holder, facts: PurchaseFacts, **told: object) -> None:
    """News that contradict others of the same second: only the provider knows what it is now, so it is asked."""
    known = holder.provider_event_at
    if facts.is_answer or facts.membership_id is None or known is None:
        return
    if facts.membership_id != holder.whop_membership_id or abs(facts.occurred_at - known) >= NO_ORDER_WITHIN:
        return
    if any(told.get(name) not in (None, getattr(holder, name)) for name in ("status", "cancel_at_period_end")):
        once = f"compare_membership:{facts.membership_id}"
        job_queue.defer(ctx.session, "compare_membership", once_key=once, membership_id=facts.membership_id)


def _gives_way(ctx: Ctx, holder: Holder, facts: PurchaseFacts) -> bool:
    """Whether another membership than the one held stays aside: it is older, or was replaced before.

    Without this the two would take turns on the row, and the end of either would end the access of both.
    """
    held, other = holder.whop_membership_id, facts.membership_id
    if held is None or other is None or held == other:
        return False
    older = holder.provider_event_at is not None and facts.occurred_at < holder.provider_event_at
    known = holders.was_held(ctx.session, other)
    if holder.status is MembershipStatus.INACTIVE:
        return older and known
    if older != known:
        holders.put_aside(ctx, holder, other)
    return older or known


def _lying_aside(ctx: Ctx, membership_id: str) -> ExtraPurchase | None:
    """The worklist's open item about this membership, locked; none while a profile lives by it (again)."""
    holders.lock(ctx, membership_id=membership_id, email=None)
    lives = select(Profile.user_id).where(Profile.whop_membership_id == membership_id).exists()
    return ctx.session.scalar(
        select(ExtraPurchase)
        .where(ExtraPurchase.replaced_membership_id == membership_id, ExtraPurchase.resolved_at.is_(None), ~lives)
        .with_for_update()
    )


def _ask_for_what_gave_way(ctx: Ctx, ended_id: str) -> None:
    """The membership whose place the ended one took may still be paid: the provider is asked, and it serves again."""
    given_way = ctx.session.scalars(
        select(ExtraPurchase.replaced_membership_id)
        .join(Profile, Profile.user_id == ExtraPurchase.user_id)
        .where(Profile.whop_membership_id == ended_id, ExtraPurchase.resolved_at.is_(None))
        .order_by(ExtraPurchase.id)
    )
    for membership_id in given_way.all():
        if membership_id:
            job_queue.defer(ctx.session, "compare_membership", membership_id=membership_id)


def _settle_aside(ctx: Ctx, extra: ExtraPurchase) -> None:
    """The end of a membership that lies aside leaves nothing to decide."""
    extra.resolved_at, extra.resolved_by, extra.resolution = ctx.now, ctx.actor.label, ENDED_BY_ITSELF
    extra.version += 1
    audit.record(
        ctx,
        "purchase.extra_resolved",
        records=[profile_key(extra.user_id), membership_key(extra.replaced_membership_id or "")],
        facts={"user_id": extra.user_id, "resolution": ENDED_BY_ITSELF},
    )


def _is_older(holder: Holder, facts: PurchaseFacts, *, purchase: bool) -> bool:
    """Whether something newer was applied to this same membership; deliveries come in any order."""
    if holder.provider_event_at is None or facts.membership_id not in (None, holder.whop_membership_id):
        return False
    if facts.occurred_at == holder.provider_event_at:
        return purchase and holder.status is MembershipStatus.INACTIVE
    return facts.occurred_at < holder.provider_event_at


def _fill_in(ctx: Ctx, holder: Holder, facts: PurchaseFacts) -> bool:
    """What newer news of the same membership left open or had to guess, older news may still tell."""
    changes = assign(ctx, holder, **_corrections(holder, facts))
    if changes:
        _audit_update(ctx, holder, facts, changes)
    return bool(changes)


def _corrections(holder: Holder, facts: PurchaseFacts) -> dict[str, object]:
    """What these news tell about fields that are empty or guessed; the same whichever news came first."""
    values: dict[str, object] = {
        name: told
        for name, told in (
            ("plan_duration", PlanDuration(facts.plan_duration) if facts.plan_duration else None),
            ("whop_user_id", facts.whop_user_id),
            ("name", facts.name),
        )
        if told and not getattr(holder, name)
    }
    start, end = facts.period_start, facts.period_end
    if start and end:
        if _soon_after(holder.billing_cycle_start, start):
            values |= {"billing_cycle_start": start, "billing_cycle_end": end}
        if _soon_after(holder.next_credit_renewal, start + CREDIT_PERIOD):
            values["next_credit_renewal"] = start + CREDIT_PERIOD
    return values


def _soon_after(guessed: datetime | None, told: datetime) -> bool:
    """A date guessed from a payment lies a moment after the one that the membership itself names."""
    return guessed is not None and timedelta(0) < guessed - told < GUESSED_WITHIN


def _cycle(holder: Holder | None, facts: PurchaseFacts) -> dict[str, object]:
    """Cycle dates as the event states them, else a default by plan that never overrides dates still running."""
    plan = PlanDuration(facts.plan_duration) if facts.plan_duration else (holder.plan_duration if holder else None)
    start, end = facts.period_start, facts.period_end
    if start is None and end is None and holder is not None and _covers(holder, facts):
        return {"plan_duration": plan}
    start = start or facts.occurred_at
    end = end or (_a_year_after(start) if plan is PlanDuration.YEARLY else start + MONTHLY_CYCLE)
    values: dict[str, object] = {
        "plan_duration": plan,
        "billing_cycle_start": start,
        "billing_cycle_end": end,
    }
    if holder is None or holder.next_credit_renewal is None or holder.billing_cycle_start != start:
        values["next_credit_renewal"] = start + CREDIT_PERIOD
    return values


def _a_year_after(start: datetime) -> datetime:
    try:
        return start.replace(year=start.year + 1)
    except ValueError:  # 29 February
        return start.replace(year=start.year + 1, day=28)


def _covers(holder: Holder, facts: PurchaseFacts) -> bool:
    return (
        holder.whop_membership_id == facts.membership_id
        and holder.status is MembershipStatus.ACTIVE
        and holder.billing_cycle_end is not None
        and holder.billing_cycle_end > facts.occurred_at
    )


def _bought(holder: Holder | None, facts: PurchaseFacts) -> dict[str, object]:
    """The fields that every purchase sets on whoever holds it."""
    values = _cycle(holder, facts) | {
        "membership": Membership.PRO,
        "status": MembershipStatus.ACTIVE,
        "payment_provider": PaymentProvider.WHOP,
        "provider_event_at": facts.occurred_at,
    }
    if facts.membership_id:
        values["whop_membership_id"] = facts.membership_id
    if facts.whop_user_id:
        values["whop_user_id"] = facts.whop_user_id
    if facts.name and (holder is None or not holder.name):
        values["name"] = facts.name
    if facts.cancel_at_period_end is not None:
        values["cancel_at_period_end"] = facts.cancel_at_period_end
    return values


def _create_pending(ctx: Ctx, facts: PurchaseFacts) -> PendingProfile:
    values = _bought(None, facts) | {
        "email": facts.email,
        "usage_credits": CREDITS_PER_PURCHASE,
        "used_credits": 0,
        "created_at": facts.occurred_at,
        "updated_at": ctx.now,
    }
    pending_id = ctx.session.scalars(insert(PendingProfile).values(values).returning(PendingProfile.id)).one()
    pending = ctx.session.get_one(PendingProfile, pending_id)
    owners.refresh(ctx, pending)  # its searches come before the audit's one lock, which everyone waits for
    records = [pending_key(pending)] + ([membership_key(facts.membership_id)] if facts.membership_id else [])
    shown = ("membership", "plan_duration", "billing_cycle_start", "billing_cycle_end", "usage_credits")
    audit.record(
        ctx,
        "purchase.received",
        records=records,
        changes=[Change(name, None, getattr(pending, name)) for name in shown],
        facts={"email": pending.email},
    )
    job_queue.defer(ctx.session, "send_claim_mail", pending_profile_id=pending.id)
    return pending


def _update_pending(ctx: Ctx, pending: PendingProfile, facts: PurchaseFacts) -> None:
    _replace(ctx, pending, pending.whop_membership_id, facts)
    values = _bought(pending, facts)
    if pending.usage_credits is None:
        values |= {"usage_credits": CREDITS_PER_PURCHASE, "used_credits": pending.used_credits or 0}
    changes = _take(ctx, pending, values)
    if changes:
        _audit_update(ctx, pending, facts, changes)


def _credit_profile(ctx: Ctx, profile: Profile, facts: PurchaseFacts) -> None:
    """The purchase of someone who has a profile. Credits are given when it makes them pro, not on each event."""
    _replace(ctx, profile, profile.whop_membership_id or profile.stripe_subscription_id, facts)
    values = _bought(profile, facts)
    if profile.membership is not Membership.PRO:
        values |= {"usage_credits": CREDITS_PER_PURCHASE, "used_credits": 0}
    changes = _take(ctx, profile, values)
    if changes:
        _audit_update(ctx, profile, facts, changes)


def _replace(ctx: Ctx, holder: Holder, held: str | None, facts: PurchaseFacts) -> None:
    """Someone pro bought again: the former membership goes on being charged until somebody ends it."""
    if holder.membership is Membership.PRO and held and facts.membership_id not in (None, held):
        holders.put_aside(ctx, holder, held)


def _audit_update(ctx: Ctx, holder: Holder, facts: PurchaseFacts, changes: list[Change]) -> None:
    replaced = [change.before for change in changes if change.field == "whop_membership_id" and change.before]
    memberships = [facts.membership_id, *replaced] if facts.membership_id else replaced
    records = [holders.key(holder), *map(membership_key, memberships)]
    if isinstance(holder, Profile):
        event, told = "purchase.credited", {"user_id": holder.user_id}
    else:
        event, told = "purchase.updated", {"email": holder.email}
    audit.record(ctx, event, records=records, changes=changes, facts=told)
