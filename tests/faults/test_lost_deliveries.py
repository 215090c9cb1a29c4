"""Two days without a single delivery: one run per provider restores what deliveries would have brought, and no more.

The same story happens twice, each time at a simulator and in a database of its own: once with every delivery told as it
comes, once with all of them lost and one comparison per provider afterwards.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.jobs import comparisons
from admin_app.services.drift import PROVIDERS
from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from admin_app.simulator.stripe import control_stripe
from models import (
    Base,
    Booking,
    Client,
    DriftFinding,
    DriftRun,
    DriftState,
    Meeting,
    Payment,
    PendingProfile,
    Profile,
    Refund,
    Subscription,
)
from tests.house import House, build, simulated_providers
from tests.services.diary import offered
from tests.services.factories import OPERATOR, add_profile
from tests.services.schedule_rows import add_practitioner, add_session_type
from tests.simulator.conftest import Receiver, receiver

__all__ = ["receiver"]

ALWAYS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
COMPARED = tuple(PROVIDERS)
LOSS = timedelta(hours=48)
CALENDLY_TYPE = "https://api.calendly.com/event_types/ETSTORY"
TABLES: tuple[type[Base], ...] = (
    *(Booking, Meeting, Payment, Refund, PendingProfile, Profile),
    *(Client, Subscription),
)
# What tells rows apart that are the same, or says when something was noticed.
LEFT_OUT = {"id", "version", "told_version", "token", "likely_owners", "legacy_user_id"}

# The simulators tell these by their own clocks.
SIMULATED_TIMES = {"trial_end", "current_period_start", "current_period_end", "past_due_since", "next_payment_attempt"}


class Story:
    """The business before the two days, and what happens in them."""

    def __init__(self, house: House, receiver: Receiver) -> None:
        self.house, self.sim, self._receiver = house, house.simulator, receiver
        self._told = len(receiver.received)
        self._of_others = self._told
        self.tells = True
        self.sessions: dict[str, str] = {}

    # -- deliveries --------------------------------------------------------------------------------------------------

    def happen(self, act: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """Let it happen, and hear of it unless deliveries are lost."""
        made = act(self.sim, *args, **values, deliver=self.tells)
        self.hear()
        return made

    def hear(self) -> None:
        sent = len(control.deliveries(self.sim)) + self._of_others
        ends = time.monotonic() + 20
        while len(self._receiver.received) < sent and time.monotonic() < ends:
            time.sleep(0.005)
        for path, headers, body in self._receiver.received[self._told : sent]:
            if self.tells:
                answer = self.house.app.test_client().post(path, data=body, headers=headers)
                assert answer.status_code == 200
        self._told = sent
        if self.tells:
            self.work()

    def work(self) -> None:
        self.house.work(last_try=True)

    # -- before ------------------------------------------------------------------------------------------------------

    def before(self) -> None:
        control_calendly.seed_event_types(self.sim, [{"id": "ETSTORY", "minutes": 60}])
        control_calcom.seed_event_types(self.sim, [{"id": "77", "minutes": 60, "host_id": 7, "hours": ALWAYS}])
        db = self.house.db
        self.kind = offered(db, minutes=60, working_hours=ALWAYS)
        add_session_type(db, add_practitioner(db, "calendly@x.example"), calendly_event_type_uri=CALENDLY_TYPE)
        add_session_type(db, add_practitioner(db, "calcom@x.example", calcom_event_type_id="77"))
        add_profile(db, "user_member", email="member@example.com")
        for hour, name in enumerate(STRIPE):
            self._book(name, NOON + 10 * DAY + hour * HOUR)
        self._meet(NOON + 15 * DAY)
        for name in ("refunded later", "disputed later"):
            self.happen(control_stripe.pay, self.sessions[name])
        for name in ("cancels", "ends", "member"):
            self._buy(name)
        self.clients = {name: self._client(name) for name in ("new", *SUBSCRIPTIONS)}
        self.subscriptions = {name: self._subscribe(name) for name in SUBSCRIPTIONS}
        self.calendly = {name: self._calendly(name, day) for day, name in enumerate(("moves", "calls off", "both"))}
        self.calcom = {name: self._calcom(name, day) for day, name in enumerate(("moves", "calls off", "both"))}

    def _book(self, name: str, at: datetime) -> None:
        email = f"{name.replace(' ', '.')}@example.com"
        wanted = {"practitioner_id": self.kind.practitioner_id, "session_type_id": self.kind.id}
        wanted |= {"starts_at": at.isoformat(), "client_name": "Cleo", "client_email": email}
        answer = self.house.post("/api/bookings", json=wanted)
        assert answer.status_code == 201, answer.json
        self.work()
        (booking,) = self.house.rows(select(Booking).where(Booking.client_email == email))
        self.sessions[name] = booking.stripe_checkout_session_id

    def _meet(self, at: datetime) -> None:
        wanted = {"practitioner_id": self.kind.practitioner_id, "session_type_id": self.kind.id}
        wanted |= {"starts_at": at.isoformat(), "guest_name": "Gil", "guest_email": "gil@example.com"}
        answer = self.house.post("/api/meetings", json=wanted)
        assert answer.status_code == 201, answer.json
        self.work()
        (payment,) = self.house.rows(select(Payment).where(Payment.meeting_id.is_not(None)))
        self.sessions["meeting"] = payment.stripe_checkout_session_id

    def _buy(self, name: str) -> None:
        email, ids = f"{name}@example.com", {"membership_id": f"mem_{name}", "user_id": f"user_{name}"}
        self.happen(control.purchase, email=email, created_at=NOON - 3 * DAY, **ids)

    def _client(self, name: str) -> int:
        with self.house.db.unit_of_work(OPERATOR) as ctx:
            client = Client(name=name, email=f"{name.replace(' ', '.')}@client.example")
            ctx.session.add(client)
            ctx.session.flush()
            return client.id

    def _subscribe(self, name: str, **values: Any) -> str:
        email = f"{name.replace(' ', '.')}@client.example"
        made = self.happen(control_stripe.subscribe, email=email, client_id=self.clients[name], **values)
        return str(made["id"])

    def _calendly(self, name: str, day: int) -> dict[str, Any]:
        email = f"{name.replace(' ', '.')}@calendly.example"
        made = self.happen(control_calendly.book, event_type="ETSTORY", starts_at=NOON + (12 + day) * DAY, email=email)
        assert isinstance(made, dict)
        return made

    def _calcom(self, name: str, day: int) -> dict[str, Any]:
        email = f"{name.replace(' ', '.')}@calcom.example"
        made = self.happen(control_calcom.book, event_type="77", starts_at=NOON + (12 + day) * DAY, email=email)
        assert isinstance(made, dict)
        return made

    # -- the two days ------------------------------------------------------------------------------------------------

    def two_days(self) -> None:
        for name, acts in STRIPE.items():
            for act in acts:
                act(self, self.sessions[name])
        _pay(self, self.sessions["meeting"])
        self._subscribe("new", trial_days=14)
        for name, (act, values) in SUBSCRIPTIONS.items():
            self.happen(act, self.subscriptions[name], **values)
        self._buy("new")
        self.happen(control.cancel_at_period_end, "mem_cancels")
        for name in ("ends", "member"):
            self.happen(control.deactivate, f"mem_{name}")
        self._calendly("new", 8)
        self.happen(control_calendly.reschedule, self.calendly["moves"]["id"], NOON + 20 * DAY + HOUR)
        self.happen(control_calendly.cancel, self.calendly["calls off"]["id"], by="host")
        moved = self.happen(control_calendly.reschedule, self.calendly["both"]["id"], NOON + 21 * DAY)
        self.happen(control_calendly.cancel, moved["id"])
        self._calcom("new", 8)
        self.happen(control_calcom.act, self.calcom["moves"]["id"], "reschedule", starts_at=NOON + 20 * DAY + HOUR)
        self.happen(control_calcom.act, self.calcom["calls off"]["id"], "cancel", by="host@example.com")
        moved = self.happen(control_calcom.act, self.calcom["both"]["id"], "reschedule", starts_at=NOON + 21 * DAY)
        self.happen(control_calcom.act, moved["id"], "cancel")

    def intent(self, session_id: str) -> str:
        return next(str(s["payment_intent"]) for s in control_stripe.sessions(self.sim) if s["id"] == session_id)


Act = Callable[[Story, str], Any]


def _pay(story: Story, session_id: str) -> None:
    story.happen(control_stripe.pay, session_id)


def _expire(story: Story, session_id: str) -> None:
    story.happen(control_stripe.expire, session_id)


def _promise(story: Story, session_id: str) -> None:
    story.happen(control_stripe.pay_later, session_id)


def _bank_says_yes(story: Story, session_id: str) -> None:
    story.happen(control_stripe.settle_async, session_id)


def _bank_says_no(story: Story, session_id: str) -> None:
    story.happen(control_stripe.settle_async, session_id, succeeds=False)


def _refund_a_part(story: Story, session_id: str) -> None:
    story.happen(control_stripe.refund, story.intent(session_id), amount=2_000)


def _refund_the_rest(story: Story, session_id: str) -> None:
    story.happen(control_stripe.refund, story.intent(session_id))


def _dispute(story: Story, session_id: str) -> None:
    story.happen(control_stripe.dispute, story.intent(session_id))


STRIPE: dict[str, tuple[Act, ...]] = {
    "paid": (_pay,),
    "expired": (_expire,),
    "promised": (_promise,),
    "promised and paid": (_promise, _bank_says_yes),
    "promised and refused": (_promise, _bank_says_no),
    "refunded": (_pay, _refund_a_part, _refund_the_rest),
    "refunded later": (_refund_a_part,),
    "disputed": (_pay, _dispute),
    "disputed later": (_dispute,),
}


SUBSCRIPTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "past due": (control_stripe.fail_invoice, {}),
    "canceled": (control_stripe.cancel, {"at_period_end": False}),
    "cancels": (control_stripe.cancel, {}),
    "pays more": (control_stripe.change_price, {"amount": 9_900}),
}


def told(house: House, receiver: Receiver, *, tells: bool) -> Story:
    story = Story(house, receiver)
    story.before()
    story.tells = tells
    story.two_days()
    return story


def state_of(db: Database) -> dict[str, list[Any]]:
    """Every row of the tables by what it says; of ids and times of noticing only whether there is one."""
    with db.read_only() as session:
        return {
            table.__tablename__: sorted((_said(row) for row in session.scalars(select(table))), key=str)
            for table in TABLES
        }


def _said(row: Base) -> dict[str, Any]:
    return {
        column.name: _value(column.name, getattr(row, column.name))
        for column in row.__table__.columns
        if column.name not in LEFT_OUT
    }


def _value(name: str, value: Any) -> Any:
    if name in SIMULATED_TIMES:
        return value is not None
    exact = name in ("starts_at", "ends_at", "whop_membership_id", "whop_user_id", "user_id")
    if not exact and name.endswith(("_id", "_at", "_uri", "_uid", "_url", "_by")):
        return value is not None
    return value.isoformat() if isinstance(value, datetime) else value


def compare_all(house: House) -> None:
    for provider in COMPARED:
        comparisons.compare(house.bench, provider)
        house.work(last_try=True)


def outcome(house: House) -> list[tuple[Any, ...]]:
    runs = house.rows(select(DriftRun).order_by(DriftRun.id))
    return [(run.provider, run.repaired > 0, run.found, run.error_code) for run in runs]


def still_open(house: House) -> list[Any]:
    return [
        (f.provider, f.subject, f.field, f.ours, f.theirs, f.because)
        for f in house.rows(select(DriftFinding).where(DriftFinding.state == DriftState.OPEN))
    ]


@pytest.fixture
def two_simulators(tmp_path: Path, receiver: Receiver) -> Iterator[tuple[str, str]]:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        simulated_providers(tmp_path / "one", receiver.url) as one,
        simulated_providers(tmp_path / "other", receiver.url) as other,
    ):
        yield one, other


def test_one_run_restores_what_two_days_of_deliveries_would_have_brought(
    db: Database, two_simulators: tuple[str, str], receiver: Receiver
) -> None:
    one, other = two_simulators
    with db.unit_of_work(OPERATOR) as ctx:
        place = ctx.session.connection().begin_nested()
        house = build(one, db)
        told(house, receiver, tells=True)
        wanted = state_of(db)
        place.rollback()
    house = build(other, db)
    told(house, receiver, tells=False)
    assert all(wanted.values())
    assert all(rows != wanted[table] for table, rows in state_of(db).items())
    db.clock = lambda: datetime.now(UTC) + LOSS
    compare_all(house)
    assert still_open(house) == []
    assert outcome(house) == [(provider, True, 0, None) for provider in COMPARED]
    got = state_of(db)
    for table, rows in wanted.items():
        assert got[table] == rows, table
    house.rows(select(DriftRun))
    compare_all(house)
    assert outcome(house)[len(COMPARED) :] == [(provider, False, 0, None) for provider in COMPARED]
    assert state_of(db) == got
