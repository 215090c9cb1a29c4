"""What a section says about its list: its columns, orders, filters and search, and what can be done with its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Select, inspect, select

from admin_app.policies.permissions import Permission
from views.console.framework.columns import Column, Slots, lay_out
from views.console.framework.current_staff import Viewer
from views.console.framework.date_presets import DatePreset
from views.console.framework.filters import Filter, whole_number
from views.console.framework.searching import Search


@dataclass(frozen=True)
class Header:
    """The head of a list's column; with `href` it is a link that sorts, and `aria_sort` says how it is sorted now."""

    label: str
    css: str
    href: str | None = None
    aria_sort: str | None = None


@dataclass(frozen=True)
class Sort:
    """One order, backed by an index; the key breaks ties."""

    label: str
    column: Any
    descending: bool = False


@dataclass(frozen=True)
class BulkCommand:
    """A command over many records: the page at `address` is given what was chosen, as `selection` reads it."""

    label: str
    address: str
    permission: Permission


@dataclass(frozen=True, eq=False, kw_only=True)
class ListSpec:
    """A section's list. The first sort is the usual one."""

    section: str
    title: str
    one: str
    model: type[Any]
    columns: tuple[Column, ...]
    sorts: Mapping[str, Sort]
    filters: tuple[Filter, ...] = ()
    search: Search | None = None
    date_presets: tuple[DatePreset, ...] = ()
    scope: ColumnElement[bool] | None = None
    lead: str = ""
    # Whose record it is, and what one must be allowed to see those of others.
    own: tuple[Any, Permission] | None = None
    # A command that needs no record, such as adding one: label, address, permission.
    add: tuple[str, str, Permission] | None = None
    # With these a row can be chosen; a list without them is drawn as if there were none.
    bulk: tuple[BulkCommand, ...] = ()
    empty: str = ""
    many: str = ""

    @property
    def address(self) -> str:
        return f"/admin/{self.section}/"

    @cached_property
    def key(self) -> Any:
        return getattr(self.model, inspect(self.model).primary_key[0].key)

    @property
    def plural(self) -> str:
        """What several of its records are called; the title says it for most sections."""
        return self.many or self.title.lower()

    @cached_property
    def usual_sort(self) -> str:
        return next(iter(self.sorts))

    @cached_property
    def shown_filters(self) -> tuple[Filter, ...]:
        return tuple(filter_ for filter_ in self.filters if filter_.shape != "exactly")

    @cached_property
    def plain_headers(self) -> tuple[Header, ...]:
        return tuple(Header(column.label, column.css) for column in self.columns)

    @cached_property
    def layout(self) -> tuple[tuple[Slots, ...], list[tuple[Any, Any]]]:
        return lay_out(self.columns)

    def scoped(self) -> Select[Any]:
        """The records of this section; nothing else is listed or opened."""
        statement = select(self.model)
        return statement if self.scope is None else statement.where(self.scope)

    def is_narrowed_for(self, viewer: Viewer) -> bool:
        """Whether this person sees only their own records."""
        return self.own is not None and not viewer.may(self.own[1])

    def parse_key(self, given: str) -> Any:
        """The key this text stands for, or None when no record could have it."""
        return whole_number(given) if self.key.type.python_type is int else given or None
