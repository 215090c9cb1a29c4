"""Pages by position: the statement of one page, and the opaque cursor that says where it begins.

The page's rows are taken from the table first, by one index and in order; only then are other tables joined.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, Select, bindparam, inspect, literal, select, tuple_, union_all
from sqlalchemy.orm import aliased

from admin_app.bounds import BIGGEST

LONGEST_CURSOR = 600
From = Literal["start", "value", "null"]


class BadCursor(ValueError):
    """The position in the address is not one that was made here."""


@dataclass(frozen=True)
class Cursor:
    """The sort value and the key of the row at the page's edge."""

    value: Any
    key: Any


def pack(sort: str, cursor: Cursor) -> str:
    """The position as an address carries it: URL-safe base64 of sort, value and key; `unpack` reads it."""
    value = cursor.value.isoformat() if isinstance(cursor.value, datetime) else cursor.value
    raw = json.dumps([sort, value, cursor.key], separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unpack(text: str, sort: str, sort_type: type, key_type: type, *, nullable: bool) -> Cursor:
    """The position again, checked value by value; raises BadCursor."""
    if len(text) > LONGEST_CURSOR:
        raise BadCursor
    try:
        parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise BadCursor from error
    if not isinstance(parts, list) or len(parts) != 3 or parts[0] != sort:
        raise BadCursor
    value = None if parts[1] is None and nullable else _checked(parts[1], sort_type)
    return Cursor(value, _checked(parts[2], key_type))


def _checked(value: object, kind: type) -> Any:
    if kind is int and type(value) is int and -BIGGEST <= value <= BIGGEST:
        return value
    if kind is datetime and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise BadCursor from error
        if moment.tzinfo is not None:
            return moment
    if issubclass(kind, StrEnum) and value in list(kind):
        return value
    if kind is str and isinstance(value, str) and "\0" not in value:
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BadCursor from error
        return value
    raise BadCursor


@dataclass(frozen=True)
class Order:
    """What a page is sorted by, and where its reading begins."""

    sort: Any
    key: Any
    descending: bool
    backwards: bool
    begin: From
    nullable: bool


def page_statement(
    places: Sequence[tuple[Any, Any]], order: Order, conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """Rows of `places`, then the sort value and the key; parameters are `from_value`, `from_key` and `size`."""
    inner_columns = [
        (expression if through is None else through).label(f"c{number}")
        for number, (expression, through) in enumerate(places)
    ]
    wanted = (*inner_columns, order.sort.label("k"), order.key.label("id"))
    parts = [_part(wanted, order, conditions, nulls) for nulls in _parts_of(order)]
    down = order.descending != order.backwards
    source: Any = parts[0] if len(parts) == 1 else union_all(*(part.subquery().select() for part in parts))
    page = source.subquery("page")
    by = (page.c.k, page.c.id)
    ordered = [column.desc() if down else column for column in by]
    statement = joined(page, places).add_columns(*by)
    if len(parts) > 1:
        return statement.order_by(page.c.part, *ordered).limit(_size())
    return statement.order_by(*ordered)


def joined(page: Any, places: Sequence[tuple[Any, Any]]) -> Select[Any]:
    """The places' values: the page's own ones, and those of other tables reached by a key in the page."""
    source: Any = page
    targets: dict[tuple[Any, Any], Any] = {}
    values = []
    for number, (expression, through) in enumerate(places):
        own = page.c[f"c{number}"]
        if through is None:
            values.append(own)
            continue
        identity = (expression.class_, through.key)
        if identity not in targets:
            targets[identity] = aliased(expression.class_)
            target_key = getattr(targets[identity], inspect(expression.class_).primary_key[0].key)
            source = source.outerjoin(targets[identity], target_key == own)
        values.append(getattr(targets[identity], expression.key))
    return select(*values).select_from(source)


def _size() -> Any:
    return bindparam("size", type_=Integer)


def _parts_of(order: Order) -> tuple[bool | None, ...]:
    """Rows with a value come before rows without one, whatever the direction; each part is one index range."""
    if not order.nullable:
        return (None,)
    every = (True, False) if order.backwards else (False, True)
    if order.begin == "start":
        return every
    begins_in_nulls = order.begin == "null"
    return every[every.index(begins_in_nulls) :]


def _part(
    wanted: Sequence[Any], order: Order, conditions: Sequence[ColumnElement[bool]], nulls: bool | None
) -> Select[Any]:
    down = order.descending != order.backwards
    columns = list(wanted)
    if nulls is not None:
        columns.append(literal(_parts_of(order).index(nulls)).label("part"))
    statement = select(*columns).where(*conditions)
    if nulls is not None:
        statement = statement.where(order.sort.is_(None) if nulls else order.sort.is_not(None))
    if order.begin == ("null" if nulls else "value"):
        statement = statement.where(_beyond(order, down, nulls=bool(nulls)))
    by = [order.key] if nulls else [order.sort, order.key]
    return statement.order_by(*(column.desc() if down else column for column in by)).limit(_size())


def _beyond(order: Order, down: bool, *, nulls: bool) -> ColumnElement[bool]:
    key = bindparam("from_key", type_=order.key.type)
    if nulls or order.sort is order.key:
        past: ColumnElement[bool] = order.key < key if down else order.key > key
        return past
    edge = tuple_(bindparam("from_value", type_=order.sort.type), key)
    here = tuple_(order.sort, order.key)
    beyond: ColumnElement[bool] = here < edge if down else here > edge
    return beyond
