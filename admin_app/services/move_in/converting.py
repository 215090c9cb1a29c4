"""What a value of a source becomes, and what stands in the way of it: SQL over a row `s` whose columns are all text.

The expression and its rules stand together, and `inspect`, `import` and `verify` use the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql

from admin_app.bounds import FIRST_YEAR, LAST_YEAR
from admin_app.currencies import CURRENCIES, MOST_BY_CARD, currency_of
from admin_app.services.core import local_times
from admin_app.services.core.time_zones import time_zones
from admin_app.services.move_in import sql
from admin_app.services.move_in.catalog import Field, Kind
from admin_app.services.move_in.mapping import UNDECIDED, ZERO_SHOWN, ColumnMap, JoinMap, MoveMap, Rule, TableMap, Unit
from models import Base

WHOLE_KEY = "^[0-9]+$"
WHOLE = r"^-?[0-9]+(\.0+)?$"
NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
DAY = r"^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
ZEROS = r"^(0000-|[0-9]{4}-00|[0-9]{4}-[0-9]{2}-00)"
TRUE, FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")
NO_TIME = "'1970-01-01 00:00:00+00'::timestamptz"
MOST_WHOLE, MOST_KEY = 2**31 - 1, 2**63 - 1
POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
# While a zone is undecided its times are looked at as if they were in UTC; no import gets so far.
AS_UTC = frozenset({"UTC", UNDECIDED})
INTEGERS = ("int", "bigint", "smallint", "tinyint", "mediumint", "integer")


@dataclass(frozen=True)
class Check:
    """A rule, the column of ours that it is about, the SQL that is true of a row that breaks it, and of its value."""

    rule: Rule
    ours: str
    breaks: str
    shows: str


def parts(mapping: MoveMap, table: TableMap) -> Iterator[tuple[str, str]]:
    """Our columns with the SQL of their values, in our order; the key of a table with text keys is not among them."""
    for each in table.fields():
        if each.kind is not Kind.IDENTITY:
            usual = usual_value(table.to, each.ours)
            if each.ours == "price_currency":
                usual = sql.value(mapping.currency)
            elif usual and each.kind is Kind.MOMENT:
                usual = _other_time(mapping, table, each)
            told = f"({value(mapping, table, each)})::{_type(table.to, each.ours)}"
            yield each.ours, f"coalesce({told}, {usual})" if usual else told


def usual_value(table: str, ours: str) -> str | None:
    """SQL of what our column gets by itself, where it must hold a value."""
    column = Base.metadata.tables[table].c[ours]
    default: Any = column.server_default
    if column.nullable or default is None:
        return None
    text = getattr(default.arg, "text", None) or sql.value(str(default.arg))
    return f"{text}::{_type(table, ours)}"


def _other_time(mapping: MoveMap, table: TableMap, ours: Field) -> str:
    """For a time that a row does not say: another one of it, never the time of the import, which would be no proof."""
    others = [each for each in table.fields() if each.kind is Kind.MOMENT and each is not ours]
    told = [value(mapping, table, each) for each in others if table.filling(each.ours)]
    return f"coalesce({', '.join([*told, NO_TIME])})"


def _type(table: str, ours: str) -> str:
    return Base.metadata.tables[table].c[ours].type.compile(POSTGRESQL)


def value(mapping: MoveMap, table: TableMap, ours: Field) -> str:
    """SQL of what our column gets."""
    column = table.filling(ours.ours)
    if column is None:
        return _constant(ours, table.values[ours.ours])
    told = _told(table, column)
    match ours.kind:
        case Kind.EMAIL:
            return f"nullif(btrim({told}), '')::citext"
        case Kind.WHOLE:
            fits = f"{_whole(column, told)} BETWEEN {-MOST_WHOLE} AND {MOST_WHOLE}"
            whole = f"CASE WHEN {fits} THEN {_whole(column, told)}::bigint END"
            return f"CASE WHEN {told} ~ '{WHOLE}' THEN {whole} END" if _is_free(column) else whole
        case Kind.FLAG:
            word = f"lower({told})"
            true, false = sql.values(TRUE), sql.values(FALSE)
            return f"CASE WHEN {word} IN ({true}) THEN true WHEN {word} IN ({false}) THEN false END"
        case Kind.MOMENT:
            return _moment(table, ours, column)
        case Kind.MONEY:
            amount = _minor(mapping, table, column, told)
            rounded = f"round({amount})::bigint" if _is_free(column) else f"({amount})::bigint"
            fits = f"CASE WHEN {amount} BETWEEN -{MOST_BY_CARD} AND {MOST_BY_CARD} THEN {rounded} END"
            return f"CASE WHEN {told} ~ '{NUMBER}' THEN {fits} END" if _is_free(column) else fits
        case Kind.LABEL:
            return _as_memberships_say(table, ours, _label(ours, column, told))
        case Kind.REFERENCE:
            # Nothing else could be kept as a number; what is larger is out of range where it is the key.
            record = f"r_{ours.ours}.record"
            return f"CASE WHEN length({record}) < 19 THEN {record}::bigint END"
        case Kind.ORGANIZATION:
            return f"coalesce(r_{ours.ours}.workos_id, {told})"
        case Kind.TOKEN:
            return f"encode(sha256(convert_to({told}, 'UTF8')), 'hex')"
        case _ if ours.ours == "price_currency":
            return f"lower({told})"
        case _ if ours.unique or ours.ours == "time_zone":
            # Many empty ones are no ids, and may not be the same; no zone is the usual one.
            return f"nullif({told}, '')"
    return told


def checks(mapping: MoveMap, table: TableMap) -> Iterator[Check]:
    """Every rule of one row that its columns may break. Those between rows are in `between`."""
    for ours in table.fields():
        column = table.filling(ours.ours)
        if column is None:
            continue
        told = _told(table, column)
        for rule, breaks in _breaks(mapping, table, ours, column, told):
            yield Check(rule, ours.ours, _where_it_is_said(mapping, table, column, breaks), told)
    if table.join is not None:
        yield from _partner_checks(table, table.join)
    claimed, claimant = table.filling("claimed"), table.filling("claimed_by_user_id")
    if claimed is not None and claimant is not None:
        is_claimed = value(mapping, table, table.entity.field("claimed"))
        told = f"s.{sql.name(claimant.name)}"
        breaks = f"coalesce({is_claimed}, false) <> ({told} IS NOT NULL)"
        yield Check(Rule.CLAIMED_BY_NOBODY, "claimed_by_user_id", breaks, told)
    ends, starts = table.filling("ends_at"), table.filling("starts_at")
    if ends is not None and starts is not None:
        told = f"s.{sql.name(ends.name)}"
        yield Check(Rule.ENDS_BEFORE_START, "ends_at", _ends_before_start(mapping, table, ends, starts), told)


def _told(table: TableMap, column: ColumnMap) -> str:
    """What a source says, a name perhaps in several columns."""
    parts = [f"s.{sql.name(part.name)}" for part in table.parts_of(column.to or "")]
    return parts[0] if len(parts) == 1 else f"nullif(btrim(concat_ws(' ', {', '.join(parts)})), '')"


def _where_it_is_said(mapping: MoveMap, table: TableMap, column: ColumnMap, breaks: str) -> str:
    """What a joined row that is not there does not say is told as that, and once."""
    if table.join is None or not table.join.has(column.name) or mapping.decided(Rule.NO_PARTNER) == "without":
        return breaks
    return f"s.{sql.name(table.join.counted)} <> '0' AND ({breaks})"


def _partner_checks(table: TableMap, join: JoinMap) -> Iterator[Check]:
    """Rules about the row of a joined table, told at the first of our columns that it fills."""
    told = f"s.{sql.name(join.counted)}"
    for ours in [column.to for column in table.read if join.has(column.name) and column.to][:1]:
        yield Check(Rule.NO_PARTNER, ours, f"{told} = '0'", told)
        yield Check(Rule.SEVERAL_PARTNERS, ours, f"{told} NOT IN ('0', '1')", told)


def _ends_before_start(mapping: MoveMap, table: TableMap, ends: ColumnMap, starts: ColumnMap) -> str:
    if ends.zone == starts.zone and not ends.plus:
        return f"s.{sql.name(wall_time('ends_at'))} <= s.{sql.name(wall_time('starts_at'))}"
    both = [value(mapping, table, table.entity.field(name)) for name in ("ends_at", "starts_at")]
    return f"{both[0]} <= {both[1]}"


def _breaks(mapping: MoveMap, table: TableMap, ours: Field, column: ColumnMap, told: str) -> Iterator[tuple[Rule, str]]:
    needed = not Base.metadata.tables[table.to].c[ours.ours].nullable
    # Words that have a usual value (a zone, a step, a role) get it; that a flag, label, number or time lacks is told.
    if needed and ours.kind is not Kind.REFERENCE and (ours.required or ours.kind is not Kind.TEXT):
        empty = f"coalesce({told}, '') = ''" if ours.required else f"{told} IS NULL"
        zeros = _has_zeros(ours, column, told) if ours.required and ours.kind is Kind.MOMENT else None
        yield Rule.MISSING, f"{empty} OR {zeros}" if zeros else empty
    match ours.kind:
        case Kind.IDENTITY | Kind.WHOLE:
            yield from _number_breaks(ours, column, told)
        case Kind.MONEY:
            yield from _money_breaks(mapping, table, column, told)
        case Kind.FLAG:
            yield Rule.NOT_A_FLAG, f"lower({told}) NOT IN ({sql.values(TRUE + FALSE)})"
        case Kind.LABEL:
            yield from _label_breaks(ours, column, told)
        case Kind.MOMENT:
            yield from _moment_breaks(ours, column, told)
        case Kind.TEXT | Kind.EMAIL:
            if not column.type.startswith(("character", "text", "citext", "uuid")):
                yield Rule.NOT_TEXT, f"position({sql.value(ZERO_SHOWN)} IN {told}) > 0"
            if ours.ours == "time_zone":
                # Hours are worked out by it, and no page could be shown of a practitioner whose zone there is not.
                yield Rule.UNKNOWN_LABEL, f"{told} <> '' AND {told} NOT IN ({sql.values(sorted(time_zones()))})"
        case Kind.REFERENCE:
            yield Rule.ORPHAN, f"r_{ours.ours}.record IS NULL"
        case Kind.ORGANIZATION if mapping.table(ours.of):
            yield Rule.ORPHAN, f"{told} IS NOT NULL AND r_{ours.ours}.workos_id IS NULL"
        case _:
            return


def _constant(ours: Field, given: str) -> str:
    # While it is undecided it is nothing; no import gets so far.
    return sql.value(None if given == UNDECIDED else given)


def _is_free(column: ColumnMap) -> bool:
    """Whether the source's type lets anything but whole numbers stand there."""
    return not column.type.startswith(INTEGERS)


def _whole(column: ColumnMap, told: str) -> str:
    """SQL of a whole number as what it surely fits in; the larger kind costs several times as much."""
    fits = not _is_free(column) and "unsigned" not in column.type
    return f"{told}::bigint" if fits else f"{told}::numeric"


def is_own_number(column: ColumnMap | None, told: str) -> str:
    """SQL that is true of a key that is a whole number and may be kept."""
    if column is None or _is_free(column):
        return f"{told} ~ '{WHOLE_KEY}'"
    return f"NOT starts_with({told}, '-')"


# -- numbers and money ------------------------------------------------------------------------------------------------


def _number_breaks(ours: Field, column: ColumnMap, told: str) -> Iterator[tuple[Rule, str]]:
    if ours.kind is Kind.IDENTITY:
        # A whole number is kept; what is none gets a number of ours, so only the size can be wrong.
        if _is_free(column):
            yield Rule.OUT_OF_RANGE, f"{told} ~ '^-?[0-9]+$' AND {told}::numeric NOT BETWEEN 1 AND {MOST_KEY}"
        else:
            yield Rule.OUT_OF_RANGE, f"{_whole(column, told)} NOT BETWEEN 1 AND {MOST_KEY}"
        return
    if _is_free(column):
        yield Rule.NOT_A_NUMBER, f"{told} !~ '{WHOLE}'"
    least = 1 if ours.ours == "minutes" else 0
    fits = f"{_whole(column, told)} BETWEEN {least} AND {MOST_WHOLE}"
    yield Rule.OUT_OF_RANGE, f"CASE WHEN {told} ~ '{WHOLE}' THEN NOT {fits} END" if _is_free(column) else f"NOT {fits}"


def _minor(mapping: MoveMap, table: TableMap, column: ColumnMap, told: str) -> str:
    number = _whole(column, told)
    return number if column.unit is Unit.MINOR else f"({number} * {_factor(mapping, table)})"


def _factor(mapping: MoveMap, table: TableMap) -> str:
    """How many minor units one of its currency is, by Stripe's table."""
    usual = 10 ** currency_of(mapping.currency).decimals
    currency = table.filling("price_currency")
    if currency is None:
        said = table.values.get("price_currency")
        return str(10 ** currency_of(said).decimals if said else usual)
    by_decimals: dict[int, list[str]] = {}
    for known in CURRENCIES.values():
        by_decimals.setdefault(10**known.decimals, []).append(known.code.lower())
    told = f"lower(s.{sql.name(currency.name)})"
    cases = "".join(
        f" WHEN {told} IN ({sql.values(codes)}) THEN {factor}" for factor, codes in by_decimals.items() if factor != 100
    )
    return f"CASE{cases} WHEN {told} IS NULL THEN {usual} ELSE 100 END" if cases else "100"


def _money_breaks(mapping: MoveMap, table: TableMap, column: ColumnMap, told: str) -> Iterator[tuple[Rule, str]]:
    if _is_free(column) and not column.type.startswith(("numeric", "decimal")):
        yield Rule.NOT_A_NUMBER, f"{told} !~ '{NUMBER}'"
    amount = _minor(mapping, table, column, told)
    if _is_free(column):
        yield Rule.CHANGES_VALUE, f"CASE WHEN {told} ~ '{NUMBER}' THEN {amount} <> round({amount}) END"
    outside = f"{amount} NOT BETWEEN 0 AND {MOST_BY_CARD}"
    yield Rule.OUT_OF_RANGE, f"CASE WHEN {told} ~ '{NUMBER}' THEN {outside} END" if _is_free(column) else outside


# -- labels -----------------------------------------------------------------------------------------------------------


def _label(ours: Field, column: ColumnMap, told: str) -> str:
    known = {label: label for label in ours.labels} | {
        theirs: mine for theirs, mine in column.labels.items() if mine in ours.labels
    }
    cases = "".join(f" WHEN {sql.value(theirs)} THEN {sql.value(mine)}" for theirs, mine in known.items())
    return f"CASE {told}{cases} END"


def _as_memberships_say(table: TableMap, ours: Field, label: str) -> str:
    """With us who is inactive is free, and who is free although a membership is known is inactive."""
    other = {"membership": "status", "status": "membership"}.get(ours.ours)
    column = table.filling(other) if other else None
    if other is None or column is None or not table.filling("membership"):
        return label
    beside = _label(table.entity.field(other), column, f"s.{sql.name(column.name)}")
    if ours.ours == "membership":
        return f"CASE WHEN {beside} = 'inactive' THEN 'free' ELSE {label} END"
    ids = [table.filling(name) for name in ("whop_membership_id", "stripe_subscription_id")]
    known = ", ".join(f"s.{sql.name(each.name)}" for each in ids if each)
    is_known = f"coalesce({known}) IS NOT NULL" if known else "false"
    return f"CASE WHEN {beside} = 'free' AND {is_known} THEN 'inactive' ELSE {label} END"


def _label_breaks(ours: Field, column: ColumnMap, told: str) -> Iterator[tuple[Rule, str]]:
    known = [*ours.labels, *(theirs for theirs, mine in column.labels.items() if mine in ours.labels)]
    yield Rule.EMPTY_LABEL, f"{told} = ''"
    yield Rule.UNKNOWN_LABEL, f"{told} <> '' AND {told} NOT IN ({sql.values(known)})"


# -- times ------------------------------------------------------------------------------------------------------------

# What a server with types for times can keep that is none; regular expressions over text cost ten times as much.
ENDLESS = "({told} LIKE '%infinity' OR {told} LIKE '%BC')"
HAS_ZEROS = "({told} LIKE '0000%' OR {told} LIKE '____-00%' OR {told} LIKE '_______-00%')"


def wall_times(table: TableMap) -> Iterator[tuple[str, str]]:
    """For each time that says no zone, or has to be read as one, a name and SQL of it as a `timestamp`: made once."""
    for ours in table.fields():
        column = table.filling(ours.ours)
        if ours.kind is Kind.MOMENT and column is not None:
            told = f"s.{sql.name(column.name)}"
            kind = "timestamp" if column.zone else "timestamptz"
            yield wall_time(ours.ours), f"CASE WHEN {_is_day(column, told)} THEN {told}::{kind} END"


def wall_time(ours: str) -> str:
    return f"wall {ours}"


def _is_day(column: ColumnMap, told: str) -> str:
    """A date that the calendar has. PostgreSQL keeps no others; MySQL does, and text says anything."""
    if column.type.startswith("timestamp with"):
        return f"NOT {ENDLESS.format(told=told)}"
    if column.type.startswith(("datetime", "timestamp", "date")):
        return f"NOT {HAS_ZEROS.format(told=told)}"
    year = f"substr({told}, 1, 4)::integer"
    leap = f"{year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0)"
    return f"({told} ~ '{DAY}' AND (substr({told}, 6, 5) <> '02-29' OR {leap}))"


def _has_zeros(ours: Field, column: ColumnMap, told: str) -> str | None:
    if column.type.startswith("timestamp with"):
        return None
    if column.type.startswith(("datetime", "timestamp", "date")):
        # Such a time was read as none.
        return f"(s.{sql.name(wall_time(ours.ours))} IS NULL AND {HAS_ZEROS.format(told=told)})"
    return f"{told} ~ '{ZEROS}'"


def _moment(table: TableMap, ours: Field, column: ColumnMap) -> str:
    made = _instant(table, ours, column)
    return f"{made} + interval '{column.plus:d} minutes'" if column.plus else made


def _instant(table: TableMap, ours: Field, column: ColumnMap) -> str:
    wall = f"s.{sql.name(wall_time(ours.ours))}"
    if column.zone is None:
        return wall
    if column.zone in AS_UTC:
        return f"timezone('UTC', {wall})"
    start = table.filling(ours.after) if ours.after else None
    if start is not None and start.zone == column.zone and start.name != column.name:
        # What is sold is the time in between, also where clocks are changed within it or right before its end.
        begins = f"s.{sql.name(wall_time(ours.after))}"
        return f"{local_times.moment(begins, column.zone)} + ({wall} - {begins})"
    return local_times.moment(wall, column.zone)


def _moment_breaks(ours: Field, column: ColumnMap, told: str) -> Iterator[tuple[Rule, str]]:
    wall = f"s.{sql.name(wall_time(ours.ours))}"
    zeros = _has_zeros(ours, column, told)
    if zeros is not None:
        yield Rule.ZERO_DATE, zeros
    kind = "timestamp" if column.zone else "timestamptz"
    first, after = f"{kind} '{FIRST_YEAR}-01-01 00:00:00'", f"{kind} '{LAST_YEAR + 1}-01-01 00:00:00'"
    no_day = f"{told} IS NOT NULL" + (f" AND NOT {zeros}" if zeros else "")
    yield Rule.NOT_A_TIME, f"CASE WHEN {wall} IS NULL THEN {no_day} ELSE {wall} < {first} OR {wall} >= {after} END"
    if column.zone not in {None, *AS_UTC} and not ours.after:
        yield Rule.CLOCK_CHANGE, local_times.is_unsure(wall, str(column.zone))
