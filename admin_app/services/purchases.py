"""A provider's purchase, applied to whoever holds it: a profile, a waiting purchase, or a new waiting purchase."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.integrations.ports import WhopEvent, WhopMembership
from admin_app.services import audit, legacy, owners
from admin_app.services.audit import Change
from admin_app.services.records import lock_names, membership_key, pending_key, profile_key
from models.people import (
    LEGACY_PREFIX,
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

Holder = Profile | PendingProfile


class Applied(StrEnum):
    """What became of a provider's news."""

    DONE = "done"
    SUPERSEDED = "superseded"
    EMAIL_MISSING = "email_missing"
    MEMBERSHIP_UNKNOWN = "membership_unknown"


@dataclass(frozen=True)
class PurchaseFacts:
    """What a provider says about one membership at one moment; None means that it does not say."""

    occurred_at: datetime
    membership_id: str | None
    email: str | None = None
    name: str | None = None
    whop_user_id: str | None = None
    plan_duration: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    cancel_at_period_end: bool | None = None

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
        )


def record(ctx: Ctx, facts: PurchaseFacts) -> Applied:
    """A paid or activated membership: credit its holder, or make the one waiting purchase of that e-mail."""
    holder = _locked_holder(ctx, facts)
    if holder is None:
        if not facts.email:
            return Applied.EMAIL_MISSING
        _create_pending(ctx, facts)
        return Applied.DONE
    if _is_older(holder, facts, purchase=True):
        return Applied.DONE if _fill_in(ctx, holder, facts) else Applied.SUPERSEDED
    if isinstance(holder, Profile):
        _credit_profile(ctx, holder, facts)
    else:
        _update_pending(ctx, holder, facts)
    return Applied.DONE


def end(ctx: Ctx, facts: PurchaseFacts) -> Applied:
    """A membership that is over: its holder becomes free and inactive; credits and rows stay."""
    return _change_state(
        ctx,
        facts,
        "purchase.ended",
        membership=Membership.FREE,
        status=MembershipStatus.INACTIVE,
        cancel_at_period_end=False,
    )


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
    holder = _locked_holder(ctx, facts, by_email=False)
    if holder is None:
        return Applied.MEMBERSHIP_UNKNOWN
    if _is_older(holder, facts, purchase=False):
        return Applied.SUPERSEDED
    changes = assign(ctx, holder, **values, provider_event_at=facts.occurred_at)
    audit.record(
        ctx,
        event,
        records=[_key(holder), membership_key(facts.membership_id or "")],
        changes=changes,
        facts={"membership_id": facts.membership_id},
    )
    return Applied.DONE


def assign(ctx: Ctx, row: Holder, **values: object) -> list[Change]:
    """Set the fields and tell what that changed; a row that changes gets a new version."""
    key = _key(row)
    changes = []
    for name, after in values.items():
        before = getattr(row, name)
        if audit.plain(before) != audit.plain(after):
            changes.append(Change(name, before, after, key))
            setattr(row, name, after)
    if changes:
        row.version += 1
        row.updated_at = ctx.now
    return changes


def _key(holder: Holder) -> str:
    return profile_key(holder) if isinstance(holder, Profile) else pending_key(holder)


def _locked_holder(ctx: Ctx, facts: PurchaseFacts, *, by_email: bool = True) -> Holder | None:
    """Whoever the news is about, locked. The membership's id decides before the e-mail does.

    Names are locked first because the holder may not exist yet: two events of one purchase must not both make it.
    """
    names = [f"membership:{facts.membership_id}"] if facts.membership_id else []
    if facts.email:
        names.append(f"email:{facts.email.lower()}")
    lock_names(ctx.session, *names)
    holder = holder_of_membership(ctx, facts.membership_id) if facts.membership_id else None
    if holder is not None or not facts.email:
        return holder
    holder = _by_email(ctx, facts.email)
    if by_email or holder is None or holder.whop_membership_id is None:
        return holder
    return None  # the address holds another membership: its end is no business of this one


def holder_of_membership(ctx: Ctx, membership_id: str) -> Holder | None:
    """The profile or waiting purchase that holds this membership, locked."""
    session = ctx.session
    profile = session.scalar(
        select(Profile)
        .where(Profile.whop_membership_id == membership_id, Profile.user_id.not_like(f"{LEGACY_PREFIX}%"))
        .order_by(Profile.updated_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if profile is not None:
        return profile
    pending = session.scalar(
        select(PendingProfile)
        .where(PendingProfile.whop_membership_id == membership_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return pending or legacy.adopt(ctx, membership_id=membership_id)


def _by_email(ctx: Ctx, email: str) -> Holder | None:
    session = ctx.session
    profile = session.scalar(
        select(Profile)
        .where(Profile.email == email, Profile.user_id.not_like(f"{LEGACY_PREFIX}%"))
        .order_by(Profile.membership.desc(), Profile.updated_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if profile is not None:
        return profile
    waiting = select(PendingProfile).where(PendingProfile.email == email).execution_options(populate_existing=True)
    pending = session.scalar(waiting)
    if pending is None:
        return legacy.adopt(ctx, email=email) or session.scalar(waiting.with_for_update())
    # Profiles are locked before purchases everywhere, so a claimed purchase is left unlocked here.
    if pending.claimed:
        return _claimant(ctx, pending) or pending
    pending = session.scalar(waiting.with_for_update())
    return (_claimant(ctx, pending) or pending) if pending is not None and pending.claimed else pending


def _claimant(ctx: Ctx, pending: PendingProfile) -> Profile | None:
    """The profile that a claimed purchase went to: a later purchase under the old address is the same person's."""
    if pending.claimed_by_user_id is None:
        return None
    return ctx.session.get(Profile, pending.claimed_by_user_id, with_for_update=True, populate_existing=True)


def _is_older(holder: Holder, facts: PurchaseFacts, *, purchase: bool) -> bool:
    """Whether something newer was applied to this same membership; deliveries come in any order."""
    if holder.provider_event_at is None or holder.whop_membership_id != facts.membership_id:
        return False
    if facts.occurred_at == holder.provider_event_at:
        return purchase and holder.status is MembershipStatus.INACTIVE
    return facts.occurred_at < holder.provider_event_at


def _fill_in(ctx: Ctx, holder: Holder, facts: PurchaseFacts) -> bool:
    """What newer news of the same membership left open or had to guess, older news may still tell."""
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
    changes = assign(ctx, holder, **values)
    if changes:
        _audit_update(ctx, holder, facts, changes)
    return bool(changes)


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
    records = [pending_key(pending)] + ([membership_key(facts.membership_id)] if facts.membership_id else [])
    shown = ("membership", "plan_duration", "billing_cycle_start", "billing_cycle_end", "usage_credits")
    audit.record(
        ctx,
        "purchase.received",
        records=records,
        changes=[Change(name, None, getattr(pending, name)) for name in shown],
        facts={"email": pending.email},
    )
    owners.refresh(ctx, pending)
    job_queue.defer(ctx.session, "send_claim_mail", pending_profile_id=pending.id)
    return pending


def _update_pending(ctx: Ctx, pending: PendingProfile, facts: PurchaseFacts) -> None:
    values = _bought(pending, facts)
    if pending.usage_credits is None:
        values |= {"usage_credits": CREDITS_PER_PURCHASE, "used_credits": pending.used_credits or 0}
    changes = assign(ctx, pending, **values)
    if changes:
        _audit_update(ctx, pending, facts, changes)


def _credit_profile(ctx: Ctx, profile: Profile, facts: PurchaseFacts) -> None:
    """The purchase of someone who has a profile. Credits are given when it makes them pro, not on each event."""
    values = _bought(profile, facts)
    replaced = profile.whop_membership_id
    if profile.membership is not Membership.PRO:
        values |= {"usage_credits": CREDITS_PER_PURCHASE, "used_credits": 0}
    elif replaced and facts.membership_id and replaced != facts.membership_id:
        _note_replaced(ctx, profile, replaced)
    changes = assign(ctx, profile, **values)
    if changes:
        _audit_update(ctx, profile, facts, changes)


def _audit_update(ctx: Ctx, holder: Holder, facts: PurchaseFacts, changes: list[Change]) -> None:
    records = [_key(holder)] + ([membership_key(facts.membership_id)] if facts.membership_id else [])
    if isinstance(holder, Profile):
        event, told = "purchase.credited", {"user_id": holder.user_id}
    else:
        event, told = "purchase.updated", {"email": holder.email}
    audit.record(ctx, event, records=records, changes=changes, facts=told)


def _note_replaced(ctx: Ctx, profile: Profile, membership_id: str) -> None:
    """Someone pro bought again: the former membership may still be charged, so support looks at it."""
    noted = ctx.session.scalar(
        insert(ExtraPurchase)
        .values(user_id=profile.user_id, replaced_membership_id=membership_id, noted_at=ctx.now)
        .on_conflict_do_nothing()
        .returning(ExtraPurchase.id)
    )
    if noted is not None:
        audit.record(ctx, "purchase.extra", records=[profile_key(profile)], facts={"user_id": profile.user_id})
