"""Lists: declared by a section, paged by position, and shown from one query for the rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, bindparam, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from admin_app.errors import DomainError
from admin_app.policies.permissions import Permission
from views.console.framework import date_presets, estimates
from views.console.framework.columns import Cell, Column
from views.console.framework.current_staff import Viewer
from views.console.framework.filters import NotUnderstood, whole_number
from views.console.framework.keyset import BadCursor, Cursor, From, Order, pack, page_statement, unpack
from views.console.framework.list_specs import Header, ListSpec
from views.console.framework.searching import SHORTEST_PART, Mode, typed_text

SIZES = (25, 50, 100)
SIZE = 50
SEARCH_SECONDS = 5
OWN = "own_id"
PICK = "pick"
UNKNOWN_POSITION = "The position in the address could not be read, so this is the first page."
UNKNOWN_SORT = "The list cannot be sorted that way, so it is in its usual order."
TOO_SHORT = f"Type at least {SHORTEST_PART} characters to search for a part of a word."


class SearchTooSlow(DomainError):
    """The statement of a search ran into the time limit of the read session; more of the word finds faster."""

    code = "search_too_slow"
    status = 400
    sentence = "This search takes too long. Type more of the word, or narrow it with a filter."


class Shape(NamedTuple):
    """What a statement depends on besides its parameters: few per list, so each is built once."""

    sort: str
    descending: bool
    backwards: bool
    begin: From
    filters: frozenset[str]
    mode: Mode | None


@dataclass(frozen=True)
class ListQuery:
    """What the address asks for, every part of it checked."""

    spec: ListSpec
    size: int
    sort: str
    descending: bool
    search: str
    parameters: Mapping[str, Any]
    filtered_by: Mapping[str, tuple[str, ...]]
    backwards: bool = False
    cursor: Cursor | None = None
    notices: tuple[str, ...] = ()

    def url(self, **changes: str | None) -> str:
        """This list in the same order with the same filters, at its beginning unless `changes` say otherwise."""
        usual = self.spec.sorts[self.sort].descending
        pairs = self.filter_arguments
        if (self.sort, self.descending) != (self.spec.usual_sort, usual):
            pairs.append(("sort", f"-{self.sort}" if self.descending else self.sort))
        if self.size != SIZE:
            pairs.append(("size", str(self.size)))
        return self._address([pair for pair in pairs if pair[0] not in changes] + _given(changes))

    @property
    def filter_arguments(self) -> list[tuple[str, str]]:
        """The arguments that say which records these are, whatever their order and page."""
        searched = [("q", self.search)] if self.search else []
        return searched + [(name, value) for name, values in self.filtered_by.items() for value in values]

    def without(self, name: str, value: str) -> str:
        """This list with one filter value taken off."""
        kept = {
            argument: tuple(word for word in words if (argument, word) != (name, value))
            for argument, words in self.filtered_by.items()
        }
        return replace(self, filtered_by=kept).url()

    def _address(self, pairs: list[tuple[str, str]]) -> str:
        return f"{self.spec.address}?{urlencode(pairs)}" if pairs else self.spec.address


def _given(changes: Mapping[str, str | None]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in changes.items() if value]


@dataclass(frozen=True)
class Page:
    """The rows of one page and the way to its neighbours."""

    rows: list[list[Cell]]
    first: str | None = None
    previous: str | None = None
    next: str | None = None
    last: str | None = None
    total: str = ""


PICKING = Header("Choose", PICK)


class ActiveFilter(NamedTuple):
    """One value that narrows the list, and the list without it."""

    text: str
    href: str


@dataclass
class FetchedRows:
    """Rows as they came, in the order of the page, and whether there are more on either side."""

    rows: list[Any] = field(default_factory=list)
    before: bool = False
    after: bool = False


def show_list(session: Session, spec: ListSpec, args: MultiDict[str, str], viewer: Viewer) -> dict[str, Any]:
    """Everything that the list's template shows."""
    query = read_query(spec, args, viewer)
    bulk = [command for command in spec.bulk if viewer.may(command.permission)]
    page = fetch_page(session, query, viewer, picking=bool(bulk))
    return {
        "spec": spec,
        "query": query,
        "page": page,
        "bulk": bulk,
        "headers": [*([PICKING] if bulk else ()), *(_header(query, column) for column in spec.columns)],
        "shown_filters": spec.shown_filters,
        "date_presets": date_presets.shown(spec.date_presets, spec.address, query.filtered_by, viewer.zone),
        "active_filters": active_filters(query),
        "kept": _kept(query),
        "is_filtered": bool(query.filtered_by or query.search),
        "export": _export_address(query) if viewer.may(Permission.EXPORTS_MAKE) and page.rows else None,
        "zone": viewer.zone.key,
        "has_times": any(column.kind == "time" for column in spec.columns),
    }


def read_query(spec: ListSpec, args: MultiDict[str, str], viewer: Viewer) -> ListQuery:
    """The address's arguments; what has no meaning is left out and said so."""
    notices: list[str] = []
    sort, descending = _read_sort(spec, args.get("sort", ""), notices)
    parameters: dict[str, Any] = {}
    chosen: dict[str, tuple[str, ...]] = {}
    for filter_ in spec.filters:
        try:
            found = filter_.read(args, viewer.zone)
        except NotUnderstood:
            notices.append(f"The filter “{filter_.label}” does not know that value, so it is not applied.")
            continue
        parameters |= found
        if found:
            given = {name: tuple(value for value in args.getlist(name) if value) for name in filter_.arguments}
            chosen |= {name: values for name, values in given.items() if values}
    if spec.is_narrowed_for(viewer):
        parameters[OWN] = viewer.staff.id
    size = whole_number(args.get("size", "")) or SIZE
    search = typed_text(args.get("q", "")) if spec.search else ""
    if spec.search and search and spec.search.is_too_short(search):
        notices.append(TOO_SHORT)
    backwards, cursor = _read_position(spec, sort, args, notices)
    size = size if size in SIZES else SIZE
    return ListQuery(spec, size, sort, descending, search, parameters, chosen, backwards, cursor, tuple(notices))


def _read_sort(spec: ListSpec, given: str, notices: list[str]) -> tuple[str, bool]:
    name = given.removeprefix("-")
    if name in spec.sorts:
        return name, given.startswith("-")
    if given:
        notices.append(UNKNOWN_SORT)
    return spec.usual_sort, spec.sorts[spec.usual_sort].descending


def _read_position(
    spec: ListSpec, sort: str, args: MultiDict[str, str], notices: list[str]
) -> tuple[bool, Cursor | None]:
    if args.get("last"):
        return True, None
    for name in ("after", "before"):
        packed = args.get(name)
        if packed:
            column = spec.sorts[sort].column
            types = column.type.python_type, spec.key.type.python_type
            try:
                return name == "before", unpack(packed, sort, *types, nullable=column.nullable)
            except BadCursor:
                notices.append(UNKNOWN_POSITION)
    return False, None


def fetch_page(
    session: Session, query: ListQuery, viewer: Viewer, *, sized: bool = True, picking: bool = False
) -> Page:
    """One page: one query for its rows, and when `sized` at most one more for the size of the whole.

    With `picking` each row begins with the box that chooses it.
    """
    mode, found = _search(session, query)
    slots = query.spec.layout[0]
    rows = [[slot.cell(row, viewer.zone) for slot in slots] for row in found.rows]
    if picking:
        rows = [
            [Cell(PICK, f"Choose {cells[0].text}", str(row[-1])), *cells]
            for row, cells in zip(found.rows, rows, strict=True)
        ]
    if not found.rows:
        return Page(rows)
    first, last = found.rows[0], found.rows[-1]
    return Page(
        rows,
        first=query.url() if found.before else None,
        previous=query.url(before=_edge(query, first)) if found.before else None,
        next=query.url(after=_edge(query, last)) if found.after else None,
        last=query.url(last="1") if found.after else None,
        total=_total(session, query, mode, found) if sized else "",
    )


def _search(session: Session, query: ListQuery) -> tuple[Mode | None, FetchedRows]:
    try:
        return _searched(session, query)
    except OperationalError as error:
        # 57014: the statement ran into its time limit.
        if getattr(error.orig, "sqlstate", None) == "57014":
            raise SearchTooSlow from error
        raise


def _searched(session: Session, query: ListQuery) -> tuple[Mode | None, FetchedRows]:
    search = query.spec.search
    if search is None or not query.search:
        return None, _rows(session, query, None)
    for mode in search.modes(query.search):
        if mode == "part":  # the others are equality by an index
            session.execute(text(f"SET LOCAL statement_timeout = '{SEARCH_SECONDS}s'"))
        found = _rows(session, query, mode)
        if found.rows:
            return mode, found
    return None, FetchedRows()


def found_by(session: Session, query: ListQuery) -> Mode | None:
    """How the list's search finds what it finds; None without a search, or when it finds nothing."""
    return _search(session, replace(query, size=1))[0]


def _rows(session: Session, query: ListQuery, mode: Mode | None) -> FetchedRows:
    # Plain rows by the session's connection: what the ORM does for entities costs a sixth of the query here.
    rows = session.connection().execute(*statement_of(query, mode)).all()
    more = len(rows) > query.size
    if query.backwards and not more and query.cursor is not None:
        # The first page, reached from behind: shown whole and not only up to where one came from.
        return _rows(session, replace(query, backwards=False, cursor=None), mode)
    kept = list(islice(rows, query.size))
    if query.backwards:
        return FetchedRows(kept[::-1], before=more, after=query.cursor is not None)
    return FetchedRows(kept, before=query.cursor is not None, after=more)


def statement_of(query: ListQuery, mode: Mode | None) -> tuple[Select[Any], dict[str, Any]]:
    """The statement of the list's rows from its position on, as many as its size and one more."""
    cursor = query.cursor
    begin: From = "start" if cursor is None else "null" if cursor.value is None else "value"
    shape = Shape(query.sort, query.descending, query.backwards, begin, frozenset(query.parameters), mode)
    parameters = {**parameters_of(query, mode), "size": query.size + 1}
    if cursor is not None:
        parameters |= {"from_value": cursor.value, "from_key": cursor.key}
    return _built(query.spec, shape), parameters


def parameters_of(query: ListQuery, mode: Mode | None) -> dict[str, Any]:
    """The values for the statement of this list: those of its filters, and of its search in this mode."""
    search = query.spec.search.parameters(mode, query.search) if query.spec.search and mode else {}
    return {**query.parameters, **search}


@lru_cache(maxsize=1024)
def _built(spec: ListSpec, shape: Shape) -> Select[Any]:
    sort = spec.sorts[shape.sort].column
    order = Order(sort, spec.key, shape.descending, shape.backwards, shape.begin, bool(sort.nullable))
    return page_statement(spec.layout[1], order, conditions_of(spec, shape.filters, shape.mode))


def conditions_of(spec: ListSpec, active: frozenset[str], mode: Mode | None) -> Sequence[ColumnElement[bool]]:
    """Which records the list is narrowed to."""

    def every() -> Iterator[ColumnElement[bool]]:
        if spec.scope is not None:
            yield spec.scope
        if spec.own is not None and OWN in active:
            yield spec.own[0] == bindparam(OWN, type_=spec.own[0].type)
        for filter_ in spec.filters:
            yield from filter_.conditions(active)
        if spec.search and mode:
            yield spec.search.condition(mode)

    return list(every())


@lru_cache(maxsize=256)
def _counted(spec: ListSpec, active: frozenset[str], mode: Mode | None) -> Select[Any]:
    return select(func.now()).select_from(spec.model).where(*conditions_of(spec, active, mode))


def counted(query: ListQuery, mode: Mode | None) -> tuple[Select[Any], dict[str, Any]]:
    """What the size of the whole list is told from, with its parameters."""
    return _counted(query.spec, frozenset(query.parameters), mode), parameters_of(query, mode)


def _total(session: Session, query: ListQuery, mode: Mode | None, found: FetchedRows) -> str:
    shown = len(found.rows)
    if not found.before and not found.after:
        return estimates.exactly(shown)
    statement, parameters = counted(query, mode)
    key = (query.spec.section, mode, *((name, str(value)) for name, value in sorted(parameters.items())))
    return estimates.size(session, key, statement, parameters, at_least=shown + 1)


def _edge(query: ListQuery, row: Any) -> str:
    return pack(query.sort, Cursor(row[-2], row[-1]))


def active_filters(query: ListQuery) -> list[ActiveFilter]:
    """What the list is narrowed to, filter by filter, each with the address of the list without it."""
    return [
        ActiveFilter(f"{filter_.label}{filter_.words_for(name, value)}", query.without(name, value))
        for filter_ in query.spec.filters
        for name in filter_.arguments
        for value in query.filtered_by.get(name, ())
    ]


def _export_address(query: ListQuery) -> str:
    """Where these rows, in this order, are had as a file."""
    return query.url(size=None).replace(query.spec.address, f"/admin/exports/of/{query.spec.section}", 1)


def _kept(query: ListQuery) -> list[tuple[str, str]]:
    """What the search form carries along besides its own fields."""
    own = {argument for filter_ in query.spec.shown_filters for argument in filter_.arguments}
    pairs = [(name, value) for name, values in query.filtered_by.items() for value in values if name not in own]
    if (query.sort, query.descending) != (query.spec.usual_sort, query.spec.sorts[query.sort].descending):
        pairs.append(("sort", f"-{query.sort}" if query.descending else query.sort))
    return pairs if query.size == SIZE else [*pairs, ("size", str(query.size))]


def _header(query: ListQuery, column: Column) -> Header:
    if column.sort is None:
        return Header(column.label, column.css)
    current = column.sort == query.sort
    descending = not query.descending if current else query.spec.sorts[column.sort].descending
    usual = query.spec.usual_sort, query.spec.sorts[query.spec.usual_sort].descending
    name = f"-{column.sort}" if descending else column.sort
    href = query.url(sort=None if (column.sort, descending) == usual else name)
    direction = ("descending" if query.descending else "ascending") if current else None
    return Header(column.label, column.css, href, direction)
