"""The page of one record: facts in groups, the first rows of related lists, its history, and what can be done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Protocol

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.core import audit
from admin_app.services.core.audit import HistoryItem
from views.console.framework.columns import Column, Slots, lay_out
from views.console.framework.current_staff import Viewer
from views.console.framework.keyset import joined
from views.console.framework.list_specs import Header, ListSpec
from views.console.framework.listing import OWN, ListQuery, Page, fetch_page, read_query

RELATED_ROWS = 5
HISTORY_ROWS = 20


@dataclass(frozen=True)
class Group:
    """Facts that belong together; `when` says, from the values of the record, whether they say anything of it."""

    title: str
    columns: tuple[Column, ...]
    when: Callable[[Mapping[str, Any]], bool] = lambda values: True


@dataclass(frozen=True)
class Related:
    """The records of another section whose filter `argument` has this record's `value`."""

    title: str
    section: str
    argument: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class Command:
    """A link to a command's own page; shown when the viewer may and the record is in the state for it."""

    label: str
    permission: Permission
    address: Callable[[Any], str]
    when: Callable[[Mapping[str, Any]], bool] = lambda values: True
    tone: str = "plain"


@dataclass(frozen=True, eq=False, kw_only=True)
class RecordSpec:
    """What a record's page shows. `title` is one of its columns."""

    title: Any
    groups: tuple[Group, ...]
    subtitle: str = ""
    badge: Column | None = None
    related: tuple[Related, ...] = ()
    audited_as: str | None = None
    # Other names under which the audit knows it, from the values of the record.
    also_audited_as: Callable[[Mapping[str, Any]], Sequence[str]] = lambda values: ()
    commands: tuple[Command, ...] = ()
    # What somebody has to know before anything else, from the values of the record; most records have nothing.
    attention: Callable[[Mapping[str, Any]], str | None] = lambda values: None

    @cached_property
    def layout(self) -> tuple[tuple[Slots, ...], list[tuple[Any, Any]]]:
        badge = (self.badge,) if self.badge else ()
        facts = (column for group in self.groups for column in group.columns)
        extra = (Column("", related.value) for related in self.related)
        title = self.title if isinstance(self.title, Column) else Column("", self.title)
        return lay_out((title, *badge, *facts, *extra))


class Section(Protocol):
    """What a record's page needs of the section that it belongs to, and of those that its related rows are of."""

    listing: ClassVar[ListSpec]
    record: ClassVar[RecordSpec]
    permissions: ClassVar[Mapping[str, Permission]]

    def neighbour(self, section: str) -> "Section":
        """Another section of the same console."""


@dataclass(frozen=True)
class RelatedList:
    """The first rows of another section that belong to this record; `href` is the address of the whole list."""

    title: str
    headers: Sequence[Header]
    page: Page
    href: str


def show_record(session: Session, view: Section, record_id: str, viewer: Viewer) -> dict[str, Any]:
    """Everything that the record page's template shows; NotFound when the list would not show it either."""
    spec, listing = view.record, view.listing
    key = listing.parse_key(record_id)
    row = None
    if key is not None:
        narrowed = listing.is_narrowed_for(viewer)
        parameters = {"key": key, OWN: viewer.staff.id} if narrowed else {"key": key}
        row = session.connection().execute(_statement(spec, listing, narrowed), parameters).one_or_none()
    if row is None:
        raise NotFound(f"There is no {listing.one} under this address. It may have been deleted.")
    cells = [slot.cell(row, viewer.zone) for slot in spec.layout[0]]
    rest = iter(zip(spec.layout[0], cells, strict=True))
    title = next(rest)[1]
    badge = next(rest)[1] if spec.badge else None
    groups = [(group, [(column.label, next(rest)[1]) for column in group.columns]) for group in spec.groups]
    related = [row[slot.value] for slot, _ in rest]
    values = _values(spec, row)
    return {
        "listing": listing,
        "record_title": title.text if title.shape != "nothing" else f"{listing.one.capitalize()} {record_id}",
        "subtitle": spec.subtitle or _name_of(listing, record_id, title.text),
        "record_badge": badge,
        "groups": [(group, items) for group, items in groups if group.when(values)],
        "related": _related(session, view, dict(zip(spec.related, related, strict=True)), viewer),
        "commands": _commands(spec, key, values, viewer),
        "attention": spec.attention(values),
        "values": values,
        "history": _history(session, spec, key, values),
        "zone": viewer.zone.key,
    }


def _history(session: Session, spec: RecordSpec, key: Any, values: Mapping[str, Any]) -> list[HistoryItem] | None:
    if spec.audited_as is None:
        return None
    return audit.history(session, f"{spec.audited_as}:{key}", *spec.also_audited_as(values), limit=HISTORY_ROWS)


def _name_of(listing: ListSpec, record_id: str, title: str) -> str:
    """What kind of record this is, with its key unless the title already is its key."""
    name = listing.one.capitalize()
    return name if title == record_id else f"{name} {record_id}"


@lru_cache(maxsize=256)
def _statement(spec: RecordSpec, listing: ListSpec, narrowed: bool) -> Select[Any]:
    places = spec.layout[1]
    inner = [
        (expression if through is None else through).label(f"c{number}")
        for number, (expression, through) in enumerate(places)
    ]
    statement = select(*inner).where(listing.key == bindparam("key", type_=listing.key.type))
    if listing.scope is not None:
        statement = statement.where(listing.scope)
    if narrowed and listing.own is not None:
        statement = statement.where(listing.own[0] == bindparam(OWN, type_=listing.own[0].type))
    return joined(statement.subquery("record"), places)


def _related(session: Session, view: Section, values: Mapping[Related, Any], viewer: Viewer) -> list[RelatedList]:
    shown = []
    for related, value in values.items():
        other = view.neighbour(related.section)
        if value is None or not viewer.may(other.permissions["index_view"]):
            continue
        query = read_query(other.listing, MultiDict({related.argument: str(value)}), viewer)
        shown.append(first_rows(session, related.title, query, viewer))
    return shown


def first_rows(session: Session, title: str, query: ListQuery, viewer: Viewer) -> RelatedList:
    """The beginning of a list, to be shown on another page that leads to the whole."""
    page = fetch_page(session, replace(query, size=RELATED_ROWS), viewer, sized=False)
    return RelatedList(title, query.spec.plain_headers, page, query.url())


def _values(spec: RecordSpec, row: Any) -> Mapping[str, Any]:
    """What the record's columns hold, by their names: what decides which commands there are, and what a page adds."""
    values = {}
    for slot in spec.layout[0]:
        if slot.key is not None and slot.column.link is not None:
            values[slot.column.link[1].key] = row[slot.key]
        values[getattr(slot.column.value, "key", None)] = row[slot.value]
    return values


def _commands(spec: RecordSpec, key: Any, values: Mapping[str, Any], viewer: Viewer) -> list[tuple[str, str, str]]:
    return [
        (command.label, command.address(key), command.tone)
        for command in spec.commands
        if viewer.may(command.permission) and command.when(values)
    ]
