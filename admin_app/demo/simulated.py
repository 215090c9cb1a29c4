"""Tells the simulated providers what the data says, so that comparing the two finds nothing."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.demo import simulated_calendars, simulated_money
from admin_app.services.memberships.periods import plan_duration
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import (
    LEGACY_PREFIX,
    Guest,
    MembershipPayment,
    MembershipStatus,
    PaymentProvider,
    PendingProfile,
    PlanDuration,
    Profile,
    ProviderMembership,
    Refund,
    User,
)


def seed(session: Session, simulator: str) -> tuple[int, int]:
    """How many memberships and people the simulator knows now; doing it again changes nothing."""
    control_workos.seed(simulator, list(_guests(session)))
    simulated_money.seed(session, simulator)
    simulated_calendars.seed(session, simulator)
    memberships = [*_held(session), *_of_the_earlier_system(session)]
    return control.seed_memberships(simulator, memberships), control.seed_users(simulator, list(_people(session)))


def _held(session: Session) -> Iterator[dict[str, Any]]:
    """What Whop sold; under the profile's address where nobody noted the buyer's."""
    paid = _payments(session)
    rows = session.execute(
        select(ProviderMembership, func.coalesce(ProviderMembership.email, Profile.email))
        .outerjoin(Profile, Profile.user_id == ProviderMembership.profile_user_id)
        .where(ProviderMembership.provider == PaymentProvider.WHOP, ProviderMembership.external_id.is_not(None))
        .order_by(ProviderMembership.created_at, ProviderMembership.id)
    )
    for row, email in rows:
        start, end = row.period_start or row.created_at, row.period_end
        yield {
            "membership_id": row.external_id,
            "user_id": row.provider_user_id,
            "email": email,
            "name": row.name,
            "plan": (plan_duration(row) or PlanDuration.MONTHLY).value,
            "created_at": start.isoformat(),
            "period_start": start.isoformat(),
            "period_end": end.isoformat() if end else None,
            "status": "active" if row.status is MembershipStatus.ACTIVE else "canceled",
            "cancel_at_period_end": row.cancel_at_period_end,
            "payments": paid[row.id],
        }


def _payments(session: Session) -> defaultdict[int, list[dict[str, Any]]]:
    """By membership, what was paid for it and what of that was refunded."""
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = session.execute(
        select(MembershipPayment, Refund)
        .outerjoin(Refund, Refund.membership_payment_id == MembershipPayment.id)
        .where(MembershipPayment.provider == PaymentProvider.WHOP)
        .order_by(MembershipPayment.id)
    )
    for payment, refund in rows:
        found[payment.membership_id].append(
            {
                "id": payment.external_id,
                "created_at": payment.created_at.isoformat(),
                "refund": refund and _refund(refund),
            }
        )
    return found


def _refund(made: Refund) -> dict[str, Any]:
    return {"id": made.whop_refund_id, "cents": made.amount, "created_at": made.created_at.isoformat()}


def _of_the_earlier_system(session: Session) -> Iterator[dict[str, Any]]:
    rows = session.scalars(
        select(Profile)
        .where(Profile.user_id.startswith(LEGACY_PREFIX, autoescape=True), Profile.whop_membership_id.is_not(None))
        .order_by(Profile.created_at, Profile.user_id)
    )
    for profile in rows:
        start, end = profile.billing_cycle_start or profile.created_at, profile.billing_cycle_end
        yield {
            "membership_id": profile.whop_membership_id,
            "user_id": profile.whop_user_id,
            "email": profile.email,
            "name": profile.name,
            "plan": (profile.plan_duration or PlanDuration.MONTHLY).value,
            "created_at": start.isoformat(),
            "period_start": start.isoformat(),
            "period_end": end.isoformat() if end else None,
            "status": "active" if profile.status is MembershipStatus.ACTIVE else "canceled",
            "cancel_at_period_end": profile.cancel_at_period_end,
        }


def _people(session: Session) -> Iterator[dict[str, Any]]:
    """Everybody with an account. An address under which a purchase waits was never verified by its account."""
    email = func.coalesce(User.email, Profile.email)
    waits = select(PendingProfile.id).where(PendingProfile.email == email, ~PendingProfile.claimed).exists()
    rows = session.execute(
        select(func.coalesce(User.open_id, Profile.user_id), func.coalesce(User.name, Profile.name), email, ~waits)
        .select_from(Profile)
        .join(User, User.open_id == Profile.user_id, full=True)
        .where(func.coalesce(User.open_id, Profile.user_id).not_like(f"{LEGACY_PREFIX}%"), email.is_not(None))
        .order_by(func.coalesce(User.open_id, Profile.user_id))
    )
    for user_id, name, address, verified in rows:
        yield {"id": user_id, "name": name, "email": address, "verified": verified}


def _guests(session: Session) -> Iterator[dict[str, Any]]:
    for guest in session.scalars(select(Guest).where(Guest.workos_user_id.is_not(None)).order_by(Guest.id)):
        yield {
            "user_id": guest.workos_user_id,
            "email": guest.email,
            "name": guest.name,
            "organization_id": guest.workos_org_id,
        }
