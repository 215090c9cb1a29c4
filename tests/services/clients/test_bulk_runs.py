"""Runs over many clients: frozen when chosen, nothing overwritten, put back once."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from admin_app.context import Staff
from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, PlanMoved
from admin_app.services.clients import bulk_rules, bulk_runs, bulk_undo
from models import (
    AuditEntry,
    BillingStatus,
    BulkOutcome,
    BulkState,
    Client,
    OnExpiry,
    StaffMember,
)
from tests.console.conftest import counted_queries
from tests.services.clients import bulk
from tests.services.clients.flags import (
    NOW,
    OPS,
    add_client,
    at,
    boolean_of,
    changes,
    follow_all,
    off,
    on,
    state_of,
    turn,
)
from tests.services.factories import AUDITOR

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
C = BulkOutcome.CHANGED


@pytest.fixture
def ops(db: Database) -> Staff:
    return bulk.add_ops(at(db, NOW))


def outcomes(db: Database, run_id: int) -> dict[int, tuple[str, str | None]]:
    return {item.client_id: (item.outcome.value, item.because) for item in bulk.items_of(db, run_id)}


def test_all_of_a_filter_are_switched_until_monday_and_back(db: Database, ops: Staff) -> None:
    clients = bulk.add_clients(db, 45)
    run = bulk.go(db, ops, on("Line is moved", until=NOW + 6 * DAY))
    assert (run.state, run.size, run.by) == (BulkState.DONE, 45, ops.email)
    assert bulk.counted(db, run.id) == {C: 45}
    for client in (clients[0], clients[-1]):
        (period,) = changes(db, client)
        assert (period.by, period.until, period.bulk_run_id) == (ops.email, NOW + 6 * DAY, run.id)
        assert boolean_of(db, client)
    inverse = bulk.undo(at(db, NOW + HOUR), ops, run.id)
    assert (inverse.undoes_id, inverse.state) == (run.id, BulkState.DONE)
    assert bulk.counted(db, inverse.id) == {C: 45}
    assert not any(state_of(db, client).is_on or boolean_of(db, client) for client in clients)
    with db.read_only() as session:
        told = list(
            session.scalars(
                select(AuditEntry.event).where(AuditEntry.event.startswith("bulk.")).order_by(AuditEntry.id)
            )
        )
    assert told == ["bulk.chosen", "bulk.started", "bulk.finished"] * 2


def test_who_comes_to_match_later_is_not_in_it(db: Database, ops: Staff) -> None:
    active = select(Client.id).where(Client.billing_status == BillingStatus.ACTIVE)
    chosen = bulk.add_clients(db, 3, billing_status=BillingStatus.ACTIVE)
    run = bulk.choose(db, ops, active)
    (late,) = bulk.add_clients(db, 1, billing_status=BillingStatus.ACTIVE)
    with db.unit_of_work(OPS) as ctx:
        ctx.session.execute(update(Client).where(Client.id == chosen[0]).values(billing_status=BillingStatus.TRIAL))
    bulk.start(db, ops, run.id)
    bulk.work(db, run.id)
    assert sorted(outcomes(db, run.id)) == chosen
    assert bulk.counted(db, run.id) == {C: 3}
    assert not boolean_of(db, late)


@pytest.mark.parametrize(
    ("before", "asked", "expected"),
    [
        (None, on(), ("waiting", None)),
        (None, off(), ("already", bulk_rules.OFF)),
        (on(), off(), ("waiting", None)),
        (on(), on(), ("already", bulk_rules.ON_LIKE_THIS)),
        (on(), on(until=NOW + DAY), ("already", bulk_rules.ON_AS_LONG)),
        (on(until=NOW + DAY), on(until=NOW + 2 * DAY), ("waiting", None)),
        (on(until=NOW + DAY), on(), ("waiting", None)),
        (on(until=NOW + DAY, on_expiry=OnExpiry.STAY), on(until=NOW + 2 * DAY), ("already", bulk_rules.ON_AS_LONG)),
        (on(since=NOW + DAY), on(until=NOW + 2 * DAY), ("excluded", bulk_rules.CUTS_SHORT)),
        (on(since=NOW + DAY, until=NOW + 2 * DAY), on(until=NOW + 3 * DAY), ("waiting", None)),
        (on(since=NOW + 2 * DAY), on(until=NOW + DAY), ("waiting", None)),
        (on(), on(since=NOW + DAY, until=NOW + 2 * DAY), ("already", bulk_rules.ON_AS_LONG)),
        (on(until=NOW + 36 * HOUR), on(since=NOW + DAY, until=NOW + 2 * DAY), ("waiting", None)),
        ("outside", on(), ("already", bulk_rules.ON_AS_LONG)),
        ("canceled", on(), ("excluded", bulk_rules.CANCELED)),
    ],
)
def test_who_waits_who_is_so_already_and_who_is_left_out(
    db: Database, ops: Staff, before: Any, asked: Any, expected: tuple[str, str | None]
) -> None:
    values = {"outside": {"outbound_paused": True}, "canceled": {"billing_status": BillingStatus.CANCELED}}
    client = add_client(db, **values.get(before, {}) if isinstance(before, str) else {})
    if before and not isinstance(before, str):
        turn(db, client, before)
    run = bulk.choose(db, ops, asked=asked)
    assert outcomes(db, run.id)[client] == expected
    periods = [(each.since, each.until) for each in changes(db, client)]
    if expected[0] != "waiting":
        with pytest.raises(Conflict):
            bulk.start(db, ops, run.id)
        return
    was = state_of(db, client).is_on
    bulk.start(db, ops, run.id)
    bulk.work(db, run.id)
    assert outcomes(db, run.id)[client] == ("changed", None)
    bulk.undo(db, ops, run.id)
    # What is in force and to come is as it was, in rows of its own where the run had ended them.
    left = state_of(db, client)
    assert left.is_on == was
    kept = [(each.since, each.until) for each in (left.change, *left.scheduled) if each]
    assert kept == periods


def test_a_switch_that_moved_meanwhile_is_left_as_it_is(db: Database, ops: Staff) -> None:
    first, second, third = bulk.add_clients(db, 3)
    turn(db, third, on("Until noon", until=NOW + HOUR))
    run = bulk.choose(db, ops, asked=on("All", until=NOW + DAY))
    turn(db, second, on("By hand"))
    bulk.start(at(db, NOW + 2 * HOUR), ops, run.id)
    bulk.work(db, run.id)
    assert outcomes(db, run.id) == {
        first: ("changed", None),
        second: ("moved", bulk_rules.MOVED),
        third: ("moved", bulk_rules.MOVED),
    }
    assert [each.reason for each in changes(db, second)] == ["By hand"]


def test_an_undo_leaves_what_was_decided_since(db: Database, ops: Staff) -> None:
    first, second, third = bulk.add_clients(db, 3)
    run = bulk.go(db, ops, on("All"))
    turn(db, second, off("They need it"))
    with db.unit_of_work(ops) as ctx:
        inverse = bulk_undo.undo(ctx, run_id=run.id, reason="Wrong")
    assert outcomes(db, inverse.id)[second] == ("excluded", bulk_undo.SWITCHED_SINCE)
    bulk.start(db, ops, inverse.id)
    turn(db, third, on("Still wanted", until=NOW + DAY))
    bulk.work(db, inverse.id)
    assert bulk.counted(db, inverse.id) == {C: 1, BulkOutcome.EXCLUDED: 1, BulkOutcome.MOVED: 1}
    assert [state_of(db, each).is_on for each in (first, second, third)] == [False, False, True]


def test_an_undo_of_switching_off_puts_back_each_with_its_own_end(db: Database, ops: Staff) -> None:
    dated, soon, outside = bulk.add_clients(db, 3)
    turn(db, dated, on("On leave", until=NOW + 3 * DAY))
    turn(db, soon, on("Today", until=NOW + HOUR))
    with db.unit_of_work(OPS) as ctx:
        ctx.session.get_one(Client, outside).outbound_paused = True
    run = bulk.go(db, ops, off("All again"))
    assert bulk.counted(db, run.id) == {C: 3}
    inverse = bulk.undo(at(db, NOW + 2 * HOUR), ops, run.id)
    state = state_of(db, dated)
    assert state.change is not None
    assert (state.change.reason, state.change.until) == ("On leave", NOW + 3 * DAY)
    assert not state_of(db, soon).is_on, "its end is past"
    assert boolean_of(db, outside)
    assert bulk.counted(db, inverse.id) == {C: 2, BulkOutcome.ALREADY: 1}


def test_a_scheduled_run_is_undone_before_and_after_it_began(db: Database, ops: Staff) -> None:
    clients = bulk.add_clients(db, 2)
    run = bulk.go(db, ops, on("Moving", since=NOW + DAY, until=NOW + 2 * DAY), select(Client.id).limit(1))
    bulk.undo(db, ops, run.id)
    assert not state_of(db, clients[0]).scheduled
    run = bulk.go(db, ops, on("Moving", since=NOW + DAY, until=NOW + 2 * DAY))
    bulk.undo(at(db, NOW + 25 * HOUR), ops, run.id)
    assert not any(state_of(db, client).is_on for client in clients)


@pytest.mark.parametrize("noted", [True, False], ids=["the clock's end is noted", "not yet"])
@pytest.mark.parametrize("hours", [12, 25], ids=["before it began", "when it has begun"])
def test_the_undo_of_a_scheduled_run_gives_back_the_pauses_it_shortened(
    db: Database, ops: Staff, hours: int, noted: bool
) -> None:
    shortened, short, none, lifted = (add_client(at(db, NOW), name) for name in ("A", "B", "C", "D"))
    turn(db, shortened, on("Own pause", until=NOW + 30 * HOUR))
    turn(db, short, on("Over before the run begins", until=NOW + 6 * HOUR))
    turn(db, lifted, on("Own pause", until=NOW + 30 * HOUR))
    run = bulk.go(db, ops, on("Holiday", since=NOW + DAY, until=NOW + 2 * DAY))
    turn(at(db, NOW + HOUR), lifted, off())
    later = at(db, NOW + hours * HOUR)
    if noted:
        follow_all(later)
    inverse = bulk.undo(later, ops, run.id)
    assert outcomes(db, inverse.id) == {
        shortened: ("changed", None),
        short: ("changed", None),
        none: ("changed", None),
        lifted: ("excluded", bulk_undo.SWITCHED_SINCE),
    }
    period = state_of(db, shortened).change
    assert period is not None
    assert (period.reason, period.until) == ("Own pause", NOW + 30 * HOUR)
    for client in (short, none):
        state = state_of(db, client)
        assert (state.is_on, state.scheduled) == (False, ())


def test_what_a_run_may_not_do(db: Database, ops: Staff) -> None:
    bulk.add_clients(db, 2)
    with pytest.raises(Forbidden):
        bulk.choose(db, AUDITOR)
    with pytest.raises(InvalidInput):
        bulk.choose(db, ops, select(Client.id).where(Client.id < 0))
    with pytest.raises(InvalidInput):
        bulk.choose(db, ops, asked=on(" "))
    run = bulk.choose(db, ops)
    with pytest.raises(Conflict), db.unit_of_work(ops) as ctx:
        bulk_undo.undo(ctx, run_id=run.id, reason="x")
    with pytest.raises(Conflict), db.unit_of_work(ops) as ctx:
        bulk_runs.stop(ctx, run_id=run.id)
    with pytest.raises(PlanMoved), db.unit_of_work(ops) as ctx:
        bulk_runs.start(ctx, run_id=run.id, shown="something else")
    bulk.start(db, ops, run.id)
    with pytest.raises(Conflict), db.unit_of_work(ops) as ctx:
        bulk_runs.discard(ctx, run_id=run.id)
    bulk.work(db, run.id)
    inverse = bulk.undo(db, ops, run.id)
    for again in (run.id, inverse.id):
        with pytest.raises(Conflict), db.unit_of_work(ops) as ctx:
            bulk_undo.undo(ctx, run_id=again, reason="Once more")


def test_a_discarded_choice_is_gone_and_a_late_one_does_not_start(db: Database, ops: Staff) -> None:
    bulk.add_clients(db, 2)
    run = bulk.choose(db, ops, asked=on(until=NOW + HOUR))
    with pytest.raises(Conflict):
        bulk.start(at(db, NOW + 2 * HOUR), ops, run.id)
    with db.unit_of_work(ops) as ctx:
        bulk_runs.discard(ctx, run_id=run.id)
    assert bulk.items_of(db, run.id) == []


def test_a_run_whose_dates_have_passed_does_not_start(db: Database, ops: Staff) -> None:
    bulk.add_clients(db, 2)
    run = bulk.choose(db, ops, asked=on(since=NOW + HOUR, until=NOW + 240 * HOUR))
    with pytest.raises(Conflict) as refused:
        bulk.start(at(db, NOW + 48 * HOUR), ops, run.id)
    assert "long past" in refused.value.sentence


@pytest.mark.parametrize("hours", [1, 3])
def test_what_was_on_from_outside_comes_back_until_what_is_scheduled(db: Database, ops: Staff, hours: int) -> None:
    client = add_client(db, outbound_paused=True)
    turn(db, client, on("Moving", since=NOW + 2 * HOUR, until=NOW + 4 * HOUR))
    run = bulk.go(db, ops, off())
    bulk.undo(at(db, NOW + hours * HOUR), ops, run.id)
    assert state_of(db, client).is_on
    assert not state_of(at(db, NOW + 5 * HOUR), client).is_on


def test_a_stopped_run_goes_on_where_it_was(db: Database, ops: Staff) -> None:
    bulk.add_clients(db, 45)
    run = bulk.choose(db, ops)
    bulk.start(db, ops, run.id)
    bulk.work(db, run.id, transactions=1)
    with db.unit_of_work(ops) as ctx:
        bulk_runs.stop(ctx, run_id=run.id)
    bulk.work(db, run.id)
    assert bulk.run_now(db, run.id).state is BulkState.STOPPED
    assert bulk.counted(db, run.id) == {C: 20, BulkOutcome.WAITING: 25}
    bulk.start(db, ops, run.id)
    bulk.work(db, run.id)
    assert bulk.counted(db, run.id) == {C: 45}


def test_a_run_stops_when_whoever_started_it_may_no_more(db: Database, ops: Staff) -> None:
    bulk.add_clients(db, 30)
    run = bulk.choose(db, ops)
    bulk.start(db, ops, run.id)
    bulk.work(db, run.id, transactions=1)
    with db.unit_of_work(OPS) as ctx:
        ctx.session.execute(update(StaffMember).where(StaffMember.id == ops.id).values(disabled_at=NOW))
    bulk.work(db, run.id)
    assert bulk.run_now(db, run.id).state is BulkState.STOPPED
    assert bulk.counted(db, run.id) == {C: 20, BulkOutcome.WAITING: 10}


def test_freezing_takes_the_same_few_statements_for_few_and_many(
    db: Database, ops: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_runs, "AT_ONCE", 100)
    asked = {}
    for size in (10, 90):
        bulk.add_clients(db, size - (10 if size == 90 else 0))
        with counted_queries(db) as statements:
            bulk.choose(db, ops)
        asked[size] = len(statements)
    assert asked[10] == asked[90]
    bulk.add_clients(db, 210)
    with counted_queries(db) as statements:
        run = bulk.choose(db, ops)
    assert run.size == 300
    # Two more rounds of: read the next, their booleans, their periods, keep what was decided.
    assert len(statements) == asked[10] + 2 * 4, statements
    assert bulk.counted(db, run.id) == {BulkOutcome.WAITING: 300}
