"""What the lists and pages of bookings and meetings have in common: shortcuts, the payment, and their commands."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import exists, select

from admin_app.db import utc_now
from admin_app.policies.permissions import Permission
from models import BookingSource, BookingStatus, Payment, PaymentState
from views.console.framework.columns import Column
from views.console.framework.date_presets import DatePreset
from views.console.framework.records import Command, Group

OPEN = (BookingStatus.PENDING, BookingStatus.CONFIRMED)
TOOK_PLACE = (BookingStatus.CONFIRMED, BookingStatus.NO_SHOW)
NOT_CAME = (BookingStatus.CONFIRMED, BookingStatus.COMPLETED)
APPOINTMENT_DATES = (
    DatePreset("Today", "starts", 0, 0, "starts"),
    DatePreset("Next 7 days", "starts", 0, 6, "starts"),
    DatePreset("From today on", "starts", 0, None, "starts"),
    DatePreset("Past", "starts", None, -1, "-starts"),
    # Over, and nobody has said yet whether it took place.
    DatePreset("To settle", "starts", None, -1, "-starts", also=(("status", "confirmed"),)),
)
Values = Mapping[str, Any]


def latest_payment(of: Any, key: Any) -> Any:
    """How the last payment stands, as a value of a row; looked up for the rows of the page alone."""
    newest = select(Payment.state).where(of == key).order_by(Payment.id.desc()).limit(1)
    return newest.correlate(key.class_).scalar_subquery()


def paid_for(through: Any) -> tuple[Column, Column]:
    """The booking or the meeting that was paid for, with the way to it, by way of the payment."""

    def column(kind: str, number: Any) -> Column:
        return Column(kind.capitalize(), number, "records", through=through, text=lambda found: (f"{kind}:{found}",))

    return column("booking", Payment.booking_id), column("meeting", Payment.meeting_id)


def holds_money(of: Any, key: Any) -> Group:
    """A group that is not shown: says whether anything of what was paid can still be given back."""
    holding = exists().where(of == key, Payment.state == PaymentState.PAID)
    left = holding.where(Payment.captured_amount > Payment.reserved_amount).correlate(key.class_)
    return Group("What is left of the money", (Column("Left", left.label("holds_money")),), when=lambda values: False)


def commands_of(section: str) -> tuple[Command, ...]:
    """What can be done about a record of this section, the likeliest first."""

    def command(label: str, word: str, when: Callable[[Values], bool], tone: str = "plain") -> Command:
        address = f"/admin/{section}/{{}}/{word}"
        return Command(
            label=label,
            permission=Permission.BOOKINGS_MANAGE,
            address=lambda key: address.format(key),
            when=when,
            tone=tone,
        )

    one = section.removesuffix("s")
    return (
        command("Mark completed", "complete", lambda v: v["status"] in TOOK_PLACE and _has_begun(v), "primary"),
        command("Nobody came", "no-show", lambda v: v["status"] in NOT_CAME and _has_begun(v)),
        command("Reschedule", "reschedule", _can_move),
        command("Send confirmation again", "resend", _can_confirm),
        Command(
            label="Refund",
            permission=Permission.REFUNDS_REQUEST,
            address=lambda key: f"/admin/payments/of-{one}/{key}",
            when=lambda v: v["holds_money"],
        ),
        command("Cancel", "cancel", lambda v: v["status"] in OPEN, "danger"),
    )


def _has_begun(values: Values) -> bool:
    begun: bool = values["starts_at"] <= utc_now()
    return begun


def _can_confirm(values: Values) -> bool:
    # A calendar in which it was made sends its own.
    is_ours = values.get("source") in (None, BookingSource.WEBSITE)
    return is_ours and values["status"] is BookingStatus.CONFIRMED and values["ends_at"] > utc_now()


def _can_move(values: Values) -> bool:
    # At Calendly only the client or the host can move it.
    return values["status"] is BookingStatus.CONFIRMED and values.get("source") is not BookingSource.CALENDLY
