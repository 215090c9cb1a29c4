"""Gives money of a membership's payment back: the plan of it, and the request.

The money is reserved on the payment, a second person decides about much of it, and the refund leaves and settles as
those of appointments do (`refunds`, `approvals`, `refund_sending`). What it does to access is the provider's to say.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.approval_limits import Limit
from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.core.amounts import money_text
from admin_app.services.core.plans import Plan, fingerprint, require_same
from admin_app.services.payments import refund_sources
from admin_app.services.refunds import refund_people, refund_requests
from admin_app.services.refunds.refund_requests import Quote
from models.memberships import MembershipPayment, PaymentProvider, ProviderMembership
from models.payments import Refund
from models.purchases import Profile

NOBODY_SOLD = "No provider sold what is held here, so nothing was paid that could be given back."
NOT_ASKED = "Nothing is known here of a payment: the provider was not asked yet what was paid."
NO_PAYMENT = "The provider was asked and told of nothing that was paid, so there is nothing to give back."
NOT_GIVEN_BACK = "The provider says that nothing more of what was paid can be given back there."
ACCESS = {
    PaymentProvider.WHOP: (
        "Whop brings the membership in line with the refund and writes to the buyer: access may end at once. What Whop "
        "then says of the membership is asked and followed here."
    ),
    PaymentProvider.STRIPE: (
        "The subscription goes on and is charged again when it is due: a refund does not end it, and access stays as "
        "it is. If it is to end, cancel it as well."
    ),
}


def quote(session: Session, payment_id: int) -> Quote:
    """What can be given back of this payment, by what the provider said last, and what stands in the way."""
    return refund_requests.quote_of(session, _found(session, payment_id))


def plan_request(ctx: Ctx, *, payment_id: int, amount: int, approval_above: Limit) -> Plan:
    """What giving back this much means, before anybody asks for it."""
    require(ctx, Permission.PAYMENTS_READ)
    payment = _found(ctx.session, payment_id)
    quoted = refund_requests.quote_of(ctx.session, payment)
    waits = quoted.waits(amount, approval_above)
    return Plan(
        title=f"Give back {money_text(amount, quoted.currency)}",
        outcome="waits" if waits else "sent",
        lines=refund_requests.lines(quoted, amount, source="what you typed"),
        consequences=(
            refund_requests.goes_or_waits(quoted, amount, approval_above),
            refund_people.of(ctx.session, payment).sentence,
            *refund_requests.effects(quoted, amount),
            *of_access(payment),
        ),
        fingerprint=fingerprint(payment, amount),
        refusal=refund_requests.refusal_of(quoted, amount),
        calls=() if waits else refund_requests.calls(payment),
        adds=refund_requests.ADDS,
    )


def of_access(payment: MembershipPayment) -> tuple[str, ...]:
    """What a refund of it does to access and credits."""
    return ACCESS[payment.provider], "Credits that were granted for it stay."


def request(
    ctx: Ctx, *, payment_id: int, amount: int, reason_code: str, note: str, approval_above: Limit, shown: str
) -> Refund:
    """Ask for a refund as its plan was shown: it is sent, or waits for a second person."""
    require(ctx, Permission.REFUNDS_REQUEST)
    reason, note = refund_requests.reason_of(reason_code, note)
    payment = refund_sources.locked(ctx, None, payment_id)
    quoted = refund_requests.quote_of(ctx.session, payment)
    refund_requests.require_room(quoted, amount)
    require_same(shown, fingerprint(payment, amount))
    return refund_requests.write(ctx, payment, amount, reason, note, waits=quoted.waits(amount, approval_above))


def to_give_back(session: Session, *, membership_id: int | None = None, user_id: str | None = None) -> list[int]:
    """Payments of a membership, or of all that an account holds, of which any can be given back: newest first."""
    of = ProviderMembership.id == membership_id if user_id is None else ProviderMembership.profile_user_id == user_id
    found = (
        select(MembershipPayment.id)
        .join(ProviderMembership, ProviderMembership.id == MembershipPayment.membership_id)
        .where(
            of,
            MembershipPayment.refundable,
            MembershipPayment.captured_amount > MembershipPayment.reserved_amount,
            MembershipPayment.captured_amount > MembershipPayment.refunded_amount,
        )
    )
    newest_first = found.order_by(MembershipPayment.paid_at.desc().nulls_last(), MembershipPayment.id.desc())
    return list(session.scalars(newest_first))


def why_nothing(
    session: Session, *, membership_id: int | None = None, user_id: str | None = None
) -> tuple[str, list[int]]:
    """Why nothing of it can be given back, in a sentence, and the memberships whose provider can be asked again."""
    if membership_id is not None and session.get(ProviderMembership, membership_id) is None:
        raise NotFound("This membership is not here any more.")
    if user_id is not None and session.get(Profile, user_id) is None:
        raise NotFound("There is no such account.")
    of = ProviderMembership.id == membership_id if user_id is None else ProviderMembership.profile_user_id == user_id
    sold = select(ProviderMembership).where(of, ProviderMembership.external_id.is_not(None))
    rows = session.scalars(sold.order_by(ProviderMembership.id)).all()
    asked = [row.id for row in rows]
    if not rows:
        return NOBODY_SOLD, []
    captured = MembershipPayment.captured_amount > 0
    paid = session.scalars(select(MembershipPayment).where(MembershipPayment.membership_id.in_(asked), captured)).all()
    if not paid:
        return NO_PAYMENT if all(row.payments_asked_at for row in rows) else NOT_ASKED, asked
    gone = all(max(one.reserved_amount, one.refunded_amount) >= one.captured_amount for one in paid)
    return refund_requests.NOTHING_LEFT if gone else NOT_GIVEN_BACK, asked


def _found(session: Session, payment_id: int) -> MembershipPayment:
    payment = session.get(MembershipPayment, payment_id)
    if payment is None:
        raise NotFound("There is no such payment.")
    return payment
