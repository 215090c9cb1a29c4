"""Money of an appointment: what went back, what is kept by decision, and what nobody decided about yet.

A canceled appointment gives its money back, or somebody says that it is kept and why. What is neither stands on a list,
`undecided_since`, until it is. Whoever calls what writes here holds the payment's lock.
"""

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services import appointments
from admin_app.services.core.amounts import money_text, summed
from models.bookings import Booking, BookingStatus, Meeting
from models.payments import Dispute, Payment, Refund, RefundState

# On their way for certain: what waits for a second person may still be declined.
GOING_BACK = (RefundState.REQUESTED, RefundState.SENT, RefundState.SUCCEEDED, RefundState.UNKNOWN)


@dataclass(frozen=True)
class HeldMoney:
    """What was taken for one appointment and what becomes of it, in minor units of `currency`; `lost` is what the
    payer's bank took back for good.
    """

    currency: str
    captured: int = 0
    going_back: int = 0
    kept: int = 0
    lost: int = 0

    def giving_back(self, amount: int) -> "HeldMoney":
        """The same once this much more is on its way back."""
        return replace(self, going_back=self.going_back + amount)

    def keeping(self, amount: int) -> "HeldMoney":
        """The same once somebody decided to keep this much more."""
        return replace(self, kept=self.kept + amount)

    @property
    def left(self) -> int:
        """What is neither back, nor on its way, nor taken back by the payer's bank."""
        return max(self.captured - self.going_back - self.lost, 0)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What becomes of the money of an appointment that is off, as its client is told."""
        back, left = self.going_back, self.left
        kept = min(self.kept, left)
        said = []
        if back:
            said.append(f"{self._text(back)} go back to what you paid with. This takes 5 to 10 days.")
        if self.lost:
            said.append(f"Your bank gave you {self._text(self.lost)} of what you paid back already.")
        if kept:
            said.append(f"{self._text(kept)} of what you paid are not given back.")
        if left > kept:
            said.append(f"What becomes of the {self._text(left - kept)} that you paid is decided separately.")
        return tuple(said)

    def _text(self, amount: int) -> str:
        return money_text(amount, self.currency)


def of_appointment(session: Session, subject: str, currency: str) -> HeldMoney:
    """As it is now; `currency` is the appointment's, for one that nothing was paid for."""
    paid = list(session.scalars(select(Payment).where(is_for(subject), Payment.captured_amount > 0)))
    if not paid:
        return HeldMoney(currency)
    back = select(summed(Refund.amount)).where(
        Refund.payment_id.in_([payment.id for payment in paid]), Refund.state.in_(GOING_BACK)
    )
    kept = sum(min(payment.kept_amount or 0, _left(payment)) for payment in paid)
    captured = sum(payment.captured_amount for payment in paid)
    lost = sum(min(_lost(session, payment), payment.captured_amount) for payment in paid)
    return HeldMoney(paid[0].currency, captured, session.scalar(back) or 0, kept, lost)


def is_for(subject: str) -> ColumnElement[bool]:
    """The condition that a payment is for this booking or meeting."""
    kind, number = appointments.subject_parts(subject)
    return (Payment.booking_id if kind == "booking" else Payment.meeting_id) == number


def locked_for(ctx: Ctx, subject: str) -> list[Payment]:
    """Every payment of an appointment as it is now, locked in the order of their numbers."""
    query = select(Payment).where(is_for(subject)).order_by(Payment.id).with_for_update()
    return list(ctx.session.scalars(query.execution_options(populate_existing=True)))


def review(ctx: Ctx, payment: Payment) -> None:
    """Put the payment on the list of what waits for a decision, or take it off; to be called after whatever matters."""
    open_ = _left(payment) - (payment.kept_amount or 0)
    undecided = open_ > 0 and _is_canceled(ctx.session, payment) and open_ > _lost(ctx.session, payment)
    if undecided is (payment.undecided_since is None):
        payment.undecided_since = ctx.now if undecided else None
        payment.version += 1


def review_all(ctx: Ctx, subject: str) -> list[Payment]:
    """The same for every payment of an appointment whose status has changed; answers those that wait."""
    ctx.session.flush()
    payments = locked_for(ctx, subject)
    for payment in payments:
        review(ctx, payment)
    return [payment for payment in payments if payment.undecided_since is not None]


def on_again(ctx: Ctx, subject: str) -> None:
    """A canceled appointment takes place after all: nobody has to decide about its money, and no decision holds."""
    ctx.session.flush()
    for payment in locked_for(ctx, subject):
        if payment.kept_amount is not None:
            payment.kept_amount = payment.kept_at = payment.kept_by = payment.kept_reason = None
            payment.version += 1
            payment.updated_at = ctx.now
        review(ctx, payment)


def keep(ctx: Ctx, payment: Payment, reason: str) -> int:
    """Note that what is left of the payment stays here, and why; answers how much that is."""
    amount = _left(payment)
    payment.kept_amount, payment.kept_at, payment.kept_reason = amount, ctx.now, reason
    payment.kept_by = ctx.actor.label
    payment.undecided_since = None
    payment.version += 1
    payment.updated_at = ctx.now
    return amount


def _left(payment: Payment) -> int:
    return payment.captured_amount - payment.reserved_amount


def _lost(session: Session, payment: Payment) -> int:
    """What the payer's bank took back for good: nobody has to decide about that any more."""
    is_lost = (Dispute.payment_id == payment.id, Dispute.lost_at.is_not(None), Dispute.regained_at.is_(None))
    return session.scalar(select(summed(Dispute.amount)).where(*is_lost)) or 0


def _is_canceled(session: Session, payment: Payment) -> bool:
    status = select(Booking.status).where(Booking.id == payment.booking_id)
    if payment.booking_id is None:
        status = select(Meeting.status).where(Meeting.id == payment.meeting_id)
    return session.scalar(status) is BookingStatus.CANCELED
