"""Switches of clients: at once and later, until a moment or until somebody, exact by the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from admin_app.db import Database
from admin_app.errors import AlreadySo, Conflict, Forbidden, InvalidInput, PlanMoved
from admin_app.services.clients import flag_clock, flags
from admin_app.services.clients.flags import FlagRequest
from models import AuditEntry, Client, FlagName, OnExpiry
from tests.services.clients.flags import (
    BASE_URL,
    NOW,
    OPS,
    PAUSE,
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
from tests.services.factories import AUDITOR, OPERATOR

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


def test_on_and_off_with_reason_history_and_boolean(db):
    client = add_client(at(db, NOW))
    period = turn(db, client, on("Line is being moved"))
    assert (period.by, period.since, period.until, period.reason) == (OPS.label, NOW, None, "Line is being moved")
    assert boolean_of(db, client)
    assert state_of(db, client).is_on
    assert not boolean_of(db, client, FlagName.AI_DISABLED)

    at(db, NOW + HOUR)
    lifted = turn(db, client, off("Line is moved"))
    assert (lifted.id, lifted.lifted_at, lifted.lifted_by) == (period.id, NOW + HOUR, OPS.label)
    assert lifted.lift_reason == "Line is moved"
    assert not boolean_of(db, client)
    assert not state_of(db, client).is_on
    with db.read_only() as session:
        kept = session.get_one(Client, client)
        assert (kept.version, kept.updated_at) == (3, NOW + HOUR)
        events = list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [entry.event for entry in events] == ["client.switched_on", "client.switched_off"]
    assert {"record": f"client:{client}", "field": "outbound_paused", "before": True, "after": False} in events[
        1
    ].changes


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (on("  "), "reason"),
        (off(""), "reason"),
        (on(until=NOW), "until"),
        (on(until=NOW - HOUR), "until"),
        (on(since=NOW + 2 * HOUR, until=NOW + HOUR), "until"),
        (on(since=NOW - timedelta(days=2)), "since"),
        (on(on_expiry=OnExpiry.STAY), "on_expiry"),
        (on(tell_email="desk@example.com", tell_at=NOW + HOUR), "tell_email"),
        (on(until=NOW + HOUR, tell_email="desk@example.com", tell_at=NOW + HOUR), "tell_at"),
        (on(until=NOW + HOUR, tell_email="desk@example.com"), "tell_at"),
        (on(until=NOW + HOUR, tell_email="nobody", tell_at=NOW), "tell_email"),
        (on(until=NOW + HOUR, tell_at=NOW), "tell_email"),
        (on(until=datetime(2030, 1, 1)), None),  # noqa: DTZ001
        (FlagRequest(PAUSE, turns_on=False, reason="x", until=NOW + HOUR), None),
        (FlagRequest(FlagName.EMERGENCY_STOP, turns_on=True, reason="x"), None),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(db, asked, field):
    client = add_client(at(db, NOW))
    with db.unit_of_work(OPERATOR) as ctx:
        seen = flags.state(ctx.session, [client], PAUSE, NOW)[client].fingerprint
    with pytest.raises(InvalidInput) as refused, db.unit_of_work(OPS) as ctx:
        flags.set_flag(ctx, client_id=client, asked=asked, shown=seen)
    assert field is None or field in refused.value.fields
    assert not boolean_of(db, client)
    assert changes(db, client) == []


def test_only_who_may_switches(db):
    client = add_client(at(db, NOW))
    with pytest.raises(Forbidden):
        turn(db, client, on(), actor=AUDITOR)
    assert changes(db, client) == []


def test_a_late_start_begins_at_once(db):
    client = add_client(at(db, NOW))
    assert turn(db, client, on(since=NOW - HOUR)).since == NOW


ZONES = ("America/New_York", "Europe/Berlin", "Asia/Kolkata")
# Monday nine o'clock in an ordinary week, in those in which the clocks change, and a moment within a fold.
MONDAYS = [
    *(f"{day}T09:00 {zone} 0" for zone in ZONES for day in ("2026-11-30", "2027-03-15", "2027-03-29")),
    "2027-10-31T02:30 Europe/Berlin 0",
    "2027-10-31T02:30 Europe/Berlin 1",
]


@pytest.mark.parametrize("monday", MONDAYS)
def test_it_is_over_at_the_very_moment_in_every_zone(db, monday):
    wall, zone, fold = monday.split()
    until = datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(zone), fold=int(fold))
    client = add_client(at(db, until.astimezone(UTC) - timedelta(days=3)))
    turn(db, client, on(until=until))
    moments = ((-MICROSECOND, True), (timedelta(0), False))
    for later, expected in moments:
        assert state_of(at(db, until.astimezone(UTC) + later), client).is_on is expected
    # The boolean lags until the job ran, and then history and boolean say when it ended.
    assert boolean_of(db, client)
    at(db, until.astimezone(UTC) + HOUR)
    assert follow_all(db) == 1
    assert not boolean_of(db, client)
    (period,) = changes(db, client)
    assert (period.lifted_at, period.lifted_by) == (until.astimezone(UTC), "clock")
    assert follow_all(db) == 0


def test_a_scheduled_start_is_exact_and_its_jobs_are_at_its_moments(db):
    client = add_client(at(db, NOW))
    since, until = NOW + HOUR, NOW + 2 * HOUR
    period = turn(db, client, on(since=since, until=until))
    assert not boolean_of(db, client)
    assert [each.id for each in state_of(db, client).scheduled] == [period.id]
    for moment, expected in ((since - MICROSECOND, False), (since, True), (until - MICROSECOND, True), (until, False)):
        assert state_of(at(db, moment), client).is_on is expected
    with db.read_only() as session:
        jobs = session.execute(
            text("SELECT task_name, scheduled_at, args FROM procrastinate_jobs ORDER BY scheduled_at")
        ).all()
    assert [tuple(job) for job in jobs] == [
        ("follow_switch", moment, {"change_id": period.id}) for moment in (since, until)
    ]
    assert follow_all(at(db, since)) == 1
    assert boolean_of(db, client)
    assert follow_all(at(db, until)) == 1
    assert not boolean_of(db, client)
    with db.read_only() as session:
        events = list(session.scalars(select(AuditEntry.event).order_by(AuditEntry.id)))
    assert events == ["client.switch_scheduled", "client.switch_started", "client.switch_ended"]


def test_it_stays_on_where_that_was_wished(db):
    client = add_client(at(db, NOW))
    turn(db, client, on(until=NOW + HOUR, on_expiry=OnExpiry.STAY))
    at(db, NOW + 5 * HOUR)
    assert follow_all(db) == 0
    found = state_of(db, client)
    assert found.is_on
    assert boolean_of(db, client)
    assert flag_clock.waits_for_decision(found.change, db.clock())


def test_the_same_request_again_is_already_so(db):
    client = add_client(at(db, NOW))
    asked = on(until=NOW + HOUR)
    turn(db, client, asked)
    with db.unit_of_work(OPS) as ctx:
        assert "already" in (flags.plan_flag(ctx, client_id=client, asked=asked, base_url=BASE_URL).refusal or "")
    with pytest.raises(AlreadySo):
        turn(db, client, on("Another reason", until=NOW + HOUR))
    with pytest.raises(AlreadySo):
        turn(db, add_client(db), off())
    assert len(changes(db, client)) == 1


def test_a_new_end_replaces_the_period_and_a_later_start_shortens_it(db):
    client = add_client(at(db, NOW))
    first = turn(db, client, on("First", tell_email="a@example.com", tell_at=NOW + HOUR, until=NOW + 9 * HOUR))
    at(db, NOW + MICROSECOND)
    turn(db, client, on("Second"))
    replaced, second = changes(db, client)
    assert (replaced.id, replaced.lifted_by, replaced.lift_reason) == (first.id, "a later change", "Second")
    assert second.until is None
    assert boolean_of(db, client)

    turn(db, client, on("Third", since=NOW + 2 * HOUR, until=NOW + 3 * HOUR))
    _, second, third = changes(db, client)
    assert (second.until, second.on_expiry, second.lifted_at) == (third.since, OnExpiry.LIFT, None)
    for hours, expected in ((1, True), (2, True), (3, False)):
        assert state_of(at(db, NOW + hours * HOUR), client).is_on is expected
        follow_all(db)
        assert boolean_of(db, client) is expected


def test_what_is_scheduled_is_canceled_before_it_begins_only(db):
    client = add_client(at(db, NOW))
    period = turn(db, client, on(since=NOW + HOUR))
    with db.unit_of_work(OPS) as ctx:
        shown = flags.plan_cancel(ctx, change_id=period.id).fingerprint
    with pytest.raises(Conflict), at(db, NOW + HOUR).unit_of_work(OPS) as ctx:
        flags.cancel(ctx, change_id=period.id, reason="No", shown=shown)
    with at(db, NOW).unit_of_work(OPS) as ctx:
        flags.cancel(ctx, change_id=period.id, reason="Not needed", shown=shown)
    assert state_of(at(db, NOW + 2 * HOUR), client).is_on is False
    with pytest.raises(Conflict), db.unit_of_work(OPS) as ctx:
        flags.cancel(ctx, change_id=period.id, reason="Again", shown=shown)


def test_canceling_says_that_what_made_room_still_ends_there(db):
    client = add_client(at(db, NOW))
    turn(db, client, on("Until further notice"))
    period = turn(db, client, on("Moving", since=NOW + HOUR, until=NOW + 2 * HOUR))
    with db.unit_of_work(OPS) as ctx:
        plan = flags.plan_cancel(ctx, change_id=period.id)
        flags.cancel(ctx, change_id=period.id, reason="Not needed", shown=plan.fingerprint)
    assert plan.consequences[0].startswith("What is on before still ends")
    assert not state_of(at(db, NOW + HOUR), client).is_on


def test_what_another_program_sets_counts_and_is_noted_when_it_is_turned_off(db):
    client = add_client(at(db, NOW), outbound_paused=True)
    assert state_of(db, client).set_outside
    note = turn(db, client, off("They are back"))
    assert (note.value, note.reason, note.by) == (False, "They are back", OPS.label)
    assert not boolean_of(db, client)
    assert not state_of(db, client).is_on
    # What a period explains is put right again when another program clears it.
    turn(db, client, on())
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Client).values(outbound_paused=False))
    assert state_of(db, client).is_on
    assert follow_all(db) == 1
    assert boolean_of(db, client)


def test_a_stale_screen_is_refused_whoever_or_whatever_changed_it(db):
    client = add_client(at(db, NOW))
    with db.unit_of_work(OPS) as ctx:
        shown = flags.plan_flag(ctx, client_id=client, asked=on(), base_url=BASE_URL).fingerprint
    turn(db, client, on(until=NOW + HOUR))
    for moment in (NOW, NOW + 2 * HOUR):
        with pytest.raises(PlanMoved), at(db, moment).unit_of_work(OPS) as ctx:
            flags.set_flag(ctx, client_id=client, asked=on(), shown=shown if moment == NOW else "older")


def test_a_request_survives_being_kept():
    asked = on(since=NOW, until=NOW + HOUR, on_expiry=OnExpiry.STAY, tell_email="a@example.com", tell_at=NOW)
    assert FlagRequest.from_json(asked.to_json()) == asked
    assert FlagRequest.from_json(off().to_json()) == off()


_HOURS = st.integers(0, 12)
_STEPS = st.lists(st.tuples(st.sampled_from(("on", "later", "off")), _HOURS, _HOURS, st.booleans()), max_size=6)


@pytest.fixture
def engine(_shared_engine):
    return _shared_engine


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_after_every_step_the_boolean_is_what_the_clock_says(engine, steps):
    with engine.connect() as connection:
        outer = connection.begin()
        db = Database(connection, join_transaction_mode="create_savepoint")
        client, now = add_client(at(db, NOW)), NOW
        for what, ahead, length, lifts in steps:
            now += HOUR / 2
            at(db, now)
            follow_all(db)
            ends = OnExpiry.LIFT if lifts else OnExpiry.STAY
            since = now + ahead * HOUR
            until = since + length * HOUR if length else None
            asked = {
                "on": on(until=now + length * HOUR if length else None, on_expiry=ends if length else OnExpiry.LIFT),
                "later": on(since=since, until=until, on_expiry=ends if length else OnExpiry.LIFT),
                "off": off(),
            }[what]
            try:
                turn(db, client, asked)
            except AlreadySo:
                continue
            found = state_of(db, client)
            assert boolean_of(db, client) is found.is_on is flag_clock.is_on(False, changes(db, client), now)
            if what != "off" and asked.starts_at(now) == now:
                assert found.is_on
            if what == "off":
                assert not found.is_on
        outer.rollback()
