"""Tells the simulated providers what the data says, so that comparing the two finds nothing."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.demo import simulated_calendars, simulated_money
from admin_app.simulator import control, control_workos
from models import LEGACY_PREFIX, Guest, MembershipStatus, PendingProfile, PlanDuration, Profile, User


def seed(session: Session, simulator: str) -> tuple[int, int]:
    """How many memberships and people the simulator knows now; doing it again changes nothing."""
    control_workos.seed(simulator, list(_guests(session)))
    simulated_money.seed(session, simulator)
    simulated_calendars.seed(session, simulator)
    memberships = [*_of_profiles(session), *_waiting(session)]
    return control.seed_memberships(simulator, memberships), control.seed_users(simulator, list(_people(session)))


def _of_profiles(session: Session) -> Iterator[dict[str, Any]]:
    """Under the address of the purchase where the profile's own is another."""
    rows = session.execute(
        select(Profile, func.coalesce(PendingProfile.email, Profile.email))
        .outerjoin(PendingProfile, PendingProfile.whop_membership_id == Profile.whop_membership_id)
        .where(Profile.whop_membership_id.is_not(None))
        .order_by(Profile.created_at, Profile.user_id)
    )
    for profile, email in rows:
        yield _membership(profile, email)


def _waiting(session: Session) -> Iterator[dict[str, Any]]:
    query = select(PendingProfile).where(~PendingProfile.claimed, PendingProfile.whop_membership_id.is_not(None))
    for pending in session.scalars(query.order_by(PendingProfile.id)):
        yield _membership(pending, pending.email)


def _membership(holder: Profile | PendingProfile, email: str | None) -> dict[str, Any]:
    start, end = holder.billing_cycle_start or holder.created_at, holder.billing_cycle_end
    return {
        "membership_id": holder.whop_membership_id,
        "user_id": holder.whop_user_id,
        "email": email,
        "name": holder.name,
        "plan": (holder.plan_duration or PlanDuration.MONTHLY).value,
        "created_at": start.isoformat(),
        "period_start": start.isoformat(),
        "period_end": end.isoformat() if end else None,
        "status": "active" if holder.status is MembershipStatus.ACTIVE else "canceled",
        "cancel_at_period_end": holder.cancel_at_period_end,
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
