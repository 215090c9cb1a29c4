"""Who comes to a booking that a calendar keeps, and who has it, as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from admin_app.services.calendars import people
from admin_app.services.calendars.people import Person
from admin_app.services.core.amounts import money_text
from admin_app.services.core.timeline_words import provider_name
from views.console.bookings.state import Sentence
from views.console.framework.columns import time_text


def shown(
    session: Session, number: int, values: Mapping[str, Any], zone: ZoneInfo
) -> tuple[list[Sentence], list[Sentence]]:
    """What was paid in the calendar, and a line for each person; nothing for a booking that no calendar keeps."""
    if not (values.get("calcom_booking_uid") or values.get("calendly_invitee_uri")):
        return [], []
    everybody = people.of_booking(session, number)
    return _paid(everybody), [_line(person, zone) for person in everybody]


def _paid(everybody: Sequence[Person]) -> list[Sentence]:
    return [
        Sentence(f"Paid in {provider_name(one.provider)}: {_amount(one)} by {one.name}.", "plain")
        for one in everybody
        if one.paid_amount is not None
    ]


def _amount(person: Person) -> str:
    return money_text(person.paid_amount or 0, person.paid_currency)


def _line(person: Person, zone: ZoneInfo) -> Sentence:
    name = f"{person.name} ({person.email})" if person.email else person.name
    since, there = time_text(person.since, zone), provider_name(person.provider)
    if person.hosts:
        until = f" until {time_text(person.gone_at, zone)}" if person.gone_at else ""
        return Sentence(f"In the calendar of {name}, as {there} says since {since}{until}.", "plain")
    if person.gone_at is not None:
        return Sentence(
            f"{name} has no place any more, as {there} says since {time_text(person.gone_at, zone)}.", "plain"
        )
    if person.absent_at is not None:
        return Sentence(f"{name} did not come.", "warn")
    return Sentence(f"{name} has a place, as {there} says since {since}.", "plain")
