"""What the forms of practitioners and session types hold: each field as it is written there, and the columns it means.

A form need not carry every field: what it does not carry stays as it is.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from admin_app.currencies import currency_of
from admin_app.errors import InvalidInput
from admin_app.services.core.amounts import major_units, minor_units, why_not_charged
from admin_app.services.core.time_zones import time_zones
from admin_app.services.schedule import working_hours

LONGEST_NAME, LONGEST_ADDRESS = 120, 300
SHORTEST_MINUTES, LONGEST_MINUTES = 5, 480
PRACTITIONER_COLUMNS = (
    "name",
    "email",
    "time_zone",
    "working_hours",
    "free_meetings",
    "calcom_user_id",
    "calcom_event_type_id",
)
SESSION_TYPE_COLUMNS = (
    "title",
    "minutes",
    "price_amount",
    "price_currency",
    "calendly_event_type_id",
    "calendly_event_type_uri",
)
YES, NO = "yes", "no"
Values = Mapping[str, str]
Columns = dict[str, Any]
_NOTHING_TO_PAY = re.compile(r"0{1,10}(?:[.,]0{1,3})?", re.ASCII)


class Wrong(ValueError):
    """What was written into one field cannot be kept; the message is the sentence for it."""


def hours_field(day: str) -> str:
    """The name of the form's field with a weekday's working hours."""
    return f"hours_{day}"


# -- practitioners --------------------------------------------------------------------------------------------------


def practitioner_texts(columns: Mapping[str, Any]) -> dict[str, str]:
    """A practitioner's columns as the form shows them."""
    hours = columns["working_hours"]
    return {
        "name": columns["name"],
        "email": columns["email"],
        "time_zone": columns["time_zone"],
        **{hours_field(day): working_hours.write(working_hours.kept_on(hours, day)) for day in working_hours.DAYS},
        "free_meetings": YES if columns["free_meetings"] else NO,
        "calcom_user_id": columns["calcom_user_id"] or "",
        "calcom_event_type_id": columns["calcom_event_type_id"] or "",
    }


def practitioner_columns(current: Mapping[str, Any], values: Values) -> Columns:
    """The columns that the form means, on top of the current ones; raises InvalidInput with a sentence per field."""
    reading = _Reading(values)
    hours = dict(current["working_hours"])
    for day, name in working_hours.DAYS.items():
        reading.take(hours_field(day), partial(_hours, name), hours, into=day)
    for day, why in working_hours.clashes(hours).items():
        reading.refuse(hours_field(day), f"{working_hours.DAYS[day]}: {why}.")
    columns = dict(current) | {"working_hours": {day: hours[day] for day in working_hours.DAYS if hours.get(day)}}
    reading.take("name", lambda text: _line(text, "Give the practitioner’s name", LONGEST_NAME), columns)
    reading.take("email", _email, columns)
    reading.take("time_zone", _time_zone, columns)
    reading.take("free_meetings", _yes_or_no, columns)
    reading.take("calcom_user_id", lambda text: _number(text, "Cal.com’s user id"), columns)
    reading.take("calcom_event_type_id", lambda text: _number(text, "Cal.com’s event type id"), columns)
    reading.finish()
    return columns


# -- session types --------------------------------------------------------------------------------------------------


def session_type_texts(columns: Mapping[str, Any]) -> dict[str, str]:
    """A session type's columns as the form shows them."""
    return {
        "title": columns["title"],
        "minutes": str(columns["minutes"]),
        "price": major_units(columns["price_amount"], columns["price_currency"]),
        "price_currency": columns["price_currency"].upper(),
        "calendly_event_type_uri": columns["calendly_event_type_uri"] or "",
    }


def session_type_columns(current: Mapping[str, Any], values: Values) -> Columns:
    """The columns that the form means, on top of the current ones; raises InvalidInput with a sentence per field."""
    if "price_currency" in values and "price" not in values:
        # The same figure in another currency is another number of its smallest units.
        values = {**values, "price": major_units(current["price_amount"], current["price_currency"])}
    reading, columns = _Reading(values), dict(current)
    reading.take("title", lambda text: _line(text, "Say what is sold", LONGEST_NAME), columns)
    reading.take("minutes", _minutes, columns)
    reading.take("price_currency", _currency, columns)
    reading.take("price", lambda text: _price(text, columns["price_currency"]), columns, into="price_amount")
    reading.take("calendly_event_type_uri", _calendly_address, columns)
    if "calendly_event_type_uri" in values:
        address = columns["calendly_event_type_uri"]
        columns["calendly_event_type_id"] = address.rpartition("/")[2] if address else None
    reading.finish()
    return columns


# -- single fields --------------------------------------------------------------------------------------------------


class _Reading:
    """Reads the fields that a form carries, and collects what is wrong with them."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._problems: dict[str, str] = {}

    def take(self, name: str, read: Callable[[str], Any], columns: Columns, into: str | None = None) -> None:
        if name not in self._values:
            return
        try:
            columns[into or name] = read(self._values[name].strip())
        except Wrong as wrong:
            self._problems[name] = str(wrong)

    def refuse(self, name: str, sentence: str) -> None:
        """A field that is right alone, but not beside the others."""
        if name in self._values:
            self._problems.setdefault(name, sentence)

    def finish(self) -> None:
        if self._problems:
            raise InvalidInput(fields=self._problems)


def _line(text: str, ask: str, longest: int) -> str:
    plain = " ".join(text.split())
    if not plain or len(plain) > longest or any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in plain):
        raise Wrong(f"{ask}, in at most {longest} characters.")
    return plain


def _email(text: str) -> str:
    try:
        # `test_environment` lets the reserved `.test` domain of the demo in; everything else stays checked.
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as refused:
        raise Wrong("This is not an e-mail address. Write it like name@example.com.") from refused
    return found.normalized.lower()


def _time_zone(text: str) -> str:
    if text not in time_zones():
        raise Wrong("This time zone is not known. Choose one of the list, such as Europe/Oslo.")
    return text


def _hours(day: str, text: str) -> list[working_hours.Span]:
    try:
        return working_hours.read(text)
    except working_hours.NotHours as wrong:
        raise Wrong(f"{day}: {wrong}.") from wrong


def _yes_or_no(text: str) -> bool:
    if text not in (YES, NO):
        raise Wrong("Choose yes or no.")
    return text == YES


def _number(text: str, what: str) -> str | None:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Wrong(f"{what} is a number, such as 88001. Leave it empty when there is none.")
    return text or None


def _minutes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4) or not (
        SHORTEST_MINUTES <= int(text) <= LONGEST_MINUTES
    ):
        raise Wrong(f"Write how many minutes it takes, from {SHORTEST_MINUTES} to {LONGEST_MINUTES}.")
    return int(text)


def _currency(text: str) -> str:
    code = text.lower()
    if not currency_of(code).is_known:
        raise Wrong("This currency cannot be charged. Write its three letters, such as EUR or USD.")
    return code


def _price(text: str, currency: str) -> int:
    if _NOTHING_TO_PAY.fullmatch(text):
        return 0
    try:
        amount = minor_units(text, currency, field="price")
    except InvalidInput as refused:
        raise Wrong(
            f"{refused.fields['price'].removesuffix(', above zero.').removesuffix('.')}, or 0 when it is free."
        ) from refused
    if refusal := why_not_charged(amount, currency):
        raise Wrong(refusal)
    return amount


def _calendly_address(text: str) -> str | None:
    if not text:
        return None
    sentence = "Write the event type’s address as Calendly’s API gives it: https://api.calendly.com/event_types/…"
    if len(text) > LONGEST_ADDRESS or not text.isprintable() or not text.isascii() or " " in text:
        raise Wrong(sentence)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise Wrong(sentence) from error
    folder, _, key = parts.path.rpartition("/")
    if parts.scheme not in {"http", "https"} or not parts.netloc or not folder.endswith("/event_types") or not key:
        raise Wrong(sentence)
    return text
