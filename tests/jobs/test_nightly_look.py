"""The nightly look at what must always be true: kept from the first time until it is whole again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from admin_app.db import Database
from admin_app.db_limits import Limits
from admin_app.jobs import app as jobs_app
from admin_app.jobs import invariants as jobs
from admin_app.services import invariants
from admin_app.services.core import zone_rules
from admin_app.services.invariants.rule import Moments, by_query
from models import InvariantCheck, InvariantFinding, WebhookEvent
from tests.house import House
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_practitioner

BREAK = "INSERT INTO webhook_events (provider, external_id, type, body, state) VALUES ('whop', 'm', 't', '', 'parked')"
RULE = "parked-event-says-why"


def do(db: Database, *statements: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        for statement in statements:
            ctx.session.execute(text(statement))


def findings(house: House) -> list[InvariantFinding]:
    return house.rows(select(InvariantFinding).order_by(InvariantFinding.id))


def test_what_is_broken_is_kept_from_the_first_night_until_it_is_whole(house: House) -> None:
    now = house.db.clock()
    house.db.clock = lambda: now
    jobs.check(house.bench)
    assert findings(house) == []
    do(house.db, BREAK)
    jobs.check(house.bench)
    house.db.clock = lambda: now + timedelta(days=1)
    do(house.db, BREAK.replace("'m'", "'n'"))
    jobs.check(house.bench)
    (found,) = findings(house)
    assert (found.name, found.count, found.cleared_at) == (RULE, 2, None)
    assert (found.first_found_at, found.last_found_at) == (now, now + timedelta(days=1))
    keys = house.rows(select(WebhookEvent.id).order_by(WebhookEvent.id))
    assert sorted(found.records) == sorted(f"webhook_event:{key}" for key in keys)
    do(house.db, "DELETE FROM webhook_events")
    jobs.check(house.bench)
    (found,) = findings(house)
    assert found.cleared_at == now + timedelta(days=1)
    do(house.db, BREAK)
    jobs.check(house.bench)
    assert [each.cleared_at is None for each in findings(house)] == [False, True]


def test_looks_are_kept_for_a_month(house: House) -> None:
    now = house.db.clock()
    for days in (0, 20, 40):
        moment = now + timedelta(days=days)
        house.db.clock = lambda at=moment: at
        jobs.check(house.bench)
    checks = house.rows(select(InvariantCheck).order_by(InvariantCheck.id))
    assert [(check.started_at - now).days for check in checks] == [20, 40]
    assert {(check.checked, check.broken) for check in checks} == {(len(invariants.INVARIANTS), 0)}


def test_the_worker_looks_at_the_rules_of_time_zones_at_its_start(house: House) -> None:
    person = add_practitioner(house.db, time_zone="Mars/Phobos")
    jobs.look_at_zones(house.bench)
    with house.db.read_only() as session:
        standing = invariants.standing(session)
    assert standing.checked_at is None, "the other rules are looked at by night"
    assert [found.records for found in standing.findings] == [["time_zone:Mars/Phobos is unknown here"]]
    do(house.db, f"UPDATE practitioners SET time_zone = 'UTC' WHERE id = {person.id}")
    jobs.look_at_zones(house.bench)
    assert [found.cleared_at is None for found in findings(house)] == [False]


def test_a_worker_starts_although_the_database_cannot_be_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone_rules, "_IN_USE", text("SELECT nothing FROM nowhere"))
    jobs.look_at_zones(house.bench)
    assert findings(house) == []


def test_a_rule_that_takes_too_long_is_named_and_the_others_are_looked_at(
    real_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its finding of yesterday is not called whole, for nobody knows."""
    house = real_house
    do(house.db, BREAK)
    jobs.check(house.bench)
    house.db.limits = Limits(connect=5, pool=5, silence=5, statement=30, lock=5, idle=30)
    database = house.db.with_limits(house.db.limits)
    slow = by_query("SELECT 'x:' || pg_sleep(30)::text")
    rules = tuple(replace(rule, find=slow) if rule.name == RULE else rule for rule in invariants.INVARIANTS)
    monkeypatch.setattr(invariants, "INVARIANTS", rules)
    monkeypatch.setattr(jobs, "RULE_SECONDS", 1)
    jobs.check(replace(house.bench, db=database))
    database.dispose()
    newest = house.rows(select(InvariantCheck).order_by(InvariantCheck.id.desc()))[0]
    assert (newest.unanswered, newest.checked) == ([RULE], len(rules) - 1)
    (found,) = findings(house)
    assert found.cleared_at is None


def test_a_rule_cannot_write(real_house: House) -> None:
    def writes(session: Session, _moments: Moments) -> Sequence[str]:
        session.execute(text(BREAK))
        return []

    rules = (replace(invariants.INVARIANTS[0], find=writes), *invariants.INVARIANTS[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invariants, "INVARIANTS", rules)
        jobs.check(real_house.bench)
    (check,) = real_house.rows(select(InvariantCheck))
    assert check.unanswered == [rules[0].name]
    assert real_house.count(WebhookEvent) == 0


def test_it_runs_at_a_quiet_hour_and_never_twice_at_once(house: House) -> None:
    queue = jobs_app.build(house.bench)
    task = queue.tasks["check_invariants"]
    assert (task.lock, task.queueing_lock, task.queue) == ("check_invariants", "recurring:check_invariants", "long")
    (cron,) = [each.cron for each in queue.periodic_registry.periodic_tasks.values() if each.task is task]
    assert cron == "11 3 * * *"
