"""Plan = act, for what is decided about a difference with a provider: theirs taken over, ours pushed, or let be."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.stripe import control_stripe
from models import Booking, BookingStatus, DriftFinding, DriftRun, DriftState, Role, StaffMember, Subscription
from tests.applications import Applications
from tests.console.appointment_scene import LIMIT, NUMBERS, TIMES, Scene
from tests.console.client_scene import Clients
from tests.console.page_checks import CheckedClient
from tests.console.plan_walk import Case, Rules, walk
from tests.house import House, house, lent, simulator
from tests.services.diary import Clock
from tests.services.factories import OPERATOR

__all__ = ["house", "simulator"]

# What a comparison finds is the provider's answer, which nobody has when it is started; its page says so.
NO_PLAN = {"drift-run-commands.start": "what it finds is the provider's answer, which nobody has beforehand"}
Setup = Callable[[Scene], Case]
CASES: dict[str, Setup] = {}


def _owner(row: DriftFinding) -> str | None:
    return OWNERS.get(row.owner_id or 0)


OWNERS: dict[int, str] = {}
RULES = Rules(
    # Who decided, why and when, and until when it was seen; when Stripe was asked, and when it says it was told.
    stamps=frozenset({"wanted", "reason", "resolved_by", "resolved_at", "last_seen_at", "fetched_at"})
    | {"cancellation_requested_at"},
    apart=frozenset({"billing_changes", "booking_hosts", "booking_attendees"}),
    derived={"owner": _owner},
    lies_in={"owner": "owner_id"},
    read={
        "stripe.cancel_at_period_end": lambda house, key: _at_stripe(house, key),
        "calcom.status": lambda house, key: _at_calcom(house, key),
    },
)


def _at_stripe(house: House, name: str) -> str:
    (found,) = [one for one in control_stripe.subscriptions(house.simulator) if one["id"] == name]
    return "yes" if found["cancel_at_period_end"] else "no"


def _at_calcom(house: House, uid: str) -> str:
    (found,) = [one for one in control_calcom.bookings(house.simulator) if one["id"] == uid]
    return "canceled" if found["status"] == "cancelled" else "confirmed"


def _finding(scene: Scene, provider: str, external_id: str, subject: str, field: str, **values: Any) -> int:
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        run = DriftRun(provider=provider, by="queue_comparisons", started_at=ctx.now, heartbeat_at=ctx.now)
        ctx.session.add(run)
        ctx.session.flush()
        about = {"run_id": run.id, "provider": provider, "external_id": external_id, "subject": subject}
        made = DriftFinding(**about, field=field, found_at=ctx.now, **values)
        ctx.session.add(made)
        ctx.session.flush()
        return int(made.id)


def _decided(number: int, what: str, **typed: str) -> Case:
    address = f"/admin/drift-findings/{number}/{what}"
    return Case(f"drift-finding-commands.{what}", address, typed, role=Role.FINANCE)


def _uid(scene: Scene, subject: str) -> str:
    return str(scene.row(subject).calcom_booking_uid)


def _time(scene: Scene) -> int:
    """Cal.com has it an hour later, and told nobody."""
    subject = scene.free()
    later = scene.starts + timedelta(hours=3)
    uid = _uid(scene, subject)
    return _finding(scene, "calcom", uid, subject, "starts_at", ours=scene.starts.isoformat(), theirs=later.isoformat())


def _gone(scene: Scene, subject: str) -> Case:
    """Cal.com does not know it any more."""
    nowhere = f"gone{next(NUMBERS)}"
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Booking).where(Booking.id == int(subject[8:])).values(calcom_booking_uid=nowhere))
    number = _finding(scene, "calcom", nowhere, subject, "record", ours="confirmed", because="gone_there")
    return _decided(number, "adopt")


def _assigned(scene: Scene) -> Case:
    email = f"owner{next(NUMBERS)}@example.com"
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        member = StaffMember(email=email, name="Bo", role=Role.FINANCE, password_hash="none")
        ctx.session.add(member)
        ctx.session.flush()
        OWNERS[member.id] = email
    return _decided(_time(scene), "assign", email=email)


def _off_here(scene: Scene) -> Case:
    """Canceled here without a word to Cal.com, which still has it."""
    subject = scene.free()
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        values = {"status": BookingStatus.CANCELED, "canceled_because": "by_staff", "canceled_at": ctx.now}
        ctx.session.execute(update(Booking).where(Booking.id == int(subject[8:])).values(**values))
    uid = _uid(scene, subject)
    number = _finding(scene, "calcom", uid, subject, "status", ours="canceled", theirs="confirmed")
    return _decided(number, "push")


def _cancels(scene: Scene) -> Case:
    """It was to end here, somebody took that back at Stripe's dashboard, and the comparison took that over."""
    client_id = Clients(scene.house, scene.clock).client()
    email = f"payer{next(NUMBERS)}@example.com"
    made = control_stripe.subscribe(scene.house.simulator, email=email, client_id=client_id, deliver=False)
    for event in control_stripe.events(scene.house.simulator, str(made["id"])):
        scene.house.stripe(event)
    scene.house.work()
    query = select(Subscription).where(Subscription.stripe_subscription_id == made["id"])
    (row,) = scene.house.rows(query)
    values = {"ours": "yes", "theirs": "no", "state": DriftState.REPAIRED}
    values |= {"resolved_at": scene.clock.now, "resolved_by": "comparison"}
    number = _finding(scene, "stripe", str(made["id"]), f"subscription:{row.id}", "cancel_at_period_end", **values)
    return _decided(number, "push")


CASES["drift-finding-commands.ignore: another time"] = lambda s: _decided(_time(s), "ignore")
CASES["drift-finding-commands.assign: to a colleague"] = _assigned
CASES["drift-finding-commands.adopt: gone there, for nothing"] = lambda s: _gone(s, s.free())
CASES["drift-finding-commands.adopt: gone there, and it was paid"] = lambda s: _gone(s, s.paid())
CASES["drift-finding-commands.push: canceled here"] = _off_here
CASES["drift-finding-commands.push: it ends with its period"] = _cancels


@pytest.fixture
def scene(simulator: str, db: Any, applications: Applications) -> Scene:
    made = lent(applications, simulator, db, refund_approval_above=LIMIT)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=60)
    return Scene(made, Clock(db), soon + timedelta(hours=4 * next(TIMES)))


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    walk(scene.house, name, CASES[name](scene), monkeypatch, RULES)
