"""The rows of memberships that a holder holds, and how rows are written with their changes."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, inspect, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.records import pending_key, profile_key
from admin_app.services.memberships.periods import UNIT_OF
from models.memberships import (
    Membership,
    MembershipStatus,
    PaymentProvider,
    ProviderMembership,
    Rhythm,
)
from models.purchases import PendingProfile, Profile

Holder = Profile | PendingProfile
# Why a membership is ignored: staff deleted the purchase that held it. It comes back when it is paid again.
DELETED = "deleted by staff"
# What a plan's fingerprint is made of: a row that is only seen in columns yet must read like the one made of it.
TOLD = (
    *("provider", "external_id", "status", "period_start", "period_end", "cancel_at_period_end", "rhythm"),
    *("preferred_at", "provider_event_at"),
)


def key(holder: Holder) -> str:
    """The record of the holder as the audit names it: a profile's or a purchase's."""
    return profile_key(holder) if isinstance(holder, Profile) else pending_key(holder)


def assign(ctx: Ctx, row: Holder, **values: object) -> list[Change]:
    """Set the fields and tell what that changed; a row that changes gets a new version."""
    changes = []
    for name, after in values.items():
        before = getattr(row, name)
        if audit.plain(before) != audit.plain(after):
            changes.append(Change(name, before, after, key(row)))
            setattr(row, name, after)
    if changes:
        row.version += 1
        row.updated_at = ctx.now
    return changes


def put(ctx: Ctx, row: ProviderMembership, **values: object) -> list[Change]:
    """The same for a membership. Only a later time of the same news is no change."""
    moved = {n: v for n, v in values.items() if audit.plain(getattr(row, n)) != audit.plain(v)}
    changes = [Change(name, getattr(row, name), after) for name, after in moved.items()]
    for name, after in moved.items():
        setattr(row, name, after)
    if moved.keys() - {"provider_event_at"}:
        row.version = (row.version or 0) + 1
        row.updated_at = ctx.now
    return changes


def copied(row: ProviderMembership, **values: object) -> ProviderMembership:
    """The membership with other values, to look at: not stored."""
    names = [column.key for column in inspect(ProviderMembership).column_attrs]
    return ProviderMembership(**({name: getattr(row, name) for name in names} | values))


def held(session: Session, holder: Holder) -> list[ProviderMembership]:
    """The rows that the holder holds, read again, the oldest first."""
    mine = (
        ProviderMembership.profile_user_id == holder.user_id
        if isinstance(holder, Profile)
        else ProviderMembership.pending_profile_id == holder.id
    )
    found = select(ProviderMembership).where(mine).order_by(ProviderMembership.id)
    return list(session.scalars(found.execution_options(populate_existing=True)))


def of(ctx: Ctx, holder: Holder) -> list[ProviderMembership]:
    """What the holder, who is locked, holds; what only its columns tell of so far becomes a row."""
    rows = seen(ctx.session, holder)
    ctx.session.add_all(_brought(ctx, holder, rows))
    ctx.session.flush()
    return rows


def of_each(ctx: Ctx, holders: Sequence[Holder]) -> list[ProviderMembership]:
    """`of` for many locked holders at once, by the same few statements however many they are; the rows that are new."""
    ctx.session.flush()
    rows_of, there = _rows_of(ctx.session, holders), _known_of(ctx.session, holders)
    fresh = []

    def is_there(provider: PaymentProvider, external_id: str | None) -> bool:
        return (provider, external_id) in there

    for holder in holders:
        rows = rows_of[_ids(holder)]
        if not _is_claimed(holder):
            rows = _with_columns(holder, rows, is_there)
        there.update((row.provider, row.external_id) for row in rows if row.external_id is not None)
        fresh += _brought(ctx, holder, rows)
    ctx.session.add_all(fresh)
    ctx.session.flush()
    return fresh


def _brought(ctx: Ctx, holder: Holder, rows: Sequence[ProviderMembership]) -> list[ProviderMembership]:
    """Those of the rows that the holder did not hold yet, and does now."""
    fresh = [row for row in rows if (row.profile_user_id, row.pending_profile_id) != _ids(holder)]
    for row in fresh:
        row.updated_at = ctx.now
        hand_over(row, holder)
    return fresh


def _rows_of(
    session: Session, holders: Sequence[Holder]
) -> dict[tuple[str | None, int | None], list[ProviderMembership]]:
    """The rows that each holds, and after them what an account left with the purchases that it claimed."""
    users = [holder.user_id for holder in holders if isinstance(holder, Profile)]
    purchases = [holder.id for holder in holders if isinstance(holder, PendingProfile)]
    theirs = or_(ProviderMembership.profile_user_id.in_(users), ProviderMembership.pending_profile_id.in_(purchases))
    held_now = select(ProviderMembership).where(theirs).order_by(ProviderMembership.id)
    rows_of = defaultdict(list)
    for row in session.scalars(held_now.execution_options(populate_existing=True)):
        rows_of[row.profile_user_id, row.pending_profile_id].append(row)
    left = (
        select(ProviderMembership, PendingProfile.claimed_by_user_id)
        .join(PendingProfile, PendingProfile.id == ProviderMembership.pending_profile_id)
        .where(PendingProfile.claimed_by_user_id.in_(users))
        .order_by(ProviderMembership.id)
    )
    for row, user_id in session.execute(left.execution_options(populate_existing=True)):
        rows_of[user_id, None].append(row)
    return rows_of


def _known_of(session: Session, holders: Sequence[Holder]) -> set[tuple[PaymentProvider | None, str | None]]:
    """Which of the memberships that the columns of these name are there, whoever holds them."""
    named = {external_id for holder in holders for _, external_id, _ in _told_by_columns(holder) if external_id}
    found = select(ProviderMembership.provider, ProviderMembership.external_id)
    return {(row.provider, row.external_id) for row in session.execute(found.where(_id_is_one_of(named)))}


def _id_is_one_of(named: Collection[str]) -> ColumnElement[bool]:
    """By the unique index, which has the provider first."""
    providers = ProviderMembership.provider.in_(list(PaymentProvider))
    return and_(providers, ProviderMembership.external_id.in_(sorted(named)))


def _is_claimed(holder: Holder) -> bool:
    return isinstance(holder, PendingProfile) and holder.claimed


def seen(session: Session, holder: Holder) -> list[ProviderMembership]:
    """The same to look at: what only the columns tell of is not stored.

    The earlier system, and whoever else writes the columns, knows no rows.
    """
    rows = held(session, holder)
    if _is_claimed(holder):
        return rows
    left = _left_with_claims(session, holder) if isinstance(holder, Profile) else []
    return _with_columns(holder, [*rows, *left], partial(_is_there, session))


def _left_with_claims(session: Session, profile: Profile) -> list[ProviderMembership]:
    """What the account claimed by its columns alone: whoever knows no rows left the membership with the purchase."""
    mine = select(PendingProfile.id).where(PendingProfile.claimed_by_user_id == profile.user_id)
    found = select(ProviderMembership).where(ProviderMembership.pending_profile_id.in_(mine))
    return list(session.scalars(found.order_by(ProviderMembership.id).execution_options(populate_existing=True)))


def as_unclaimed(session: Session, holder: Holder) -> list[ProviderMembership]:
    """What the purchase or legacy row holds, or held right before the claim that is under way."""
    return _with_columns(holder, held(session, holder), partial(_is_there, session))


def _with_columns(
    holder: Holder, rows: list[ProviderMembership], is_there: Callable[[PaymentProvider, str | None], bool]
) -> list[ProviderMembership]:
    """The rows, and what only the columns tell of. `is_there`: whether somebody holds a membership already."""
    known = {(row.provider, row.external_id) for row in rows}
    for provider, external_id, is_live in _told_by_columns(holder):
        if external_id is None and rows:
            continue
        if (provider, external_id) not in known and not is_there(provider, external_id):
            rows.append(_from_columns(holder, provider, external_id, is_live))
    return rows


def _told_by_columns(holder: Holder) -> Iterator[tuple[PaymentProvider, str | None, bool]]:
    """Provider, id and whether it is live; of two ids only the one whose provider the columns name can be."""
    ids = {PaymentProvider.WHOP: holder.whop_membership_id, PaymentProvider.STRIPE: holder.stripe_subscription_id}
    named = holder.payment_provider or PaymentProvider.WHOP
    live = holder.membership is Membership.PRO and holder.status is not MembershipStatus.INACTIVE
    there = [provider for provider, external_id in ids.items() if external_id]
    if not there and holder.membership is Membership.PRO:
        yield named, None, live
    for provider in there:
        yield provider, ids[provider], live and (provider is named or len(there) == 1)


def as_in_columns(holder: Holder, provider: PaymentProvider) -> ProviderMembership | None:
    """The membership of this provider as the holder's columns tell of it, not stored."""
    for named, external_id, is_live in _told_by_columns(holder):
        if named is provider and external_id is not None:
            return _from_columns(holder, named, external_id, is_live)
    return None


def _is_there(session: Session, provider: PaymentProvider, external_id: str | None) -> bool:
    return external_id is not None and by_id(session, provider, external_id) is not None


def by_id(session: Session, provider: PaymentProvider, external_id: str) -> ProviderMembership | None:
    """The membership of this provider with this id, read again."""
    found = select(ProviderMembership).where(
        ProviderMembership.provider == provider, ProviderMembership.external_id == external_id
    )
    return session.scalar(found.execution_options(populate_existing=True))


def _from_columns(
    holder: Holder, provider: PaymentProvider, external_id: str | None, is_live: bool
) -> ProviderMembership:
    unit = UNIT_OF.get(holder.plan_duration or "")
    is_whop = provider is PaymentProvider.WHOP
    return ProviderMembership(
        provider=provider,
        external_id=external_id,
        rhythm=Rhythm.RECURRING if unit else None,
        interval_unit=unit,
        interval_count=1 if unit else None,
        status=MembershipStatus.ACTIVE if is_live else MembershipStatus.INACTIVE,
        period_start=holder.billing_cycle_start,
        period_end=holder.billing_cycle_end,
        cancel_at_period_end=bool(holder.cancel_at_period_end),
        next_credits_at=holder.next_credit_renewal,
        provider_user_id=holder.whop_user_id if is_whop else None,
        provider_customer_id=None if is_whop else holder.stripe_customer_id,
        provider_event_at=holder.provider_event_at,
        created_at=holder.created_at,
        version=1,
    )


def held_by(holder: Holder | None) -> dict[str, str | int | None]:
    """The fields of a membership that this one holds, for plans."""
    user_id, pending_profile_id = _ids(holder)
    return {"profile_user_id": user_id, "pending_profile_id": pending_profile_id}


def _ids(holder: Holder | None) -> tuple[str | None, int | None]:
    """What a membership that this one holds says about its holder."""
    if isinstance(holder, Profile):
        return holder.user_id, None
    return None, holder.id if holder is not None else None


def hand_over(row: ProviderMembership, holder: Holder | None) -> None:
    """Let the holder hold the membership from now on.

    What came along with a move came to whoever held it then; a move says after this what came now.
    """
    if (row.profile_user_id, row.pending_profile_id) != _ids(holder):
        row.came_credits = row.came_withheld = None
    row.profile_user_id, row.pending_profile_id = _ids(holder)


def basis(rows: Sequence[ProviderMembership]) -> list[dict[str, Any]]:
    """What a plan about these memberships rests on, for its fingerprint."""
    return sorted(
        ({name: audit.plain(getattr(row, name)) for name in TOLD} for row in rows),
        key=lambda one: (one["provider"] or "", one["external_id"] or "", one["period_end"] or ""),
    )


def seller_of(row: ProviderMembership) -> PaymentProvider:
    """Who sold it; refused for one that staff gave."""
    if row.provider is None:
        raise NotFound("Nobody sold this membership: staff gave it, so no provider knows it.")
    return row.provider
