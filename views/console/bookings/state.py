"""What state a booking or meeting is in and what happens next, in a sentence or two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from admin_app.services.bookings import BECAUSE
from admin_app.services.core.amounts import money_text
from admin_app.services.core.time_zones import clock_text
from models import BookingStatus, CanceledBecause
from views.console.framework.columns import age_text, time_text

# What a refund's state means to somebody who is asked about it.
REFUND_WORDS = {
    "awaiting_approval": "waits for a second person",
    "requested": "is about to be sent to Stripe",
    "sent": "is with the bank",
    "unknown": "left, and nobody knows yet what became of it",
    "failed": "failed",
}
# The same of one that the bank sent back, by how it was put right.
RETURNED_WORDS = {
    None: "came back, so the client has not got it. Put it right",
    "again": "came back, and another one took its place",
    "by_hand": "came back, and was paid out by hand",
    "nothing_owed": "came back, and it was decided that nothing is owed any more",
}
LOST_DISPUTES = ("lost",)
OVER_DISPUTES = ("won", "lost", "prevented", "warning_closed")


class Sentence(NamedTuple):
    text: str
    tone: str
    href: str = ""
    link: str = ""


@dataclass(frozen=True)
class Appointment:
    """What the sentences are made from."""

    status: BookingStatus
    starts_at: datetime
    ends_at: datetime
    hold_expires_at: datetime | None
    canceled_because: CanceledBecause | None
    canceled_at: datetime | None
    costs: bool

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Appointment":
        names = ("status", "starts_at", "ends_at", "hold_expires_at", "canceled_because", "canceled_at")
        return cls(**{name: values[name] for name in names}, costs=values["price_amount"] > 0)

    def is_held(self, now: datetime) -> bool:
        return self.status is BookingStatus.PENDING and not self.is_lapsed(now)

    def is_lapsed(self, now: datetime) -> bool:
        held_until = self.hold_expires_at
        return self.status is BookingStatus.PENDING and held_until is not None and held_until <= now


def state_sentence(what: Appointment, now: datetime, zone: ZoneInfo) -> Sentence:
    """The state, and what happens next by itself or is to be done."""
    match what.status:
        case BookingStatus.PENDING:
            return _pending(what, now, zone)
        case BookingStatus.CONFIRMED:
            return _confirmed(what, now, zone)
        case BookingStatus.CANCELED:
            because = f" because {BECAUSE[what.canceled_because]}" if what.canceled_because else ""
            when = f" {_when(what.canceled_at, now, zone)}" if what.canceled_at else ""
            return Sentence(f"Canceled{when}{because}. The time is free for others.", "plain")
        case BookingStatus.COMPLETED:
            return Sentence("It took place. Nothing is left to do.", "good")
        case BookingStatus.NO_SHOW:
            return Sentence("Nobody came. Whether money goes back is decided by a refund.", "warn")
        case BookingStatus.REFUNDED:
            return Sentence("All of the money went back, so it is off and the time is free for others.", "info")


def _pending(what: Appointment, now: datetime, zone: ZoneInfo) -> Sentence:
    until = what.hold_expires_at
    if until is None:
        return Sentence("Held without an end. It waits for a payment.", "warn")
    if until <= now:
        return Sentence(
            f"Not paid by {_by(until, now, zone)}, so the time is free again. A payment that still comes is checked "
            "against the calendar, and goes back when the time was sold.",
            "warn",
        )
    waits = "It is confirmed the moment Stripe says that it is paid." if what.costs else "Nothing is to be paid for it."
    return Sentence(f"Held until {_by(until, now, zone)}, then the time is free again. {waits}", "warn")


def _confirmed(what: Appointment, now: datetime, zone: ZoneInfo) -> Sentence:
    if what.starts_at > now:
        ahead = what.starts_at - now
        reminder = " A reminder goes out the day before." if ahead > timedelta(hours=24) else ""
        return Sentence(f"Confirmed. It begins in {age_text(ahead)}.{reminder}", "good")
    if what.ends_at > now:
        return Sentence(f"It is taking place, until {_by(what.ends_at, now, zone)}.", "good")
    return Sentence("Its time is over. Mark it as completed, or note that nobody came.", "warn")


def money_sentences(
    what: Appointment,
    payments: Sequence[Mapping[str, Any]],
    refunds: Sequence[Mapping[str, Any]],
    now: datetime,
    zone: ZoneInfo,
) -> list[Sentence]:
    """Where the money is: what was paid, what went back, what is in between or in dispute."""
    if not payments:
        return [Sentence("It costs nothing." if not what.costs else "Nothing was paid through Stripe.", "plain")]
    said = []
    for payment in payments:
        own = [refund for refund in refunds if refund["payment_id"] == payment["id"]]
        said += [_paid(payment, own, now, zone), *_disputed(payment, now, zone), *map(_underway, own)]
    return [sentence for sentence in said if sentence.text]


def _paid(payment: Mapping[str, Any], refunds: Sequence[Mapping[str, Any]], now: datetime, zone: ZoneInfo) -> Sentence:
    href, link = f"/admin/payments/{payment['id']}", f"Payment {payment['id']}"
    currency = payment["currency"]
    asked = money_text(payment["amount"], currency)
    match payment["state"]:
        case "open":
            return Sentence(f"{asked} wait to be paid on Stripe’s page.", "warn", href, link)
        case "processing":
            return Sentence(f"{asked} are on their way: the bank has not said yes or no.", "warn", href, link)
        case "expired":
            return Sentence(f"{asked} were not paid in time.", "plain", href, link)
        case "failed":
            return Sentence(f"The payment of {asked} failed.", "bad", href, link)
    captured = payment["captured_amount"]
    back = sum(refund["amount"] for refund in refunds if refund["state"] == "succeeded")
    when = f" {_when(datetime.fromisoformat(payment['paid_at']), now, zone)}" if payment["paid_at"] else ""
    text = f"{money_text(captured, currency)} were paid{when}"
    if back >= captured:
        return Sentence(f"{text}, and all of it went back.", "info", href, link)
    if back:
        return Sentence(f"{text}, and {money_text(back, currency)} of it went back.", "info", href, link)
    return Sentence(f"{text}.", "good", href, link)


def _disputed(payment: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> list[Sentence]:
    status = payment["dispute_status"]
    if not status:
        return []
    href, link = f"/admin/disputes/?payment={payment['id']}", "Disputes"
    if status in OVER_DISPUTES:
        if status in LOST_DISPUTES:
            gone = money_text(payment["dispute_amount"] or payment["captured_amount"], payment["currency"])
            return [Sentence(f"A dispute about it was lost: {gone} are gone.", "bad", href, link)]
        end = "won" if status == "won" else f"over ({status.replace('_', ' ')})"
        return [Sentence(f"A dispute about it is {end}.", "info", href, link)]
    due = payment["dispute_due_by"]
    until = f" until {_by(datetime.fromisoformat(due), now, zone)}" if due else ""
    return [Sentence(f"The payer disputes it. Answer at Stripe{until}.", "bad", href, link)]


def _underway(refund: Mapping[str, Any]) -> Sentence:
    words = REFUND_WORDS.get(refund["state"])
    if words is None:
        return Sentence("", "plain")
    tone = "bad" if refund["state"] in ("failed", "unknown") else "warn"
    if refund["returned_at"]:
        put_right = refund["made_good_how"]
        words, tone = RETURNED_WORDS[put_right], "info" if put_right else "bad"
    amount = money_text(refund["amount"], refund["currency"])
    return Sentence(f"A refund of {amount} {words}.", tone, f"/admin/refunds/{refund['id']}", f"Refund {refund['id']}")


def _when(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """The time of the day when it is today's, else with its date, as something happened at it."""
    text = _by(moment, now, zone)
    return f"at {text}" if _is_today(moment, now, zone) else f"on {text}"


def _by(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """The same after “until” or “by”."""
    return clock_text(moment.astimezone(zone)) if _is_today(moment, now, zone) else time_text(moment, zone)


def _is_today(moment: datetime, now: datetime, zone: ZoneInfo) -> bool:
    return moment.astimezone(zone).date() == now.astimezone(zone).date()
