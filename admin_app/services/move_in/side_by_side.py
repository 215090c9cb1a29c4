"""Rows of a source beside the records that they became, batch by batch and by as many connections as are given."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from admin_app.context import Ctx
from admin_app.services.move_in import between, sql
from admin_app.services.move_in.catalog import Kind
from admin_app.services.move_in.mapping import LEAVE, MoveMap, TableMap
from admin_app.services.move_in.reading import Reading
from admin_app.services.move_in.staging import (
    breaks_any,
    moved_parents,
    patiently,
    prepare,
    refusals,
    repairs_any,
    run,
    stage,
)
from admin_app.services.move_in.writing import as_told, as_written, columns_written

SHOWN = 100
BATCH = 20_000
STAGED, PREPARED = "compared_staged", "compared_rows"
Work = Callable[[], AbstractContextManager[Ctx]]


@dataclass
class Found:
    """What the batches of a table showed so far; the keys are the first of each kind."""

    known: int = 0
    left: int = 0
    moved_on: int = 0
    repaired: int = 0
    theirs: int = 0
    ours: int = 0
    differing: list[str] = field(default_factory=list)
    not_here: list[str] = field(default_factory=list)

    def add(self, row: Sequence[Any]) -> None:
        known, left, moved_on, repaired, theirs, ours, differing, not_here = row
        self.known += known
        self.left += left
        self.moved_on += moved_on
        self.repaired += repaired
        # Whatever the order of the rows, and however they came apart into batches.
        self.theirs ^= theirs or 0
        self.ours ^= ours or 0
        self.differing = sorted([*self.differing, *(differing or [])])[:SHOWN]
        self.not_here = sorted([*self.not_here, *(not_here or [])])[:SHOWN]


class Looking:
    """All rows of one table; every connection takes the next batch of the one reading."""

    def __init__(self, mapping: MoveMap, mapped: TableMap, reading: Reading) -> None:
        self.found = Found()
        self._mapping, self._mapped, self._reading = mapping, mapped, reading
        self._turn, self._adding = threading.Lock(), threading.Lock()
        self._failed: BaseException | None = None

    def by(self, ctx: Ctx, helper: Work | None) -> Found:
        """Look with the caller's connection, and with another at the same time where that can be opened."""
        other = threading.Thread(target=self._help, args=(helper,), name="looking") if helper else None
        if other is not None:
            other.start()
        try:
            self._look(ctx)
        except BaseException as failed:
            self._failed = failed
            raise
        finally:
            if other is not None:
                other.join()
        if self._failed is not None:
            raise self._failed
        return self.found

    def _help(self, helper: Work) -> None:
        try:
            with helper() as ctx:
                patiently(ctx.session)
                self._look(ctx)
        except BaseException as failed:
            self._failed = self._failed or failed

    def _look(self, ctx: Ctx) -> None:
        run(ctx, "SET LOCAL jit = off")
        statement = _both(self._mapping, self._mapped)
        while self._failed is None:
            with self._turn:
                if not stage(ctx, self._reading, self._mapped, into=STAGED, limit=BATCH):
                    return
            with refusals(self._mapped):
                parents = moved_parents(self._mapping)
                prepare(ctx, self._mapping, self._mapped, staged=STAGED, into=PREPARED, parents=parents, told=False)
                between.mark_pending_past(ctx, self._mapping, self._mapped, PREPARED, told=False)
                row = run(ctx, statement).fetchone()
            with self._adding:
                self.found.add(row)


def _both(mapping: MoveMap, mapped: TableMap) -> str:
    """SQL of one batch, each row beside its record: how many there are of each kind, both checksums, and keys."""
    key = sql.name(mapped.entity.key.ours)
    kind = "text" if mapped.entity.key.kind is Kind.OWN_KEY else "bigint"
    left = f"(was_left OR {breaks_any(mapping, LEAVE, 'p.broken')})"
    rows = (
        f"SELECT p.source_key, p.is_known, {left} AS is_left, {_moved_on(mapped, key)} AS is_moved_on, "
        f"{repairs_any(mapping, 'p.broken')} AS is_repaired, "
        f"{_row(as_written(mapped))} AS theirs, CASE WHEN o.{key} IS NOT NULL "
        f"THEN {_row(as_told(mapped.to, columns_written(mapped), 'o'))} END AS ours "
        f"FROM {PREPARED} p LEFT JOIN LATERAL (SELECT * FROM {mapped.to} x "
        f"WHERE x.{key} = CASE WHEN p.is_known THEN p.record::{kind} END OFFSET 0) o ON true"
    )
    here = "NOT is_left AND NOT is_moved_on"
    return (
        "SELECT count(*) FILTER (WHERE is_known), count(*) FILTER (WHERE is_left), "
        f"count(*) FILTER (WHERE is_moved_on), count(*) FILTER (WHERE is_repaired), "
        f"bit_xor(theirs) FILTER (WHERE {here}), "
        f"bit_xor(ours) FILTER (WHERE {here}), "
        f"array_agg(source_key) FILTER (WHERE {here} AND is_known AND theirs IS DISTINCT FROM ours), "
        # OFFSET keeps each checksum from being made for each of its uses.
        f"array_agg(source_key) FILTER (WHERE NOT is_left AND NOT is_known) FROM ({rows} OFFSET 0) b"
    )


def _row(columns: Sequence[str]) -> str:
    """SQL of the whole row with its key, as a number."""
    return sql.row_hash(["p.source_key", *columns])


def _moved_on(mapped: TableMap, key: str) -> str:
    """A `temp_` row that has become a purchase that waits, or joined one."""
    if mapped.to != "profiles":
        return "false"
    adopted = (
        "SELECT FROM audit_entries a WHERE a.event = 'purchase.legacy_adopted' "
        "AND a.facts ->> 'legacy_user_id' = p.source_key"
    )
    return f"(p.is_known AND o.{key} IS NULL AND starts_with(p.source_key, 'temp_') AND EXISTS ({adopted}))"
