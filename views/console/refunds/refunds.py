"""Refunds: money on its way back, with the story of each."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Text, cast, literal, select

from admin_app.policies.permissions import Permission
from models import Approval, Refund, RefundOrigin, RefundState
from views.console.bookings.links import paid_for
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.current_staff import viewer
from views.console.framework.filters import Choice, Days, Exactly, OneOf, UtcMonth
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search
from views.console.refunds.story import refund_story
from views.reading import read_session

ORIGINS = {RefundOrigin.STAFF: "staff", RefundOrigin.BACKDESK: "Backdesk", RefundOrigin.PROVIDER: "at the provider"}
STATE = Column("State", Refund.state, "badge")
AMOUNT = Column("Amount", Refund.amount, "money", currency=Refund.currency)
REASON = Column("Reason", Refund.reason, "badge")
ORIGIN = Column("Origin", Refund.origin, "badge", text=lambda origin: ORIGINS[origin])
PAYMENT = Column("Payment", Refund.payment_id, link=("payments", Refund.payment_id))
MEMBERSHIP_PAYMENT = Column(
    "Membership payment",
    Refund.membership_payment_id,
    link=("membership-payments", Refund.membership_payment_id),
)


# By the account, as the decision itself looks at it.
ASKED_BY = (
    select(Approval.requested_by_id)
    .where(Approval.refund_id == Refund.id)
    .correlate(Refund)
    .scalar_subquery()
    .label("asked_by_id")
)


def _is_waiting(values: Mapping[str, Any]) -> bool:
    return bool(values["state"] is RefundState.AWAITING_APPROVAL)


def _is_own(values: Mapping[str, Any]) -> bool:
    return bool(values["asked_by_id"] == viewer().staff.id)


def _waits_for_viewer(values: Mapping[str, Any]) -> bool:
    return _is_waiting(values) and not _is_own(values)


def _waits_for_another(values: Mapping[str, Any]) -> str | None:
    is_own = _is_waiting(values) and _is_own(values)
    return "Waits for a second person: you asked for this refund yourself." if is_own else None


class RefundsView(ConsoleModelView):
    in_menu = Menu("Money", "Refunds", "arrow-back-up", 340)
    permissions = reads(Permission.PAYMENTS_READ)
    record_template = "console/refunds/refund.html"
    listing = ListSpec(
        section="refunds",
        title="Refunds",
        one="refund",
        model=Refund,
        columns=(
            Column("Number", Refund.id, link=("refunds", Refund.id)),
            AMOUNT,
            STATE,
            REASON,
            ORIGIN,
            Column("By", Refund.requested_by),
            PAYMENT,
            MEMBERSHIP_PAYMENT,
            Column("Asked for", Refund.created_at, "time", sort="created"),
        ),
        sorts={
            "created": Sort("Asked for", Refund.created_at, descending=True),
            "id": Sort("Order of arrival", Refund.id, descending=True),
        },
        filters=(
            Choice.of("state", "State", Refund.state, RefundState),
            Choice.of("origin", "Origin", Refund.origin, RefundOrigin),
            Days("created", "Asked for", Refund.created_at),
            UtcMonth("settled_in", "Settled", Refund.settled_at),
            Exactly("currency", "Currency", Refund.currency),
            Exactly("payment", "Payment", Refund.payment_id),
            Exactly("membership_payment", "Membership payment", Refund.membership_payment_id),
            OneOf(
                "of",
                "Of",
                {
                    "appointments": ("appointments", Refund.payment_id.is_not(None)),
                    "memberships": ("memberships", Refund.membership_payment_id.is_not(None)),
                },
            ),
            OneOf(
                "returned",
                "Came back",
                {
                    "open": (
                        "waits to be put right",
                        Refund.returned_at.is_not(None) & Refund.made_good_at.is_(None),
                    ),
                    "any": ("at any time", Refund.returned_at.is_not(None)),
                },
            ),
            Exactly("number", "Number", Refund.id),
        ),
        search=Search(
            hint="Refund number, or the provider's id of it",
            exact=(Refund.stripe_refund_id, Refund.whop_refund_id),
            key=Refund.id,
        ),
        empty="Refunds appear here as soon as somebody gives money back.",
    )
    record = RecordSpec(
        title=AMOUNT,
        badge=STATE,
        groups=(
            Group(
                "Request",
                (
                    REASON,
                    Column("Note", Refund.note),
                    ORIGIN,
                    Column("By", Refund.requested_by),
                    Column("Asked for", Refund.created_at, "time"),
                    PAYMENT,
                    MEMBERSHIP_PAYMENT,
                    *paid_for(Refund.payment_id),
                ),
            ),
            # Not shown: says who may not decide.
            Group("Asked by", (Column("Account", ASKED_BY),), when=lambda values: False),
            Group(
                "At the provider",
                (
                    Column("Refund at Stripe", Refund.stripe_refund_id, "code"),
                    Column("Refund at Whop", Refund.whop_refund_id, "code"),
                    Column("Sent last", Refund.sent_at, "time"),
                    Column("Settled", Refund.settled_at, "time"),
                    Column("Failed because", Refund.failure_code, "badge"),
                ),
            ),
            Group(
                "Came back",
                (
                    Column("Heard of", Refund.returned_at, "time"),
                    Column("Put right", Refund.made_good_at, "time"),
                    Column("How", Refund.made_good_how, "badge"),
                    Column("By whom", Refund.made_good_by),
                ),
                when=lambda values: values["returned_at"] is not None,
            ),
        ),
        attention=_waits_for_another,
        related=(
            Related(
                "Calls at the provider", "provider-calls", "about", literal("refund:", Text) + cast(Refund.id, Text)
            ),
        ),
        commands=(
            Command(
                label="Approve",
                permission=Permission.REFUNDS_APPROVE,
                address=lambda key: f"/admin/refunds/{key}/approve",
                when=_waits_for_viewer,
                tone="primary",
            ),
            Command(
                label="Decline",
                permission=Permission.REFUNDS_APPROVE,
                address=lambda key: f"/admin/refunds/{key}/decline",
                when=_waits_for_viewer,
                tone="danger",
            ),
            Command(
                label="Put it right",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/refunds/{key}/put-right",
                when=lambda values: values["returned_at"] is not None and values["made_good_at"] is None,
                tone="primary",
            ),
            Command(
                label="Ask the provider now",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/refunds/{key}/ask",
                when=lambda values: values["state"] in (RefundState.UNKNOWN, RefundState.SENT),
                tone="primary",
            ),
        ),
        audited_as="refund",
    )

    def more(self, record_id: str) -> dict[str, Any]:
        return {"story": refund_story(read_session(), int(record_id), viewer().zone)}
