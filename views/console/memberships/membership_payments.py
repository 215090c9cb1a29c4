"""What was paid for memberships, a row per payment."""

from typing import Any

from sqlalchemy import ColumnElement, select

from admin_app.policies.permissions import Permission
from models import MembershipPayment, PaymentProvider, ProviderMembership
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search

CURRENCY = MembershipPayment.currency
STATUS = Column("Status", MembershipPayment.provider_status, "badge")
PAID = Column("Paid", MembershipPayment.captured_amount, "money", currency=CURRENCY)
BACK = Column("Refunded", MembershipPayment.refunded_amount, "money", currency=CURRENCY)
PROVIDER = Column("Provider", MembershipPayment.provider)
MEMBERSHIP = Column(
    "Membership",
    ProviderMembership.external_id,
    "code",
    through=MembershipPayment.membership_id,
    link=("memberships", MembershipPayment.membership_id),
)
ACCOUNT = Column("Account", ProviderMembership.profile_user_id, through=MembershipPayment.membership_id)


class OfAccount(Exactly):
    """Those of every membership that an account holds."""

    def condition(self, value: Any) -> ColumnElement[bool]:
        held = select(ProviderMembership.id).where(ProviderMembership.profile_user_id == value)
        return MembershipPayment.membership_id.in_(held)


class MembershipPaymentsView(ConsoleModelView):
    in_menu = Menu("Money", "Membership payments", "credit-card", 330)
    permissions = reads(Permission.PAYMENTS_READ)
    listing = ListSpec(
        section="membership-payments",
        title="Membership payments",
        one="membership payment",
        model=MembershipPayment,
        lead="What Whop and Stripe say was paid for memberships, and what of it was refunded.",
        columns=(
            Column("Number", MembershipPayment.id, link=("membership-payments", MembershipPayment.id)),
            MEMBERSHIP,
            ACCOUNT,
            PROVIDER,
            STATUS,
            PAID,
            BACK,
            Column("Made", MembershipPayment.created_at, "time", sort="made"),
        ),
        sorts={"made": Sort("Made", MembershipPayment.created_at, descending=True)},
        filters=(
            Choice.of("provider", "Provider", MembershipPayment.provider, PaymentProvider),
            YesNo("paid", "Paid", MembershipPayment.captured_amount > 0),
            YesNo("back", "Refunded", MembershipPayment.refunded_amount > 0),
            Days("made", "Made", MembershipPayment.created_at),
            Exactly("membership", "Membership", MembershipPayment.membership_id),
            OfAccount("account", "Account", ProviderMembership.profile_user_id),
        ),
        search=Search(
            hint="Provider's id of the payment or invoice, or our number",
            exact=(MembershipPayment.external_id, MembershipPayment.invoice_id),
            key=MembershipPayment.id,
        ),
        empty="A payment appears when a provider says that somebody paid for a membership.",
    )
    record = RecordSpec(
        title=PAID,
        badge=STATUS,
        groups=(
            Group(
                "Money",
                (
                    Column("Asked for", MembershipPayment.amount, "money", currency=CURRENCY),
                    PAID,
                    BACK,
                    Column("Refunded or on its way", MembershipPayment.reserved_amount, "money", currency=CURRENCY),
                    Column("Fee", MembershipPayment.fee_amount, "money", currency=CURRENCY),
                    Column("Can be refunded", MembershipPayment.refundable, "yes_no"),
                    Column("Dispute", MembershipPayment.dispute_status, "badge"),
                    Column("Paid on", MembershipPayment.paid_at, "time"),
                ),
            ),
            Group(
                "For",
                (
                    MEMBERSHIP,
                    ACCOUNT,
                    Column("Period starts", MembershipPayment.period_start, "time"),
                    Column("Period ends", MembershipPayment.period_end, "time"),
                ),
            ),
            Group(
                "At the provider",
                (
                    PROVIDER,
                    Column("Payment", MembershipPayment.external_id, "code"),
                    Column("Invoice", MembershipPayment.invoice_id, "code"),
                    STATUS,
                    Column("Made", MembershipPayment.created_at, "time"),
                    Column("Said so", MembershipPayment.asked_at, "time"),
                ),
            ),
        ),
        related=(Related("Refunds", "refunds", "membership_payment", MembershipPayment.id),),
        commands=(
            Command(
                label="Refund",
                permission=Permission.REFUNDS_REQUEST,
                address=lambda key: f"/admin/membership-payments/{key}/refund",
                when=lambda values: values["refundable"] and values["captured_amount"] > values["reserved_amount"],
                tone="primary",
            ),
        ),
        audited_as="membership_payment",
    )
