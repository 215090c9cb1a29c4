"""Rows and actors for tests of the services."""

from datetime import UTC, datetime, timedelta
from typing import Any

from admin_app.context import Ctx, Customer, Job, Provider, Staff
from admin_app.db import Database
from admin_app.services import memberships, purchases
from admin_app.services.purchases import MembershipSnapshot
from models import PendingProfile, Profile, Role, User

WHOP = Provider("whop")
CLERK = Provider("clerk")
SUPPORT = Staff(id=1, email="support@demo.test", role=Role.SUPPORT)
AUDITOR = Staff(id=2, email="auditor@demo.test", role=Role.AUDITOR)
OPERATOR = Job("test")
NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)


def customer(user_id: str, *emails: str, name: str | None = None) -> Customer:
    """A signed-in customer whose addresses are verified; the first is the primary one."""
    return Customer(user_id, frozenset(emails), emails[0] if emails else None, name)


def facts(email: str | None = "buyer@example.com", **values: Any) -> MembershipSnapshot:
    defaults: dict[str, Any] = {
        "occurred_at": NOON,
        "membership_id": "mem_1",
        "whop_user_id": "user_whop1",
        "plan_duration": "monthly",
    }
    return MembershipSnapshot(email=email, **(defaults | values))


def buy(db: Database, email: str = "buyer@example.com", **values: Any) -> PendingProfile:
    """A purchase that waits under this address."""
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(email, **values))
        return waiting(ctx, email)


def waiting(ctx: Ctx, email: str) -> PendingProfile:
    return ctx.session.query(PendingProfile).filter_by(email=email).populate_existing().one()


def add_profile(db: Database, user_id: str, **values: Any) -> Profile:
    with db.unit_of_work(OPERATOR) as ctx:
        profile = Profile(user_id=user_id, **values)
        ctx.session.add(profile)
        ctx.session.flush()
        ctx.session.refresh(profile)
        if not profile.is_legacy:
            memberships.of(ctx, profile)
        return profile


def add_user(db: Database, user_id: str, **values: Any) -> User:
    with db.unit_of_work(OPERATOR) as ctx:
        user = User(open_id=user_id, **values)
        ctx.session.add(user)
        ctx.session.flush()
        ctx.session.refresh(user)
        return user


def profile_of(db: Database, user_id: str) -> Profile | None:
    with db.read_only() as session:
        return session.get(Profile, user_id)


def pending_of(db: Database, pending_id: int) -> PendingProfile | None:
    with db.read_only() as session:
        return session.get(PendingProfile, pending_id)


LATER = timedelta(days=1)
