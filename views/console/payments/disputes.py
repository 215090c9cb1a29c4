"""Disputes: what payers' banks ask back, one row each, for a payment may be disputed several times."""

from collections.abc import Mapping
from typing import Any

from admin_app.policies.permissions import Permission
from admin_app.services.payments.disputes import SETTLED, UNANSWERED
from models import Dispute, Payment
from views.console.bookings.links import paid_for
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column, time_text
from views.console.framework.current_staff import viewer
from views.console.framework.filters import Days, Exactly, OneOf, UtcMonth
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search

AMOUNT = Column("Disputed", Dispute.amount, "money", currency=Dispute.currency)
STATUS = Column("Status", Dispute.status, "badge")
PAYMENT = Column("Payment", Dispute.payment_id, link=("payments", Dispute.payment_id))
REASON = Column("Reason", Dispute.reason, "badge")
DUE = Column("Evidence until", Dispute.due_by, "time", sort="due")
HEARD = Column("Heard of", Dispute.created_at, "time", sort="created")


def _attention(values: Mapping[str, Any]) -> str | None:
    """What is to be done about it."""
    status, due = values["status"], values["due_by"]
    until = f" until {time_text(due, viewer().zone)}" if due else ""
    if status == "needs_response":
        return f"Answer at Stripe{until}: accept it, or send evidence. Without an answer the money is lost."
    if status == "warning_needs_response":
        return f"The payer’s bank asks about it first. Answer at Stripe{until}, so that it does not become a dispute."
    return None


class DisputesView(ConsoleModelView):
    in_menu = Menu("Money", "Disputes", "alert-circle", 350)
    permissions = reads(Permission.PAYMENTS_READ)
    listing = ListSpec(
        section="disputes",
        title="Disputes",
        one="dispute",
        model=Dispute,
        columns=(
            Column("Number", Dispute.id, link=("disputes", Dispute.id)),
            AMOUNT,
            STATUS,
            REASON,
            PAYMENT,
            DUE,
            HEARD,
        ),
        sorts={
            "created": Sort("Heard of", Dispute.created_at, descending=True),
            "due": Sort("Evidence until", Dispute.due_by),
            "id": Sort("Order of arrival", Dispute.id, descending=True),
        },
        filters=(
            OneOf(
                "state",
                "State",
                {
                    "unanswered": ("waits for our answer", Dispute.status.in_(UNANSWERED)),
                    "no_deadline": (
                        "waits for our answer, without a deadline",
                        Dispute.status.in_(UNANSWERED) & Dispute.due_by.is_(None),
                    ),
                    "open": ("not over", Dispute.status.not_in(SETTLED)),
                },
            ),
            Exactly("status", "Status", Dispute.status),
            Exactly("payment", "Payment", Dispute.payment_id),
            Exactly("currency", "Currency", Dispute.currency),
            Days("evidence", "Evidence until", Dispute.due_by),
            Days("created", "Heard of", Dispute.created_at),
            UtcMonth("lost_in", "Lost", Dispute.lost_at),
            UtcMonth("won_back_in", "Won back", Dispute.regained_at),
        ),
        search=Search(hint="Dispute number, or Stripe's id of it", exact=(Dispute.stripe_dispute_id,), key=Dispute.id),
        empty="A dispute appears here when a payer's bank asks a payment back.",
    )
    record = RecordSpec(
        title=AMOUNT,
        badge=STATUS,
        groups=(
            Group("Dispute", (REASON, DUE, HEARD, Column("Dispute at Stripe", Dispute.stripe_dispute_id, "code"))),
            Group("End", (Column("Lost", Dispute.lost_at, "time"), Column("Won back", Dispute.regained_at, "time"))),
            Group(
                "Payment",
                (
                    PAYMENT,
                    *paid_for(Dispute.payment_id),
                    Column(
                        "Paid",
                        Payment.captured_amount,
                        "money",
                        currency=Payment.currency,
                        through=Dispute.payment_id,
                    ),
                ),
            ),
        ),
        attention=_attention,
        audited_as="dispute",
    )
