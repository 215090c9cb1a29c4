"""Purchases of people who already are pro."""

from admin_app.policies.permissions import Permission
from models import ExtraPurchase, PendingProfile
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search

ACCOUNT = Column("Account", ExtraPurchase.user_id, "code", link=("profiles", ExtraPurchase.user_id))
PURCHASE = Column(
    "Purchase",
    PendingProfile.email,
    through=ExtraPurchase.pending_profile_id,
    link=("purchases", ExtraPurchase.pending_profile_id),
)


class ExtraPurchasesView(ConsoleModelView):
    in_menu = Menu("Purchases", "Extra purchases", "gift", 40)
    permissions = reads(Permission.PURCHASES_READ)
    listing = ListSpec(
        section="extra-purchases",
        title="Extra purchases",
        one="extra purchase",
        model=ExtraPurchase,
        lead="Someone who already is pro bought again; a person decides what becomes of it.",
        columns=(
            Column("Number", ExtraPurchase.id, link=("extra-purchases", ExtraPurchase.id)),
            ACCOUNT,
            PURCHASE,
            Column("Noted", ExtraPurchase.noted_at, "time", sort="noted"),
            Column("Resolved", ExtraPurchase.resolved_at, "time"),
            Column("Resolution", ExtraPurchase.resolution),
        ),
        sorts={"noted": Sort("Noted", ExtraPurchase.noted_at, descending=True)},
        filters=(
            YesNo("open", "Open", ExtraPurchase.resolved_at.is_(None)),
            Days("noted", "Noted", ExtraPurchase.noted_at),
            Exactly("account", "Account", ExtraPurchase.user_id),
            Exactly("purchase", "Purchase", ExtraPurchase.pending_profile_id),
        ),
        search=Search(
            hint="Account, replaced Whop membership, number",
            exact=(ExtraPurchase.user_id, ExtraPurchase.replaced_membership_id),
            key=ExtraPurchase.id,
        ),
        empty="Nobody who is pro has bought a second time.",
    )
    record = RecordSpec(
        title=ExtraPurchase.user_id,
        groups=(
            Group(
                "Purchase",
                (
                    ACCOUNT,
                    PURCHASE,
                    Column("Replaced membership", ExtraPurchase.replaced_membership_id, "code"),
                    Column("Noted", ExtraPurchase.noted_at, "time"),
                ),
            ),
            Group(
                "Resolution",
                (
                    Column("Resolved", ExtraPurchase.resolved_at, "time"),
                    Column("By", ExtraPurchase.resolved_by),
                    Column("Resolution", ExtraPurchase.resolution),
                ),
            ),
        ),
        related=(Related("Claims and merges of this account", "merges", "account", ExtraPurchase.user_id),),
        commands=(
            Command(
                label="Settle it",
                permission=Permission.PURCHASES_CORRECT,
                address=lambda key: f"/admin/purchases/extra/{key}/settle",
                when=lambda values: values["resolved_at"] is None,
                tone="primary",
            ),
        ),
        audited_as="extra_purchase",
    )
