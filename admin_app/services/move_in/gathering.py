"""The first import of a large table: its rows are prepared batch by batch in a table of their own, and written at once.

What is gathered outlives a run that was stopped, and nothing of it is seen in the product. Then one transaction writes
all of it, with the product's indexes made anew instead of kept up row by row (`indexes`). This is done only where our
table is empty and nobody else is at the database; everywhere else a batch is written as soon as it is prepared.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg

from admin_app.context import Ctx
from admin_app.errors import Conflict
from admin_app.integrations.earlier import Source
from admin_app.services.move_in import between, sql
from admin_app.services.move_in.indexes import locked_to_set_aside, may_be_set_aside
from admin_app.services.move_in.mapping import REFUSE, MoveMap, TableMap
from admin_app.services.move_in.staging import breaks_any, moved_parents, number, patiently, prepared, run
from admin_app.services.move_in.writing import Batch, Counts, refuse, write_with_care
from models.move_in import MoveRun

# For fewer rows it brings nothing.
LEAST = 50_000
KNOWN = "SELECT count(*) FROM (SELECT FROM moved_rows WHERE system = {} AND table_name = {} LIMIT 1) m"


class OthersInTheWay(Conflict):
    code = "others_in_the_way"
    sentence = (
        "Somebody began to change the product's data while rows were being written, so nothing of this table was. "
        "What was read is kept: run the import again."
    )


def table_of(system: str, to: str) -> str:
    return sql.name(f"gathered_{system}_{to}")


def is_worth_it(ctx: Ctx, source: Source, mapping: MoveMap, mapped: TableMap) -> bool:
    """Whether the rows are many, none of them was ever brought over, and the product has none of its own yet."""
    known = number(ctx, KNOWN.format(sql.value(mapping.system), sql.value(mapped.to)))
    return not known and may_be_set_aside(ctx, mapped.to) and source.count(mapped.name) >= LEAST


def begin(ctx: Ctx, mapping: MoveMap, mapped: TableMap, *, staged: str) -> None:
    """An empty table for what will be prepared. It is not logged: after a crash of the server it is empty, which is
    seen by its rows (`is_whole`).
    """
    table = table_of(mapping.system, mapped.to)
    rows = prepared(mapping, mapped, staged=staged, parents=moved_parents(mapping), first=True)
    run(ctx, f"DROP TABLE IF EXISTS {table}")
    run(ctx, f"CREATE UNLOGGED TABLE {table} WITH (autovacuum_enabled = off) AS {rows} WITH NO DATA")


def add(batch: Batch, *, staged: str) -> None:
    """Prepare the staged rows; refuses them as a batch that is written does."""
    rows = prepared(batch.mapping, batch.mapped, staged=staged, parents=moved_parents(batch.mapping), first=True)
    table = table_of(batch.mapping.system, batch.mapped.to)
    refused = f"count(*) FILTER (WHERE {breaks_any(batch.mapping, REFUSE)})"
    if number(batch.ctx, f"WITH these AS (INSERT INTO {table} {rows} RETURNING broken) SELECT {refused} FROM these"):
        refuse(replace(batch, prepared=table))


def is_whole(ctx: Ctx, mapping: MoveMap, mapped: TableMap, counts: Counts) -> bool:
    """Whether as many rows were gathered as were read: what a run that died had gathered is not believed."""
    table = table_of(mapping.system, mapped.to)
    there = number(ctx, f"SELECT (to_regclass({sql.value(table)}) IS NOT NULL)::int")
    return bool(there) and number(ctx, f"SELECT count(*) FROM {table}") == counts.read


def write(batch: Batch, counts: Counts) -> None:
    """All of the table at once; raises InvalidInput as a batch does, and the caller then forgets what was gathered."""
    ctx, mapping, mapped = batch.ctx, batch.mapping, batch.mapped
    patiently(ctx.session)
    run(ctx, "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off")
    table = table_of(mapping.system, mapped.to)
    apart = [mapped.to] if locked_to_set_aside(ctx, mapped.to) else []
    if apart and number(ctx, f"SELECT (pg_relation_size('moved_rows') <= pg_relation_size({sql.value(table)}))::int"):
        apart.append("moved_rows")
    between.mark_pending_past(ctx, mapping, mapped, table)
    between.mark_unrefused(ctx, mapping, mapped, table)
    try:
        write_with_care(replace(batch, prepared=table, first=True), counts, apart=apart)
    except psycopg.errors.LockNotAvailable as held:
        raise OthersInTheWay from held
    run(ctx, f"DROP TABLE {table}")
    # Every later batch looks rows up in it, by plans that must not wait for the server's own round.
    run(ctx, "ANALYZE moved_rows")


def forget(ctx: Ctx, row: MoveRun) -> None:
    """Begin again with the tables whose rows lie gathered: they, or how they are read, are not the same any more."""
    kept: dict[str, Any] = {}
    for to, said in row.progress.items():
        if _lies_gathered(said):
            run(ctx, f"DROP TABLE IF EXISTS {table_of(row.system, to)}")
        else:
            kept[to] = said
    row.progress = kept


def _lies_gathered(said: Mapping[str, Any]) -> bool:
    return bool(said.get("gathers")) and not said["done"]
