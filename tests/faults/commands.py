"""What people of the business do, by the services that the console calls; run in a process that may be killed."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from admin_app.config import Settings
from admin_app.context import Ctx, Staff
from admin_app.db import Database
from admin_app.services import refunds
from admin_app.services.clients import bulk_runs
from admin_app.services.clients.flags import FlagRequest
from admin_app.services.purchases import claims
from models import BulkRun, BulkState, Client, FlagName, PendingProfile, Refund, Role, StaffMember


@contextmanager
def _as_staff(role: Role) -> Iterator[tuple[Database, Staff]]:
    database = Database.from_settings(Settings())  # type: ignore[call-arg]  # read from the environment
    with database.read_only() as session:
        member = session.scalars(select(StaffMember).where(StaffMember.role == role)).one()
    try:
        yield database, Staff(member.id, member.email, member.role)
    finally:
        database.dispose()


def merge(email: str, user_id: str) -> None:
    """Support gives the purchase under this address to the account; done before, it is done."""
    with _as_staff(Role.SUPPORT) as (database, support):
        with database.unit_of_work(support) as ctx:
            pending = ctx.session.scalars(select(PendingProfile).where(PendingProfile.email == email)).one()
            if pending.claimed:
                return
            plan = claims.plan_for_user(ctx, pending_profile_id=pending.id, user_id=user_id)
        with database.unit_of_work(support) as ctx:
            claims.claim_for_user(
                ctx, pending_profile_id=pending.id, user_id=user_id, reason="They wrote to us", shown=plan.fingerprint
            )


def refund(payment_id: int, amount: int) -> None:
    """Finance gives back a part; asked for before, it is not asked for again."""
    with _as_staff(Role.FINANCE) as (database, finance):
        with database.unit_of_work(finance) as ctx:
            if ctx.session.scalar(select(Refund.id).where(Refund.payment_id == payment_id)):
                return
            plan = refunds.plan_request(ctx, payment_id=payment_id, amount=amount, approval_above=10**9)
        with database.unit_of_work(finance) as ctx:
            refunds.request(
                ctx,
                payment_id=payment_id,
                amount=amount,
                reason_code="requested_by_customer",
                note="",
                approval_above=10**9,
                shown=plan.fingerprint,
            )


def pause_everybody() -> None:
    """Ops pauses every client's calls: chosen and frozen first, then started."""
    with _as_staff(Role.OPS) as (database, ops):
        with database.unit_of_work(ops) as ctx:
            run_id = _chosen(ctx)
        with database.unit_of_work(ops) as ctx:
            if ctx.session.get_one(BulkRun, run_id).state is BulkState.PLANNED:
                plan = bulk_runs.plan_start(ctx, run_id=run_id)
                bulk_runs.start(ctx, run_id=run_id, shown=plan.fingerprint)


def _chosen(ctx: Ctx) -> int:
    found = ctx.session.scalar(select(BulkRun.id))
    if found is not None:
        return found
    asked = FlagRequest(flag=FlagName.OUTBOUND_PAUSED, turns_on=True, reason="Holidays")
    return bulk_runs.choose(ctx, asked=asked, client_ids=select(Client.id), chosen_by="every client").id
