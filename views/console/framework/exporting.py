"""A list as a table for a file: the list's own statement, read row by row, with plain values instead of cells."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from admin_app.context import Staff
from admin_app.currencies import currency_of
from admin_app.errors import Forbidden, InvalidInput, NotFound
from admin_app.policies.permissions import REFUSALS, Permission
from admin_app.services.core.exports import ListTable, Wanted
from admin_app.services.core.field_labels import label_of
from admin_app.services.core.table_files import Value
from views.console.framework import estimates
from views.console.framework.columns import Slots, audited, plain_text
from views.console.framework.current_staff import Viewer, zone_of
from views.console.framework.list_specs import ListSpec
from views.console.framework.listing import ListQuery, active_filters, counted, found_by, read_query, statement_of

EVERY_ROW = 2**31 - 2
ROWS_AT_ONCE = 500
NOT_THE_LIST = "The address of this list holds something that is not understood, so the file would not be this list."

Read = Callable[[Any, ZoneInfo], Value]
Form = Callable[[Any, Any, ZoneInfo], Value]


class Section(Protocol):
    """What an export needs to know of a section: its list, and who may read it."""

    @property
    def listing(self) -> ListSpec: ...

    @property
    def permissions(self) -> Mapping[str, Permission]: ...


class ListTables:
    """The console's lists by section, as the exports ask for them."""

    def __init__(self, sections: Mapping[str, Any]) -> None:
        self._sections: Mapping[str, Section] = sections

    def permission(self, section: str) -> Permission:
        return self._section(section).permissions["index_view"]

    def table(self, session: Session, wanted: Wanted, reader: Staff) -> ListTable:
        query, viewer = self._list_query(wanted, reader)
        header, _ = fields_of(query.spec, viewer.zone.key)
        return ListTable(query.spec.title, filter_words(query), header, _rows(session, query, viewer.zone))

    def estimated_rows(self, session: Session, wanted: Wanted, reader: Staff) -> int:
        query, _ = self._list_query(wanted, reader)
        return estimates.expected_rows(session, *counted(query, found_by(session, query)))

    def _section(self, name: str) -> Section:
        if name not in self._sections:
            raise NotFound("There is no such list.")
        return self._sections[name]

    def _list_query(self, wanted: Wanted, reader: Staff) -> tuple[ListQuery, Viewer]:
        section = self._section(wanted.section)
        viewer = Viewer(reader, reader.email, zone_of(wanted.time_zone))
        needed = section.permissions["index_view"]
        if not viewer.may(needed):
            raise Forbidden(REFUSALS.get(needed))
        query = read_query(section.listing, MultiDict(wanted.arguments), viewer)
        if query.notices:
            raise InvalidInput(NOT_THE_LIST)
        return replace(query, size=EVERY_ROW, backwards=False, cursor=None), viewer


def arguments_of(query: ListQuery) -> tuple[tuple[str, str], ...]:
    """What of the list's address narrows and sorts it; the position and the size of a page do not matter."""
    return tuple(parse_qsl(urlsplit(query.url(size=None)).query))


def filter_words(query: ListQuery) -> str:
    """What the list is narrowed to and how it is sorted, for people."""
    words = [active.text for active in active_filters(query)]
    if query.search:
        words.append(f"search “{query.search}”")
    sort = query.spec.sorts[query.sort]
    direction = "descending" if query.descending else "ascending"
    return f"{', '.join(words) or 'all'}; by {sort.label}, {direction}"


def _rows(session: Session, query: ListQuery, zone: ZoneInfo) -> Generator[Sequence[Value]]:
    _, reads = fields_of(query.spec, zone.key)
    mode = found_by(session, query)
    if query.search and mode is None:
        return
    if mode == "part":
        # Finding one was limited in time, as on the page; reading all of them takes what it takes.
        session.execute(text("SET LOCAL statement_timeout TO DEFAULT"))
    statement, parameters = statement_of(query, mode)
    # By a cursor of the server: one reading of the database, of which only some rows are here at a time.
    options = {"yield_per": ROWS_AT_ONCE}
    with closing(session.connection().execute(statement, parameters, execution_options=options)) as found:
        for row in found:
            yield [read(row, zone) for read in reads]


@lru_cache(maxsize=256)
def fields_of(spec: ListSpec, zone: str) -> tuple[tuple[str, ...], tuple[Read, ...]]:
    """The table's columns: those of the list, the currency beside each amount, and the keys that links lead by."""
    slots, places = spec.layout
    shown = [places[slot.value][0] for slot in slots if slot.column.through is None and slot.column.text is None]
    fields: list[tuple[str, Read]] = []
    if not _is_among(spec.key, shown):
        fields.append(("Id", lambda row, _zone: _plain(row[-1])))
        shown.append(spec.key)
    for slot in slots:
        label = slot.column.label
        if slot.column.kind in {"time", "age"}:
            label = f"{label} {'since ' if slot.column.kind == 'age' else ''}({zone})"
        fields.append((label, _reader(slot)))
        if slot.extra is not None:
            fields.append((f"{label} currency", _currency(slot.extra)))
        if slot.column.link is not None and slot.key is not None and not _is_among(slot.column.link[1], shown):
            shown.append(slot.column.link[1])
            fields.append((f"{label} id", _at(slot.key)))
    return tuple(label for label, _ in fields), tuple(read for _, read in fields)


def _is_among(expression: Any, others: Sequence[Any]) -> bool:
    # By identity: an expression's own equality is a condition.
    return any(expression is other for other in others)


def _at(place: int) -> Read:
    return lambda row, _zone: _plain(row[place])


def _currency(place: int) -> Read:
    return lambda row, _zone: row[place].upper() if row[place] else None


def _reader(slot: Slots) -> Read:
    say, form = slot.column.text, VALUES.get(slot.column.kind, _as_it_is)

    def read(row: Any, zone: ZoneInfo) -> Value:
        value = row[slot.value]
        if value is None or value == "":
            return None
        extra = None if slot.extra is None else row[slot.extra]
        return form(say(value) if say else value, extra, zone)

    return read


def _plain(value: Any) -> Value:
    match value:
        case StrEnum():
            return str(value.value)
        case None | bool() | int() | str() | Decimal() | date():
            return value
        case _:
            return str(value)


def _as_it_is(value: Any, _extra: Any, _zone: ZoneInfo) -> Value:
    return _plain(value)


def _words(value: Any, _extra: Any, _zone: ZoneInfo) -> Value:
    """As the list writes them."""
    return str(value.value if isinstance(value, StrEnum) else value).replace("_", " ")


def _moment(value: Any, _extra: Any, zone: ZoneInfo) -> Value:
    return value.astimezone(zone) if isinstance(value, datetime) else _plain(value)


def _amount(value: int, currency: str | None, _zone: ZoneInfo) -> Value:
    counted = currency_of(currency)
    whole, rest = divmod(value, 10**counted.decimals)
    # As the list writes it: no digits behind the point where people write none.
    is_whole = counted.shown == 0 and rest == 0
    return Decimal(whole) if is_whole else Decimal(value).scaleb(-counted.decimals)


def _facts(values: Mapping[str, Any], _extra: Any, zone: ZoneInfo) -> Value:
    return "; ".join(f"{label_of(name)}: {plain_text(value, zone)}" for name, value in values.items())


VALUES: Mapping[str, Form] = {
    "money": _amount,
    "time": _moment,
    "age": _moment,
    "badge": _words,
    "yes_no": lambda value, _extra, _zone: bool(value),
    "fields": _facts,
    "records": lambda value, _extra, _zone: "; ".join(audited(name)[0] for name in value),
}
