"""Stripe subscriptions that are memberships of people: the same rules as for Whop's, by what Stripe says now."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import memberships, purchases
from admin_app.services.memberships.rows import Holder, by_id, hand_over
from admin_app.services.purchases import MembershipSnapshot, holders, legacy
from admin_app.services.subscriptions import billing_mapping
from admin_app.services.subscriptions import owners as billing_owners
from models.memberships import MembershipStatus, PaymentProvider, ProviderMembership
from models.purchases import Profile

LIVE = billing_mapping.SERVES_MEMBERS


def ends_with_period(found: StripeSubscription) -> bool:
    """Whether it is not renewed when its period ends: Stripe's own page for customers may name the day instead."""
    by_day = found.cancel_at is not None and (
        found.current_period_end is None or found.cancel_at <= found.current_period_end
    )
    return found.cancel_at_period_end or by_day


def apply(
    ctx: Ctx, found: StripeSubscription, *, asked_at: datetime, named: int | None = None
) -> MembershipStatus | None:
    """Bring the membership to what the subscription is; None when it is nobody's membership here.

    `named` is the client whom the checkout named that it began with.
    """
    is_live = found.status in LIVE
    if not holders.is_held(ctx.session, found.id, PaymentProvider.STRIPE) and not (
        is_live and _goes_to_member(ctx, found, named)
    ):
        _keep_up(ctx, found, asked_at)
        return None
    (purchases.record if is_live else purchases.end)(ctx, _snapshot(found, asked_at))
    return MembershipStatus.ACTIVE if is_live else MembershipStatus.INACTIVE


def _snapshot(found: StripeSubscription, asked_at: datetime) -> MembershipSnapshot:
    return MembershipSnapshot(
        occurred_at=asked_at,
        membership_id=found.id,
        period_start=found.current_period_start,
        period_end=found.current_period_end,
        cancel_at_period_end=ends_with_period(found),
        is_answer=True,
        provider=PaymentProvider.STRIPE,
        provider_status=found.status,
        customer_id=found.customer_id,
    )


def _keep_up(ctx: Ctx, found: StripeSubscription, asked_at: datetime) -> None:
    """One that nobody holds any more is shown as it is there, and gives nobody anything; a cycle begins once it is."""
    if by_id(ctx.session, PaymentProvider.STRIPE, found.id) is not None:
        change = purchases.set_cancellation if found.status in LIVE else purchases.end
        change(ctx, replace(_snapshot(found, asked_at), period_start=None, period_end=None))


def _goes_to_member(ctx: Ctx, found: StripeSubscription, named: int | None) -> bool:
    """One more subscription of a member's customer is that member's too, unless it is or is to be a client's."""
    if _is_for_client(ctx.session, found, named) or not _is_members(ctx.session, found.customer_id):
        return False
    holders.lock(ctx, membership_id=found.id, email=None)
    row, held_by = holders.of_membership(ctx, found.id, PaymentProvider.STRIPE)
    if held_by is not None:
        return True  # another delivery was faster
    if row is not None and not _is_paid_again(row, found):
        return False
    holder = _locked_member(ctx, found.customer_id)
    if holder is None:
        return False
    rows = memberships.of(ctx, holder)
    nameless = (one for one in rows if one.external_id is None and one.provider is PaymentProvider.STRIPE)
    row = row or next(nameless, None) or _new_row(ctx)
    row.external_id = found.id
    hand_over(row, holder)
    ctx.session.add(row)
    ctx.session.flush()
    return True


def _is_for_client(session: Session, found: StripeSubscription, named: int | None) -> bool:
    said = found.client_id or (found.customer.client_id if found.customer else None)
    return said is not None or billing_owners.of_subscription(session, found, named=named).owner is not None


def _is_paid_again(row: ProviderMembership, found: StripeSubscription) -> bool:
    """What staff deleted comes back with the next period that is paid."""
    paid_from = found.current_period_start
    return row.ignored_at is None or (paid_from is not None and paid_from > row.ignored_at)


def _is_members(session: Session, customer_id: str) -> bool:
    return _another_of(session, customer_id) is not None or session.scalar(_shows(customer_id)) is not None


def _another_of(session: Session, customer_id: str) -> str | None:
    """The newest membership that somebody holds by this customer."""
    of_customer = (
        ProviderMembership.provider_customer_id == customer_id,
        ProviderMembership.provider == PaymentProvider.STRIPE,
        ProviderMembership.external_id.is_not(None),
        ProviderMembership.profile_user_id.is_not(None) | ProviderMembership.pending_profile_id.is_not(None),
    )
    newest = select(ProviderMembership.external_id).where(*of_customer).order_by(ProviderMembership.id.desc())
    return session.scalar(newest.limit(1))


def _shows(customer_id: str) -> Select[str]:
    shown = select(Profile.user_id).where(
        Profile.stripe_customer_id == customer_id, ~legacy.IS_LEGACY, Profile.account_deleted_at.is_(None)
    )
    return shown.order_by(Profile.updated_at.desc()).limit(1)


def _locked_member(ctx: Ctx, customer_id: str) -> Holder | None:
    another = _another_of(ctx.session, customer_id)
    if another is not None:
        return holders.of_membership(ctx, another, PaymentProvider.STRIPE)[1]
    user_id = ctx.session.scalar(_shows(customer_id))
    return ctx.session.get(Profile, user_id, with_for_update=True, populate_existing=True)


def _new_row(ctx: Ctx) -> ProviderMembership:
    """Over until its news are applied, which say what is paid."""
    return ProviderMembership(
        provider=PaymentProvider.STRIPE,
        status=MembershipStatus.INACTIVE,
        cancel_at_period_end=False,
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
