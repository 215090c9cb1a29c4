"""In whose calendar a booking is: a row for each host that it had, and the practitioner here whose calendar that is.

A host is known by their user at Cal.com, or by their e-mail. An event type, which a team may share, names a
practitioner only where nothing says that the host is somebody else.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select

from admin_app.addresses import comparable
from admin_app.context import Ctx
from admin_app.integrations.calendar_ports import CalcomAccounts, CalendarHost
from admin_app.services.calendars import calcom_mapping
from admin_app.services.calendars.calendar_entries import Entry, Waits
from models.bookings import Booking, BookingSource
from models.calendars import BookingHost
from models.schedule import Practitioner, SessionType

HOST_UNKNOWN = "host_unknown"


def named(ctx: Ctx, accounts: CalcomAccounts, host: CalendarHost | None, source: BookingSource) -> list[Practitioner]:
    """Who this host is here; several share one calendar, none has it."""
    if host is None:
        return []
    conditions: list[ColumnElement[bool]] = []
    if host.id and source is BookingSource.CALCOM:
        conditions.append(calcom_mapping.has_user(host.id, accounts))
    if host.email:
        conditions.append(Practitioner.email == host.email)
    for condition in conditions:
        found = ctx.session.scalars(select(Practitioner).where(condition).order_by(Practitioner.id)).all()
        if found:
            return [*found]
    return []


def of_new(ctx: Ctx, accounts: CalcomAccounts, entry: Entry) -> Practitioner | None:
    """Whose a Cal.com booking is that is not known here yet; None when nobody, or not one alone, has that calendar."""
    having = named(ctx, accounts, entry.host, entry.source)
    offering = _offering(ctx, accounts, entry)
    if len(offering) == 1 and _is_hosted_by(ctx, offering[0], entry):
        return offering[0]
    if having:
        return _only([one for one in having if one in offering] or having)
    return _only([one for one in offering if not _has_another(one, accounts, entry.host)])


def of_known(ctx: Ctx, accounts: CalcomAccounts, booking: Booking, entry: Entry) -> int:
    """The number of the practitioner whose calendar a known booking is in now.

    Waits when it was given to a host whom nobody here is. Where it is not said who has it, it stays where it is.
    """
    having = {one.id for one in named(ctx, accounts, entry.host, entry.source)}
    if entry.host is None or booking.practitioner_id in having:
        return booking.practitioner_id
    last = current(ctx, booking, entry.source)
    if last is not None and entry.asked_at is None and entry.told_at is not None and entry.told_at < last.since:
        return booking.practitioner_id
    practitioner = ctx.session.get_one(Practitioner, booking.practitioner_id)
    if last is None or (last.external_id is None and last.email is None):
        moves = len(having) == 1 and _has_another(practitioner, accounts, entry.host)
        return having.pop() if moves else booking.practitioner_id  # it may have been so from the first
    if _is_hosted_by(ctx, practitioner, entry):
        return booking.practitioner_id
    if len(having) == 1:
        return having.pop()
    if _may_be(last, entry.host):
        return booking.practitioner_id
    raise Waits(HOST_UNKNOWN)


def current(ctx: Ctx, booking: Booking, source: BookingSource) -> BookingHost | None:
    """Who has it now."""
    rows = select(BookingHost).where(
        BookingHost.booking_id == booking.id, BookingHost.provider == source.value, BookingHost.gone_at.is_(None)
    )
    return ctx.session.scalar(rows.execution_options(populate_existing=True))


def note(ctx: Ctx, booking: Booking, entry: Entry) -> None:
    """Keep who has it by what the entry says; the booking is with its practitioner by now."""
    host, last, at = entry.host, current(ctx, booking, entry.source), entry.at or ctx.now
    stays = last is None or (last.practitioner_id == booking.practitioner_id and (host is None or _may_be(last, host)))
    if last is not None and not stays:
        last.gone_at, last = max(at, last.since), None
        ctx.session.flush()  # one at a time
    if last is None:
        last = BookingHost(
            booking_id=booking.id, practitioner_id=booking.practitioner_id, provider=entry.source.value, since=at
        )
        ctx.session.add(last)
    if host is not None:
        last.external_id, last.email = host.id or last.external_id, host.email or last.email
    ctx.session.flush()


def offered_by_host(ctx: Ctx, entry: Entry, sold: SessionType) -> SessionType:
    """What a Calendly host offers of the same kind as what a team's event type stands for here."""
    having = named(ctx, CalcomAccounts(), entry.host, entry.source)
    practitioner = ctx.session.get_one(Practitioner, sold.practitioner_id)
    if len(having) != 1 or having[0].id == practitioner.id or _is_hosted_by(ctx, practitioner, entry):
        return sold
    theirs = _same_kind(ctx, sold, having[0].id)
    if theirs is None:
        raise Waits("session_type_unclear")
    return theirs


def session_type_with(ctx: Ctx, booking: Booking, practitioner_id: int) -> int:
    """The number of what the practitioner offers of the same kind; what was sold stays where they offer none."""
    sold = ctx.session.get_one(SessionType, booking.session_type_id)
    theirs = None if sold.practitioner_id == practitioner_id else _same_kind(ctx, sold, practitioner_id)
    return (theirs or sold).id


def _same_kind(ctx: Ctx, sold: SessionType, practitioner_id: int) -> SessionType | None:
    same_length = (
        SessionType.practitioner_id == practitioner_id,
        SessionType.active,
        SessionType.minutes == sold.minutes,
    )
    offered = ctx.session.scalars(select(SessionType).where(*same_length).order_by(SessionType.id)).all()
    fitting = [one for one in offered if one.title.casefold() == sold.title.casefold()] or offered
    return fitting[0] if len(fitting) == 1 else None


def _offering(ctx: Ctx, accounts: CalcomAccounts, entry: Entry) -> Sequence[Practitioner]:
    if not entry.event_type_id:
        return []
    condition = calcom_mapping.has_event_type(entry.event_type_id, accounts)
    return ctx.session.scalars(select(Practitioner).where(condition).order_by(Practitioner.id)).all()


def _is_hosted_by(ctx: Ctx, practitioner: Practitioner, entry: Entry) -> bool:
    """Whether somebody else's account hosts for this practitioner, who never hosts by their own: a shared account."""
    rows = select(BookingHost.id).where(
        BookingHost.practitioner_id == practitioner.id, BookingHost.provider == entry.source.value
    )
    host = entry.host
    if host is None or (host.email and comparable(host.email) == comparable(practitioner.email)):
        return False
    by_them = rows.where(BookingHost.external_id == host.id) if host.id else rows.where(BookingHost.email == host.email)
    if ctx.session.scalar(by_them.limit(1)) is None:
        return False
    return ctx.session.scalar(rows.where(BookingHost.email == practitioner.email).limit(1)) is None


def _has_another(practitioner: Practitioner, accounts: CalcomAccounts, host: CalendarHost | None) -> bool:
    """Whether this practitioner is known to have another calendar than the host's."""
    own = practitioner.calcom_user_id or accounts.user_ids.get(practitioner.id)
    return bool(own and host is not None and host.id and own != host.id)


def _may_be(last: BookingHost, host: CalendarHost) -> bool:
    """Whether nothing says that these are two."""
    if last.external_id and host.id:
        return last.external_id == host.id
    if last.email and host.email:
        return comparable(last.email) == comparable(host.email)
    return True


def _only(found: Sequence[Practitioner]) -> Practitioner | None:
    return found[0] if len(found) == 1 else None
