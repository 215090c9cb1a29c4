"""How many records a list holds, without counting them: what the planner expects, said as an estimate."""

import time
from collections.abc import Hashable, Mapping
from threading import Lock
from typing import Any

from sqlalchemy import ClauseElement, Select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import Executable

KEEP_SECONDS = 60
MOST_KEPT = 2000

_kept: dict[Hashable, tuple[float, int]] = {}
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
    return f"{number:,}"


def about(
    session: Session, key: Hashable, statement: Select[Any], parameters: Mapping[str, Any], *, at_least: int
) -> str:
    """The planner's expectation, rounded to two figures, asked for once a minute."""
    now = time.monotonic()
    kept = _kept.get(key)
    if kept is None or kept[0] < now:
        plan = session.execute(Explain(statement), parameters).scalar_one()
        kept = (now + KEEP_SECONDS, int(plan[0]["Plan"]["Plan Rows"]))
        with _lock:
            if len(_kept) >= MOST_KEPT:
                _kept.clear()
            _kept[key] = kept
    return f"about {rounded(max(kept[1], at_least)):,}"


def rounded(number: int) -> int:
    """The number with its first two figures only."""
    step = 10 ** max(len(str(number)) - 2, 0)
    return int(round(number / step) * step)


def forget() -> None:
    """For tests: as if the process had just started."""
    with _lock:
        _kept.clear()
