"""Organizations that meetings name by an earlier system's own id become the ids that WorkOS knows them by.

An id is believed to be known when exactly one organization was brought over from under it, or when it is the number of
an organization here that was there when the meeting was made: one that came later only happens to have the number.

Any other is listed and stays. It is the only trace of whose meeting this was, and the guest's own organization would be
a guess: the organizations may still be brought over, and the next run knows it then. Only when asked to, and only where
the meeting's guest is registered by now, does their own organization take its place; the history keeps what it was.
"""

from collections.abc import Callable

from sqlalchemy import ColumnElement, and_, exists, not_, select
from sqlalchemy.orm import Session

from admin_app.bounds import BIGGEST
from admin_app.services.move_in import filled
from admin_app.services.move_in.guest_backfill import AT_ONCE, Run, note
from models.bookings import Meeting
from models.guests import Guest, Organization
from models.move_in import MovedRow

EVENT = "guest.organization_known"
UNKNOWN = "Nobody knows the organization that this meeting names, by an id of an earlier system. Bring it over first."
LOCAL = and_(
    Meeting.guest_org_id != "",
    ~Meeting.guest_org_id.startswith("org_", autoescape=True),
    ~exists().where(Organization.workos_id == Meeting.guest_org_id),
)
# Registered by now, with an organization.
_HAS_OWN = exists().where(Guest.workos_user_id == Meeting.guest_workos_user_id, Guest.workos_org_id.is_not(None))


def turn_all(run: Run, *, replaces_unknown: bool = False) -> None:
    """Every local id, one after the other; the meetings of what nobody knows are told as a failure."""
    for local in run.each(Meeting.guest_org_id, LOCAL):
        organization, which = _known(run, local)
        left = Meeting.guest_org_id == local
        if organization is not None:
            run.tally.organizations += _turn(run, which, organization.workos_id)
            left = and_(left, not_(which))
        if replaces_unknown:
            run.tally.replaced += _replace(run, left)
            left = and_(left, ~_HAS_OWN)
        if run.count(left):
            run.fail(left, UNKNOWN)
        run.seen(run.tally)


def _known(run: Run, local: str) -> tuple[Organization | None, ColumnElement[bool]]:
    """The organization behind an earlier id, and of which meetings it is; None where none or more than one may be."""
    named = Meeting.guest_org_id == local
    moved = select(MovedRow.record).where(MovedRow.source_key == local, MovedRow.table_name == "organizations")
    with run.read() as session:
        numbers = {int(record) for record in session.scalars(moved) if record is not None}
        if numbers:
            return (session.get(Organization, numbers.pop()) if len(numbers) == 1 else None), named
        if not (local.isascii() and local.isdigit() and int(local) <= BIGGEST):
            return None, named
        organization = session.get(Organization, int(local))
    if organization is None:
        return None, named
    return organization, and_(named, Meeting.created_at >= organization.created_at)


def _turn(run: Run, which: ColumnElement[bool], organization_id: str) -> int:
    if run.dry_run:
        return run.count(which)
    return _write(run, which, lambda session, meeting: organization_id)


def _replace(run: Run, left: ColumnElement[bool]) -> int:
    """Give these meetings their guest's own organization, where there is one by now."""
    which = and_(left, _HAS_OWN)
    return run.count(which) if run.dry_run else _write(run, which, _own)


def _own(session: Session, meeting: Meeting) -> str | None:
    return session.scalar(select(Guest.workos_org_id).where(Guest.workos_user_id == meeting.guest_workos_user_id))


def _write(run: Run, which: ColumnElement[bool], organization_of: Callable[[Session, Meeting], str | None]) -> int:
    """A hundred in a transaction; answers how many."""
    total = 0
    while True:
        with run.work() as ctx:
            query = select(Meeting).where(which).order_by(Meeting.id).limit(AT_ONCE).with_for_update(of=Meeting)
            meetings = ctx.session.scalars(query).all()
            untouched = filled.as_left(ctx.session, [meeting.id for meeting in meetings])
            for meeting in meetings:
                if organization_id := organization_of(ctx.session, meeting):
                    told = {"guest_org_id": organization_id}
                    note(ctx, meeting, told, event=EVENT, stays=meeting.id in untouched)
            filled.leave(ctx.session, untouched)
        total += len(meetings)
        if len(meetings) < AT_ONCE:
            return total
