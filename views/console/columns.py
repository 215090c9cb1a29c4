"""Columns of lists and facts of record pages: where a value comes from and how it reads.

Values are turned into text here, once per cell and without any template machinery.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from admin_app.services.field_labels import label_of

Kind = Literal["text", "code", "number", "money", "time", "age", "badge", "yes_no", "fields", "records"]

NOTHING = "–"
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Currencies whose smallest unit is the whole one, as Stripe counts them.
WHOLE_CURRENCIES = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
TONES = {
    "good": "active confirmed completed processed sent pro paid created",
    "warn": "pending parked trial past_due queued received no_show kept merged",
    "bad": "failed canceled inactive unknown",
    "info": "refunded team superseded",
}
TONE_OF = {word: tone for tone, words in TONES.items() for word in words.split()}


# What the audit calls the records of each section.
SECTION_OF = {
    "booking": "bookings",
    "client": "clients",
    "extra_purchase": "extra-purchases",
    "meeting": "meetings",
    "merge": "merges",
    "onboarding_state": "onboarding-states",
    "organization": "organizations",
    "pending_profile": "pending-profiles",
    "practitioner": "practitioners",
    "profile": "profiles",
    "session_type": "session-types",
    "staff": "staff",
    "staff_session": "staff-sessions",
    "user": "users",
    "webhook_event": "webhook-events",
}


class Cell(NamedTuple):
    """One value as the template shows it."""

    shape: str
    text: str
    extra: str = ""
    items: tuple[tuple[str, str], ...] = ()


EMPTY = Cell("nothing", NOTHING)


@dataclass(frozen=True)
class Column:
    """One value of a row.

    `value` is a column of the section's own table, or of another one that is reached by the foreign key
    `through`. `link` names the section and the key of the record that the value leads to. `text` says how a
    value reads that its kind does not know.
    """

    label: str
    value: Any
    kind: Kind = "text"
    currency: Any = None
    through: Any = None
    link: tuple[str, Any] | None = None
    sort: str | None = None
    text: Callable[[Any], str] | None = None

    @cached_property
    def css(self) -> str:
        return {"number": "num", "money": "num", "time": "when", "age": "when", "code": "code"}.get(self.kind, "")


def record_address(section: str, key: object) -> str:
    """Where a record's page lives."""
    return f"/admin/{section}/{quote(str(key), safe='')}"


def audited_address(name: str) -> str:
    """The page of a record as the audit names it (`type:id`); empty when it has none."""
    kind, _, key = name.partition(":")
    section = SECTION_OF.get(kind)
    return record_address(section, key) if section and key else ""


def _fields(values: Mapping[str, Any], zone: ZoneInfo) -> tuple[tuple[str, str], ...]:
    return tuple((label_of(name), plain_text(value, zone)) for name, value in values.items())


def cell(column: Column, value: Any, extra: Any, key: Any, zone: ZoneInfo) -> Cell:
    """The value as text in the viewer's zone; `extra` is its currency, `key` what its link leads to."""
    if value is None or value in ("", {}, []):
        return EMPTY
    if column.text is not None:
        value = column.text(value)
    if column.link and key is not None:
        return Cell("link", str(value), record_address(column.link[0], key))
    match column.kind:
        case "time":
            return Cell("time", time_text(value, zone), value.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ"))
        case "age":
            return Cell("time", age_text(datetime.now(UTC) - value), value.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ"))
        case "badge":
            word = value.value if isinstance(value, StrEnum) else str(value)
            return Cell("badge", word.replace("_", " "), TONE_OF.get(word, "plain"))
        case "money":
            return Cell("text", money_text(value, extra))
        case "yes_no":
            return Cell("badge", "yes", "on") if value else Cell("badge", "no", "plain")
        case "number":
            return Cell("text", f"{value:,}")
        case "fields":
            return Cell("fields", "", items=_fields(value, zone))
        case "records":
            return Cell("records", "", items=tuple((name, audited_address(name)) for name in value))
        case _:
            return Cell("text", value.value if isinstance(value, StrEnum) else str(value))


def time_text(moment: datetime, zone: ZoneInfo) -> str:
    """A moment in that zone; pages that show times name the zone beside them."""
    local = moment.astimezone(zone)
    return f"{local.day:02} {MONTHS[local.month]} {local.year} {local.hour:02}:{local.minute:02}"


def age_text(age: timedelta) -> str:
    """How long ago, in the one unit that says enough."""
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


def money_text(minor_units: int, currency: str | None) -> str:
    code = (currency or "").upper()
    if code in WHOLE_CURRENCIES:
        return f"{minor_units:,} {code}"
    sign = "-" if minor_units < 0 else ""
    return f"{sign}{abs(minor_units) // 100:,}.{abs(minor_units) % 100:02} {code}".rstrip()


def plain_text(value: Any, zone: ZoneInfo) -> str:
    """Any value that a plan or a history holds, as people read it."""
    match value:
        case None | "":
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case StrEnum():
            return value.value.replace("_", " ")
        case datetime():
            return time_text(value, zone)
        case int():
            return f"{value:,}"
        case _:
            return str(value)


@dataclass(frozen=True)
class Slots:
    """Where each column's parts lie in a result row."""

    column: Column
    value: int
    extra: int | None
    key: int | None

    def cell(self, row: Any, zone: ZoneInfo) -> Cell:
        extra = row[self.extra] if self.extra is not None else None
        key = row[self.key] if self.key is not None else None
        return cell(self.column, row[self.value], extra, key, zone)


def lay_out(columns: Iterable[Column]) -> tuple[tuple[Slots, ...], list[tuple[Any, Any]]]:
    """Give every part of every column its place; returns the places and (expression, through) per place."""
    places: list[tuple[Any, Any]] = []

    def place(expression: Any, through: Any = None) -> int:
        places.append((expression, through))
        return len(places) - 1

    slots = []
    for column in columns:
        value = place(column.value, column.through)
        extra = None if column.currency is None else place(column.currency, column.through)
        slots.append(Slots(column, value, extra, place(column.link[1]) if column.link else None))
    return tuple(slots), places
