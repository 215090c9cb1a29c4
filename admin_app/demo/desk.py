"""What happened to a booking or meeting, done again by the product's own services at the time it happened.

After each act the jobs are done that it queued, as the worker did then: mails, the calendar, refunds.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from admin_app.approval_limits import ApprovalLimits
from admin_app.config import Settings
from admin_app.context import Actor, Ctx, Guest, Job, Provider, Staff
from admin_app.demo.clock import Stage
from admin_app.demo.names import Invention, Person
from admin_app.demo.stand_ins import Answer, CalendarBook, Till
from admin_app.integrations.mail import client as mail_client
from admin_app.integrations.registry import Providers
from admin_app.integrations.stripe import checkout_snapshots
from admin_app.services import appointments, checkout, refunds
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import appointment_mails, attendance, holds, rescheduling
from admin_app.services.calendars.calendar_sync import Calendars
from admin_app.services.checkout import outcomes, settlement
from admin_app.services.core.plans import Plan
from admin_app.services.payments import held_money
from admin_app.services.payments.refund_tills import Tills
from admin_app.services.refunds import approvals, called_off, cancellations, refund_sending
from models import EventState, Payment, Refund, Role, WebhookEvent

STRIPE = Provider("stripe")
PROCESSING = Job("process_event")
TOLD, APPLIED, WORKED = timedelta(seconds=2), timedelta(seconds=3), timedelta(seconds=6)
APPROVAL_ABOVE = 20_000
TASKS = [
    "send_appointment_mail",
    "sync_calendar",
    "expire_checkout",
    "send_refund",
    "follow_refunds",
    "settle_canceled",
]
NEXT_JOB = text(
    "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs WHERE task_name = ANY(:tasks))"
    " RETURNING task_name, args"
)


class Desk:
    """One method per thing that happens; each takes the moment first."""

    def __init__(self, stage: Stage, invention: Invention, staff: dict[Role, Staff], base_url: str) -> None:
        self.stage = stage
        self.session = stage.ctx.session
        self.staff = staff
        self.settings = Settings(
            _env_file=None,  # type: ignore[call-arg]  # of pydantic-settings: nothing of this machine goes into the story
            database_url="postgresql://nowhere/none",
            secret_key="the story signs nothing in its name",  # noqa: S106
            base_url=base_url,
            smtp_url="",
            refund_approval_above=ApprovalLimits(hundredths=APPROVAL_ABOVE),
        )
        self._now = stage.today
        self._invention = invention
        self.till = Till(invention, lambda: self._now, "https://checkout.stripe.com/c/pay")
        calcom = CalendarBook(invention)
        self.providers = Providers(whop=None, clerk=None, mail=mail_client(self.settings), calcom=calcom)

    # -- the client --------------------------------------------------------------------------------------------

    def book(
        self,
        moment: datetime,
        person: Person,
        practitioner_id: int,
        session_type_id: int,
        starts_at: datetime,
        zone: str,
    ) -> str:
        """Hold a time on the web site and go to Stripe's page; answers the subject."""
        held = holds.hold(
            self.at(moment, Guest()),
            practitioner_id=practitioner_id,
            session_type_id=session_type_id,
            starts_at=starts_at,
            client_name=person.name,
            client_email=person.email,
            client_time_zone=zone,
        )
        if held.costs:
            work = self._work(moment + timedelta(seconds=1), Guest())
            checkout.start(work, self.till, subject=held.subject, return_url=self.settings.payer_return_url)
        self.work_off(moment)
        return held.subject

    def pay(self, moment: datetime, subject: str) -> None:
        self.till.pay(self._session_of(subject))
        self.hear(moment, subject, "checkout.session.completed")

    def promise(self, moment: datetime, subject: str) -> None:
        self.till.promise(self._session_of(subject))
        self.hear(moment, subject, "checkout.session.completed")

    def break_promise(self, moment: datetime, subject: str) -> None:
        self.till.break_promise(self._intent_of(subject))
        self.hear(moment, subject, "payment_intent.payment_failed")

    def let_lapse(self, moment: datetime, subject: str) -> None:
        """Nobody paid: Stripe's page runs out."""
        self.till.expire_checkout(self._session_of(subject))
        self.hear(moment, subject, "checkout.session.expired")

    def dispute(self, moment: datetime, subject: str, *, reason: str, days: int) -> None:
        due_by = moment + timedelta(days=days)
        self.till.dispute(self._intent_of(subject), reason=reason, status="needs_response", due_by=due_by)
        self.hear(moment, subject, "charge.dispute.created")

    def decide_dispute(self, moment: datetime, subject: str, status: str) -> None:
        self.till.decide_dispute(self._intent_of(subject), status)
        self.hear(moment, subject, "charge.dispute.closed")

    def pay_unheard(self, subject: str) -> None:
        """Paid at the last moment: Stripe's event is on its way."""
        self.till.pay(self._session_of(subject))

    # -- Stripe ------------------------------------------------------------------------------------------------

    def hear(self, moment: datetime, subject: str, kind: str) -> None:
        """Stripe's event about this comes in and is applied."""
        payment = self._payment(subject)
        session_id, intent_id = payment.stripe_checkout_session_id or "", payment.stripe_payment_intent_id
        if kind.startswith("checkout."):
            told = checkout_snapshots.fetch_session(self.till, session_id)
        else:
            told = checkout_snapshots.fetch_payment(self.till, intent_id or "")
        about = session_id if kind.startswith("checkout.") else intent_id or ""
        self._keep_event(moment, subject, kind, about)
        self._now = moment
        settlement.apply(self.at(moment + APPLIED, PROCESSING), told)
        self.work_off(moment + APPLIED)

    def bank_sends_back(self, moment: datetime, subject: str) -> None:
        self.till.send_back(self._intent_of(subject))
        self.hear(moment, subject, "refund.failed")

    def _keep_event(self, moment: datetime, subject: str, kind: str, about: str) -> None:
        event_id = f"evt_1{self._invention.letters(23)}"
        what, _, number = subject.partition(":")
        shown = {"id": about, "object": "checkout.session" if about.startswith("cs_") else "payment_intent"}
        body = {
            "id": event_id,
            "object": "event",
            "type": kind,
            "created": int(moment.timestamp()),
            "livemode": False,
            "data": {"object": {**shown, "metadata": {"subject": subject}}},
        }
        event = WebhookEvent(
            provider="stripe",
            external_id=event_id,
            type=kind,
            body=json.dumps(body, separators=(",", ":")).encode(),
            received_at=moment + TOLD,
            occurred_at=moment,
            subject=about,
            state=EventState.PROCESSED,
            attempts=1,
            outcome="taken in",
            processed_at=moment + APPLIED,
        )
        setattr(event, f"{what}_id", int(number))
        self.session.add(event)

    # -- staff -------------------------------------------------------------------------------------------------

    def cancel(
        self,
        moment: datetime,
        subject: str,
        role: Role,
        *,
        because: str,
        reason: str,
        refund: int | None = None,
        answer: Answer = "succeeded",
    ) -> None:
        given: dict[str, Any] = {
            "subject": subject,
            "because": because,
            "refund_amount": refund,
            "approval_above": self.settings.refund_approval_above,
        }
        ctx = self.by(moment, role)
        shown = cancellations.plan_cancel(ctx, **given).fingerprint
        cancellations.cancel(ctx, **given, reason=reason, shown=shown)
        self.work_off(moment, answer)

    def reschedule(self, moment: datetime, subject: str, role: Role, starts_at: datetime, reason: str) -> None:
        ctx = self.by(moment, role)
        shown = rescheduling.plan_reschedule(ctx, subject=subject, starts_at=starts_at).fingerprint
        rescheduling.reschedule(ctx, subject=subject, starts_at=starts_at, reason=reason, shown=shown)
        self.work_off(moment)

    def complete(self, moment: datetime, subject: str, role: Role, reason: str) -> None:
        self._simply(moment, subject, role, attendance.plan_complete, attendance.complete, reason)

    def no_show(self, moment: datetime, subject: str, role: Role, reason: str) -> None:
        self._simply(moment, subject, role, attendance.plan_no_show, attendance.no_show, reason)

    def resend(self, moment: datetime, subject: str, role: Role, reason: str) -> None:
        plan, act = appointment_mails.plan_resend, appointment_mails.resend_confirmation
        self._simply(moment, subject, role, plan, act, reason)

    def _simply(
        self,
        moment: datetime,
        subject: str,
        role: Role,
        plan: Callable[..., Plan],
        act: Callable[..., Appointment],
        reason: str,
    ) -> None:
        ctx = self.by(moment, role)
        act(ctx, subject=subject, reason=reason, shown=plan(ctx, subject=subject).fingerprint)
        self.work_off(moment)

    def refund(
        self,
        moment: datetime,
        subject: str,
        role: Role,
        *,
        amount: int,
        reason_code: str,
        note: str = "",
        answer: Answer = "succeeded",
    ) -> None:
        given: dict[str, Any] = {
            "payment_id": self._payment(subject).id,
            "amount": amount,
            "approval_above": self.settings.refund_approval_above,
        }
        ctx = self.by(moment, role)
        shown = refunds.plan_request(ctx, **given).fingerprint
        refunds.request(ctx, **given, reason_code=reason_code, note=note, shown=shown)
        self.work_off(moment, answer)

    def decide(self, moment: datetime, subject: str, role: Role, *, approve: bool, reason: str) -> None:
        """A second person decides about the last refund of this."""
        ctx = self.by(moment, role)
        refund_id = self.session.scalars(
            select(Refund.id).where(Refund.payment_id == self._payment(subject).id).order_by(Refund.id.desc()).limit(1)
        ).one()
        shown = approvals.plan_decision(ctx, refund_id=refund_id, approve=approve).fingerprint
        act = approvals.approve if approve else approvals.decline
        act(ctx, refund_id=refund_id, reason=reason, shown=shown)
        self.work_off(moment)

    # -- the worker --------------------------------------------------------------------------------------------

    def work_off(self, moment: datetime, answer: Answer = "succeeded") -> None:
        """Do what was queued, a few seconds later each."""
        self.till.answers = answer
        while job := self.session.execute(NEXT_JOB, {"tasks": TASKS}).first():
            moment += WORKED
            self._now = moment
            self._do(moment, job.task_name, job.args)

    def _do(self, moment: datetime, task: str, arguments: dict[str, Any]) -> None:
        work = self._work(moment, Job(task))
        match task:
            case "send_appointment_mail":
                self._mail(moment, **arguments)
            case "sync_calendar":
                Calendars(work, self.providers, arguments["booking_id"]).sync()
            case "expire_checkout":
                checkout.close(work, self.till, subject=arguments["subject"])
            case "send_refund":
                refund_sending.send(work, Tills(self.till), refund_id=arguments["refund_id"])
            case "follow_refunds":
                ctx = self.at(moment, Job(task))
                outcomes.follow_refunds(ctx, appointments.locked(ctx, arguments["subject"]))
            case "settle_canceled":
                gives_back = self.settings.refund_canceled_by_client
                called_off.settle(self.at(moment, Job(task)), **arguments, gives_back=gives_back)

    def _mail(self, moment: datetime, subject: str, kind: Any, once: str = "") -> None:
        ctx = self.at(moment, Job("send_appointment_mail"))
        mail = appointment_mails.prepare(ctx, subject=subject, kind=kind, once=once, settings=self.settings)
        if mail is not None:
            appointment_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, subject=subject, kept=False)

    # ----------------------------------------------------------------------------------------------------------

    def at(self, moment: datetime, actor: Actor) -> Ctx:
        return self.stage.at(moment, actor, f"{self._invention.random.getrandbits(128):032x}")

    def by(self, moment: datetime, role: Role) -> Ctx:
        return self.at(moment, self.staff[role])

    def _work(self, moment: datetime, actor: Actor) -> Callable[[], Any]:
        @contextmanager
        def work() -> Iterator[Ctx]:
            yield self.at(moment, actor)
            self.session.flush()  # as a commit would

        self._now = moment
        return work

    def _payment(self, subject: str) -> Payment:
        newest = select(Payment).where(held_money.is_for(subject)).order_by(Payment.id.desc()).limit(1)
        return self.session.scalars(newest).one()

    def _session_of(self, subject: str) -> str:
        return self._payment(subject).stripe_checkout_session_id or ""

    def _intent_of(self, subject: str) -> str:
        return self._payment(subject).stripe_payment_intent_id or ""
