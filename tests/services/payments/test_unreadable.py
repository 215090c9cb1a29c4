"""One object that cannot be read is a difference like any other and ends no comparison, whichever provider it is of."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import AnswerUnreadable
from admin_app.services.drift import drift_runs
from models import DriftFinding, DriftRun
from tests.faults.odd_side import Odd, OddSide


class Side(OddSide):
    """`odd` cannot be read: when it is asked for in full, or when it is asked for again because ours says so."""

    def __init__(self, *, held: bool) -> None:
        self._held = held

    def listed(self, since: datetime) -> Iterator[Odd]:
        return map(Odd, ("first", "last") if self._held else ("first", "odd", "last"))

    def whole(self, listed: Odd, work: Any) -> Odd:
        return self.ask(listed.external_id)

    def ask(self, external_id: str) -> Odd:
        if external_id == "odd":
            raise AnswerUnreadable("whop")
        return Odd(external_id)

    def held(self, session: Any, since: Any, after: str | None, limit: int) -> list[tuple[str, str]]:
        return [("1", "odd")] if self._held and after is None else []


@pytest.mark.parametrize("held", [False, True])
def test_the_others_are_compared_all_the_same(db: Database, held: bool) -> None:
    progress = drift_runs.compare(Side(held=held), lambda: db.unit_of_work(Job("compare")))  # type: ignore[arg-type]
    assert progress.compared == 3
    with db.read_only() as read:
        run = read.scalars(select(DriftRun)).one()
        assert (run.finished_at is not None, run.error_code) == (True, None)
        finding = read.scalars(select(DriftFinding)).one()
        assert (finding.external_id, finding.because) == ("odd", "answer_unreadable")
