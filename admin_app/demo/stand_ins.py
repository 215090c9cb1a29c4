"""Stripe and Cal.com as they were in the demo's story: they answer the product's own services while it is told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from admin_app.demo.names import Invention
from admin_app.errors import OutcomeUnknown, ProviderRefused
from admin_app.integrations.calendar_ports import CalcomBooking, FreeTimes
from admin_app.integrations.money_ports import (
    CheckoutRequest,
    StripeDispute,
    StripePayment,
    StripeRefund,
    StripeSession,
)

Answer = Literal["succeeded", "pending", "unknown"]
Clock = Callable[[], datetime]


def fee_of(amount: int) -> int:
    """What Stripe keeps, as the simulator counts it."""
    return (amount * 29 + 500) // 1000 + 30


@dataclass
class Till:
    """Stripe. `answers` is how it answers the next refund."""

    invention: Invention
    clock: Clock
    page: str
    answers: Answer = "succeeded"
    _sessions: dict[str, StripeSession] = field(default_factory=dict)
    _payments: dict[str, StripePayment] = field(default_factory=dict)
    _refunds: dict[str, list[StripeRefund]] = field(default_factory=dict)

    # -- what the product asks ---------------------------------------------------------------------------------

    def create_checkout(self, checkout: CheckoutRequest, *, idempotency_key: str) -> StripeSession:
        identity = f"cs_test_{self.invention.letters(24)}"
        made = StripeSession(
            id=identity,
            url=f"{self.page}/{identity}",
            status="open",
            payment_status="unpaid",
            payment_intent_id=None,
            amount=checkout.amount,
            currency=checkout.currency,
            subject=checkout.subject,
            expires_at=checkout.expires_at,
        )
        return self._keep(made)

    def checkout(self, session_id: str) -> StripeSession | None:
        return self._sessions.get(session_id)

    def expire_checkout(self, session_id: str) -> StripeSession:
        found = self._sessions[session_id]
        return self._keep(replace(found, status="expired", url=None)) if found.status == "open" else found

    def payment(self, payment_intent_id: str) -> StripePayment | None:
        return self._payments.get(payment_intent_id)

    def create_refund(
        self, payment_intent_id: str, *, amount: int, reason: str, refund_id: int, idempotency_key: str
    ) -> StripeRefund:
        if self.answers == "unknown":
            raise OutcomeUnknown("stripe")
        made = StripeRefund(
            id=f"re_3{self.invention.letters(23)}",
            payment_intent_id=payment_intent_id,
            amount=amount,
            currency=self._payments[payment_intent_id].currency,
            status=self.answers,
            failure_code=None,
            our_id=refund_id,
            created_at=self.clock(),
        )
        self._refunds.setdefault(payment_intent_id, []).append(made)
        self._give_back(payment_intent_id, amount)
        return made

    def refund(self, stripe_refund_id: str) -> StripeRefund | None:
        every = (refund for refunds in self._refunds.values() for refund in refunds)
        return next((refund for refund in every if refund.id == stripe_refund_id), None)

    def refunds_of(self, payment_intent_id: str) -> list[StripeRefund]:
        return list(self._refunds.get(payment_intent_id, ()))

    # -- what payers and banks do ------------------------------------------------------------------------------

    def pay(self, session_id: str) -> str:
        """A card is accepted; answers the payment's id."""
        return self._complete(session_id, paid=True)

    def promise(self, session_id: str) -> str:
        """A bank transfer is promised; the money is not there yet."""
        return self._complete(session_id, paid=False)

    def break_promise(self, payment_intent_id: str) -> None:
        """The bank sends no money."""
        self._payments[payment_intent_id] = replace(
            self._payments[payment_intent_id],
            status="requires_payment_method",
            failure_code="payment_intent_payment_attempt_failed",
        )

    def send_back(self, payment_intent_id: str) -> None:
        """The bank of the payer sends the last refund back."""
        refunds = self._refunds[payment_intent_id]
        refunds[-1] = replace(refunds[-1], status="failed", failure_code="expired_or_canceled_card")
        self._give_back(payment_intent_id, -refunds[-1].amount)

    def dispute(self, payment_intent_id: str, *, reason: str, status: str, due_by: datetime) -> None:
        """The payer's bank wants the money back."""
        payment = self._payments[payment_intent_id]
        made = StripeDispute(f"du_1{self.invention.letters(23)}", status, reason, payment.captured, due_by)
        self._payments[payment_intent_id] = replace(payment, dispute=payment.dispute or made)

    def decide_dispute(self, payment_intent_id: str, status: str) -> None:
        payment = self._payments[payment_intent_id]
        if payment.dispute is not None:
            self._payments[payment_intent_id] = replace(payment, dispute=replace(payment.dispute, status=status))

    def _complete(self, session_id: str, *, paid: bool) -> str:
        session = self._sessions[session_id]
        identity = f"pi_3{self.invention.letters(23)}"
        self._payments[identity] = StripePayment(
            id=identity,
            status="succeeded" if paid else "processing",
            captured=session.amount if paid else 0,
            refunded=0,
            currency=session.currency,
            charge_id=f"ch_3{self.invention.letters(23)}",
            fee=fee_of(session.amount) if paid else None,
            failure_code=None,
            subject=session.subject,
            dispute=None,
        )
        done = replace(session, status="complete", url=None, payment_intent_id=identity)
        self._keep(replace(done, payment_status="paid" if paid else "unpaid"))
        return identity

    def _give_back(self, payment_intent_id: str, amount: int) -> None:
        payment = self._payments[payment_intent_id]
        self._payments[payment_intent_id] = replace(payment, refunded=payment.refunded + amount)

    def _keep(self, session: StripeSession) -> StripeSession:
        self._sessions[session.id] = session
        return session


@dataclass
class CalendarBook:
    """Cal.com."""

    invention: Invention
    _bookings: dict[str, CalcomBooking] = field(default_factory=dict)

    def slots(self, event_type_id: str, start: datetime, end: datetime) -> FreeTimes:
        return FreeTimes((), remembered=False)

    def create_booking(
        self, *, event_type_id: str, starts_at: datetime, name: str, email: str, time_zone: str, booking_id: int
    ) -> CalcomBooking:
        made = CalcomBooking(
            uid=self.invention.letters(22),
            status="accepted",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=1),
            event_type_id=event_type_id,
            attendee_email=email,
            attendee_name=name,
            our_id=booking_id,
            rescheduled_from_uid=None,
        )
        self._bookings[made.uid] = made
        return made

    def booking(self, uid: str) -> CalcomBooking | None:
        return self._bookings.get(uid)

    def series(self, series_uid: str) -> Sequence[CalcomBooking]:
        return ()

    def find_booking(self, *, email: str, booking_id: int) -> CalcomBooking | None:
        return None

    def bookings_from(self, moment: datetime) -> Iterator[CalcomBooking]:
        return iter(())

    def cancel_booking(self, uid: str, reason: str) -> None:
        self._bookings[uid] = replace(self._known(uid), status="cancelled")

    def reschedule_booking(self, uid: str, starts_at: datetime, reason: str) -> CalcomBooking:
        old = self._known(uid)
        self.cancel_booking(uid, reason)
        moved = replace(old, uid=self.invention.letters(22), starts_at=starts_at, rescheduled_from_uid=uid)
        self._bookings[moved.uid] = moved
        return moved

    def _known(self, uid: str) -> CalcomBooking:
        found = self._bookings.get(uid)
        if found is None:
            raise ProviderRefused("calcom", "not_found")
        return found
