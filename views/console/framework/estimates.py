"""How many records a list holds: exact where counting is cheap, else what the planner expects, said as an estimate."""

import time
from collections.abc import Hashable, Mapping
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Select, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import Executable

KEEP_SECONDS = 60
MOST_KEPT = 2000
# In the planner's units: some thousand rows, counted in a millisecond or two.
CHEAP = 400.0


class Expected(NamedTuple):
    """What the planner says of a statement: its rows and what reading them all would cost."""

    rows: int
    cost: float


_kept: dict[Hashable, tuple[float, Expected]] = {}
_lock = Lock()


class Explain(Executable, ClauseElement):
    """EXPLAIN of a statement, with the statement's own parameters."""

    # Compiled each time: it is asked for once a minute.
    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(Explain)
def _compile_explain(element: Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


def exactly(number: int) -> str:
    """A counted number as people read it, with its thousands set apart; estimates say “about” before it."""
    return f"{number:,}"


def size(
    session: Session, key: Hashable, statement: Select[Any], parameters: Mapping[str, Any], *, at_least: int
) -> str:
    """How many rows the statement has, as people read it; asks the planner once a minute."""
    expected = _expected(session, key, statement, parameters)
    if expected.cost <= CHEAP:
        counted = select(func.count()).select_from(statement.subquery())
        return exactly(session.execute(counted, parameters).scalar_one())
    return f"about {rounded(max(expected.rows, at_least)):,}"


def _expected(session: Session, key: Hashable, statement: Select[Any], parameters: Mapping[str, Any]) -> Expected:
    now = time.monotonic()
    kept = _kept.get(key)
    if kept is not None and kept[0] >= now:
        return kept[1]
    plan = session.execute(Explain(statement), parameters).scalar_one()[0]["Plan"]
    expected = Expected(int(plan["Plan Rows"]), float(plan["Total Cost"]))
    with _lock:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[key] = (now + KEEP_SECONDS, expected)
    return expected


def expected_rows(session: Session, statement: Select[Any], parameters: Mapping[str, Any]) -> int:
    """How many rows the planner expects."""
    return int(session.execute(Explain(statement), parameters).scalar_one()[0]["Plan"]["Plan Rows"])


def rounded(number: int) -> int:
    """The number with its first two figures only."""
    step = 10 ** max(len(str(number)) - 2, 0)
    return int(round(number / step) * step)


def forget() -> None:
    """For tests: as if the process had just started."""
    with _lock:
        _kept.clear()
