"""Columns of lists and facts of record pages: where a value comes from and how it reads.

Values are turned into text here, once per cell and without any template machinery.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import Text, cast, func, literal
from sqlalchemy.dialects.postgresql import array

from admin_app.services.core.amounts import money_text
from admin_app.services.core.audit import TIME
from admin_app.services.core.field_labels import label_of

Kind = Literal["text", "code", "number", "money", "time", "age", "badge", "yes_no", "fields", "records", "kept"]

NOTHING = "–"
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TONES = {
    "good": "new expansion likely active confirmed completed processed sent pro paid created succeeded approved won "
    "changed",
    "warn": "pending parked trial past_due queued sending received no_show kept merged awaiting_approval processing "
    "contraction needs_response warning_needs_response appeal_needs_response moved stopped",
    "bad": "churn failed canceled inactive unknown lost",
    "info": "refunded team superseded running settled",
}
TONE_OF = {word: tone for tone, words in TONES.items() for word in words.split()}


# What the audit calls the records of each section: where their pages are, and what people call them.
AUDITED = {
    "adjustment": ("adjustments", "Adjustment"),
    "audit_entry": ("audit-entries", "Audit entry"),
    "billing_change": ("billing-changes", "Step"),
    "billing_override": ("billing-overrides", "Override"),
    "booking": ("bookings", "Booking"),
    "bulk_run": ("bulk-runs", "Run"),
    "client": ("clients", "Client"),
    "client_customer": ("client-customers", "Stripe customer"),
    "export": ("exports", "Export"),
    "credit_renewal": ("credit-renewals", "Renewal"),
    "dispute": ("disputes", "Dispute"),
    "dispute_won": ("disputes", "Dispute won back"),
    "drift_finding": ("drift-findings", "Difference"),
    "extra_purchase": ("extra-purchases", "Extra purchase"),
    "flag_change": ("flag-changes", "Period of a flag"),
    "guest": ("guests", "Guest"),
    "meeting": ("meetings", "Meeting"),
    "membership": ("memberships", "Membership"),
    "membership_payment": ("membership-payments", "Membership payment"),
    "merge": ("merges", "Merge"),
    "month": ("months", "Month"),
    "onboarding_state": ("onboarding-states", "Onboarding"),
    "organization": ("organizations", "Organization"),
    "payment": ("payments", "Payment"),
    "pending_profile": ("purchases", "Purchase"),
    "person_address": ("person-addresses", "Address"),
    "practitioner": ("practitioners", "Practitioner"),
    "profile": ("profiles", "Profile"),
    "provider_call": ("provider-calls", "Call"),
    "refund": ("refunds", "Refund"),
    "sent_email": ("sent-emails", "Mail"),
    "session_type": ("session-types", "Session type"),
    # Without a link: everyone reads the audit, but not everyone the staff and the keys.
    "service_key": ("", "Service key"),
    "staff": ("", "Staff member"),
    "staff_session": ("", "Staff session"),
    "subscription": ("subscriptions", "Subscription"),
    "time_zone": ("", "Time zone"),
    "user": ("users", "User"),
    "webhook_event": ("webhook-events", "Event"),
    "whop_membership": ("", "Provider membership"),
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
    text: Callable[[Any], Any] | None = None

    @cached_property
    def css(self) -> str:
        return {"number": "num", "money": "num", "time": "when", "age": "when", "code": "code"}.get(self.kind, "")


def named_records(**keys: Any) -> Any:
    """A value of the kind "records" from foreign keys, each given under the kind of record that it leads to."""
    names = [literal(f"{kind}:", Text) + cast(column, Text) for kind, column in keys.items()]
    return func.array_remove(array(names), None)


def record_address(section: str, key: object) -> str:
    """Where a record's page lives."""
    return f"/admin/{section}/{key if isinstance(key, int) else quote(str(key), safe='')}"


def audited(name: str) -> tuple[str, str]:
    """A record as the audit names it (`type:id`): what to call it, and the address of its page if it has one."""
    kind, _, key = name.partition(":")
    section, word = AUDITED.get(kind, ("", kind))
    return f"{word} {key}".strip(), record_address(section, key) if section and key else ""


# -- values as cells: the form is chosen once per column and called once per cell ----------------------------------

Form = Callable[[Any, Any, ZoneInfo], Cell]

YES, NO = Cell("badge", "yes", "on"), Cell("badge", "no", "plain")


@lru_cache(maxsize=1024)
def _badge(value: Any) -> Cell:
    word = value.value if isinstance(value, StrEnum) else str(value)
    return Cell("badge", word.replace("_", " "), TONE_OF.get(word, "plain"))


def _text(value: Any, _extra: Any, _zone: ZoneInfo) -> Cell:
    return Cell("text", value.value if isinstance(value, StrEnum) else str(value))


def _fields(values: Mapping[str, Any], zone: ZoneInfo) -> Cell:
    items = tuple((label_of(name), plain_text(value, zone)) for name, value in values.items())
    return Cell("fields", "", items=items) if items else EMPTY


def _records(names: Iterable[str]) -> Cell:
    items = tuple(audited(name) for name in names)
    return Cell("records", "", items=items) if items else EMPTY


def _kept(value: str, _extra: Any, zone: ZoneInfo) -> Cell:
    """A value that was kept as text, which may have been a moment, or have moments in it."""
    if not TIME.fullmatch(value):
        return Cell("text", TIME.sub(lambda found: time_text(datetime.fromisoformat(found[0]), zone), value))
    moment = datetime.fromisoformat(value)
    return Cell("time", time_text(moment, zone), machine_time(moment))


FORMS: Mapping[str, Form] = {
    "text": _text,
    "code": _text,
    "number": lambda value, extra, zone: Cell("text", f"{value:,}"),
    "money": lambda value, extra, zone: Cell("text", money_text(value, extra)),
    "time": lambda value, extra, zone: Cell("time", time_text(value, zone), machine_time(value)),
    "age": lambda value, extra, zone: Cell("time", age_text(datetime.now(UTC) - value), machine_time(value)),
    "badge": lambda value, extra, zone: _badge(value),
    "yes_no": lambda value, extra, zone: YES if value else NO,
    "fields": lambda value, extra, zone: _fields(value, zone),
    "records": lambda value, extra, zone: _records(value),
    "kept": _kept,
}


def form_of(column: Column) -> Form:
    """How this column's values become cells."""
    say, form = column.text, FORMS[column.kind]
    if say is None:
        return form
    return lambda value, extra, zone: form(say(value), extra, zone)


def time_text(moment: datetime, zone: ZoneInfo) -> str:
    """A moment in that zone; pages that show times name the zone beside them.

    Where the clocks show a time twice, the name of its offset follows.
    """
    local = moment.astimezone(zone)
    text = f"{local.day:02} {MONTHS[local.month]} {local.year} {local.hour:02}:{local.minute:02}"
    is_once = local.replace(fold=1 - local.fold).utcoffset() == local.utcoffset()
    return text if is_once else f"{text} {local:%Z}"


def machine_time(moment: datetime) -> str:
    """The moment for a `time` element: to the minute, in UTC."""
    there = moment.astimezone(UTC)
    return f"{there.year:04}-{there.month:02}-{there.day:02}T{there.hour:02}:{there.minute:02}Z"


def age_text(age: timedelta) -> str:
    """How long ago, in the one unit that says enough."""
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


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
    """Where each part of a column lies in a result row, and how its value becomes a cell."""

    column: Column
    form: Form
    value: int
    extra: int | None
    key: int | None

    def cell(self, row: Any, zone: ZoneInfo) -> Cell:
        """The value as text in the viewer's zone, leading to its record where it has one."""
        value = row[self.value]
        if value is None or value == "":
            return EMPTY
        made = self.form(value, None if self.extra is None else row[self.extra], zone)
        if self.column.link is None or self.key is None or row[self.key] is None:
            return made
        return Cell("link", made.text, record_address(self.column.link[0], row[self.key]))


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
        key = place(column.link[1]) if column.link else None
        slots.append(Slots(column, form_of(column), value, extra, key))
    return tuple(slots), places
