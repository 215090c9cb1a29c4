"""Looks every night whether what must always be true is true, one rule after the other."""

from dataclasses import replace

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.outages import Outage, outage_of
from admin_app.services import invariants
from admin_app.services.invariants import Broken, Invariant

# A rule reads whole tables; one that takes longer than this says so, and the others are looked at.
RULE_SECONDS = 300

log = structlog.get_logger("backdesk.jobs")


def check(bench: Bench) -> None:
    """Look at all rules in read-only transactions of their own, and keep what was found."""
    started_at, found, unanswered = bench.db.clock(), list[Broken](), list[str]()
    for rule in invariants.INVARIANTS:
        try:
            broken = _look(bench, rule)
        except DBAPIError as error:
            if outage_of(error) is Outage.AWAY:
                raise
            log.warning("rule not looked at", rule=rule.name)
            unanswered.append(rule.name)
            continue
        if broken is not None:
            found.append(broken)
            log.error("rule broken", rule=rule.name, records=len(broken.records))
    checked = [rule.name for rule in invariants.INVARIANTS if rule.name not in unanswered]
    with bench.db.unit_of_work(Job("check_invariants")) as ctx:
        invariants.keep(ctx, found, started_at=started_at, checked=checked, unanswered=unanswered)
    look_at_zones(bench)


def look_at_zones(bench: Bench) -> None:
    """Look whether the database has our rules for time zones, and keep it; at a worker's start too. It never fails.

    Where the database is away or not migrated yet, the night brings it.
    """
    rule = invariants.ZONES_AGREE
    try:
        broken = _look(bench, rule)
        with bench.db.unit_of_work(Job("check_invariants")) as ctx:
            invariants.note(ctx, [broken] if broken else [], checked=[rule.name])
    except (DBAPIError, PoolTimeout):
        log.warning("rule not looked at", rule=rule.name)
        return
    if broken is not None:
        log.warning("rule broken", rule=rule.name, found=broken.records)


def _look(bench: Bench, rule: Invariant) -> Broken | None:
    limits = bench.db.limits
    if limits is None:
        with bench.db.read_only() as session:
            return invariants.look(session, rule, now=bench.db.clock())
    with bench.db.stream(replace(limits, statement=RULE_SECONDS, idle=RULE_SECONDS)) as session:
        return invariants.look(session, rule, now=bench.db.clock())
