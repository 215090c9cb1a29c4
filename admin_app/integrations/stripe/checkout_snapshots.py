"""One payment at Stripe as it is now, with its checkout session and its refunds: fetched by either id."""

from dataclasses import dataclass

from admin_app.integrations.money_ports import OUR_MODE, PaymentsPort, StripePayment, StripeRefund, StripeSession


@dataclass(frozen=True)
class CheckoutSnapshot:
    """One payment as Stripe has it now; nothing of it where Stripe knows nothing. Amounts are in minor units."""

    session: StripeSession | None = None
    payment: StripePayment | None = None
    refunds: tuple[StripeRefund, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether Stripe knows nothing of it."""
        return self.session is None and self.payment is None

    @property
    def subject(self) -> str | None:
        """What it says it was paid for."""
        named = (one.subject for one in (self.session, self.payment) if one is not None)
        return next((subject for subject in named if subject), None)

    @property
    def holds_money(self) -> bool:
        """Whether something was paid by it in the one way that is sold here."""
        if self.session is not None and self.session.mode != OUR_MODE:
            return False
        paid = self.session is not None and self.session.status == "complete" and self.session.payment_status == "paid"
        return paid or (self.payment is not None and self.payment.captured > 0)


def fetch_session(stripe: PaymentsPort, session_id: str) -> CheckoutSnapshot:
    """The session with its payment and refunds, outside of any transaction.

    Raises ProviderUnavailable when Stripe does not answer, AnswerUnreadable when nobody can read what it says.
    """
    session = stripe.checkout(session_id)
    return CheckoutSnapshot() if session is None else with_payment(stripe, session)


def with_payment(stripe: PaymentsPort, session: StripeSession) -> CheckoutSnapshot:
    """The session, already known, with its payment and refunds. Raises as `fetch_session`."""
    if session.payment_intent_id is None:
        return CheckoutSnapshot(session)
    found = fetch_payment(stripe, session.payment_intent_id)
    return CheckoutSnapshot(session, found.payment, found.refunds)


def fetch_payment(stripe: PaymentsPort, payment_intent_id: str) -> CheckoutSnapshot:
    """The payment with its refunds, outside of any transaction. Raises as `fetch_session`."""
    payment = stripe.payment(payment_intent_id)
    if payment is None:
        return CheckoutSnapshot()
    gave_back = payment.refunded > 0 or payment.captured > 0
    return CheckoutSnapshot(None, payment, tuple(stripe.refunds_of(payment_intent_id)) if gave_back else ())
