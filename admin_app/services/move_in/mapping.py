"""How an earlier system's columns become ours: made by the tool, read and edited by whoever moves it, kept as TOML.

What the tool cannot know stands there undecided, and nothing is imported before it is decided: a column that nobody
read yet, the zone of times that say none, whether a whole number of money means cents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from admin_app.errors import InvalidInput
from admin_app.integrations.earlier import rows_of
from admin_app.services.move_in.catalog import OF, Entity, Field

UNDECIDED = "?"


class Unit(StrEnum):
    """What a number of money counts."""

    MINOR = "minor"  # cents, as Stripe counts
    MAJOR = "major"  # 90.50
    UNDECIDED = "?"


class Rule(StrEnum):
    """What may stand in the way of a row, and is decided once for all rows that it is true of."""

    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    CHANGES_VALUE = "changes_value"
    ZERO_DATE = "zero_date"
    NOT_A_TIME = "not_a_time"
    CLOCK_CHANGE = "clock_change"
    EMPTY_LABEL = "empty_label"
    UNKNOWN_LABEL = "unknown_label"
    NOT_A_FLAG = "not_a_flag"
    NOT_TEXT = "not_text"
    ORPHAN = "orphan"
    TWICE = "twice"
    ENDS_BEFORE_START = "ends_before_start"
    OVERLAP = "overlap"
    PENDING_PAST = "pending_past"
    CLAIMED_BY_NOBODY = "claimed_by_nobody"
    NO_PARTNER = "no_partner"
    SEVERAL_PARTNERS = "several_partners"


class Notice(StrEnum):
    """What is told about rows that come over all the same: nothing is to be decided about it."""

    CLAIMED_BY_GONE = "claimed_by_gone"
    TEMP_WITHOUT_EMAIL = "temp_without_email"
    TEMP_ALREADY_PENDING = "temp_already_pending"


REFUSE, LEAVE = "refuse", "leave"
SENTENCES: Mapping[Rule, str] = {
    Rule.MISSING: "nothing is there, where a value is needed",
    Rule.NOT_A_NUMBER: "it is no whole number",
    Rule.OUT_OF_RANGE: "the number does not fit, or is below what is possible",
    Rule.CHANGES_VALUE: "it would become another amount, because it says parts of the smallest unit",
    Rule.ZERO_DATE: "it is MySQL's date of zeros",
    Rule.NOT_A_TIME: "it is no time that we can keep",
    Rule.CLOCK_CHANGE: "the local time does not exist, or exists twice, because clocks were changed",
    Rule.EMPTY_LABEL: "the label is empty",
    Rule.UNKNOWN_LABEL: "the label is none of ours",
    Rule.NOT_A_FLAG: "it is neither true nor false",
    Rule.NOT_TEXT: "it holds a character zero, which no text of ours may",
    Rule.ORPHAN: "what it refers to is not there",
    Rule.TWICE: "another record has the same, which may be only once (e-mails compare without case)",
    Rule.ENDS_BEFORE_START: "it ends before it starts",
    Rule.OVERLAP: "it is held or confirmed, and overlaps another of the same practitioner",
    Rule.PENDING_PAST: "it is pending, and its time is long past",
    Rule.CLAIMED_BY_NOBODY: "it says that it was claimed, and not by whom; or by whom, and not that it was",
    Rule.NO_PARTNER: "the row of the joined table, which says this of it, is not there",
    Rule.SEVERAL_PARTNERS: "several rows of the joined table say this of it",
}
NOTICES: Mapping[Notice, str] = {
    Notice.CLAIMED_BY_GONE: "the account that claimed it is gone, so nobody has it; it stays claimed",
    Notice.TEMP_WITHOUT_EMAIL: "a purchase of before there were pending ones that names no e-mail: "
    "`flask legacy move` leaves it where it is",
    Notice.TEMP_ALREADY_PENDING: "a purchase of before there were pending ones, and one waits already under its "
    "address or membership: `flask legacy move` puts them together where it can",
}
# Of several rows that break such a rule together one comes over, also where the others are left.
BETWEEN_ROWS = frozenset({Rule.TWICE, Rule.OVERLAP})
# What can be decided beside refusing the import and leaving the row behind, and what that does.
# What a source that can hold a character zero is read with in its place.
ZERO_SHOWN = "␀"
REPAIRS: Mapping[Rule, Mapping[str, str]] = {
    Rule.MISSING: {"usual": "the usual value of our column; of a time another one of the row, else 1970"},
    Rule.CHANGES_VALUE: {"round": "to the nearest smallest unit, halves away from zero"},
    Rule.ZERO_DATE: {"empty": "no time; where one is needed another one of the row, else 1970"},
    Rule.EMPTY_LABEL: {"empty": "the usual value of our column"},
    Rule.NOT_TEXT: {"shown": f"the sign {ZERO_SHOWN} in its place"},
    Rule.CLOCK_CHANGE: {"standard": "as in standard time: of two the later; one that does not exist an hour later"},
    Rule.NO_PARTNER: {"without": "without what that row would say"},
    Rule.SEVERAL_PARTNERS: {"first": "what the first of them says, by its key"},
    Rule.PENDING_PAST: {"cancel": "canceled, because it was never paid", "keep": "as it is"},
}


@dataclass(frozen=True)
class ColumnMap:
    """One column of a source: `to` which of ours it goes, or why it is left behind; neither: undecided.

    A column that goes to several of ours is there several times.
    """

    name: str
    type: str
    to: str | None = None
    left: str | None = None
    zone: str | None = None  # of a local time; UNDECIDED until somebody says it
    unit: Unit | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    plus: int | None = 0  # of a time: so many minutes later; None: undecided

    @property
    def is_undecided(self) -> bool:
        return self.to is None and self.left is None


@dataclass(frozen=True)
class JoinMap:
    """A further table of a source that says more of each row: the row's column `on` says what stands in its `to`.

    Its columns are called `table.column`.
    """

    table: str
    on: str
    to: str

    @property
    def counted(self) -> str:
        """How many of its rows a row names, as it is read beside the columns."""
        return rows_of(self.table)

    def has(self, column: str) -> bool:
        return column.startswith(f"{self.table}.")


@dataclass(frozen=True)
class TableMap:
    """One of our tables, and which of a source's its rows come from. `values` fill what the source does not have.

    A table of a source may fill several of ours.
    """

    name: str
    to: str
    key: str
    columns: tuple[ColumnMap, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    join: JoinMap | None = None

    @property
    def entity(self) -> Entity:
        return OF[self.to]

    @property
    def read(self) -> tuple[ColumnMap, ...]:
        """The columns that go anywhere."""
        return tuple(column for column in self.columns if column.to)

    def filling(self, ours: str) -> ColumnMap | None:
        return next((column for column in self.columns if column.to == ours), None)

    def parts_of(self, ours: str) -> tuple[ColumnMap, ...]:
        """The columns that one of ours is put together of; most often one."""
        return tuple(column for column in self.columns if column.to == ours)

    def fields(self) -> list[Field]:
        """Our columns that get something, in our order."""
        return [each for each in self.entity.fields if self.filling(each.ours) or each.ours in self.values]


@dataclass(frozen=True)
class MoveMap:
    """All of it; `currency` is that of amounts whose row says none."""

    system: str
    tables: tuple[TableMap, ...]
    currency: str
    decisions: Mapping[Rule, str]
    left_tables: Mapping[str, str] = field(default_factory=dict)

    def table(self, to: str) -> TableMap | None:
        return next((table for table in self.tables if table.to == to), None)

    def decided(self, rule: Rule) -> str:
        return self.decisions.get(rule, REFUSE)


def undecided(mapping: MoveMap) -> list[str]:
    """What has to be decided before anything is imported, a sentence each."""
    open_points = []
    for table in mapping.tables:
        for column in table.columns:
            where = f"{table.name}.{column.name}"
            if column.is_undecided:
                open_points.append(f"{where} ({column.type}) goes to none of our columns: say `to`, or `left` and why.")
            if column.zone == UNDECIDED:
                open_points.append(f"{where} says no zone: say in which zone its times are, e.g. Europe/Berlin.")
            if column.plus is None:
                open_points.append(f"{where} is all that says when it ends: say `plus`, so many minutes later.")
            if column.unit is Unit.UNDECIDED:
                open_points.append(f"{where} is money in whole numbers: say `unit`, minor (cents) or major.")
            open_points += [
                f"{where} has the label {label!r}: say which of ours it is."
                for label, ours in column.labels.items()
                if ours == UNDECIDED
            ]
        given = [name for name, said in table.values.items() if said == UNDECIDED]
        lacking = [*_lacking(table), *given]
        open_points += [f"tables.{table.to} has nothing for our {name}: give it in `values`." for name in lacking]
    open_points += [
        f"The table {name} is none that we know: say in [left_tables] why it is left behind."
        for name, why in mapping.left_tables.items()
        if why == UNDECIDED
    ]
    return open_points


def _lacking(table: TableMap) -> list[str]:
    given = {each.ours for each in table.fields()}
    key = table.entity.key.ours  # that is told by `key`
    return [each.ours for each in table.entity.fields if each.required and each.ours not in {*given, key}]


def require_decided(mapping: MoveMap) -> None:
    """Refuse to go on while anything is undecided; raises InvalidInput with all of it."""
    points = undecided(mapping)
    if points:
        raise InvalidInput("Before anything is imported the mapping has to say:\n  " + "\n  ".join(points))
