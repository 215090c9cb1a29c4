"""Moving a system in as its mover does: a mapping is made, decided, brought over and compared."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from admin_app.context import Job
from admin_app.db import Database
from admin_app.integrations.earlier import open_source
from admin_app.services.move_in import comparing, files, importing, inspecting, making, writing
from admin_app.services.move_in.mapping import UNDECIDED, ColumnMap, MoveMap, Rule, TableMap, Unit, undecided

Edit = Callable[[MoveMap], MoveMap]
COMMAND = Job("flask legacy")


@dataclass
class Move:
    """One earlier system on its way into one product."""

    db: Database
    address: str
    system: str | None = None
    mapping: MoveMap | None = None

    def work(self) -> Any:
        return self.db.unit_of_work(COMMAND)

    def plan(self) -> MoveMap:
        """As `flask legacy plan` writes it and reads it again."""
        with closing(open_source(self.address)) as source:
            tables = source.tables()
            made = making.make(source, making.require_recognised(tables, self.system), tables)
            self.mapping = files.read(files.written(made, where=source.where))
        return self.mapping

    def decide(self, *, zone: str = "UTC", unit: Unit = Unit.MINOR, currency: str = "eur", minutes: int = 60,
               decisions: dict[Rule, str] | None = None) -> MoveMap:  # fmt: skip
        """Every open point decided, as somebody would who knows the system."""
        plan = self.mapping or self.plan()
        tables = tuple(_decided(table, zone, unit, minutes) for table in plan.tables)
        left = {name: "not needed" if why == UNDECIDED else why for name, why in plan.left_tables.items()}
        chosen = {**plan.decisions, **(decisions or {})}
        self.mapping = replace(plan, tables=tables, left_tables=left, currency=currency, decisions=chosen)
        return self.mapping

    @staticmethod
    def decide_file(file: Path, *, zone: str) -> None:
        """Every open point of a mapping's file decided."""
        plan = files.read(file.read_text())
        tables = tuple(_decided(table, zone, Unit.MINOR, 60) for table in plan.tables)
        left = dict.fromkeys(plan.left_tables, "not needed")
        file.write_text(files.written(replace(plan, tables=tables, left_tables=left, currency="eur"), where="there"))

    def inspect(self) -> dict[str, int]:
        """`table.column rule` with how many rows break it."""
        with closing(open_source(self.address)) as source, self.work() as ctx:
            looked = list(inspecting.look(ctx, source=source, mapping=self._mapping()))
        return {f"{one.to}.{found.ours} {found.rule.value}": found.rows for one in looked for found in one.found}

    def keys(self) -> dict[str, list[str]]:
        """`table.column rule` with the keys that `flask legacy inspect --keys` writes."""
        with closing(open_source(self.address)) as source, self.work() as ctx:
            looked = list(inspecting.look(ctx, source=source, mapping=self._mapping()))
            return {
                f"{one.to}.{found.ours} {found.rule.value}": [key for key, _ in inspecting.keys(ctx, found, to=one.to)]
                for one in looked
                for found in one.found
            }

    def open_points(self) -> list[str]:
        return undecided(self._mapping())

    def bring_over(self, *, batch: int = 1000) -> dict[str, writing.Counts]:
        mapping = self._mapping()
        with closing(open_source(self.address)) as source:
            with self.work() as ctx:
                text = files.written(mapping, where="there")
                run_id = importing.start(ctx, source=source, mapping=mapping, file=text)
            steps = importing.bring_over(self.work, source=source, mapping=mapping, run_id=run_id, batch=batch)
            return {step.table: step.counts for step in steps}

    def compare(self) -> dict[str, comparing.Compared]:
        with closing(open_source(self.address)) as source, self.work() as ctx:
            return {one.to: one for one in comparing.compare(ctx, source=source, mapping=self._mapping())}

    def _mapping(self) -> MoveMap:
        assert self.mapping is not None
        return self.mapping


def _decided(table: TableMap, zone: str, unit: Unit, minutes: int) -> TableMap:
    values = {name: str(minutes) if said == UNDECIDED else said for name, said in table.values.items()}
    return replace(table, columns=tuple(_column(each, zone, unit, minutes) for each in table.columns), values=values)


def _column(column: ColumnMap, zone: str, unit: Unit, minutes: int) -> ColumnMap:
    if column.is_undecided:
        return replace(column, left="not needed")
    return replace(
        column,
        zone=zone if column.zone else None,
        unit=unit if column.unit is Unit.UNDECIDED else column.unit,
        # None of ours: what has it is in the way as long as nothing else is decided.
        labels={theirs: "" if ours == UNDECIDED else ours for theirs, ours in column.labels.items()},
        plus=minutes if column.plus is None else column.plus,
    )
