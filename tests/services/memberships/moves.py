"""Moves of memberships between accounts, as tests do them: each by its plan, and every rule looked at afterwards."""

from datetime import timedelta
from typing import Any

from admin_app.db import Database
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan
from admin_app.services.memberships import moving
from models import AuditEntry, PendingProfile, Profile, ProviderMembership
from tests.services.factories import OPERATOR, SUPPORT, profile_of
from tests.services.memberships.by_hand import nothing_broken

DAY = timedelta(days=1)


def row_of(db: Database, external_id: str) -> ProviderMembership:
    with db.read_only() as session:
        return session.query(ProviderMembership).filter_by(external_id=external_id).one()


def act(db: Database, target: str | None, external_id: str = "mem_a") -> Plan:
    """To this account, or back; the history tells of just the changes of both that the plan showed."""
    what: dict[str, Any] = {"membership_id": row_of(db, external_id).id}
    plan_it, do = (moving.plan_back, moving.move_back) if target is None else (moving.plan_move, moving.move)
    what |= {} if target is None else {"user_id": target}
    before = sum_left(db)
    with db.unit_of_work(SUPPORT) as ctx:
        plan = plan_it(ctx, **what)
    with db.unit_of_work(SUPPORT) as ctx:
        do(ctx, **what, reason="asked", shown=plan.fingerprint)
    with db.read_only() as session:
        moved = session.query(AuditEntry).filter_by(event="membership.moved").order_by(AuditEntry.id.desc()).first()
        assert moved is not None
        made = {(one["record"], one["field"]): (one["before"], one["after"]) for one in moved.changes}
    of_holders = [one for one in plan.lines if one.record.partition(":")[0] in ("profile", "pending_profile")]
    planned = {(one.record, one.field): (audit.plain(one.now), audit.plain(one.after)) for one in of_holders}
    assert {key: value for key, value in planned.items() if value[0] != value[1]} == made
    assert sum_left(db) <= before or target is None
    nothing_broken(db)
    return plan


def credits(db: Database, user_id: str) -> tuple[int, int]:
    profile = profile_of(db, user_id)
    assert profile is not None
    return profile.usage_credits, profile.used_credits


def use(db: Database, user_id: str, amount: int) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Profile, user_id).used_credits += amount


def sum_left(db: Database) -> int:
    with db.read_only() as session:
        waiting = session.query(PendingProfile).filter_by(claimed=False)
        return sum(one.usage_credits - one.used_credits for one in (*session.query(Profile), *waiting))


def pass_time(db: Database, days: int) -> None:
    db.later["now"] += days * DAY  # type: ignore[attr-defined]
