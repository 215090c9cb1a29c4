"""What the product asks of Stripe, in its own words. Amounts are minor units, times aware UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

OUR_MODE = "payment"
SessionStatus = Literal["open", "complete", "expired"]
Paid = Literal["paid", "unpaid", "no_payment_required"]
RefundStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


@dataclass(frozen=True)
class CheckoutRequest:
    """One thing to be paid. `subject` is put on the session and on the payment, so that every event names it."""

    subject: str  # booking:12 or meeting:3
    title: str
    amount: int
    currency: str
    email: str
    success_url: str
    cancel_url: str
    expires_at: datetime


@dataclass(frozen=True)
class StripeSession:
    """A Checkout session as Stripe has it now."""

    id: str
    url: str | None
    status: SessionStatus
    payment_status: Paid
    payment_intent_id: str | None
    amount: int
    currency: str
    subject: str | None
    expires_at: datetime | None
    mode: str = OUR_MODE  # another one pays for nothing of ours, and may have neither amount nor currency


@dataclass(frozen=True)
class StripeUnreadable:
    """What a list names and nobody can read: its id, and the payment that it is about where that is told."""

    id: str
    payment_intent_id: str | None = None


@dataclass(frozen=True)
class StripeDispute:
    """A dispute as Stripe has it now; `amount` in minor units, `status` and `reason` in Stripe's words."""

    id: str
    status: str
    reason: str
    amount: int
    due_by: datetime | None
    payment_intent_id: str | None = None


@dataclass(frozen=True)
class StripePayment:
    """A payment intent with its latest charge. `captured` counts what was taken, `refunded` what Stripe gave back."""

    id: str
    status: str
    captured: int
    refunded: int
    currency: str
    charge_id: str | None
    fee: int | None
    failure_code: str | None
    subject: str | None
    dispute: StripeDispute | None  # the latest
    customer_id: str | None = None
    disputes: tuple[StripeDispute, ...] = ()  # all, newest first
    asked_at: datetime | None = None  # when Stripe was asked: of two answers the one asked for earlier is old

    @property
    def every_dispute(self) -> tuple[StripeDispute, ...]:
        return self.disputes or ((self.dispute,) if self.dispute else ())


@dataclass(frozen=True)
class StripeInvoicePayment:
    """What was paid of a subscription's invoice by one payment, and the period that the invoice is for."""

    invoice_id: str
    payment: StripePayment
    amount: int  # what of the payment is for this invoice
    status: str  # open, paid or canceled
    paid_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class StripeRefund:
    """`our_id` is the number of the row that asked for it; None when it was made elsewhere."""

    id: str
    payment_intent_id: str | None
    amount: int
    currency: str
    status: RefundStatus
    failure_code: str | None
    our_id: int | None
    created_at: datetime


@dataclass(frozen=True)
class StripeCustomer:
    """A customer as Stripe has it now; of a deleted one nothing is told but that."""

    id: str
    email: str | None = None
    name: str | None = None
    client_id: int | None = None  # our number of the client, where the customer's metadata names one
    is_deleted: bool = False


@dataclass(frozen=True)
class StripeSubscription:
    """A subscription as Stripe has it now.

    Amounts are minor units of `currency`; `monthly_amount` is every item brought to one month, after discounts for ever
    and before taxes, as `docs/billing.md` has it. `amount_due` is what is still open of its latest invoice, for
    somebody who is late of all of them, and `past_due_since` is when the first of these was to be paid, empty while
    nothing is late.
    """

    id: str
    customer_id: str
    status: str  # Stripe's own word: it may know new ones
    collection_paused: bool
    currency: str | None
    monthly_amount: int
    price_id: str | None
    trial_end: datetime | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None  # when the cancellation was asked for
    ended_at: datetime | None
    started_at: datetime | None
    amount_due: int
    past_due_since: datetime | None
    next_payment_attempt: datetime | None
    client_id: int | None  # our number of the client, where the subscription's own metadata names one
    customer: StripeCustomer | None = None  # None: only its id was told


@dataclass(frozen=True)
class StripeEvent:
    """A verified delivery: which object it is about, to be fetched, for an event is only a hint."""

    external_id: str
    type: str
    occurred_at: datetime
    livemode: bool
    object_id: str | None
    payment_intent_id: str | None
    subject: str | None
    subscription_id: str | None = None  # of a subscription itself and of its invoices
    customer_id: str | None = None  # of a customer itself and of its discounts
    client_id: int | None = None  # our number of the client that it names


class RefundsPort(Protocol):
    """What giving money back needs of Stripe.

    Every method, also of the ports that extend this one, raises ProviderRefused for a clear no, ProviderUnavailable
    when certainly nothing happened, and OutcomeUnknown when the call may have had its effect although no answer came.
    """

    def create_refund(
        self, payment_intent_id: str, *, amount: int, reason: str, refund_id: int, idempotency_key: str
    ) -> StripeRefund:
        """Give back `amount`; `reason` is one of RefundReason and is put into Stripe's own words."""

    def refunds_of(self, payment_intent_id: str) -> list[StripeRefund]:
        """Every refund of a payment, those made elsewhere included, oldest first."""


class PaymentsPort(RefundsPort, Protocol):
    """What single payments need of Stripe."""

    def create_checkout(self, checkout: CheckoutRequest, *, idempotency_key: str) -> StripeSession: ...

    def checkout(self, session_id: str) -> StripeSession | None:
        """The session as it is now; None when Stripe knows none by this id."""

    def expire_checkout(self, session_id: str) -> StripeSession:
        """Close an open session, so that nobody can pay it; one that is closed already is answered as it is."""

    def payment(self, payment_intent_id: str) -> StripePayment | None: ...

    def refund(self, stripe_refund_id: str) -> StripeRefund | None: ...


class StripePort(PaymentsPort, Protocol):
    """All that is asked of Stripe; an iterator raises, as the methods do, when its next page cannot be had, and names
    what it cannot read.

    AnswerUnreadable, a ProviderUnavailable, says of one object that it cannot be read.
    """

    def sessions_since(self, moment: datetime) -> Iterator[StripeSession | StripeUnreadable]:
        """Every Checkout session for a payment that was made then or later, newest first, page by page."""

    def refunds_since(self, moment: datetime) -> Iterator[StripeRefund | StripeUnreadable]:
        """Every refund that was made then or later, those made elsewhere included, newest first, page by page."""

    def disputes_since(self, moment: datetime) -> Iterator[StripeDispute | StripeUnreadable]:
        """Every dispute that was opened then or later, newest first, page by page."""

    def subscription(self, subscription_id: str) -> StripeSubscription | None:
        """The subscription as it is now, an ended one too; None when Stripe knows none by this id.

        In one request, and one more for each of: what is due of several invoices, many or stepped items, discounts.
        """

    def subscriptions_of(self, customer_id: str) -> list[StripeSubscription]:
        """Every subscription of a customer in any status, newest first."""

    def invoice_payments_of(self, subscription_id: str) -> list[StripeInvoicePayment]:
        """How the latest invoices of a subscription were paid, newest first; those of nothing are left out.

        In one request for the list, and one for each of up to two dozen invoices.
        """

    def customer(self, customer_id: str) -> StripeCustomer | None:
        """The customer as it is now, a deleted one too; None when Stripe knows none by this id."""

    def subscriptions(self) -> Iterator[StripeSubscription | StripeUnreadable]:
        """Every subscription in any status, newest first, page by page."""

    def set_cancel_at_period_end(self, subscription_id: str, on: bool, *, idempotency_key: str) -> StripeSubscription:
        """Let it end with the period that is paid for, or run on after all; answers how it is then, unpriced."""

    def cancel_subscription(self, subscription_id: str) -> StripeSubscription:
        """End it now and for good, without a last invoice or credit; one that has ended is refused. Answers alike."""

    def extend_trial(self, subscription_id: str, trial_end: datetime, *, idempotency_key: str) -> StripeSubscription:
        """Let the trial end at this time, to the second, and nothing be charged for the change; answers alike."""
