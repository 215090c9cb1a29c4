"""A refund's story: where it stands, in plain words, and the steps it took and has before it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.services.core.amounts import money_text
from admin_app.services.core.timeline_words import provider_name
from models import Approval, MembershipPayment, Refund, RefundOrigin, RefundReason, RefundState, StaffMember
from views.console.framework.columns import time_text

S = RefundState
Done = Literal["done", "now", "next", "bad"]

# Where a refund stands; a failed one says why as well.
NOW = {
    S.AWAITING_APPROVAL: (
        "A second person decides about it. Nothing was sent, and its money is kept aside meanwhile, so that nobody "
        "gives it back twice."
    ),
    S.DECLINED: "It was declined. Nothing was sent, and its money can be asked for again.",
    S.REQUESTED: "It is about to be sent to {there}.",
    S.SENT: "{there} has it, and the bank is at work. That takes 5 to 10 days at most.",
    S.SUCCEEDED: "{there} gave the money back.",
    S.FAILED: "It failed, so its money can be given back again.",
    S.UNKNOWN: (
        "It left for {there} and no answer came, so nobody knows whether it was carried out. {there} is asked every "
        "two minutes. Until it answers, nothing more of this payment can be given back; carried out twice it cannot be."
    ),
}
TONES = {S.AWAITING_APPROVAL: "warn", S.UNKNOWN: "bad", S.FAILED: "bad", S.SUCCEEDED: "good"}
FAILURES = {
    "charge_already_refunded": "Stripe says that all of it went back already.",
    "charge_disputed": "The payer disputes the payment, so Stripe gives nothing of it back.",
    "refund_disputed_payment": "The payer disputes the payment, so Stripe gives nothing of it back.",
    "refunded_elsewhere": "Its money was given back at the provider's own dashboard meanwhile.",
    "expired_or_canceled_card": "The card that paid has expired or was canceled. Agree on another way with the client.",
    "lost_or_stolen_card": "The card that paid was lost or stolen. Agree on another way with the client.",
    "insufficient_funds": "There was not enough money on the account at Stripe. Top it up, then ask again.",
}
# What came back and was put right: what was done then, which the reason of the failure has no say in any more.
SINCE = {
    "again": "Another refund has taken its place since.",
    "by_hand": "It was paid out by hand since.",
    "nothing_owed": "Since then it was decided that nothing is owed any more, so the money stays here.",
}
LATE = "It was paid when its time could not be had any more."


@dataclass(frozen=True)
class Step:
    """One step of the way: what, when or by whom, and how far it is."""

    label: str
    detail: str
    done: Done


@dataclass(frozen=True)
class Story:
    now: str
    tone: str
    steps: tuple[Step, ...]


def refund_story(session: Session, refund_id: int, zone: ZoneInfo) -> Story:
    """What happened to a refund and what comes next."""
    query = (
        select(Refund, Approval, StaffMember.email, MembershipPayment.provider)
        .outerjoin(Approval, Approval.refund_id == Refund.id)
        .outerjoin(StaffMember, StaffMember.id == Approval.decided_by_id)
        .outerjoin(MembershipPayment, MembershipPayment.id == Refund.membership_payment_id)
        .where(Refund.id == refund_id)
    )
    refund, approval, decided_by, provider = session.execute(query).one()
    there = provider_name(provider or "stripe")
    steps = [_asked(refund, zone, there)]
    if approval is not None:
        steps.append(_decided(refund, approval, decided_by, zone))
    if refund.state is not S.DECLINED:
        steps += [_sent(refund, zone), _settled(refund, zone)]
    tone = "info" if refund.made_good_how is not None else TONES.get(refund.state, "info")
    return Story(_now(refund, there), tone, tuple(steps))


def _now(refund: Refund, there: str) -> str:
    sentence = NOW[refund.state].format(there=there)
    if refund.made_good_how is not None:
        return f"The bank sent it back to {there}. {SINCE[refund.made_good_how]}"
    if refund.returned_at is not None:
        sentence = "The bank sent it back, so the client has not got the money. Put it right."
    if refund.state is S.REQUESTED and refund.sent_at is not None:
        sentence = f"It has just left for {there}, and the answer is awaited."
    because = FAILURES.get(refund.failure_code or "", "")
    late = LATE if refund.reason is RefundReason.SLOT_LOST else ""
    return " ".join(part for part in (late, sentence, because) if part)


def _asked(refund: Refund, zone: ZoneInfo, there: str) -> Step:
    who = f"made at {there}" if refund.origin is RefundOrigin.PROVIDER else f"by {refund.requested_by}"
    amount = money_text(refund.amount, refund.currency)
    return Step("Asked for", f"{amount} {who}, {_at(refund.created_at, zone)}", "done")


def _decided(refund: Refund, approval: Approval, by: str | None, zone: ZoneInfo) -> Step:
    if approval.decision is None:
        return Step("Second person", "not decided yet", "now")
    detail = f"by {by or 'Backdesk'}, {_at(approval.decided_at, zone)}"
    if approval.decision == "declined":
        return Step("Declined", detail, "bad")
    return Step("Approved", detail, "done")


def _sent(refund: Refund, zone: ZoneInfo) -> Step:
    if refund.state is S.UNKNOWN:
        return Step("Sent", f"{_at(refund.sent_at, zone)}, no answer came", "bad")
    if refund.sent_at is None:
        return Step("Sent", "never left" if refund.state is S.FAILED else "not yet", _ahead(refund, S.REQUESTED))
    if refund.state is S.REQUESTED:
        return Step("Sent", "the answer is awaited", "now")
    return Step("Sent", _at(refund.sent_at, zone), "done")


def _settled(refund: Refund, zone: ZoneInfo) -> Step:
    if refund.state is S.FAILED:
        return Step("Failed", _at(refund.settled_at, zone), "bad")
    if refund.state is S.SUCCEEDED:
        return Step("Refunded", _at(refund.settled_at, zone), "done")
    return Step("Refunded", "", _ahead(refund, S.SENT))


def _ahead(refund: Refund, current: RefundState) -> Done:
    return "now" if refund.state is current else "next"


def _at(moment: datetime | None, zone: ZoneInfo) -> str:
    return time_text(moment, zone) if moment else ""
