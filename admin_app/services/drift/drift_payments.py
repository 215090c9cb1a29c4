"""The comparison with Stripe, for single payments: Checkout sessions, and payments with refunds and disputes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, or_, select, union
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripePort
from admin_app.integrations.stripe import checkout_snapshots
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import appointments, payments
from admin_app.services.checkout import settlement
from admin_app.services.core.amounts import money_text, summed
from admin_app.services.core.records import payment_key
from admin_app.services.drift import Ours, Taken, Values
from admin_app.services.payments import disputes
from models.payments import Dispute, Payment, PaymentState, Refund, RefundState

# What Stripe's own list of refunds counts as given back or on its way.
_GIVEN = (RefundState.SENT, RefundState.SUCCEEDED)
_GIVEN_THERE = ("pending", "requires_action", "succeeded")
PAYMENT_UNKNOWN = "payment_unknown"


@dataclass(frozen=True)
class PaymentThing:
    """A payment as Stripe has it, by its session or by its intent; `named` is the intent before it was asked for.

    The two are compared apart: a session says what is to be paid and whether it is, the intent what went back.
    """

    told: CheckoutSnapshot
    named: str | None = None

    @property
    def external_id(self) -> str:
        return self.ids[0]

    @property
    def ids(self) -> Sequence[str]:
        session, payment = self.told.session, self.told.payment
        intent = payment.id if payment else session.payment_intent_id if session else self.named
        return [identity for identity in (session and session.id, intent) if identity]

    @property
    def theirs(self) -> Values:
        return _of_session(self.told) if self.told.session else _of_payment(self.told)

    def take_in(self, ctx: Ctx) -> Taken:
        if settlement.apply(ctx, self.told) is not None:
            return Taken()
        is_ours = self.told.subject is not None and self.told.holds_money
        return Taken(PAYMENT_UNKNOWN if is_ours else None, left_out=not is_ours)


def _of_session(told: CheckoutSnapshot) -> dict[str, str | None]:
    session, payment = told.session, told.payment
    if session is None:
        return {}
    state = payments.state_by_session(session)
    if state is PaymentState.PROCESSING and payment is not None and payments.is_refused(payment):
        state = PaymentState.FAILED
    return {"state": state.value, "amount": money_text(session.amount, session.currency)}


def _of_payment(told: CheckoutSnapshot) -> dict[str, str | None]:
    payment = told.payment
    if payment is None:
        return {}
    given = sum(refund.amount for refund in told.refunds if refund.status in _GIVEN_THERE)
    return {
        "captured_amount": money_text(payment.captured, payment.currency),
        "refunded_amount": money_text(given, payment.currency),
        "dispute_status": _statuses((each.id, each.status) for each in payment.every_dispute),
    }


def _statuses(told: Iterable[tuple[str, str]]) -> str | None:
    """How the disputes of a payment stand, in the order of their ids."""
    return ", ".join(status for _, status in sorted(told)) or None


def ask(stripe: StripePort, external_id: str) -> PaymentThing | None:
    """The payment under the id of its session or intent, with its refunds."""
    by_intent = external_id.startswith("pi_")
    told = (checkout_snapshots.fetch_payment if by_intent else checkout_snapshots.fetch_session)(stripe, external_id)
    return None if told.is_empty else PaymentThing(told)


def is_alike(session: Session, thing: PaymentThing) -> bool:
    """Whether a listed session says nothing new, so that nothing more has to be asked; its money is told then."""
    told = thing.told.session
    if told is None:
        return False
    payment = session.scalar(select(Payment).where(Payment.stripe_checkout_session_id == told.id))
    if payment is None:
        return told.subject is None
    is_told = payment.state is not PaymentState.PAID or payment.fee_amount is not None
    return is_told and payment.state is payments.state_by_session(told)


def ours(session: Session, ids: Sequence[str]) -> Ours | None:
    """The newest payment with one of these Checkout session or payment intent ids, read anew; None: none is here."""
    found = or_(Payment.stripe_checkout_session_id.in_(ids), Payment.stripe_payment_intent_id.in_(ids))
    payment = session.scalar(
        select(Payment).where(found).order_by(Payment.id.desc()).limit(1).execution_options(populate_existing=True)
    )
    if payment is None:
        return None
    # What was paid out by hand is given back here, and Stripe knows nothing of it.
    given_there = Refund.state.in_(_GIVEN) & Refund.made_good_how.is_distinct_from("by_hand")
    given, waiting = session.execute(
        select(
            func.coalesce(summed(Refund.amount, only=given_there), 0),
            func.count().filter(Refund.state.in_((RefundState.REQUESTED, RefundState.UNKNOWN))),
        ).where(Refund.payment_id == payment.id)
    ).one()
    appointment = appointments.get(session, payments.subject_of(payment))
    values = {
        "state": payment.state.value,
        "amount": money_text(payment.amount, payment.currency),
        "captured_amount": money_text(payment.captured_amount, payment.currency),
        "refunded_amount": money_text(given, payment.currency),
        "dispute_status": _statuses(
            (each.stripe_dispute_id, each.status) for each in disputes.disputes_of(session, payment.id)
        ),
        "appointment": f"{appointment.kind} {appointment.number} {appointment.row.status.value}",
    }
    return Ours(payment_key(payment.id), values, settling=bool(waiting))


def differing(ours: Ours, theirs: Values) -> list[str]:
    """The fields on which we do not say what Stripe says, in Stripe's order; what Stripe leaves out is not compared."""
    return [name for name, value in theirs.items() if ours.values.get(name) != value]


def held(session: Session, after: int, limit: int) -> list[tuple[int, str]]:
    """Payments of which the last word is not said: open ones, those with a refund under way or a dispute."""
    rows = session.execute(
        select(Payment.id, Payment.state, Payment.stripe_checkout_session_id, Payment.stripe_payment_intent_id)
        .where(Payment.id > after, Payment.id.in_(union(*_unsettled())))
        .order_by(Payment.id)
        .limit(limit)
    )
    return [(row.id, _id_of(row.state, row[2], row[3])) for row in rows]


def _unsettled() -> list[Select[int]]:
    """The numbers of each kind apart: every kind has an index of its own, and all together would be read one by one."""
    is_known = Payment.stripe_payment_intent_id.is_not(None)
    refunding = select(Refund.payment_id).where(
        Refund.state.in_((RefundState.SENT, RefundState.UNKNOWN)), Refund.payment_id.is_not(None)
    )
    disputed = select(Dispute.payment_id).where(Dispute.status.not_in(disputes.SETTLED))
    return [
        select(Payment.id).where(Payment.state.in_(payments.UNPAID), Payment.stripe_checkout_session_id.is_not(None)),
        select(Payment.id).where(Payment.id.in_(refunding), is_known),
        select(Payment.id).where(Payment.id.in_(disputed), is_known),
    ]


def _id_of(state: PaymentState, session_id: str | None, intent_id: str | None) -> str:
    return (session_id if state in payments.UNPAID else intent_id) or ""
