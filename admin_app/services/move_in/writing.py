"""Writing what was prepared: new rows, changed ones, and what became of each.

`Batch` names what was prepared: the rows of one transaction, or those of a whole table (see `gathering`).
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy.dialects.postgresql import CITEXT

from admin_app.context import Ctx
from admin_app.errors import InvalidInput
from admin_app.services.move_in import between, sql
from admin_app.services.move_in.catalog import Entity, Kind
from admin_app.services.move_in.indexes import set_aside
from admin_app.services.move_in.mapping import LEAVE, REFUSE, SENTENCES, MoveMap, Rule, TableMap
from admin_app.services.move_in.staging import BY_RULES, breaks_any, by_rules, driver, number, run
from models import Base

SHOWN = 10
WORKOS_IDS = ("guest_workos_user_id", "guest_org_id")
SAME_GUEST = "p.guest_email IS NOT DISTINCT FROM o.guest_email"


@dataclass
class Counts:
    """What an import did with the rows of one table so far."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    left: int = 0
    gone: int = 0
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Rows that were prepared in the table `prepared`; `first`: none of this table was ever brought over before."""

    ctx: Ctx
    mapping: MoveMap
    mapped: TableMap
    run_id: int
    prepared: str
    first: bool = False


def write_with_care(batch: Batch, counts: Counts, *, apart: Sequence[str] = ()) -> None:
    """Write at once; only where the database refuses a row is it looked at what stands between rows.

    `apart`: tables whose indexes are made anew when all is written; nobody else may use them meanwhile.
    """
    refuse(batch)
    was = counts.__dict__ | {"conflicts": list(counts.conflicts)}
    try:
        with driver(batch.ctx.session).transaction():
            _write_apart(batch, counts, apart, _conflicts(batch))
    except (psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation):
        counts.__dict__.update(was)
        _conflicts(batch)
        between.mark_twice(batch.ctx, batch.mapping, batch.mapped, batch.prepared)
        between.mark_overlaps(batch.ctx, batch.mapping, batch.mapped, batch.prepared)
        refuse(batch)
        conflicts = _conflicts(batch)
        if not batch.first:
            between.make_room(batch.ctx, batch.mapping, batch.mapped, batch.prepared)
        _write_apart(batch, counts, apart, conflicts)


def refuse(batch: Batch) -> None:
    """Stop with the rows that break a rule about which nothing else was decided."""
    found = run(
        batch.ctx,
        f"SELECT b, count(*), (array_agg(source_key))[1:{SHOWN}] FROM {batch.prepared}, unnest(broken) b "
        f"WHERE {breaks_any(batch.mapping, REFUSE)} AND told IS DISTINCT FROM told_before GROUP BY b ORDER BY b",
    ).fetchall()
    refusing = [(Rule(said.partition(":")[0]), said.partition(":")[2], number, keys) for said, number, keys in found]
    sentences = [
        f"{batch.mapped.name}, our {ours}: {SENTENCES[rule]} ({rule.value}), {number} rows, "
        f"for example {', '.join(keys)}"
        for rule, ours, number, keys in refusing
        if batch.mapping.decided(rule) == REFUSE
    ]
    if sentences:
        raise InvalidInput(
            "Rows stand in the way. Put them right there, or decide about them in the mapping:\n  "
            + "\n  ".join(sentences)
        )


def _write_apart(batch: Batch, counts: Counts, apart: Sequence[str], conflicts: Sequence[str]) -> None:
    with ExitStack() as stack:
        for table in apart:
            stack.enter_context(set_aside(batch.ctx, table))
        _write(batch, counts, conflicts)


def _changed(batch: Batch) -> str:
    """SQL that is true of a row that is to be written."""
    left = breaks_any(batch.mapping, LEAVE)
    return f"NOT {left}" if batch.first else f"told IS DISTINCT FROM told_before AND NOT {left}"


def _write(batch: Batch, counts: Counts, conflicts: Sequence[str]) -> None:
    ctx, left, changed = batch.ctx, breaks_any(batch.mapping, LEAVE), _changed(batch)
    if left != "false":
        counts.left += number(ctx, f"SELECT count(*) FROM {batch.prepared} WHERE {left}")
    if batch.first:
        counts.new += _insert(batch, changed)
        _remember_first(batch, left)
        return
    counts.unchanged += number(ctx, f"SELECT count(*) FROM {batch.prepared} WHERE told = told_before")
    counts.new += _insert(batch, f"NOT is_known AND {changed}")
    counts.conflicts += conflicts
    counts.changed += _update(batch, changed)
    _remember(batch, left)


def columns_written(mapped: TableMap) -> list[str]:
    """Our columns that an import writes, but the key."""
    kinds = {Kind.IDENTITY, Kind.OWN_KEY}
    return [each.ours for each in mapped.fields() if each.kind not in kinds] + list(by_rules(mapped))


def kept(entity: Entity, alias: str) -> str:
    """SQL of what tells whether a record is still as it was left, whichever of its columns were brought over."""
    kinds = {Kind.IDENTITY, Kind.OWN_KEY}
    ours = [each.ours for each in entity.fields if each.kind not in kinds]
    return sql.as_uuid(sql.row_hash(as_told(entity.table, [*ours, *BY_RULES.get(entity.table, ())], alias)))


def as_told(table: str, columns: Sequence[str], alias: str) -> list[str]:
    """SQL of these values. An address in other letters is another text, although it is the same address."""
    known = Base.metadata.tables[table].c
    return [f"{alias}.{sql.name(name)}{'::text' if isinstance(known[name].type, CITEXT) else ''}" for name in columns]


def written(mapped: TableMap, ours: str) -> str:
    """SQL of what an import writes onto a record `o` that is here, by what a row says (`p`).

    The ids of WorkOS that a meeting got here stay while it is the same guest's and the source does not know them.
    """
    mine, theirs = f"o.{sql.name(ours)}", f"p.{sql.name(ours)}"
    unknown = {
        "guest_workos_user_id": f"{mine} <> '' AND coalesce({theirs}, '') = ''",
        "guest_org_id": f"starts_with({mine}, 'org_') AND NOT starts_with(coalesce({theirs}, ''), 'org_')",
    }
    if mapped.to != "meetings" or ours not in unknown:
        return theirs
    is_same = SAME_GUEST if mapped.filling("guest_email") else "true"
    return f"CASE WHEN {unknown[ours]} AND {is_same} THEN {mine} ELSE {theirs} END"


def as_written(mapped: TableMap) -> list[str]:
    """SQL of the columns as an import leaves them on a record `o`; as `as_told` says what is there."""
    told = zip(columns_written(mapped), as_told(mapped.to, columns_written(mapped), "p"), strict=True)
    return [written(mapped, name) if mapped.to == "meetings" and name in WORKOS_IDS else each for name, each in told]


def _key(mapped: TableMap) -> str:
    kind = "text" if mapped.entity.key.kind is Kind.OWN_KEY else "bigint"
    return f"record::{kind}"


def _insert(batch: Batch, which: str) -> int:
    mapped = batch.mapped
    listed = ", ".join(sql.name(name) for name in columns_written(mapped))
    key = sql.name(mapped.entity.key.ours)
    return int(
        run(
            batch.ctx,
            f"INSERT INTO {mapped.to} ({key}, {listed}) OVERRIDING SYSTEM VALUE "
            f"SELECT {_key(mapped)}, {listed} FROM {batch.prepared} WHERE {which}",
        ).rowcount
    )


def _conflicts(batch: Batch) -> list[str]:
    """Records that were changed, or went, here as well since: ours stay as they are, and it is told every time."""
    if batch.first:
        return []
    mapped = batch.mapped
    key = sql.name(mapped.entity.key.ours)
    still = f"SELECT FROM {mapped.to} o WHERE o.{key} = p.{_key(mapped)} AND {kept(mapped.entity, 'o')} = p.kept_before"
    found = run(
        batch.ctx,
        f"UPDATE {batch.prepared} p SET is_conflict = true WHERE p.is_known AND {_changed(batch)} "
        f"AND NOT EXISTS ({still}) "
        "RETURNING p.record",
    ).fetchall()
    return sorted(str(record) for (record,) in found)


def _update(batch: Batch, changed: str) -> int:
    mapped = batch.mapped
    columns = columns_written(mapped)
    sets = [f"{sql.name(name)} = {written(mapped, name)}" for name in columns]
    if mapped.to == "meetings" and mapped.filling("guest_email"):
        # What only we know is of the guest whom the meeting had.
        sets += [f"{name} = CASE WHEN {SAME_GUEST} THEN o.{name} END" for name in WORKOS_IDS if name not in columns]
    if "version" in _columns_of(mapped):
        sets.append("version = o.version + 1")
    key = sql.name(mapped.entity.key.ours)
    return int(
        run(
            batch.ctx,
            f"UPDATE {mapped.to} o SET {', '.join(sets)} FROM {batch.prepared} p WHERE o.{key} = p.{_key(mapped)} "
            f"AND p.is_known AND NOT p.is_conflict AND {changed}",
        ).rowcount
    )


def _columns_of(mapped: TableMap) -> Any:
    return Base.metadata.tables[mapped.to].c


def _remember(batch: Batch, left: str) -> None:
    """What became of each row. Where both sides changed, what was kept stays, so that it is told again; so does the
    record of a row that was brought over and is left behind by now.
    """
    mapped = batch.mapped
    key = sql.name(mapped.entity.key.ours)
    ours = (
        f"LEFT JOIN LATERAL (SELECT * FROM {mapped.to} x "
        f"WHERE x.{key} = CASE WHEN NOT {left} THEN p.{_key(mapped)} END OFFSET 0) o ON true"
    )
    run(
        batch.ctx,
        f"{_remembered(batch, left, kept(mapped.entity, 'o'))} {ours} "
        f"WHERE told IS DISTINCT FROM told_before AND NOT is_conflict AND NOT (is_known AND {left}) "
        "ON CONFLICT (source_key, table_name, system) DO UPDATE SET record = excluded.record, told = excluded.told, "
        "kept = excluded.kept, left_because = excluded.left_because, run_id = excluded.run_id",
    )


def _remember_first(batch: Batch, left: str) -> None:
    """The same where nothing is known yet. Only key and digest of a record are joined, which is all that has to be
    kept in memory at once.
    """
    mapped = batch.mapped
    key = sql.name(mapped.entity.key.ours)
    narrow = f"(SELECT x.{key} AS id, {kept(mapped.entity, 'x')} AS kept FROM {mapped.to} x OFFSET 0)"
    run(
        batch.ctx,
        f"{_remembered(batch, left, 'o.kept')} "
        f"LEFT JOIN {narrow} o ON o.id = CASE WHEN NOT {left} THEN {_key(mapped)} END",
    )


def _remembered(batch: Batch, left: str, kept_now: str) -> str:
    mapping, mapped = batch.mapping, batch.mapped
    named = f"{sql.value(mapping.system)}, {sql.value(mapped.name)}, {sql.value(mapped.to)}"
    return (
        "INSERT INTO moved_rows "
        "(source_key, system, source_table, table_name, record, told, kept, left_because, run_id) "
        f"SELECT source_key, {named}, CASE WHEN NOT {left} THEN record END, told, "
        f"CASE WHEN NOT {left} THEN {kept_now} END, "
        f"CASE WHEN {left} THEN array_to_string(broken, ' ') END, {batch.run_id:d} FROM {batch.prepared} p"
    )
