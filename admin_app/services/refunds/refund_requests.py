"""Giving money back: what can be given back, the plan of a refund, and the request itself.

A request reserves its money on the payment's row, under its lock: however many ask at once, no more is promised than
was captured. A large one waits for a second person (`approvals`); the others are sent at once (`refund_sending`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.approval_limits import Limit, limit_in
from admin_app.context import Ctx, Staff
from admin_app.errors import InvalidInput, NotFound, NotRefundable
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services import payments
from admin_app.services.core import audit
from admin_app.services.core.amounts import money_text
from admin_app.services.core.plans import MOST_REASON, Plan, PlanLine, PlannedCall, fingerprint, require_same
from admin_app.services.core.records import refund_key
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.payments import disputes, held_money, refund_sources, refund_states
from admin_app.services.payments.refund_sources import Paid
from admin_app.services.payments.refund_states import amount_of, records_of, refunds_of
from admin_app.services.refunds import refund_endings
from admin_app.services.refunds.refund_endings import Decided
from models.memberships import MembershipPayment
from models.payments import RESERVING, Payment, Refund, RefundOrigin, RefundReason, RefundState
from models.refunds import Approval

# Said by staff; the others are the product's own.
REASONS = tuple(reason for reason in RefundReason if reason is not RefundReason.SLOT_LOST)
NOTHING_LEFT = "All that was paid went back already, or is on its way."
NOTHING_SAID = Decided()
ADDS = ("refund",)


@dataclass(frozen=True)
class Quote:
    """What of a payment can be given back now; amounts in minor units of `currency`.

    `record` is the payment's key, `provider` gives the money back, and `fee` is what it kept and does not give back,
    None while it is not told. `unseconded` is what staff asked for without a second person. `refusal` says why nothing
    can be given back, if so.
    """

    record: str
    provider: str
    currency: str
    captured: int
    refunded: int
    on_its_way: int
    fee: int | None
    unseconded: int
    refusal: str | None

    @property
    def refundable(self) -> int:
        return self.captured - self.refunded - self.on_its_way

    def waits(self, amount: int, approval_above: Limit) -> bool:
        """Whether a second person decides: many small refunds of one payment count as the large one they make."""
        return self.unseconded + amount > limit_in(approval_above, self.currency)


def quote(session: Session, payment_id: int) -> Quote:
    """What can be given back of this payment, and what stands in the way."""
    payment = session.get(Payment, payment_id)
    if payment is None:
        raise NotFound("There is no such payment.")
    return quote_of(session, payment)


def quote_of(session: Session, payment: Paid) -> Quote:
    """The same of a payment at hand, of an appointment or of a membership."""
    refunds = refunds_of(session, payment)
    seconded = set(session.scalars(select(Approval.refund_id).where(Approval.refund_id.in_([r.id for r in refunds]))))
    held = [refund for refund in refunds if refund.state in RESERVING]
    refunded = sum(refund.amount for refund in held if refund.state is RefundState.SUCCEEDED)
    unseconded = [r.amount for r in held if r.origin is RefundOrigin.STAFF and r.id not in seconded]
    reserved = sum(refund.amount for refund in held)
    if isinstance(payment, MembershipPayment):
        refunded, reserved = _as_counted_there(payment, held, refunded)
    nothing_left = NOTHING_LEFT if reserved >= payment.captured_amount else None
    return Quote(
        record=refund_sources.key(payment),
        provider=provider_name(refund_sources.provider(payment)),
        currency=payment.currency,
        captured=payment.captured_amount,
        refunded=refunded,
        on_its_way=reserved - refunded,
        fee=payment.fee_amount,
        unseconded=sum(unseconded),
        refusal=obstacle(payment, held) or nothing_left,
    )


def _as_counted_there(payment: MembershipPayment, held: list[Refund], refunded: int) -> tuple[int, int]:
    """What went back, and that with what is on its way: by the provider's own count, also where it lists less.

    Some providers count a refund while it is with the bank. What is more than was paid is the rate of the day.
    """
    listed = sum(refund.amount for refund in held if refund.provider_refund_id is not None)
    ours = sum(refund.amount for refund in held if refund.provider_refund_id is None)
    reserved = min(max(payment.refunded_amount, listed) + ours, payment.captured_amount)
    pending = sum(refund.amount for refund in held if refund.state is RefundState.SENT)
    return min(max(payment.refunded_amount - pending, refunded), reserved), reserved


def obstacle(payment: Paid, held: list[Refund]) -> str | None:
    """What forbids that any money of this payment goes back now, however much is left."""
    there = provider_name(refund_sources.provider(payment))
    unknown = next((refund for refund in held if refund.state is RefundState.UNKNOWN), None)
    if payment.captured_amount == 0 or refund_sources.reference(payment) is None:
        return "Nothing was paid, so there is nothing to give back."
    if payment.dispute_status == disputes.LOST:
        return f"A dispute about this payment was lost: the bank has taken money back, and {there} gives no more of it."
    if payment.dispute_status and payment.dispute_status not in disputes.REFUNDABLE:
        return f"The payer disputes this payment, so {there} gives nothing of it back. Answer the dispute at {there}."
    if unknown is not None:
        return (
            f"Nobody knows yet what became of refund {unknown.id} of {amount_of(unknown)}. "
            f"Ask {there} about it before you give more back."
        )
    if isinstance(payment, MembershipPayment) and not payment.refundable:
        return f"{there} says that nothing of this payment can be given back there."
    return None


def plan_request(
    ctx: Ctx, *, payment_id: int, amount: int, approval_above: Limit, ends: bool = True, tell: bool = True
) -> Plan:
    """What giving back this much means, before anybody asks for it.

    Where nothing is left and the appointment is still to come, `ends` says whether it ends with that, and `tell`
    whether its client is then written to.
    """
    require(ctx, Permission.PAYMENTS_READ)
    payment = ctx.session.get(Payment, payment_id)
    if payment is None:
        raise NotFound("There is no such payment.")
    return _plan(ctx, payment, amount, approval_above, ends, tell)


def request(
    ctx: Ctx,
    *,
    payment_id: int,
    amount: int,
    reason_code: str,
    note: str,
    approval_above: Limit,
    shown: str,
    ends: bool = True,
    tell: bool = True,
) -> Refund:
    """Ask for a refund as its plan was shown: it is sent, or waits for a second person."""
    require(ctx, Permission.REFUNDS_REQUEST)
    reason, note = reason_of(reason_code, note)
    payment = _locked_with_others(ctx, payment_id)
    quoted = quote_of(ctx.session, payment)
    require_room(quoted, amount)
    require_same(shown, _plan(ctx, payment, amount, approval_above, ends, tell).fingerprint)
    waits = quoted.waits(amount, approval_above)
    return write(ctx, payment, amount, reason, note, waits=waits, wanted=Decided(ends, tell))


def _locked_with_others(ctx: Ctx, payment_id: int) -> Payment:
    """The payment, locked with the others of its appointment: whether anything is left is one question to all."""
    found = ctx.session.get(Payment, payment_id)
    if found is None:
        raise NotFound("There is no such payment.")
    held_money.locked_for(ctx, payments.subject_of(found))
    return found


def _plan(ctx: Ctx, payment: Payment, amount: int, approval_above: Limit, ends: bool, tell: bool) -> Plan:
    quoted = quote_of(ctx.session, payment)
    waits = quoted.waits(amount, approval_above)
    means = refund_endings.of_request(ctx, payment, amount, ends=ends, tell=tell, waits=waits)
    state = refund_endings.state_of(ctx, payment)
    return Plan(
        title=f"Give back {money_text(amount, quoted.currency)}",
        outcome="waits" if waits else "sent",
        lines=(
            *lines(quoted, amount, source="what you typed"),
            *put_right_lines(put_right_by(ctx.session, payment, amount)),
            *means.lines,
        ),
        consequences=(
            goes_or_waits(quoted, amount, approval_above),
            *effects(quoted, amount),
            *all_that_is_left(is_all=amount == quoted.refundable),
            *means.sentences,
        ),
        fingerprint=fingerprint(payment, amount, state, ends, tell, means.told),
        refusal=refusal_of(quoted, amount),
        mails=means.mails,
        calls=means.calls if waits else (*calls(payment), *means.calls),
        adds=ADDS,
    )


def request_within(
    ctx: Ctx, *, payment_id: int, amount: int | None, reason: RefundReason, note: str, approval_above: Limit
) -> Refund:
    """Ask for a refund as a part of another command, whose plan has shown it; no amount means all that is left."""
    require(ctx, Permission.REFUNDS_REQUEST)
    payment = payments.locked(ctx, payment_id)
    quoted = quote_of(ctx.session, payment)
    wanted = quoted.refundable if amount is None else amount
    require_room(quoted, wanted)
    return write(ctx, payment, wanted, reason, note, waits=quoted.waits(wanted, approval_above))


def request_by_backdesk(ctx: Ctx, payment: Payment, amount: int, reason: RefundReason) -> Refund | None:
    """Give back what was paid for nothing, without asking anybody; None when nothing of it is left to give back.

    Finance finds these on their worklist.
    """
    payment = payments.locked(ctx, payment.id)
    quoted = quote_of(ctx.session, payment)
    amount = min(amount, quoted.refundable)
    if quoted.refusal or amount <= 0:
        return None
    return write(ctx, payment, amount, reason, "", waits=False)


def all_that_is_left(*, is_all: bool) -> tuple[str, ...]:
    """That nothing of a payment is left afterwards, in a sentence."""
    return ("This is all that is left: the payment is then refunded as a whole.",) if is_all else ()


def goes_or_waits(quoted: Quote, amount: int, approval_above: Limit) -> str:
    """Whether this much is sent at once or waits for a second person, in a sentence."""
    if not quoted.waits(amount, approval_above):
        return f"{quoted.provider} is told at once."
    return f"{why_seconded(quoted, amount, approval_above)} No money moves before they approve it."


def why_seconded(quoted: Quote, amount: int, approval_above: Limit, about: str = "") -> str:
    """Why a second person decides: the amount itself is above the limit, or what it makes with others."""
    most = limit_in(approval_above, quoted.currency)
    limit = money_text(most, quoted.currency)
    if amount > most:
        return f"Above {limit} a second person decides{about}."
    before = money_text(quoted.unseconded, quoted.currency)
    made = money_text(quoted.unseconded + amount, quoted.currency)
    return (
        f"With the {before} already given back or on its way this is {made}, above {limit}: "
        f"a second person decides{about}."
    )


def calls(payment: Paid) -> tuple[PlannedCall, ...]:
    """What a refund of it is asked for by, once nobody has to decide about it any more."""
    there = refund_sources.provider(payment)
    return (PlannedCall(there, "refund.create", f"{provider_name(there)} is asked for the refund."),)


def effects(quoted: Quote, amount: int) -> tuple[str, ...]:
    """What a refund of this much does once it is sent."""
    fee = (f"{quoted.provider} keeps its fee of {money_text(quoted.fee, quoted.currency)}.",) if quoted.fee else ()
    return (f"{money_text(amount, quoted.currency)} go back to what was paid with, which takes 5 to 10 days.", *fee)


def lines(quoted: Quote, amount: int, *, source: str, counted: bool = False) -> tuple[PlanLine, ...]:
    """What is given back and what is left of it; `counted` when the quote holds this refund already."""
    key = quoted.record
    gone = quoted.refunded + quoted.on_its_way - (amount if counted else 0)
    left = quoted.captured - gone

    def line(field: str, now: int, after: int, source: str) -> PlanLine:
        return PlanLine(key, field, money_text(now, quoted.currency), money_text(after, quoted.currency), source)

    return (
        line("given_back", gone, gone + amount, source),
        line("left_to_give_back", left, left - amount, f"{money_text(quoted.captured, quoted.currency)} captured"),
    )


def put_right_lines(closed: Sequence[Refund]) -> tuple[PlanLine, ...]:
    """That a refund takes the money of these, which came back."""
    return tuple(
        PlanLine(refund_key(each.id), "made_good_how", None, refund_states.AGAIN, "its money goes back with this")
        for each in closed
    )


def put_right_by(session: Session, payment: Paid, amount: int, *, but: Refund | None = None) -> list[Refund]:
    """What came back and goes back with a refund of this much; `but` for the one that it is made for."""
    returned = [each for each in refund_states.came_back(session, payment) if each is not but]
    left = payment.captured_amount - payment.reserved_amount - amount
    return refund_states.put_right_by(returned, left) if amount else []


def freed(quoted: Quote, amount: int) -> tuple[PlanLine, ...]:
    """That so much, which was kept aside for a refund, does not go back with it."""
    gone, left = quoted.refunded + quoted.on_its_way, quoted.refundable

    def line(field: str, now: int, after: int) -> PlanLine:
        texts = money_text(now, quoted.currency), money_text(after, quoted.currency)
        return PlanLine(quoted.record, field, *texts, "what was kept aside for it")

    return line("given_back", gone, gone - amount), line("left_to_give_back", left, left + amount)


def refusal_of(quoted: Quote, amount: int) -> str | None:
    """Why this much cannot be given back, if so."""
    if quoted.refusal or 0 < amount <= quoted.refundable:
        return quoted.refusal
    return f"Only {money_text(quoted.refundable, quoted.currency)} can be given back. Choose a smaller amount."


def require_room(quoted: Quote, amount: int) -> None:
    """Refuse what cannot be given back."""
    refusal = refusal_of(quoted, amount)
    if refusal:
        raise NotRefundable(refusal)


def reason_of(reason_code: str, note: str) -> tuple[RefundReason, str]:
    """The reason and the note as they are kept; refused with a sentence for the field that is wrong."""
    note = note.strip()
    if reason_code not in REASONS:
        raise InvalidInput("Say why: choose a reason.", fields={"reason_code": "Choose one of the reasons."})
    if reason_code == RefundReason.OTHER and not note:
        raise InvalidInput("Say why: another reason needs a note.", fields={"note": "Write what the reason is."})
    if len(note) > MOST_REASON or "\x00" in note:
        sentence = f"Use at most {MOST_REASON} plain characters."
        raise InvalidInput("The note cannot be kept as it is.", fields={"note": sentence})
    return RefundReason(reason_code), note


def write(
    ctx: Ctx,
    payment: Paid,
    amount: int,
    reason: RefundReason,
    note: str,
    *,
    waits: bool,
    wanted: Decided = NOTHING_SAID,
) -> Refund:
    """Write the refund down with its reserve; then it waits for a second person, or its sending is queued.

    `wanted` is what shall become of the appointment where nothing is left of what was paid for it.
    """
    decided = refund_endings.decided(ctx, payment, amount, wanted) if isinstance(payment, Payment) else NOTHING_SAID
    person = ctx.actor if isinstance(ctx.actor, Staff) else None
    waits = waits and person is not None
    refund = Refund(
        **refund_sources.naming(payment),
        amount=amount,
        currency=payment.currency,
        state=RefundState.AWAITING_APPROVAL if waits else RefundState.REQUESTED,
        origin=RefundOrigin.STAFF if person else RefundOrigin.BACKDESK,
        reason=reason,
        note=note or None,
        requested_by=audit.actor_name(ctx.actor.kind, ctx.actor.label) if person is None else person.label,
        ends_appointment=decided.ends,
        tells_client=decided.tell,
        # Random as the request's name is, and the same again where a seed tells that.
        key_suffix=sha256(ctx.request_id.encode()).hexdigest()[:16],
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(refund)
    refund_states.reserve(ctx, payment)
    if waits and person is not None:
        ctx.session.add(Approval(refund_id=refund.id, requested_by_id=person.id, requested_at=ctx.now))
    else:
        queue_sending(ctx, refund)
    audit.record(
        ctx,
        "refund.requested",
        records=records_of(payment, refund),
        reason=note or None,
        facts={
            "amount": amount_of(refund),
            **refund_sources.paid_for(payment),
            "state": refund.state,
            "because": reason,
        },
    )
    return refund


def queue_sending(ctx: Ctx, refund: Refund, *, anew: bool = True) -> None:
    """Have the refund sent after the commit; one job for it at a time. `anew` as `job_queue.defer` has it."""
    job_queue.defer(ctx.session, "send_refund", once_key=f"send_refund:{refund.id}", anew=anew, refund_id=refund.id)
