"""Payments: what was taken at Stripe for which appointment, and what of it went back."""

from sqlalchemy import ColumnElement, SQLColumnExpression, Text, cast, func, literal

from admin_app.policies.permissions import Permission
from admin_app.services.payments.disputes import UNANSWERED
from models import Booking, Meeting, Payment, PaymentState
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, OneOf, UtcMonth
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search

STATE = Column("State", Payment.state, "badge")
DISPUTE = Column("Dispute", Payment.dispute_status, "badge")
CREATED = Column("Created", Payment.created_at, "time", sort="created")
BOOKING = Column("Booking", Booking.client_name, through=Payment.booking_id, link=("bookings", Payment.booking_id))
MEETING = Column("Meeting", Meeting.guest_email, through=Payment.meeting_id, link=("meetings", Payment.meeting_id))
CAPTURED = Column("Paid", Payment.captured_amount, "money", currency=Payment.currency)
RESERVED = Column("Refunded or on its way", Payment.reserved_amount, "money", currency=Payment.currency)


def _key(kind: str, column: SQLColumnExpression[int | None]) -> ColumnElement[str]:
    return literal(f"{kind}:", Text) + cast(column, Text)


SUBJECT = func.coalesce(_key("booking", Payment.booking_id), _key("meeting", Payment.meeting_id))


class PaymentsView(ConsoleModelView):
    in_menu = Menu("Money", "Payments", "credit-card", 320)
    permissions = reads(Permission.PAYMENTS_READ)
    listing = ListSpec(
        section="payments",
        title="Payments",
        one="payment",
        model=Payment,
        columns=(
            Column("Number", Payment.id, link=("payments", Payment.id)),
            BOOKING,
            MEETING,
            STATE,
            CAPTURED,
            RESERVED,
            DISPUTE,
            CREATED,
        ),
        sorts={
            "created": Sort("Created", Payment.created_at, descending=True),
            "id": Sort("Order of arrival", Payment.id, descending=True),
        },
        filters=(
            Choice.of("state", "State", Payment.state, PaymentState),
            OneOf(
                "dispute",
                "Dispute",
                {
                    "unanswered": (
                        "waits for our answer",
                        Payment.dispute_id.is_not(None) & Payment.dispute_status.in_(UNANSWERED),
                    ),
                    "no_deadline": (
                        "waits for our answer, without a deadline",
                        Payment.dispute_id.is_not(None)
                        & Payment.dispute_status.in_(UNANSWERED)
                        & Payment.dispute_due_by.is_(None),
                    ),
                    "any": ("disputed at any time", Payment.dispute_id.is_not(None)),
                },
            ),
            OneOf(
                "decision",
                "Money of a canceled appointment",
                {
                    "waits": ("waits for a decision", Payment.undecided_since.is_not(None)),
                    "kept": ("kept by decision", Payment.kept_at.is_not(None)),
                },
            ),
            Days("created", "Created", Payment.created_at),
            Days("evidence", "Evidence until", Payment.dispute_due_by, within=Payment.dispute_id.is_not(None)),
            UtcMonth("paid_in", "Paid", Payment.paid_at),
            UtcMonth("lost_in", "Dispute lost", Payment.dispute_lost_at),
            Exactly("currency", "Currency", Payment.currency),
            Exactly("booking", "Booking", Payment.booking_id),
            Exactly("meeting", "Meeting", Payment.meeting_id),
        ),
        search=Search(
            hint="Payment number, Stripe's id of the session, payment, charge or dispute",
            exact=(
                Payment.stripe_checkout_session_id,
                Payment.stripe_payment_intent_id,
                Payment.stripe_charge_id,
                Payment.dispute_id,
            ),
            key=Payment.id,
        ),
        empty="A payment appears here when somebody is sent to Stripe to pay for an appointment.",
    )
    record = RecordSpec(
        title=CAPTURED,
        badge=STATE,
        groups=(
            Group(
                "Money",
                (
                    Column("Asked for", Payment.amount, "money", currency=Payment.currency),
                    CAPTURED,
                    RESERVED,
                    Column("Stripe's fee", Payment.fee_amount, "money", currency=Payment.currency),
                    Column("Paid on", Payment.paid_at, "time"),
                    Column("Declined because", Payment.failure_code, "badge"),
                ),
            ),
            Group("Appointment", (BOOKING, MEETING, Column("Created", Payment.created_at, "time"))),
            Group(
                "Canceled appointment",
                (
                    Column("Waits for a decision since", Payment.undecided_since, "time"),
                    Column("Kept", Payment.kept_amount, "money", currency=Payment.currency),
                    Column("Kept by", Payment.kept_by),
                    Column("Kept at", Payment.kept_at, "time"),
                    Column("Kept because", Payment.kept_reason),
                ),
                when=lambda values: values["undecided_since"] is not None or values["kept_at"] is not None,
            ),
            Group(
                "Dispute",
                (
                    DISPUTE,
                    Column("Reason", Payment.dispute_reason, "badge"),
                    Column("Disputed", Payment.dispute_amount, "money", currency=Payment.currency),
                    Column("Evidence until", Payment.dispute_due_by, "time"),
                    Column("Lost", Payment.dispute_lost_at, "time"),
                    Column("Dispute at Stripe", Payment.dispute_id, "code"),
                ),
                when=lambda values: values["dispute_id"] is not None,
            ),
            Group(
                "At Stripe",
                (
                    Column("Checkout session", Payment.stripe_checkout_session_id, "code"),
                    Column("Payment", Payment.stripe_payment_intent_id, "code"),
                    Column("Charge", Payment.stripe_charge_id, "code"),
                ),
            ),
        ),
        related=(
            Related("Refunds", "refunds", "payment", Payment.id),
            Related("Disputes", "disputes", "payment", Payment.id),
            Related("Calls at Stripe for this appointment", "provider-calls", "about", SUBJECT),
        ),
        commands=(
            Command(
                label="Refund",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/payments/{key}/refund",
                when=lambda values: values["captured_amount"] > values["reserved_amount"],
                tone="primary",
            ),
            Command(
                label="Keep the money",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/payments/{key}/keep",
                when=lambda values: values["undecided_since"] is not None,
            ),
        ),
        audited_as="payment",
    )
