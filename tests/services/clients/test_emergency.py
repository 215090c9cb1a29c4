"""The emergency stop: everyone at once, until a moment, by the clock."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.db import Database
from admin_app.errors import AlreadySo, Forbidden, InvalidInput, PlanMoved
from admin_app.services.clients import emergency, flag_clock
from models import AuditEntry, FlagName
from tests.services.clients.flags import NOW, OPS, add_client, at, boolean_of, changes, follow_all
from tests.services.factories import SUPPORT

HOUR = timedelta(hours=1)
UNTIL = NOW + HOUR


def stop(db: Database, until=UNTIL, reason="Carrier is down", actor=OPS):
    with db.unit_of_work(actor) as ctx:
        shown = emergency.plan_start(ctx, until=until).fingerprint
    with db.unit_of_work(actor) as ctx:
        return emergency.start(ctx, reason=reason, until=until, shown=shown)


def is_stopped(db: Database) -> bool:
    return flag_clock.is_on(False, changes(db, None), db.clock())


def events(db: Database) -> list[str]:
    with db.read_only() as session:
        return list(session.scalars(select(AuditEntry.event).order_by(AuditEntry.id)))


def test_it_ends_at_the_very_moment_and_touches_no_client(db):
    client = add_client(at(db, NOW))
    stop(db)
    assert is_stopped(at(db, UNTIL - timedelta(microseconds=1)))
    assert not is_stopped(at(db, UNTIL))
    assert follow_all(db) == 1
    (period,) = changes(db, None)
    assert (period.flag, period.lifted_at, period.lifted_by) == (FlagName.EMERGENCY_STOP, UNTIL, "clock")
    assert not boolean_of(db, client)
    assert events(db) == ["everyone.stopped", "everyone.stop_ended"]


def test_a_new_stop_does_not_swallow_the_end_of_the_last_one(db):
    stop(at(db, NOW))
    stop(at(db, UNTIL), until=UNTIL + HOUR)
    assert events(db) == ["everyone.stopped", "everyone.stop_ended", "everyone.stopped"]
    assert follow_all(db) == 0


def test_a_stop_that_somebody_began_while_this_one_waited_its_turn_is_seen(db):
    with at(db, NOW).unit_of_work(OPS) as ctx:
        shown = emergency.plan_start(ctx, until=UNTIL).fingerprint
    stop(at(db, NOW + timedelta(milliseconds=5)))
    with pytest.raises(PlanMoved), at(db, NOW).unit_of_work(OPS) as ctx:
        emergency.start(ctx, reason="Me too", until=UNTIL, shown=shown)
    assert len(changes(db, None)) == 1


def test_it_is_ended_early_with_a_reason(db):
    stop(at(db, NOW))
    with db.unit_of_work(OPS) as ctx:
        shown = emergency.plan_end(ctx).fingerprint
    with pytest.raises(InvalidInput), db.unit_of_work(OPS) as ctx:
        emergency.end(ctx, reason=" ", shown=shown)
    with db.unit_of_work(OPS) as ctx:
        emergency.end(ctx, reason="Carrier is back", shown=shown)
    assert not is_stopped(db)
    with pytest.raises(PlanMoved), db.unit_of_work(OPS) as ctx:
        emergency.end(ctx, reason="Again", shown=shown)
    with db.unit_of_work(OPS) as ctx:
        assert emergency.plan_end(ctx).refusal


def test_another_end_replaces_it_and_the_same_is_already_so(db):
    stop(at(db, NOW))
    with pytest.raises(AlreadySo):
        stop(db)
    stop(db, until=UNTIL + HOUR, reason="Takes longer")
    first, second = changes(db, None)
    assert (first.lifted_by, second.until) == ("a later change", UNTIL + HOUR)
    assert is_stopped(at(db, UNTIL))


def ends_never(ctx: Ctx) -> None:
    emergency.start(ctx, reason="Carrier is down", until=None, shown="")


def has_no_reason(ctx: Ctx) -> None:
    emergency.start(ctx, reason="", until=UNTIL, shown="")


def ended_before(ctx: Ctx) -> None:
    emergency.start(ctx, reason="Carrier is down", until=NOW, shown="")


@pytest.mark.parametrize("wrong", [ends_never, has_no_reason, ended_before])
def test_it_needs_a_reason_and_an_end_that_is_to_come(db, wrong):
    with pytest.raises(InvalidInput), at(db, NOW).unit_of_work(OPS) as ctx:
        wrong(ctx)
    assert changes(db, None) == []


def test_only_who_may_stops_everyone(db):
    with pytest.raises(Forbidden):
        stop(at(db, NOW), actor=SUPPORT)
