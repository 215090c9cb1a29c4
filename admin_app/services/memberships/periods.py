"""How long the periods of a membership are, in the two lengths that the columns of its holder know."""

from models.memberships import IntervalUnit, PlanDuration, ProviderMembership

UNIT_OF: dict[str, IntervalUnit] = {"monthly": IntervalUnit.MONTH, "yearly": IntervalUnit.YEAR}


def plan_duration(row: ProviderMembership) -> PlanDuration | None:
    """As the columns have it: monthly or yearly, and nothing for any other rhythm."""
    if row.interval_unit is None or row.interval_count is None:
        return None
    days = row.interval_count * {"day": 1, "week": 7, "month": 30, "year": 365}[row.interval_unit.value]
    if days >= 300:
        return PlanDuration.YEARLY
    return PlanDuration.MONTHLY if 25 <= days <= 35 else None
