"""The lines of a plan under the names of the records that they are of."""

from itertools import groupby

from admin_app.services.plans import Plan, PlanLine
from views.console.columns import AUDITED


def by_record(plan: Plan) -> list[tuple[str | None, list[PlanLine]]]:
    """The lines record by record, in their order, each with the record's name; without where all are of one."""
    several = len({line.record for line in plan.lines}) > 1
    return [
        (name_in(plan, record) if several else None, list(lines))
        for record, lines in groupby(plan.lines, key=lambda line: line.record)
    ]


def name_in(plan: Plan, record: str) -> str:
    """As the plan calls it, else its kind and its id."""
    name = plan.names.get(record)
    if name is not None:
        return name[:1].upper() + name[1:] if name.startswith("the ") else name
    kind, _, key = record.partition(":")
    return f"{AUDITED.get(kind, ('', kind))[1]} {key}"
