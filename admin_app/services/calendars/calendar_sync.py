"""Brings Cal.com and Calendly in line with a booking as it is now: made there, moved there, called off there.

Each run reads what is wanted, looks at what is there, and makes the one change that is missing; doing it again changes
nothing. An intent is stored before a call leaves. A call that nobody answered is looked for before it is sent again,
and a run that meets the fresh intent of another one leaves it alone.

What fails in passing is tried again until the appointment's time. What was refused for good waits for a person, and is
tried again when a time of the practitioner is given up there, or the practitioner's record is another one; so is what a
look that failed keeps from being changed. A client whom the calendar was to tell of it hears of it from us. After the
appointment's time no calendar is told anything.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import Conflict, DomainError, ProviderRefused, ProviderUnavailable
from admin_app.integrations.calendar_ports import CalcomBooking, CalcomPort, CalendlyPort
from admin_app.integrations.registry import Providers
from admin_app.services import appointments
from admin_app.services.calendars import booking_links, calcom_mapping, calendar_calls, telling
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.core import audit
from admin_app.services.core.records import booking_key, lock_names, practitioner_key
from admin_app.services.inbox import provider_calls
from admin_app.services.inbox.provider_calls import Work
from models.bookings import Booking, BookingSource, BookingStatus
from models.inbox import CallState, ProviderCall

CREATE, MOVE, CANCEL = "booking.create", "booking.move", "booking.cancel"
# Asking what is there. It is noted when it fails, because a change that is wanted may hang on it.
LOOK = "booking.look"
OFF = (BookingStatus.CANCELED, BookingStatus.REFUNDED)
_DONE = {CREATE: "made", MOVE: "moved", CANCEL: "canceled"}
_NOT_DONE = {CREATE: "could not make", MOVE: "could not move", CANCEL: "could not cancel"}
# What the calendar would have told the client of; when it refuses for good, we do.
_TOLD_AS = {MOVE: "rescheduled", CANCEL: "cancellation"}
_REASON = "Changed in Backdesk"
_CALCOM, _CALENDLY = BookingSource.CALCOM, BookingSource.CALENDLY


class SomebodyIsAtIt(Conflict):
    """Another job makes a call about the same booking: 409. The job is tried again; nothing was sent."""

    code = "calendar_call_runs"
    sentence = "Another job is telling the calendar about this booking. It is tried again in a moment."


@dataclass(frozen=True)
class Wanted:
    """What the calendars should have of a booking, under which ids they have it, and what nobody knows the end of."""

    booking_id: int
    version: int
    is_on: bool
    is_off: bool
    starts_at: datetime
    name: str
    email: str
    time_zone: str
    uid: str | None
    event_type: str | None
    event_uri: str | None
    unanswered: frozenset[str]

    @property
    def subject(self) -> str:
        return booking_key(self.booking_id)

    def key(self, provider: BookingSource, operation: str) -> str:
        """One per change: trying it again is the same call."""
        to = f"-{self.starts_at:%Y%m%dT%H%M%SZ}" if operation == MOVE else ""
        if operation == LOOK:
            return f"{provider.value}-{operation}-{self.booking_id}-{self.version}"
        of = "" if operation == CREATE else f"-{self.uid if provider is _CALCOM else self.event_uri}"
        return f"{provider.value}-{operation}-{self.booking_id}{of}{to}"


def is_wanted(booking: Booking, operation: str, now: datetime) -> bool:
    """Whether a calendar that was not told of this change is told of it with the booking as it is."""
    if not _is_to_come(booking, now):
        return False
    if operation == CREATE:
        return _is_on(booking) and booking.calcom_booking_uid is None
    return _is_off(booking) if operation == CANCEL else operation == MOVE and _is_on(booking)


def _is_to_come(booking: Booking, now: datetime) -> bool:
    return booking.starts_at > now


def _is_on(booking: Booking) -> bool:
    return booking.status is BookingStatus.CONFIRMED


def _is_off(booking: Booking) -> bool:
    return booking.status in OFF


class Calendars:
    """One run for one booking; `work` opens a unit of work."""

    def __init__(self, work: Work, providers: Providers, booking_id: int) -> None:
        self._work, self._providers, self._booking_id = work, providers, booking_id
        self._refused = False

    def sync(self) -> None:
        """Make the changes that are missing; raises what must be tried again later."""
        with self._work() as ctx:
            wanted = self._wanted(ctx)
            waits = calendar_calls.is_waiting(ctx, self._booking_id)
        if wanted is None:
            return
        self._bring_in_line(wanted)
        if waits and not self._refused:
            with self._work() as ctx:
                calendar_calls.end_waiting(ctx, self._booking_id)

    def _bring_in_line(self, wanted: Wanted) -> None:
        calendly, calcom = self._providers.calendly, self._providers.calcom
        if calendly is not None and wanted.is_off and wanted.event_uri:
            self._cancel_event(calendly, wanted, wanted.event_uri)
        if calcom is not None and wanted.uid is None:
            self._make(calcom, wanted)
        elif calcom is not None and wanted.uid is not None:
            self._follow(calcom, wanted, wanted.uid)

    def _wanted(self, ctx: Ctx) -> Wanted | None:
        """Nothing for a booking that is gone, and for one whose time has come: no calendar changes the past."""
        booking = ctx.session.get(Booking, self._booking_id, populate_existing=True)
        if booking is None or not _is_to_come(booking, ctx.now):
            return None
        practitioner, accounts = appointments.of(ctx.session, booking).practitioner, self._providers.calcom_accounts
        sold_here = booking.source is BookingSource.WEBSITE
        ended_there = booking_links.ended(ctx, booking, _CALENDLY)
        return Wanted(
            booking_id=booking.id,
            version=booking.version,
            is_on=_is_on(booking),
            is_off=_is_off(booking),
            starts_at=booking.starts_at,
            name=booking.client_name,
            email=booking.client_email or "",  # whoever booked on the web site gave one
            time_zone=booking.client_time_zone or practitioner.time_zone,
            uid=booking.calcom_booking_uid,
            event_type=calcom_mapping.event_type_of(practitioner, accounts) if sold_here else None,
            event_uri=None if ended_there else booking.calendly_event_uri,
            unanswered=_unanswered(ctx, booking.id),
        )

    # -- Calendly --------------------------------------------------------------------------------------------------

    def _cancel_event(self, calendly: CalendlyPort, wanted: Wanted, event_uri: str) -> None:
        if self._change(wanted, CANCEL, lambda: calendly.cancel_event(event_uri, _REASON), provider=_CALENDLY):
            with self._work() as ctx:
                booking = ctx.session.get_one(Booking, wanted.booking_id)
                booking_links.end(ctx, booking, _CALENDLY, booking.calendly_invitee_uri)

    # -- Cal.com ---------------------------------------------------------------------------------------------------

    def _make(self, calcom: CalcomPort, wanted: Wanted) -> None:
        if CREATE in wanted.unanswered and not self._find_made(calcom, wanted):
            self._settle(wanted, CREATE, succeeded=False)
        elif CREATE in wanted.unanswered:
            return
        event_type = wanted.event_type
        if not wanted.is_on or event_type is None:
            return
        made = self._change(
            wanted,
            CREATE,
            lambda: calcom.create_booking(
                event_type_id=event_type,
                starts_at=wanted.starts_at,
                name=wanted.name,
                email=wanted.email,
                time_zone=wanted.time_zone,
                booking_id=wanted.booking_id,
            ),
        )
        if not made and CREATE in wanted.unanswered:
            # Refused perhaps because the unanswered call took the time after all, a moment after it was looked for.
            self._find_made(calcom, wanted)

    def _find_made(self, calcom: CalcomPort, wanted: Wanted) -> bool:
        made = self._look(wanted, lambda: calcom.find_booking(email=wanted.email, booking_id=wanted.booking_id))
        if made is not None:
            self._note(wanted, CREATE, made)
        return made is not None

    def _follow(self, calcom: CalcomPort, wanted: Wanted, uid: str) -> None:
        there = self._look(wanted, lambda: calcom.booking(uid))
        if CREATE in wanted.unanswered:
            self._settle(wanted, CREATE, succeeded=True)
        if MOVE in wanted.unanswered:
            # Cal.com names the booking that an unanswered move of ours made of it.
            followed = there.rescheduled_to_uid if there else None
            there = self._look(wanted, lambda: calcom.booking(followed)) if followed else there
            if followed and there is not None:
                self._note(wanted, MOVE, there)
            else:
                self._settle(wanted, MOVE, succeeded=there is not None and there.starts_at == wanted.starts_at)
        if CANCEL in wanted.unanswered:
            self._settle(wanted, CANCEL, succeeded=there is None or not there.active)
        if there is not None:
            self._align(calcom, wanted, there)

    def _align(self, calcom: CalcomPort, wanted: Wanted, there: CalcomBooking) -> None:
        """What was canceled there and is moved here is asked for all the same: a person has to see the refusal."""
        if wanted.is_off and there.active:
            self._change(wanted, CANCEL, lambda: calcom.cancel_booking(there.uid, _REASON), about=there)
        elif wanted.is_on and there.starts_at != wanted.starts_at:
            self._change(wanted, MOVE, lambda: calcom.reschedule_booking(there.uid, wanted.starts_at, _REASON))

    # -- a call and its journal ------------------------------------------------------------------------------------

    def _change(
        self,
        wanted: Wanted,
        operation: str,
        call: Callable[[], CalcomBooking | None],
        *,
        provider: BookingSource = _CALCOM,
        about: CalcomBooking | None = None,
    ) -> bool:
        """Note the intent, call, note the outcome. A refusal is noted too, and no reason for the job to try again."""
        key = wanted.key(provider, operation)
        with self._work() as ctx:
            self._intend(ctx, wanted, provider, operation, key)
        try:
            made = call() or about
        except DomainError as error:
            with self._work() as ctx:
                self._note_failure(ctx, wanted, provider, operation, error)
            if isinstance(error, ProviderRefused):
                return False
            raise
        with self._work() as ctx:
            provider_calls.finish(ctx, key=key, state=CallState.SUCCEEDED, external_id=made.uid if made else None)
            _keep_id(ctx, wanted, operation, made)
            _tell(ctx, wanted, provider, _DONE[operation])
            _let_others_try(ctx, wanted, operation)
        return True

    def _note_failure(
        self, ctx: Ctx, wanted: Wanted, provider: BookingSource, operation: str, error: DomainError
    ) -> None:
        """What may be taken later is tried again; a refusal for good waits for a person, and is told once."""
        code, passing = provider_calls.code_after(error), provider_calls.is_passing(error)
        call = provider_calls.finish(
            ctx,
            key=wanted.key(provider, operation),
            state=provider_calls.state_after(error),
            error_code=code,
            again=passing,
            attention=not passing,
        )
        if call.attention_since is not None and operation in _TOLD_AS:
            booking = ctx.session.get_one(Booking, wanted.booking_id)
            telling.tell_instead(ctx, appointments.of(ctx.session, booking), _TOLD_AS[operation])
        if isinstance(error, ProviderRefused):
            self._refused = True
            if call.attempts == 1 or not passing:
                _tell(ctx, wanted, provider, f"{_NOT_DONE[operation]} ({code})")

    def _look(self, wanted: Wanted, ask: Callable[[], CalcomBooking | None]) -> CalcomBooking | None:
        """What Cal.com has. That it could not be asked is noted, so that it is asked again when no job is left."""
        try:
            return ask()
        except (ProviderRefused, ProviderUnavailable) as error:
            with self._work() as ctx:
                key = wanted.key(_CALCOM, LOOK)
                provider_calls.intend(ctx, provider=_CALCOM.value, operation=LOOK, subject=wanted.subject, key=key)
                passing = provider_calls.is_passing(error)
                call = provider_calls.finish(
                    ctx,
                    key=key,
                    state=CallState.FAILED,
                    error_code=provider_calls.code_after(error),
                    again=passing,
                    attention=not passing,
                )
                if call.attention_since is not None:
                    _tell_client_unmoved(ctx, wanted)
            raise

    def _intend(self, ctx: Ctx, wanted: Wanted, provider: BookingSource, operation: str, key: str) -> None:
        lock_names(ctx.session, f"calendar:{wanted.subject}")
        now = self._wanted(ctx)
        if now is None or (now.starts_at, now.is_on, now.uid) != (wanted.starts_at, wanted.is_on, wanted.uid):
            raise SomebodyIsAtIt
        call = provider_calls.intend(ctx, provider=provider.value, operation=operation, subject=wanted.subject, key=key)
        call.created_at = ctx.now  # from now on somebody waits for the answer

    def _note(self, wanted: Wanted, operation: str, found: CalcomBooking) -> None:
        """An unanswered call had its effect."""
        with self._work() as ctx:
            _settle(ctx, wanted, operation, succeeded=True, external_id=found.uid)
            _keep_id(ctx, wanted, operation, found)
            _tell(ctx, wanted, _CALCOM, _DONE[operation])
            _let_others_try(ctx, wanted, operation)

    def _settle(self, wanted: Wanted, operation: str, *, succeeded: bool) -> None:
        with self._work() as ctx:
            _settle(ctx, wanted, operation, succeeded=succeeded)


def sync(work: Work, providers: Providers, *, booking_id: int) -> None:
    """Tell the calendars what they do not know yet of this booking.

    Raises what the job must be tried again for. A refusal is noted, and not worth the job's next tries.
    """
    with suppress(ProviderRefused):
        Calendars(work, providers, booking_id).sync()


def _calls(ctx: Ctx, booking_id: int) -> Iterable[ProviderCall]:
    """Calls to Cal.com about this booking of which the outcome is not known."""
    return ctx.session.scalars(
        select(ProviderCall)
        .where(
            ProviderCall.subject == booking_key(booking_id),
            ProviderCall.provider == _CALCOM.value,
            ProviderCall.state.in_((CallState.INTENDED, CallState.UNKNOWN)),
        )
        .execution_options(populate_existing=True)
    )


def _unanswered(ctx: Ctx, booking_id: int) -> frozenset[str]:
    """Their operations; refused while one of them may still be under way."""
    calls = list(_calls(ctx, booking_id))
    if any(
        call.state is CallState.INTENDED and call.created_at > ctx.now - calendar_calls.ANSWERED_WITHIN
        for call in calls
    ):
        raise SomebodyIsAtIt
    return frozenset(call.operation for call in calls)


def _settle(ctx: Ctx, wanted: Wanted, operation: str, *, succeeded: bool, external_id: str | None = None) -> None:
    for call in _calls(ctx, wanted.booking_id):
        if call.operation == operation:
            state = CallState.SUCCEEDED if succeeded else CallState.FAILED
            error_code = None if succeeded else "not_done"
            provider_calls.finish(
                ctx, key=call.idempotency_key, state=state, external_id=external_id, error_code=error_code
            )


def _keep_id(ctx: Ctx, wanted: Wanted, operation: str, there: CalcomBooking | None) -> None:
    """The booking has this uid at Cal.com now; the one before leads to it as well. Its row comes before the audit."""
    if there is None:
        return
    booking = ctx.session.get_one(Booking, wanted.booking_id, with_for_update=True)
    if operation == CANCEL:
        booking_links.end(ctx, booking, _CALCOM, there.uid)
        return
    before = booking.calcom_booking_uid
    booking_links.link(ctx, booking, _CALCOM, there.uid)
    if before is not None and before != there.uid:
        old = booking_links.link(ctx, booking, _CALCOM, before)
        old.superseded_by = old.superseded_by or there.uid
    booking.calcom_booking_uid = there.uid


def _tell_client_unmoved(ctx: Ctx, wanted: Wanted) -> None:
    """Nothing can be changed there for a while: of what the calendar was to tell its client, we tell them."""
    booking = ctx.session.get_one(Booking, wanted.booking_id)
    appointment = appointments.of(ctx.session, booking)
    if wanted.is_off:
        telling.tell_instead(ctx, appointment, _TOLD_AS[CANCEL])
    elif wanted.is_on and booking_links.stands_elsewhere(ctx, booking, _CALCOM):
        telling.tell_instead(ctx, appointment, _TOLD_AS[MOVE])


def _let_others_try(ctx: Ctx, wanted: Wanted, operation: str) -> None:
    """A time was given up there: what was refused because of it may be taken now."""
    if operation in _TOLD_AS:
        booking = ctx.session.get_one(Booking, wanted.booking_id)
        calendar_calls.queue_refused(ctx, booking.practitioner_id, but=booking.id)


def _tell(ctx: Ctx, wanted: Wanted, provider: BookingSource, done: str) -> None:
    booking = ctx.session.get_one(Booking, wanted.booking_id)
    audit.record(
        ctx,
        "booking.calendar",
        records=[wanted.subject, practitioner_key(booking.practitioner_id)],
        facts={"done": done, "what": "booking", "number": str(booking.id), "provider": SPOKEN[provider]},
    )
