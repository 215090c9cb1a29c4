"""What the worker's tasks do, by their own list: each calls a function of a module of jobs with the bench."""

import ast
from collections.abc import Iterator

from tests.conftest_postgres import ROOT

TASKS = ROOT / "admin_app" / "jobs" / "tasks.py"
# In the worker's own loop, one thread for each of its steps.
STEPS = {("sweeper", "sweep"): (("sweeper", "_forgotten"), ("sweeper", "requeue_events"))}


def functions() -> set[tuple[str, str]]:
    """Module and name of each."""
    return {name for found, _ in _calls() for name in STEPS.get(found, (found,))}


def recurring() -> list[tuple[str, str]]:
    """Those that need to know nothing but the bench."""
    alone = {found for found, more in _calls() if not more}
    return sorted(name for found in alone for name in STEPS.get(found, (found,)))


def _calls() -> Iterator[tuple[tuple[str, str], bool]]:
    """Each call with whether it is given anything of the task's own."""
    for call in ast.walk(ast.parse(TASKS.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _given_the_bench(call):
            module = call.func.value
            if isinstance(module, ast.Name):
                theirs = [given for given in call.args if ast.unparse(given) not in ("bench", "queue")]
                yield (module.id, call.func.attr), bool(theirs)


def _given_the_bench(call: ast.Call) -> bool:
    return any(isinstance(given, ast.Name) and given.id == "bench" for given in call.args)
