"""Which values another type would change.

A cast is done when every value comes out as it went in. For each pair of types this says how to write the cast and for
which rows it would not be so: 90.50 as an integer, 40 letters in varchar(32), a time without a zone where nobody said
which zone is meant.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from admin_app.services.core import local_times
from admin_app.services.core.time_zones import time_zones

TIMES_ZONE = "MIGRATE_TIMES_ZONE"
NAIVE = "timestamp without time zone"
INTEGERS = {
    "smallint": "BETWEEN -32768 AND 32767",
    "integer": "BETWEEN -2147483648 AND 2147483647",
    "bigint": "BETWEEN -9223372036854775808 AND 9223372036854775807",
}
FRACTIONS = {"numeric", "real", "double precision"}
TEXTS = {"text", "character varying", "character", "citext", "name"}
TEXT_ARRAYS = {"text[]", "character varying[]"}
ALWAYS_UTC = {"UTC", "ETC/UTC", "UCT", "ETC/UCT", "GMT", "ETC/GMT", "ZULU", "ETC/ZULU", "UNIVERSAL", "ETC/UNIVERSAL"}
# Letters of a whole number as PostgreSQL writes it itself, few enough to be one of 64 bit.
WHOLE_NUMBER = "^(0|-?[1-9][0-9]{0,17})$"
ZONE_NOT_SAID = (
    "times without a zone, and the zone of this database, {zone}, is not UTC: say with "
    + TIMES_ZONE
    + "=UTC or "
    + TIMES_ZONE
    + "={zone} which one they are in"
)


@dataclass(frozen=True)
class Cast:
    """`using`: the expression. `changed`: the condition for rows whose value it would change, None when none would."""

    using: str
    changed: str | None = None
    why: str = ""


def base(type_name: str) -> str:
    """Without length or precision: numeric(10,2) is numeric."""
    return " ".join(re.sub(r"\([^)]*\)", "", type_name).split())


def length(type_name: str) -> int | None:
    found = re.search(r"character(?: varying)?\((\d+)\)", type_name)
    return int(found[1]) if found else None


def another_kind(source: str, target: str) -> bool:
    """Whether what compares a value with constants of its type would no longer be understood."""
    kinds = (base(source), base(target.replace("varchar", "character varying")))
    return kinds[0] != kinds[1] and not any({*kinds} <= kind for kind in (TEXTS, {*INTEGERS, *FRACTIONS}))


def rewrites(source: str, target: str, using: str) -> bool:
    """Whether PostgreSQL writes each row anew for this cast, in a session in UTC."""
    kinds, lengths = (base(source), base(target)), (length(source), length(target))
    if {*kinds} <= {"text", "character varying", "citext"}:
        return lengths[1] is not None and (lengths[0] is None or lengths[0] > lengths[1])
    return kinds != (NAIVE, "timestamp with time zone") or "(" in using


def cast(column: str, source: str, target: str, *, zone: str, labels: Sequence[str] | None = None) -> Cast:
    """From one type to another, both as format_type spells them; `labels` those of the target when it is an enum,
    `zone` that of the database."""
    kinds = (base(source), base(target))
    filled = f"{column} IS NOT NULL"
    through_text = f"{column}::text::{target}"
    if labels is not None:
        known = ", ".join(f"'{label}'" for label in labels)
        return Cast(through_text, f"{column}::text NOT IN ({known})", f"labels other than {', '.join(labels)}")
    if kinds[1] in TEXTS:
        return _to_text(column, kinds[0], target)
    if kinds[1] in INTEGERS:
        return _to_integer(column, source, target)
    if kinds[1] == "boolean" and kinds[0] in {*INTEGERS, *TEXTS}:
        known = "'0', '1'" if kinds[0] in INTEGERS else "'true', 'false'"
        return Cast(through_text, f"{column}::text NOT IN ({known})", "values that are neither true nor false")
    if kinds == (NAIVE, "timestamp with time zone"):
        return _from_naive(column, target, zone)
    if kinds == ("timestamp with time zone", NAIVE):
        return _to_naive(column, zone)
    if kinds[0] in {*INTEGERS, *FRACTIONS} and kinds[1] in FRACTIONS:
        # Too large a value is an error; one that is rounded comes back as another.
        return Cast(f"{column}::{target}", f"{column}::{target}::{source} <> {column}", "numbers that it would round")
    same = kinds[0] == kinds[1] or kinds == ("json", "jsonb") or {*kinds} <= TEXT_ARRAYS
    return Cast(f"{column}::{target}") if same else Cast(through_text, filled, f"values of type {source}")


def _to_text(column: str, kind: str, target: str) -> Cast:
    using = f"{column}::{target}" if kind in TEXTS else f"{column}::text::{target}"
    if kind.startswith("timestamp") or kind == "bytea":
        return Cast(using, f"{column} IS NOT NULL", f"values of type {kind}, which are written in more than one way")
    most = length(target)
    return Cast(using, f"char_length({column}::text) > {most}", f"more than {most} letters") if most else Cast(using)


def _to_integer(column: str, source: str, target: str) -> Cast:
    direct, kind = f"{column}::{target}", base(source)
    if column.startswith("price") and re.search(r",\s*[1-9]", source):
        # Whole or not: 90.00 is ninety, and would be read as ninety cents.
        return Cast(direct, f"{column} <> 0", "amounts with decimals, where the smallest unit (cents) is counted")
    if kind in INTEGERS:
        return Cast(direct, f"{column} NOT {INTEGERS[target]}", f"numbers too large for {target}")
    if kind in FRACTIONS:
        broken = f"trunc({column}::numeric) <> {column}::numeric OR {column}::numeric NOT {INTEGERS[target]}"
        return Cast(direct, broken, "numbers that are not whole")
    if kind in TEXTS:
        number = (
            f"CASE WHEN {column} ~ '{WHOLE_NUMBER}' THEN {column}::text::bigint NOT {INTEGERS[target]} ELSE true END"
        )
        return Cast(f"{column}::text::{target}", f"{column} IS NOT NULL AND {number}", "text that is no whole number")
    if kind == "boolean":
        return Cast(f"{column}::integer::{target}")
    return Cast(f"{column}::text::{target}", f"{column} IS NOT NULL", f"values of type {kind}")


def _from_naive(column: str, target: str, zone: str) -> Cast:
    chosen = os.environ.get(TIMES_ZONE, "")
    if (chosen or zone).upper() in ALWAYS_UTC:
        # The migrator's session is in UTC: nothing is written anew.
        return Cast(f"{column}::{target}")
    if chosen in time_zones():
        # By the product's own table of zones, whatever the database's says.
        return Cast(local_times.moment(column, chosen))
    return Cast(f"{column} AT TIME ZONE 'UTC'", f"{column} IS NOT NULL", ZONE_NOT_SAID.format(zone=zone))


def _to_naive(column: str, zone: str) -> Cast:
    """The way back of the same time, as `_from_naive` read it."""
    chosen = os.environ.get(TIMES_ZONE, "") or zone
    if chosen.upper() in ALWAYS_UTC:
        return Cast(f"{column} AT TIME ZONE 'UTC'")
    if os.environ.get(TIMES_ZONE) in time_zones():
        return Cast(local_times.wall_clock(column, chosen))
    return Cast(f"{column} AT TIME ZONE 'UTC'", f"{column} IS NOT NULL", ZONE_NOT_SAID.format(zone=zone))
