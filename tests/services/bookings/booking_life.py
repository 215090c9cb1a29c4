"""One paid booking whose Stripe and Cal.com are played in memory, and the jobs that it leaves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis.stateful import rule
from sqlalchemy import select, text

from admin_app.context import Job
from admin_app.errors import DomainError
from admin_app.integrations import calcom
from admin_app.integrations.calendar_ports import CalcomAccounts
from admin_app.integrations.money_ports import StripeDispute
from admin_app.integrations.registry import Providers
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import appointments, inbox, payments
from admin_app.services.bookings import holds
from admin_app.services.calendar_deliveries import calcom_events
from admin_app.services.calendar_deliveries.calcom_events import Found
from admin_app.services.calendars import calendar_sync
from admin_app.services.checkout import outcomes, settlement
from admin_app.services.payments.refund_tills import Tills
from admin_app.services.refunds import called_off, refund_sending
from models import Booking, BookingStatus, Payment, Refund, WebhookEvent
from tests.machines import OnDatabase
from tests.services import money
from tests.services.calendar_answers import calcom_told
from tests.services.calendars.calcom_twin import CalcomTwin
from tests.services.diary import held
from tests.services.factories import OPERATOR
from tests.services.money import STRIPE, add_person
from tests.services.payments.stripe_twin import StripeTwin, outcome
from tests.services.schedule_rows import add_practitioner, add_session_type

BEGAN = datetime(2027, 1, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
SLOTS = tuple(datetime(2027, 1, 12, 9, tzinfo=UTC) + number * HOUR for number in range(3))
CAPTURED, LIMIT = 60_000, 20_000
OURS = "ada@example.com"


class BookingLife(OnDatabase):
    gives_back = False

    def begin(self) -> None:
        self.now, self.finished = BEGAN, False
        self.calcom = CalcomTwin(clock=lambda: self.now)
        for number in ("1", "2"):
            email = f"host{number}@practice.example"
            mapped = {"calcom_user_id": number, "calcom_event_type_id": number}
            practitioner = add_practitioner(self.db, email, **mapped)
            kind = add_session_type(self.db, practitioner, price_amount=CAPTURED, price_currency="eur")
            self.kinds = {**getattr(self, "kinds", {}), number: kind}
        self.people = [add_person(self.db) for _ in range(3)]
        self.subject = held(self.db, self.kinds["1"], SLOTS[0], client_email=OURS)
        self.number = int(self.subject[8:])
        self.pay()
        self.stripe = StripeTwin({self.intent: CAPTURED}, clock=lambda: self.now)
        self.disputes: list[StripeDispute] = []
        self.answers: list[CheckoutSnapshot] = []
        self.late: list[Callable[[], None]] = []
        # What was decided about the appointment by each refund that left nothing of its money.
        self.stays: dict[int, bool] = {}
        self.status = BookingStatus.CONFIRMED
        self.work()

    def pay(self) -> None:
        with self.db.unit_of_work(OPERATOR) as ctx:
            row = appointments.get(ctx.session, self.subject).row
            payment = payments.open_payment(ctx, self.subject, row.price_amount, row.price_currency)
        self.payment_id, self.intent = payment.id, f"pi_{payment.id}"
        with self.db.unit_of_work(STRIPE) as ctx:
            page = money.session(payment, status="open", payment_status="unpaid", payment_intent_id=None)
            payments.apply_session(ctx, page, payment_id=payment.id)
            settlement.apply(ctx, CheckoutSnapshot(money.session(payment), money.told(payment)))

    def receive(self, uid: str) -> int | None:
        self.now += timedelta(seconds=1)
        told = calcom_told("CREATED", uid, at=self.calcom.bookings[uid].starts_at, told=self.now, seatsPerTimeSlot=3)
        with self.db.unit_of_work(OPERATOR) as ctx:
            event = calcom.parse_event(told.body, ctx.now)
            about = {"external_id": event.external_id, "type": event.type, "occurred_at": event.occurred_at}
            return inbox.receive(ctx, provider="calcom", body=told.body, subject=uid, **about)  # type: ignore[arg-type]

    def answer(self, uid: str) -> Found:
        chain = calcom_events.chain_of(self.calcom, self.calcom.bookings[uid])  # type: ignore[arg-type]
        return Found(CalcomAccounts(), chain, (), self.now)

    def apply(self, event_id: int, answer: Found) -> None:
        with self.db.unit_of_work(OPERATOR) as ctx:
            inbox.apply(ctx, event_id=event_id, looked_up=answer)

    def try_to(self, call: Callable[[Any], Any], who: int = 0) -> Any:
        """As a person does it; what is refused in a sentence is refused."""
        with self.db.unit_of_work(self.people[who % 3]) as ctx:
            try:
                with ctx.session.begin_nested():
                    return call(ctx)
            except DomainError:
                return None

    # -- the jobs -----------------------------------------------------------------------------------------------------

    @rule()
    def work(self) -> None:
        """What is queued and due, one after the other."""
        due = text(
            "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs"
            " WHERE scheduled_at IS NULL OR scheduled_at <= :now) RETURNING task_name, args"
        )
        while True:
            with self.db.unit_of_work(OPERATOR) as ctx:
                job = ctx.session.execute(due, {"now": self.now}).first()
            if job is None:
                return
            self.now += timedelta(seconds=1)
            outcome(lambda job=job: self.do(job.task_name, job.args))

    def do(self, task: str, args: dict[str, Any]) -> None:
        match task:
            case "process_event":
                with self.db.read_only() as session:
                    uid = session.get_one(WebhookEvent, args["event_id"]).subject
                self.apply(args["event_id"], self.answer(uid or ""))
            case "sync_calendar":
                providers = Providers(None, None, None, calcom=self.calcom)  # type: ignore[arg-type]
                calendar_sync.sync(self.unit, providers, **args)
            case "send_refund":
                refund_sending.send(self.unit, Tills(self.stripe), **args)  # type: ignore[arg-type]
            case "ask_about_refund":
                refund_sending.ask(self.unit, Tills(self.stripe), **args)  # type: ignore[arg-type]
            case "follow_refunds":
                with self.unit() as ctx:
                    outcomes.follow_refunds(ctx, appointments.locked(ctx, args["subject"]))
            case "settle_canceled":
                with self.unit() as ctx:
                    called_off.settle(ctx, subject=args["subject"], gives_back=self.gives_back)
            case "expire_checkout":
                with self.unit() as ctx:
                    holds.release(ctx, subject=args["subject"], only_lapsed=True)

    def unit(self) -> Any:
        return self.db.unit_of_work(Job("tests"))

    def is_refused(self) -> bool:
        """Whether a call to the calendar waits for a person, or for another try."""
        query = text("SELECT count(*) FROM provider_calls WHERE attention_since IS NOT NULL OR next_try_at IS NOT NULL")
        with self.db.read_only() as session:
            return bool(session.scalar(query))

    def row(self) -> Booking:
        with self.db.read_only() as session:
            return session.get_one(Booking, self.number, populate_existing=True)

    def is_coming(self) -> bool:
        row = self.row()
        return row.status is BookingStatus.CONFIRMED and row.starts_at > self.now

    def payment(self) -> Payment:
        with self.db.read_only() as session:
            return session.get_one(Payment, self.payment_id, populate_existing=True)

    def rows(self) -> list[Refund]:
        with self.db.read_only() as session:
            return list(session.scalars(select(Refund).order_by(Refund.id)))

    def pick(self, which: int) -> Refund | None:
        rows = self.rows()
        return rows[which % len(rows)] if rows else None
