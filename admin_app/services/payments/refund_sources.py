"""What a refund is of: the payment of an appointment, or one of a membership. Its row is locked for its refunds too."""

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session, object_session

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.services.core.records import membership_key, membership_payment_key, payment_key
from admin_app.services.payments import appointment_payments
from models.memberships import MembershipPayment, ProviderMembership
from models.payments import Payment, Refund

Paid = Payment | MembershipPayment


def of(session: Session, refund: Refund) -> Paid:
    """The payment that the refund is of."""
    if refund.membership_payment_id is not None:
        return session.get_one(MembershipPayment, refund.membership_payment_id)
    return session.get_one(Payment, refund.payment_id)


def locked(ctx: Ctx, payment_id: int | None, membership_payment_id: int | None) -> Paid:
    """The payment under one of the two numbers, locked and as it is now."""
    if membership_payment_id is None:
        return appointment_payments.locked(ctx, payment_id or 0)
    found = ctx.session.get(MembershipPayment, membership_payment_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound("There is no such payment.")
    return found


def is_of(paid: Paid) -> ColumnElement[bool]:
    """The condition that a refund is of this payment."""
    return (Refund.payment_id if isinstance(paid, Payment) else Refund.membership_payment_id) == paid.id


def naming(paid: Paid) -> dict[str, int]:
    """The column of a new refund that says what it is of."""
    return {"payment_id" if isinstance(paid, Payment) else "membership_payment_id": paid.id}


def key(paid: Paid) -> str:
    """The payment's record as the audit names it."""
    return payment_key(paid.id) if isinstance(paid, Payment) else membership_payment_key(paid.id)


def records_of(paid: Paid) -> list[str]:
    """The records that a change of this payment is about."""
    if isinstance(paid, Payment):
        return appointment_payments.records_of(paid)
    return [key(paid), membership_key(_membership_name(paid))]


def paid_for(paid: Paid) -> dict[str, str]:
    """What was paid for, as the audit's sentences say it."""
    if isinstance(paid, Payment):
        return appointment_payments.paid_for(paid)
    return {"what": "membership", "number": _membership_name(paid)}


def provider(paid: Paid) -> str:
    """At which provider the money was paid: `stripe` or `whop`."""
    return "stripe" if isinstance(paid, Payment) else paid.provider.value


def reference(paid: Paid) -> str | None:
    """The provider's id of what can be given back; None when nothing was paid there."""
    return paid.stripe_payment_intent_id if isinstance(paid, Payment) else paid.external_id


def _membership_name(paid: MembershipPayment) -> str:
    session = object_session(paid)
    row = session.get(ProviderMembership, paid.membership_id) if session is not None else None
    return (row.external_id if row is not None else None) or str(paid.membership_id)
