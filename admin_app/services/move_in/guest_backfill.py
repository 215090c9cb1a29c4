"""Guests of before there was WorkOS: each address of a meeting gets its user, organization and membership there.

What is done is told by the meetings themselves, so a run that was stopped, killed or refused is simply run again, and
two at once make nobody twice (see `guests`). Nobody is written to.

A meeting that says an organization keeps it; only an empty one is filled, with the guest's own. What the ids of an
earlier system become, `guest_organizations` says.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from admin_app.addresses import is_one_of
from admin_app.context import Ctx
from admin_app.errors import DomainError, InvalidInput
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.services import guests
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.records import meeting_key
from admin_app.services.guests import Registered
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.move_in import filled
from admin_app.services.move_in.guest_asking import Asking, Stopped
from models.bookings import Meeting
from models.guests import Guest

PAGE = 500
AT_ONCE = 100
MOST_NAMED = 20
NO_GUEST = 0

Read = Callable[[], AbstractContextManager[Session]]


def empty(column: InstrumentedAttribute[str | None]) -> ColumnElement[bool]:
    """Nothing is said: also by the empty text of an earlier system."""
    return or_(column.is_(None), column == "")


UNLINKED = empty(Meeting.guest_workos_user_id)
NO_ORGANIZATION = empty(Meeting.guest_org_id)


@dataclass(frozen=True)
class Failure:
    """What could not be done for these meetings (the first of them, by number) and why; names nobody."""

    meetings: tuple[int, ...]
    more: int
    sentence: str


@dataclass
class Tally:
    """What a run has done so far, or would do in a dry run."""

    made: int = 0
    found: int = 0
    without_organization: int = 0
    linked: int = 0
    organizations: int = 0
    replaced: int = 0
    failed: int = 0

    @property
    def guests(self) -> int:
        return self.made + self.found


@dataclass
class Run:
    """One run over all guests: its means, whether it only looks, and whom it tells what."""

    work: Work
    read: Read
    workos: WorkosPort
    dry_run: bool = False
    limit: int | None = None
    failed: Callable[[Failure], None] = lambda failure: None
    seen: Callable[[Tally], None] = lambda tally: None
    asking: Asking = field(default_factory=Asking)
    tally: Tally = field(default_factory=Tally)

    @property
    def is_over(self) -> bool:
        return self.limit is not None and self.tally.guests + self.tally.failed >= self.limit

    def count(self, meetings: ColumnElement[bool]) -> int:
        with self.read() as session:
            return session.scalar(select(func.count(Meeting.id)).where(meetings)) or 0

    def fail(self, meetings: ColumnElement[bool], sentence: str) -> None:
        count = self.count(meetings)
        with self.read() as session:
            first = session.scalars(select(Meeting.id).where(meetings).order_by(Meeting.id).limit(MOST_NAMED)).all()
        self.tally.failed += 1
        self.failed(Failure(tuple(first), count - len(first), sentence))

    def each(self, column: InstrumentedAttribute[str | None], condition: ColumnElement[bool]) -> Iterable[str]:
        """The values of a column of meetings that fulfil a condition, in order; memory for one page of them."""
        after = ""
        while True:
            query = select(column).where(column > after, condition).group_by(column).order_by(column).limit(PAGE)
            with self.read() as session:
                page = [value for value in session.scalars(query) if value is not None]
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1]


def register_all(run: Run) -> None:
    """Every address of a meeting without a user: registered, and its meetings linked. Raises Stopped."""
    for written in run.each(Meeting.guest_email, UNLINKED):
        if run.is_over:
            return
        try:
            _register(run, written)
        except Stopped:
            raise
        except DomainError as refused:
            run.fail(and_(Meeting.guest_email == written, UNLINKED), refused.sentence)
        run.seen(run.tally)


def _register(run: Run, written: str) -> None:
    address = clean_email(written)
    theirs = and_(or_(Meeting.guest_email == written, is_one_of(Meeting.guest_email, address)), UNLINKED)
    name = _name(run, theirs)
    if name is None:
        return  # somebody else's run was faster, or another spelling came first
    if run.dry_run:
        _look(run, address, written, theirs)
        return
    registered = run.asking.about(lambda: guests.register_existing(run.work, run.workos, email=address, name=name))
    _count(run.tally, registered.outcome)
    run.tally.linked += fill(run.work, theirs, registered, address)


def _name(run: Run, theirs: ColumnElement[bool]) -> str | None:
    """As it stands on the latest of the meetings that says one; empty where none does, None where there is none."""
    named = select(Meeting.guest_name).where(theirs)
    with run.read() as session:
        found = session.execute(named.order_by(empty(Meeting.guest_name), Meeting.starts_at.desc()).limit(1)).first()
    return None if found is None else found.guest_name or ""


def _look(run: Run, address: str, written: str, theirs: ColumnElement[bool]) -> None:
    """Count what would be done for this address, at the first of its spellings alone."""
    with run.read() as session:
        first = session.scalar(select(func.min(Meeting.guest_email)).where(theirs))
    if first is not None and first.lower() != written.lower():
        return
    run.tally.linked += run.count(theirs)
    user = run.asking.about(lambda: run.workos.find_user(address))
    if user is not None:
        user_id = user.id
        if run.asking.about(lambda: run.workos.find_organization(user_id)) is None:
            run.tally.without_organization += 1
    _count(run.tally, "created" if user is None else "found")


def _count(tally: Tally, outcome: guests.Outcome) -> None:
    if outcome == "created":
        tally.made += 1
    else:
        tally.found += 1


def fill(work: Work, which: ColumnElement[bool], registered: Registered, email: str) -> int:
    """Link these meetings to the guest, a hundred in a transaction; answers how many. `which` must cease to be true."""
    total = 0
    while True:
        with work() as ctx:
            query = select(Meeting).where(which).order_by(Meeting.id).limit(AT_ONCE).with_for_update()
            meetings = ctx.session.scalars(query).all()
            untouched = filled.as_left(ctx.session, [meeting.id for meeting in meetings])
            for meeting in meetings:
                told = {"guest_workos_user_id": registered.user_id}
                if registered.organization_id and not meeting.guest_org_id:
                    told["guest_org_id"] = registered.organization_id
                note(ctx, meeting, told, event="guest.resolved", stays=meeting.id in untouched, email=email)
            filled.leave(ctx.session, untouched)
        total += len(meetings)
        if len(meetings) < AT_ONCE:
            return total


def note(ctx: Ctx, meeting: Meeting, told: dict[str, str], *, event: str, stays: bool, **facts: str) -> None:
    """Write these onto a locked meeting, and what they were before into its history.

    `stays`: an earlier system's, which nobody changed here: it still says when it was changed there.
    """
    changes = [
        Change(name, getattr(meeting, name), value) for name, value in told.items() if getattr(meeting, name) != value
    ]
    for change in changes:
        setattr(meeting, change.field, change.after)
    meeting.version += 1
    if not stays:
        meeting.updated_at = ctx.now
    named = {"what": "meeting", "number": meeting.id}
    audit.record(ctx, event, records=[meeting_key(meeting.id)], changes=changes, facts=named | facts)


def complete_linked(run: Run) -> None:
    """Meetings that an earlier system linked already: their guests are known here too, and their organization.

    Nobody is made for them: the user whom the meeting names is looked up, and stays whoever that is. Somebody who was
    found here without an organization of their own, because others brought them to WorkOS, stays without.
    """
    known = exists().where(Guest.workos_user_id == Meeting.guest_workos_user_id)
    lacks = or_(~known, and_(NO_ORGANIZATION, known.where(Guest.workos_org_id.is_not(None))))
    for user_id in run.each(Meeting.guest_workos_user_id, lacks):
        if run.is_over:
            return
        try:
            _complete(run, user_id)
        except Stopped:
            raise
        except DomainError as refused:
            run.fail(Meeting.guest_workos_user_id == user_id, refused.sentence)
        run.seen(run.tally)


def _complete(run: Run, user_id: str) -> None:
    theirs = Meeting.guest_workos_user_id == user_id
    with run.read() as session:
        guest = session.scalars(select(Guest).where(Guest.workos_user_id == user_id)).one_or_none()
        latest = select(Meeting.guest_email, Meeting.guest_name).where(theirs, ~empty(Meeting.guest_email))
        meeting = session.execute(latest.order_by(Meeting.starts_at.desc()).limit(1)).first()
    email, name = (meeting.guest_email, meeting.guest_name or "") if meeting else (None, "")
    if guest is not None:
        organization_id = guest.workos_org_id
    elif (address := _address(email)) is not None and _has(run, address, user_id):
        organization_id = _note_guest(run, user_id, address, name)
    else:
        organization_id = run.asking.about(lambda: run.workos.find_organization(user_id))
    if organization_id is None:
        return
    lacking = and_(theirs, NO_ORGANIZATION)
    if run.dry_run:
        run.tally.linked += run.count(lacking)
    else:
        registered = Registered(guest.id if guest else NO_GUEST, user_id, organization_id, "found")
        run.tally.linked += fill(run.work, lacking, registered, email or user_id)


def _address(written: str | None) -> str | None:
    try:
        return clean_email(written) if written else None
    except InvalidInput:
        return None


def _has(run: Run, address: str, user_id: str) -> bool:
    """Whether the user has this address at WorkOS, now."""
    user = run.asking.about(lambda: run.workos.find_user(address))
    return user is not None and user.id == user_id


def _note_guest(run: Run, user_id: str, address: str, name: str) -> str | None:
    """Keep the user as a guest here; answers their organization, if it is still they who have the address."""
    run.tally.found += 1
    if run.dry_run:
        return run.asking.about(lambda: run.workos.find_organization(user_id))
    registered = run.asking.about(lambda: guests.register_existing(run.work, run.workos, email=address, name=name))
    return registered.organization_id if registered.user_id == user_id else None
