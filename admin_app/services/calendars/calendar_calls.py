"""Calls to calendars that wait: to be tried again, for an answer, for a person, or for nothing any more."""

from datetime import timedelta

from sqlalchemy import BigInteger, and_, case, cast, exists, func, or_, select, update

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.core.records import booking_key
from admin_app.services.inbox import provider_calls
from models.bookings import Booking
from models.inbox import CallState, ProviderCall

# Longer than any call takes: until then somebody waits for the answer to an intent.
ANSWERED_WITHIN = timedelta(minutes=2)
MOST_AT_ONCE = 200
# Why a call is not made any more: its appointment's time came first.
PAST = "past"

# A call's booking; a subject that names none is nobody's.
_BOOKING_ID = cast(case((ProviderCall.subject.like("booking:%"), func.substr(ProviderCall.subject, 9))), BigInteger)
_OF_CALENDARS = ProviderCall.provider.in_([provider.value for provider in SPOKEN])
_UNANSWERED = and_(ProviderCall.state.in_(provider_calls.OPEN), ProviderCall.finished_at.is_(None))
_WAITING = or_(ProviderCall.next_try_at.is_not(None), ProviderCall.attention_since.is_not(None))


def queue_unsettled(ctx: Ctx, *, limit: int) -> int:
    """Queue the bookings with a call that is to be tried again or was not answered, the next appointment first."""
    waited = and_(_UNANSWERED, ProviderCall.next_try_at.is_(None), ProviderCall.created_at < ctx.now - ANSWERED_WITHIN)
    due = and_(or_(waited, ProviderCall.next_try_at <= ctx.now), _OF_CALENDARS)
    bookings = ctx.session.execute(
        select(Booking.id, ProviderCall.subject)
        .join(ProviderCall, Booking.id == _BOOKING_ID)
        .where(due, Booking.starts_at > ctx.now)
        .group_by(Booking.id, ProviderCall.subject)
        .order_by(Booking.starts_at, Booking.id)
        .limit(limit)
    ).all()
    subjects = [subject for _, subject in bookings]
    provider_calls.postpone(
        ctx, ctx.session.scalars(select(ProviderCall).where(ProviderCall.subject.in_(subjects), due))
    )
    for number, _ in bookings:
        queue(ctx, number, anew=False)
    return len(bookings)


def queue(ctx: Ctx, booking_id: int, *, anew: bool = True) -> None:
    """Have the calendars brought in line with this booking. `anew` as `job_queue.defer` has it."""
    once_key = f"sync_calendar:{booking_id}"
    job_queue.defer(ctx.session, "sync_calendar", once_key=once_key, anew=anew, booking_id=booking_id)


def queue_refused(ctx: Ctx, practitioner_id: int | None = None, *, but: int | None = None) -> None:
    """Try again what was refused for good: of one practitioner, whose calendar may take it now, or of all."""
    refused = and_(ProviderCall.attention_since.is_not(None), ProviderCall.next_try_at.is_(None), _OF_CALENDARS)
    bookings = (
        select(Booking.id)
        .join(ProviderCall, Booking.id == _BOOKING_ID)
        .where(refused, ProviderCall.state == CallState.FAILED, Booking.starts_at > ctx.now)
        .group_by(Booking.id)
        .order_by(Booking.starts_at, Booking.id)
        .limit(MOST_AT_ONCE)
    )
    if practitioner_id is not None:
        bookings = bookings.where(Booking.practitioner_id == practitioner_id)
    for number in ctx.session.scalars(bookings):
        if number != but:
            queue(ctx, number)


def end_past(ctx: Ctx, *, limit: int) -> int:
    """End what waits although its appointment's time has come, or its booking is gone; returns how many there were."""
    coming = exists().where(Booking.id == _BOOKING_ID, Booking.starts_at > ctx.now)
    over = ctx.session.scalars(
        select(ProviderCall)
        .where(_OF_CALENDARS, or_(_UNANSWERED, _WAITING), ~coming, ProviderCall.created_at < ctx.now - ANSWERED_WITHIN)
        .order_by(ProviderCall.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for call in over:
        if call.state is CallState.INTENDED:
            call.state = CallState.UNKNOWN
        call.error_code, call.finished_at = PAST, call.finished_at or ctx.now
        call.next_try_at = call.attention_since = None
    return len(over)


def is_waiting(ctx: Ctx, booking_id: int) -> bool:
    """Whether something about this booking is to be tried again, or waits for a person."""
    found = select(ProviderCall.id).where(ProviderCall.subject == booking_key(booking_id), _OF_CALENDARS, _WAITING)
    return ctx.session.scalar(found.limit(1)) is not None


def end_waiting(ctx: Ctx, booking_id: int) -> None:
    """The calendars are as the booking is: what failed before is not wanted any more, or was done otherwise."""
    ctx.session.execute(
        update(ProviderCall)
        .where(
            ProviderCall.subject == booking_key(booking_id),
            _OF_CALENDARS,
            _WAITING,
            ProviderCall.state.in_((CallState.FAILED, CallState.SUCCEEDED)),
        )
        .values(next_try_at=None, attention_since=None)
    )
