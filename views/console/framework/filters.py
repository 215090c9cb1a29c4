"""Filters of a list: what they take from the address, and the indexed condition they stand for."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, DateTime, bindparam, exists, tuple_
from sqlalchemy.orm import aliased
from werkzeug.datastructures import MultiDict

from admin_app.bounds import BIGGEST, FIRST_YEAR, LAST_YEAR
from admin_app.services.core.utc_months import begins, ends, read_month

Parameters = Mapping[str, Any]
LONGEST = 500


class NotUnderstood(ValueError):
    """The address carries a value that this filter has no meaning for."""


class Filter(Protocol):
    """Reads its own arguments; the names of the parameters it returned choose its condition."""

    @property
    def label(self) -> str: ...

    @property
    def shape(self) -> str: ...

    @property
    def arguments(self) -> tuple[str, ...]: ...

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters: ...

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]: ...

    def words_for(self, argument: str, value: str) -> str: ...


@dataclass(frozen=True)
class _Named:
    """A filter with one argument of its own name, which an active filter shows as it was given."""

    name: str
    label: str

    @property
    def arguments(self) -> tuple[str, ...]:
        return (self.name,)

    def words_for(self, argument: str, value: str) -> str:
        return f": {value}"


@dataclass(frozen=True)
class Choice(_Named):
    """Any of some words."""

    column: Any
    words: tuple[str, ...]
    kind: type[StrEnum] | None = None
    shape = "choice"

    @classmethod
    def of(cls, name: str, label: str, column: Any, kind: type[StrEnum]) -> "Choice":
        return cls(name, label, column, tuple(member.value for member in kind), kind)

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters:
        given = dict.fromkeys(word for word in args.getlist(self.name) if word)
        if not given:
            return {}
        if not all(word in self.words for word in given):
            raise NotUnderstood
        return {f"f_{self.name}": [self.kind(word) if self.kind else word for word in given]}

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]:
        if f"f_{self.name}" in active:
            yield self.column.in_(bindparam(f"f_{self.name}", expanding=True, type_=self.column.type))

    def words_for(self, argument: str, value: str) -> str:
        return f": {value.replace('_', ' ')}"


@dataclass(frozen=True)
class OneOf(_Named):
    """One of some named conditions."""

    options: Mapping[str, tuple[str, Any]]
    shape = "one_of"

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters:
        word = args.get(self.name, "")
        if not word:
            return {}
        if word not in self.options:
            raise NotUnderstood
        return {f"f_{self.name}_{word}": True}

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]:
        return (condition for word, (_, condition) in self.options.items() if f"f_{self.name}_{word}" in active)

    def words_for(self, argument: str, value: str) -> str:
        return f": {self.options[value][0]}"


@dataclass(frozen=True)
class YesNo(_Named):
    """A condition that holds or does not."""

    condition: Any
    shape = "yes_no"

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters:
        match args.getlist(self.name):
            case [] | [""]:
                return {}
            case ["yes" | "no" as word]:
                # Told apart by name: a partial index is only used when the condition itself is in the statement.
                return {f"f_{self.name}_{word}": True}
        raise NotUnderstood

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]:
        if f"f_{self.name}_yes" in active:
            yield self.condition
        if f"f_{self.name}_no" in active:
            yield ~self.condition


@dataclass(frozen=True)
class Days:
    """From one day to another, both included, in the viewer's zone; `within` is what its index is limited to."""

    name: str
    label: str
    column: Any
    within: ColumnElement[bool] | None = None
    shape = "days"

    @property
    def arguments(self) -> tuple[str, ...]:
        return (f"{self.name}_from", f"{self.name}_to")

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters:
        found: dict[str, Any] = {}
        first, last = (_day(args.get(argument, "")) for argument in self.arguments)
        if first:
            found[f"f_{self.name}_from"] = _midnight(first, zone)
        if last:
            found[f"f_{self.name}_to"] = _midnight(last + timedelta(days=1), zone)
        return found

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]:
        if f"f_{self.name}_from" in active:
            yield self.column >= bindparam(f"f_{self.name}_from", type_=self.column.type)
        if f"f_{self.name}_to" in active:
            yield self.column < bindparam(f"f_{self.name}_to", type_=self.column.type)
        if self.within is not None and not {f"f_{argument}" for argument in self.arguments}.isdisjoint(active):
            yield self.within

    def words_for(self, argument: str, value: str) -> str:
        return f" from {value}" if argument.endswith("_from") else f" to {value}"


@dataclass(frozen=True)
class UtcMonth(_Named):
    """Within one month of the books, which are kept in UTC whoever looks."""

    column: Any
    shape = "month"

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters:
        text = args.get(self.name, "").strip()
        if not text:
            return {}
        month = read_month(text)
        if month is None:
            raise NotUnderstood
        return {f"f_{self.name}_begins": begins(month), f"f_{self.name}_ends": ends(month)}

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]:
        if f"f_{self.name}_begins" in active:
            yield self.column >= _moment(f"f_{self.name}_begins")
            yield self.column < _moment(f"f_{self.name}_ends")

    def words_for(self, argument: str, value: str) -> str:
        return f": {value} (UTC)"


@dataclass(frozen=True)
class LastBefore(UtcMonth):
    """The last record of its kind at the end of a month; records of a kind are alike in the columns `alike`.

    `column` is when each holds from, and the key decides between the same moments.
    """

    alike: tuple[Any, ...] = ()
    also: ColumnElement[bool] | None = None

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]:
        if f"f_{self.name}_ends" not in active:
            return
        end, model = _moment(f"f_{self.name}_ends"), self.column.class_
        later = aliased(model)
        comes_later = tuple_(getattr(later, self.column.key), later.id) > tuple_(self.column, model.id)
        same = (getattr(later, column.key) == column for column in self.alike)
        yield self.column < end
        yield ~exists().where(*same, comes_later, getattr(later, self.column.key) < end)
        if self.also is not None:
            yield self.also

    def words_for(self, argument: str, value: str) -> str:
        return f" at the end of {value} (UTC)"


def _moment(name: str) -> Any:
    return bindparam(name, type_=DateTime(timezone=True))


@dataclass(frozen=True)
class Exactly(_Named):
    """One value, reached by a link from another record and shown as a chip that can be taken off."""

    column: Any
    within: ColumnElement[bool] | None = None
    shape = "exactly"

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters:
        text = args.get(self.name, "").strip()
        if not text:
            return {}
        if not text.isprintable() or len(text) > LONGEST:
            raise NotUnderstood
        if self.column.type.python_type is not int:
            return {f"f_{self.name}": text}
        number = whole_number(text)
        if number is None:
            raise NotUnderstood
        return {f"f_{self.name}": number}

    def conditions(self, active: Collection[str]) -> Iterator[ColumnElement[bool]]:
        if f"f_{self.name}" in active:
            yield self.condition(bindparam(f"f_{self.name}", type_=self.column.type))
            if self.within is not None:
                yield self.within

    def condition(self, value: Any) -> ColumnElement[bool]:
        equal: ColumnElement[bool] = self.column == value
        return equal


@dataclass(frozen=True)
class Holds(Exactly):
    """One value among those of an array column."""

    def read(self, args: MultiDict[str, str], zone: ZoneInfo) -> Parameters:
        return {name: [value] for name, value in super().read(args, zone).items()}

    def condition(self, value: Any) -> ColumnElement[bool]:
        held: ColumnElement[bool] = self.column.contains(value)
        return held


def whole_number(text: str) -> int | None:
    """The id that this text is; None when it is none that the database could hold."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    number = int(text)
    return number if number <= BIGGEST else None


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise NotUnderstood from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise NotUnderstood
    return day


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
