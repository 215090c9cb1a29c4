"""The lines of a plan under the names of the records that they are of, and what is new or gone after it."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from admin_app.services.core.plans import Plan, PlanLine
from views.console.framework.columns import AUDITED


def by_record(plan: Plan) -> list[tuple[str | None, list[PlanLine]]]:
    """The lines record by record, in their order, each with the record's name; without where all are of one."""
    several = len({line.record for line in plan.lines}) > 1
    return [
        (name_in(plan, record) if several else None, list(lines))
        for record, lines in groupby(plan.lines, key=lambda line: line.record)
    ]


def written(plan: Plan) -> list[tuple[str, str]]:
    """What is new and what is gone after it, by the words of the records."""
    both = (("New", plan.adds), ("Gone", plan.removes))
    return [(word, ", ".join(_counted(kinds))) for word, kinds in both if kinds]


def _counted(kinds: Sequence[str]) -> list[str]:
    words = [
        (AUDITED.get(kind, ("", kind.replace("_", " ")))[1].lower(), count) for kind, count in Counter(kinds).items()
    ]
    return [word if count == 1 else f"{word} ({count})" for word, count in words]


def name_in(plan: Plan, record: str) -> str:
    """As the plan calls it, else its kind and its id."""
    name = plan.names.get(record)
    if name is not None:
        return name[:1].upper() + name[1:] if name.startswith("the ") else name
    kind, _, key = record.partition(":")
    return f"{AUDITED.get(kind, ('', kind))[1]} {key}"
