"""Cal.com's API, version 2."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import quote

from admin_app.errors import AnswerUnreadable, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.calendar_ports import CalcomBooking, CalendarAttendee, FreeTimes, Slot
from admin_app.integrations.http import fields
from admin_app.integrations.http.memory import Memory
from admin_app.integrations.http.provider_http import ProviderHttp

PROVIDER = "calcom"
# A missing or wrong version silently gives an older form of the endpoint.
SLOTS = {"cal-api-version": "2024-09-04"}
BOOKINGS = {"cal-api-version": "2026-02-25"}
REMEMBERED_SECONDS = 600
_REMEMBERED_ANSWERS = 500
_PAGE, _MOST_PAGES = 100, 5
_MOST_PAGES_OF_ALL = 5_000
# Whoever books with a telephone number alone gets an address made of it, at which nobody reads.
PLACEHOLDER_DOMAIN = "@sms.cal.com"


class CalcomApi:
    """`CalcomPort` over HTTP."""

    def __init__(self, http: ProviderHttp, memory: Memory[Any, tuple[Slot, ...]] | None = None) -> None:
        self._http = http
        self._memory = memory or Memory(seconds=REMEMBERED_SECONDS, size=_REMEMBERED_ANSWERS)

    def slots(self, event_type_id: str, start: datetime, end: datetime) -> FreeTimes:
        # Whole days are asked for, so that slightly different questions have one answer.
        first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
        key = (event_type_id, first, last)
        known = self._memory.get(key)
        free = known if known is not None else self._ask_for_slots(event_type_id, *map(_midnight, (first, last)))
        if known is None:
            self._memory.put(key, free)
        return FreeTimes(tuple(slot for slot in free if start <= slot.starts_at < end), known is not None)

    def _ask_for_slots(self, event_type_id: str, first: datetime, last: datetime) -> tuple[Slot, ...]:
        wanted = {
            "eventTypeId": event_type_id,
            "start": _text(first),
            "end": _text(last + timedelta(days=1)),
            "timeZone": "UTC",
            "format": "range",
        }
        answer = self._http.get("/v2/slots", wanted, headers=SLOTS)
        days = fields.mapping(answer).get("data")
        if not isinstance(days, dict):
            raise ProviderUnavailable(PROVIDER)
        return tuple(
            sorted((_slot(item) for day in days.values() for item in fields.items(day)), key=lambda s: s.starts_at)
        )

    def create_booking(
        self, *, event_type_id: str, starts_at: datetime, name: str, email: str, time_zone: str, booking_id: int
    ) -> CalcomBooking:
        if not event_type_id.isdecimal():
            raise ProviderRefused(PROVIDER, "event_type_is_no_number", passing=True)
        content = {
            "eventTypeId": int(event_type_id),
            "start": _text(starts_at),
            "attendee": {"name": name, "email": email, "timeZone": time_zone},
            "metadata": {"bookingId": str(booking_id)},
        }
        return _made(self._http.post("/v2/bookings", content, headers=BOOKINGS))

    def booking(self, uid: str) -> CalcomBooking | None:
        answer = self._http.get(f"/v2/bookings/{quote(uid, safe='')}", headers=BOOKINGS)
        if answer is None:
            return None
        found = _booking(fields.mapping(answer).get("data"))
        if found is None:
            raise AnswerUnreadable(PROVIDER)
        return found

    def series(self, series_uid: str) -> Sequence[CalcomBooking]:
        """Under the series' own uid Cal.com answers a list."""
        answer = self._http.get(f"/v2/bookings/{quote(series_uid, safe='')}", headers=BOOKINGS)
        listed = fields.items(fields.mapping(answer).get("data"))
        return [booking for item in listed if (booking := _booking(item))]

    def find_booking(self, *, email: str, booking_id: int) -> CalcomBooking | None:
        """By the number that every booking of ours carries; the active one, else the last that it became."""
        found = self._listed({"attendeeEmail": email, "sortCreated": "desc"}, most_pages=_MOST_PAGES)
        ours = [booking for booking in found if booking.our_id == booking_id]
        return min(ours, key=lambda b: (not b.active, b.rescheduled_to_uid is not None), default=None)

    def bookings_from(self, moment: datetime) -> Iterator[CalcomBooking]:
        return self._listed({"afterStart": _text(moment), "sortStart": "asc"}, most_pages=_MOST_PAGES_OF_ALL)

    def _listed(self, wanted: Mapping[str, str], *, most_pages: int) -> Iterator[CalcomBooking]:
        for page in range(most_pages):
            place = {"take": str(_PAGE), "skip": str(page * _PAGE)}
            answer = fields.mapping(self._http.get("/v2/bookings", {**wanted, **place}, headers=BOOKINGS))
            if not isinstance(answer.get("data"), list):
                raise ProviderUnavailable(PROVIDER)
            for item in answer["data"]:
                if booking := _booking(item):
                    yield booking
            if not fields.mapping(answer.get("pagination")).get("hasNextPage"):
                return

    def cancel_booking(self, uid: str, reason: str) -> None:
        try:
            self._http.post(
                f"/v2/bookings/{quote(uid, safe='')}/cancel", {"cancellationReason": reason}, headers=BOOKINGS
            )
        except ProviderRefused:
            now = self.booking(uid)
            if now is not None and now.active:
                raise

    def reschedule_booking(self, uid: str, starts_at: datetime, reason: str) -> CalcomBooking:
        content = {"start": _text(starts_at), "reschedulingReason": reason}
        return _made(self._http.post(f"/v2/bookings/{quote(uid, safe='')}/reschedule", content, headers=BOOKINGS))


def reason_of(body: Any) -> str | None:
    """The error's own code; the message is one too where the booking engine itself refused."""
    error = fields.mapping(fields.mapping(body).get("error"))
    message = fields.text(error.get("message")) or ""
    return message if message.endswith("_error") else fields.text(error.get("code"))


def _made(answer: Any) -> CalcomBooking:
    found = _booking(fields.mapping(answer).get("data"))
    if found is None:
        raise OutcomeUnknown(PROVIDER)
    return found


def _booking(data: Any) -> CalcomBooking | None:
    """A booking of any of the answer's shapes; one that recurs is a list, of which we only ever make the first."""
    if isinstance(data, list):
        data = data[0] if data else None
    given = fields.mapping(data)
    uid, status = fields.text(given.get("uid")), fields.text(given.get("status"))
    starts_at, ends_at = fields.moment(given.get("start")), fields.moment(given.get("end"))
    if not (uid and status and starts_at and ends_at):
        return None
    coming = attendees(given)
    first = coming[0] if coming else None
    host = fields.mapping(next(iter(fields.items(given.get("hosts"))), None))
    event_type = given.get("eventTypeId") or fields.mapping(given.get("eventType")).get("id")
    return CalcomBooking(
        uid=uid,
        status=status.lower(),
        starts_at=starts_at,
        ends_at=ends_at,
        event_type_id=fields.identity(event_type),
        attendee_email=first.email if first else None,
        attendee_name=first.name if first else None,
        our_id=our_id(given),
        rescheduled_from_uid=fields.text(given.get("rescheduledFromUid")),
        rescheduled_to_uid=fields.text(given.get("rescheduledToUid")),
        attendee_time_zone=first.time_zone if first else None,
        host_id=fields.identity(host.get("id")),
        host_email=fields.email(host.get("email")),
        canceled_by=fields.email(given.get("cancelledByEmail")),
        updated_at=fields.moment(given.get("updatedAt")),
        attendees=coming,
        seated=any(fields.mapping(item).get("seatUid") for item in fields.items(given.get("attendees"))),
        series_uid=fields.text(given.get("recurringBookingUid")),
    )


def attendees(given: Mapping[str, Any]) -> tuple[CalendarAttendee, ...]:
    """Everybody who comes, told apart by the address they booked with, which is a placeholder for some."""
    found: dict[str, CalendarAttendee] = {}
    for item in map(fields.mapping, fields.items(given.get("attendees"))):
        address = fields.email(item.get("email"))
        identity = address.lower() if address else fields.text(item.get("phoneNumber"))
        if identity is None:
            continue
        absent = item.get("absent", item.get("noShow"))
        email = None if identity.endswith(PLACEHOLDER_DOMAIN) else address
        name = fields.text(item.get("name")) or fields.text(item.get("phoneNumber")) or identity
        zone = fields.text(item.get("timeZone"))
        found.setdefault(identity, CalendarAttendee(identity, name, email, zone, absent=fields.flag(absent)))
    return tuple(found.values())


def our_id(given: Mapping[str, Any]) -> int | None:
    """The booking's number here, which we put into the metadata of what we make."""
    stated = fields.identity(fields.mapping(given.get("metadata")).get("bookingId")) or ""
    return int(stated) if stated.isascii() and stated.isdecimal() and len(stated) < 19 else None


def _slot(item: Any) -> Slot:
    given = fields.mapping(item)
    starts_at, ends_at = fields.moment(given.get("start")), fields.moment(given.get("end"))
    if starts_at is None or ends_at is None or ends_at <= starts_at:
        raise ProviderUnavailable(PROVIDER)
    return Slot(starts_at, ends_at)


def _midnight(day: Any) -> datetime:
    return datetime.combine(day, time(), UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
