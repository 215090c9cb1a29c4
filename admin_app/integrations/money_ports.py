"""What the product asks of Stripe, in its own words. Amounts are minor units, times aware UTC."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

SessionStatus = Literal["open", "complete", "expired"]
Paid = Literal["paid", "unpaid", "no_payment_required"]
RefundStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


@dataclass(frozen=True)
class CheckoutWish:
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


@dataclass(frozen=True)
class StripeDispute:
    id: str
    status: str
    reason: str
    amount: int
    due_by: datetime | None


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
    dispute: StripeDispute | None


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
class StripeSubscription:
    """A subscription as Stripe has it now, with its latest invoice.

    `monthly_amount` is all of its items brought to one month, `amount_due` what of the latest invoice is still open,
    both in minor units of `currency`; `client_id` is the client that its metadata names.
    """

    id: str
    customer_id: str
    status: str
    collection_paused: bool
    currency: str | None
    monthly_amount: int
    price_id: str | None
    trial_end: datetime | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    started_at: datetime | None
    amount_due: int
    past_due_since: datetime | None
    next_payment_attempt: datetime | None
    client_id: int | None


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


class StripePort(Protocol):
    """Every method raises ProviderRefused for a clear no, ProviderUnavailable when certainly nothing happened,
    and OutcomeUnknown when the call may have had its effect although no answer came."""

    def create_checkout(self, wish: CheckoutWish, *, idempotency_key: str) -> StripeSession: ...

    def checkout(self, session_id: str) -> StripeSession | None:
        """The session as it is now; None when Stripe knows none by this id."""

    def expire_checkout(self, session_id: str) -> StripeSession:
        """Close an open session, so that nobody can pay it; one that is closed already is answered as it is."""

    def payment(self, payment_intent_id: str) -> StripePayment | None: ...

    def create_refund(
        self, payment_intent_id: str, *, amount: int, reason: str, refund_id: int, idempotency_key: str
    ) -> StripeRefund:
        """Give back `amount`; `reason` is one of RefundReason and is put into Stripe's own words."""

    def refund(self, stripe_refund_id: str) -> StripeRefund | None: ...

    def refunds_of(self, payment_intent_id: str) -> list[StripeRefund]:
        """Every refund of a payment, those made elsewhere included, oldest first."""
