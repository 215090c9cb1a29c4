"""What no run may settle by itself waits for a person, once; and what that person decides is carried out."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from admin_app.context import Job, Staff
from admin_app.errors import Conflict, Forbidden, InvalidInput, PlanMoved, ProviderUnavailable
from admin_app.jobs import comparisons
from admin_app.services import appointments, bookings
from admin_app.services.drift import Progress, drift_resolving, drift_runs
from admin_app.services.drift.drift_runs import ComparisonRuns
from admin_app.services.drift.drift_sides import sides
from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from admin_app.simulator.stripe import control_stripe
from models import (
    AuditEntry,
    BookingStatus,
    Client,
    DriftRun,
    DriftState,
    IntervalUnit,
    PendingProfile,
    PlanDuration,
    ProviderMembership,
    Role,
    Subscription,
)
from models.bookings import CanceledBecause
from tests.faults.drifting import (
    ET,
    a_time,
    booked_there,
    decide,
    finance,
    findings,
    house,
    now,
    run,
    simulator,
    the_booking,
    the_finding,
    write,
)
from tests.faults.odd_side import OddSide
from tests.house import House
from tests.services.factories import AUDITOR, OPERATOR
from tests.services.money import add_person
from tests.services.schedule_rows import add_practitioner, add_session_type

__all__ = ["finance", "house", "simulator"]


def test_what_is_not_known_here_waits_until_it_can_be_and_is_gone_then(house: House) -> None:
    control_calendly.book(house.simulator, event_type="ETD", starts_at=a_time(), email="ada@example.com", deliver=False)
    assert run(house, "calendly") == (1, 0, 1)
    first = the_finding(house)
    assert (first.field, first.ours, first.because) == ("record", None, "event_type_unknown")
    assert run(house, "calendly") == (1, 0, 1)
    assert the_finding(house).id == first.id
    assert the_finding(house).last_seen_at >= first.last_seen_at
    add_session_type(house.db, add_practitioner(house.db), calendly_event_type_uri=ET)
    assert run(house, "calendly") == (1, 1, 0)
    assert [f.id for f in findings(house, DriftState.REPAIRED)] == [first.id]
    assert the_booking(house).client_email == "ada@example.com"


def test_an_address_that_differs_is_taken_over(house: House, finance: Staff) -> None:
    booked_there(house, "calendly")
    write(house, client_email="other@example.com")
    assert run(house, "calendly") == (1, 0, 1)
    finding = the_finding(house)
    assert (finding.field, finding.ours, finding.theirs) == ("client_email", "other@example.com", "ada@example.com")
    decide(house, finance, "adopt", finding)
    assert the_booking(house).client_email == "ada@example.com"
    settled = now(house, finding)
    assert (settled.state, settled.resolved_by, settled.wanted) == (DriftState.ADOPTED, finance.label, None)
    assert run(house, "calendly") == (1, 0, 0)
    events = [entry.event for entry in house.rows(select(AuditEntry).order_by(AuditEntry.id))]
    assert events[-4:] == ["drift.wanted", "booking.email_corrected", "drift.resolved", "drift.compared"]


@pytest.mark.parametrize("way", ["adopt", "push"])
def test_a_time_that_differs_is_taken_over_or_pushed(house: House, finance: Staff, way: str) -> None:
    booked_there(house, "calcom")
    theirs = the_booking(house).starts_at
    ours = theirs + timedelta(hours=1)
    write(house, starts_at=ours, ends_at=ours + timedelta(hours=1))
    assert run(house, "calcom") == (1, 0, 1)
    decide(house, finance, way, the_finding(house))
    assert findings(house) == []
    assert the_booking(house).starts_at == (theirs if way == "adopt" else ours)
    (there,) = [one for one in control_calcom.bookings(house.simulator) if one["status"] == "accepted"]
    assert datetime.fromisoformat(there["start"]) == the_booking(house).starts_at
    _, repaired, found = run(house, "calcom")
    assert (repaired, found) == (0, 0)


def test_what_is_off_here_and_on_there_is_pushed(house: House, finance: Staff) -> None:
    booked_there(house, "calendly")
    write(house, status=BookingStatus.CANCELED, canceled_because=CanceledBecause.BY_STAFF)
    assert run(house, "calendly") == (1, 0, 1)
    finding = the_finding(house)
    assert (finding.field, finding.ours, finding.theirs) == ("status", "canceled", "confirmed")
    decide(house, finance, "push", finding)
    assert now(house, finding).state is DriftState.PUSHED
    (there,) = control_calendly.invitees(house.simulator)
    assert there["canceled"] is not None
    assert run(house, "calendly") == (1, 0, 0)


def test_what_a_job_is_about_to_tell_is_no_difference(house: House) -> None:
    booked_there(house, "calendly")
    with house.db.unit_of_work(OPERATOR) as ctx:
        appointment = appointments.locked(ctx, f"booking:{the_booking(house).id}")
        bookings.cancel(ctx, appointment, CanceledBecause.BY_STAFF)
    assert run(house, "calendly") == (1, 0, 0)


def test_what_is_over_here_and_canceled_there_nobody_takes_over(house: House, finance: Staff) -> None:
    made = booked_there(house, "calcom")
    write(house, status=BookingStatus.COMPLETED)
    control_calcom.act(house.simulator, made["id"], "cancel", deliver=False)
    assert run(house, "calcom") == (1, 0, 1)
    finding = the_finding(house)
    assert (finding.field, finding.ours, finding.theirs) == ("status", "completed", "canceled")
    with pytest.raises(Conflict):
        decide(house, finance, "adopt", finding)
    assert the_booking(house).status is BookingStatus.COMPLETED


def test_what_is_ignored_stays_so_until_a_value_changes(house: House, finance: Staff) -> None:
    booked_there(house, "calendly")
    write(house, client_email="other@example.com")
    run(house, "calendly")
    decide(house, finance, "ignore", the_finding(house))
    assert run(house, "calendly") == (1, 0, 0)
    assert len(findings(house, DriftState.IGNORED)) == 1
    write(house, client_email="third@example.com")
    assert run(house, "calendly") == (1, 0, 1)
    write(house, client_email="ada@example.com")
    assert run(house, "calendly") == (1, 0, 0)
    assert len(findings(house, DriftState.GONE)) == 1


def test_what_the_provider_does_not_know_ends_here_when_somebody_says_so(house: House, finance: Staff) -> None:
    booked_there(house, "calendly")
    gone = "https://api.calendly.com/scheduled_events/GONE/invitees/GONE"
    write(house, calendly_invitee_uri=gone, calendly_event_uri="https://api.calendly.com/scheduled_events/GONE")
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(DriftRun).values(started_at=ctx.now))
    run(house, "calendly")
    missing = [finding for finding in findings(house) if finding.because == "gone_there"]
    assert [(finding.external_id, finding.theirs) for finding in missing] == [(gone, None)]
    decide(house, finance, "adopt", missing[0])
    assert now(house, missing[0]).state is DriftState.ADOPTED
    assert the_booking(house).canceled_because is CanceledBecause.BY_PRACTITIONER


def test_a_plan_that_differs_at_whop_is_taken_over(house: House, finance: Staff) -> None:
    control.purchase(house.simulator, email="plan@example.com", deliver=False)
    assert run(house, "whop")[1:] == (1, 0)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(PendingProfile).values(plan_duration=PlanDuration.YEARLY))
        ctx.session.execute(update(ProviderMembership).values(interval_unit=IntervalUnit.YEAR, interval_count=1))
    assert run(house, "whop")[1:] == (0, 1)
    finding = the_finding(house)
    assert (finding.field, finding.ours, finding.theirs) == ("plan_duration", "yearly", "monthly")
    decide(house, finance, "adopt", finding)
    assert run(house, "whop")[1:] == (0, 0)


def test_a_cancellation_that_stripe_does_not_have_is_pushed_after_it_was_repaired(house: House, finance: Staff) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add(Client(name="Ada", email="ada@example.com"))
        ctx.session.flush()
    (client,) = house.rows(select(Client))
    made = control_stripe.subscribe(house.simulator, email="ada@example.com", client_id=client.id, deliver=False)
    assert run(house, "stripe") == (1, 1, 0)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Subscription).values(cancel_at_period_end=True))
    assert run(house, "stripe")[2] == 0
    (finding,) = [f for f in findings(house, DriftState.REPAIRED) if f.field == "cancel_at_period_end"]
    assert (finding.ours, finding.theirs) == ("yes", "no")
    decide(house, finance, "push", finding)
    assert now(house, finding).state is DriftState.PUSHED
    (there,) = control_stripe.subscriptions(house.simulator)
    assert (there["id"], there["cancel_at_period_end"]) == (made["id"], True)
    assert run(house, "stripe") == (1, 0, 0)


def test_a_subscription_of_nobody_here_is_a_difference_until_somebody_is(house: House) -> None:
    made = control_stripe.subscribe(house.simulator, email="who@example.com", deliver=False)
    assert run(house, "stripe") == (1, 1, 1)
    assert (the_finding(house).field, the_finding(house).because) == ("client", "customer_unknown")
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add(Client(name="Who", stripe_customer_id=made["customer"]))
    run(house, "stripe")
    assert findings(house) == []


def test_deciding_needs_the_role_a_reason_the_plan_and_an_open_finding(house: House, finance: Staff) -> None:
    booked_there(house, "calendly")
    write(house, client_email="other@example.com")
    run(house, "calendly")
    finding = the_finding(house)
    for by, reason, shown, refused in (
        (AUDITOR, "why", "x", Forbidden),
        (finance, " ", "x", InvalidInput),
        (finance, "why", "moved", PlanMoved),
    ):
        for act in (drift_resolving.adopt, drift_resolving.ignore):
            with pytest.raises(refused), house.db.unit_of_work(by) as ctx:
                act(ctx, finding_id=finding.id, reason=reason, shown=shown)
    with pytest.raises(InvalidInput), house.db.unit_of_work(finance) as ctx:
        drift_resolving.plan_assign(ctx, finding_id=finding.id, email="nobody@example.com")
    decide(house, finance, "assign", finding, email=finance.email)
    assert now(house, finding).owner_id == finance.id
    decide(house, finance, "ignore", finding)
    with pytest.raises(Conflict):
        decide(house, finance, "ignore", finding)


def test_a_decision_that_cannot_be_carried_out_waits_for_a_person_again(house: House, finance: Staff) -> None:
    booked_there(house, "calendly")
    write(house, client_email="other@example.com")
    run(house, "calendly")
    finding = the_finding(house)
    asks, lacks = house.bench, replace(house.bench, providers=replace(house.bench.providers, calendly=None))
    breaks = replace(asks, providers=replace(asks.providers, calendly=object()))
    for bench, because in ((lacks, "provider_not_configured"), (breaks, "unexpected")):
        with house.db.unit_of_work(finance) as ctx:
            shown = drift_resolving.plan_adopt(ctx, finding_id=finding.id).fingerprint
            drift_resolving.adopt(ctx, finding_id=finding.id, reason="as agreed", shown=shown)
        with suppress(AttributeError):
            comparisons.settle_finding(bench, "calendly", finding.id, last_try=True)
        left = now(house, finding)
        assert (left.state, left.wanted, left.because) == (DriftState.OPEN, None, because)


def test_a_run_that_stopped_half_way_goes_on_where_it_was(house: House) -> None:
    for number in range(6):
        control.purchase(house.simulator, email=f"half{number}@example.com", deliver=False)
    side = sides(house.bench.providers, house.db.clock)["whop"]

    class Killed(BaseException):
        pass

    def die(progress: Progress) -> None:
        if progress.compared == 3:
            raise Killed

    def work() -> Any:
        return house.db.unit_of_work(Job("test"))

    with pytest.raises(Killed):
        drift_runs.compare(side, work, seen=die)
    (stopped,) = house.rows(select(DriftRun))
    assert (stopped.finished_at, stopped.compared, stopped.repaired) == (None, 3, 3)
    with house.db.unit_of_work(OPERATOR) as ctx:
        assert drift_runs.queue_unfinished(ctx) == 1
    house.work(last_try=True)
    (ended,) = house.rows(select(DriftRun).execution_options(populate_existing=True))
    assert (ended.id, ended.compared, ended.repaired, ended.error_code) == (stopped.id, 6, 6, None)
    assert house.count(PendingProfile) == 6


def test_one_at_a_time_and_a_silent_one_is_taken_over(house: House) -> None:
    for number in range(2):
        control.purchase(house.simulator, email=f"one{number}@example.com", deliver=False)
    side = sides(house.bench.providers, house.db.clock)["whop"]

    def work() -> Any:
        return house.db.unit_of_work(Job("test"))

    def other(progress: Progress) -> None:
        if progress.compared == 1:
            with pytest.raises(ComparisonRuns):
                drift_runs.compare(side, work)
            with pytest.raises(ComparisonRuns), house.db.unit_of_work(finance) as ctx:
                drift_runs.request(ctx, provider="whop")
            # The first one falls silent, and another goes on: the first finds out before it keeps anything more.
            house.db.clock = lambda: datetime.now(UTC) + timedelta(minutes=3)
            drift_runs.compare(side, work)

    finance = add_person(house.db, Role.FINANCE)
    with pytest.raises(drift_runs.LostRun):
        drift_runs.compare(side, work, seen=other)
    (only,) = house.rows(select(DriftRun))
    assert (only.finished_at is not None, only.compared, only.repaired) == (True, 2, 2)


def test_a_provider_that_is_away_ends_the_run_and_the_next_one_tries_again(house: House) -> None:
    control.purchase(house.simulator, email="away@example.com", deliver=False)
    control.fault(house.simulator, "whop", "500", times=20)
    with pytest.raises(ProviderUnavailable):
        comparisons.compare(house.bench, "whop")
    control.fault(house.simulator, "whop", "off")
    (run_away,) = house.rows(select(DriftRun))
    assert (run_away.finished_at is not None, run_away.error_code) == (True, "provider_unavailable")
    assert run(house, "whop") == (1, 1, 0)


def test_somebody_starts_one(house: House, finance: Staff) -> None:
    control.purchase(house.simulator, email="asked@example.com", deliver=False)
    with house.db.unit_of_work(finance) as ctx:
        started = drift_runs.request(ctx, provider="whop")
    house.work(last_try=True)
    (only,) = house.rows(select(DriftRun))
    assert (only.id, only.by, only.repaired) == (started.id, finance.label, 1)


def test_one_that_cannot_be_read_keeps_nothing_else_from_being_compared(house: House) -> None:
    found = drift_runs.compare(OddSide(), lambda: house.db.unit_of_work(OPERATOR))
    assert (found.compared, found.found, found.outcomes) == (3, 1, {"known": 2, "refused": 1})
    assert (the_finding(house).external_id, the_finding(house).because) == ("broken", "unexpected")
    (ended,) = house.rows(select(DriftRun))
    assert ended.error_code is None
