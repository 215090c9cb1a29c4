"""The journal of claims and merges, undone ones included."""

from sqlalchemy import case

from admin_app.policies.permissions import Permission
from models import Merge, MergeKind, PendingProfile
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search

KIND = Column("Kind", Merge.kind, "badge")
ACCOUNT = Column("Account", Merge.user_id, "code", link=("profiles", Merge.user_id))
BY = Column("By", case((Merge.made_by == Merge.user_id, "the customer"), else_=Merge.made_by))
PURCHASE = Column(
    "Purchase",
    PendingProfile.email,
    through=Merge.pending_profile_id,
    link=("purchases", Merge.pending_profile_id),
)


class MergesView(ConsoleModelView):
    in_menu = Menu("Purchases", "Claims and merges", "git-merge", 70)
    permissions = reads(Permission.PURCHASES_READ)
    listing = ListSpec(
        section="merges",
        title="Claims and merges",
        one="claim or merge",
        model=Merge,
        columns=(
            Column("Number", Merge.id, link=("merges", Merge.id)),
            KIND,
            PURCHASE,
            ACCOUNT,
            BY,
            Column("Made", Merge.made_at, "time", sort="made"),
            Column("Undone", Merge.undone_at, "time"),
        ),
        sorts={"made": Sort("Made", Merge.made_at, descending=True)},
        filters=(
            Choice.of("kind", "Kind", Merge.kind, MergeKind),
            YesNo("undone", "Undone", Merge.undone_at.is_not(None)),
            YesNo("by_staff", "Made by staff", Merge.by_staff),
            Days("made", "Made", Merge.made_at),
            Exactly("account", "Account", Merge.user_id),
            Exactly("purchase", "Purchase", Merge.pending_profile_id),
        ),
        search=Search(hint="Account, number", exact=(Merge.user_id,), key=Merge.id),
        empty="No purchase was claimed yet.",
    )
    record = RecordSpec(
        title=Merge.user_id,
        badge=KIND,
        groups=(
            Group(
                "What was joined",
                (PURCHASE, ACCOUNT, KIND, Column("Made by staff", Merge.by_staff, "yes_no")),
            ),
            Group(
                "When and why",
                (
                    Column("Made", Merge.made_at, "time"),
                    BY,
                    Column("Reason", Merge.reason),
                    Column("Undone", Merge.undone_at, "time"),
                    Column("Undone by", Merge.undone_by),
                    Column("Reason of the undo", Merge.undo_reason),
                ),
            ),
            Group(
                "The profile, field by field",
                (
                    Column("Before", Merge.before, "fields"),
                    Column("After", Merge.after, "fields"),
                    Column("Chosen by hand", Merge.choices, "fields"),
                ),
            ),
        ),
        related=(Related("All of this account", "merges", "account", Merge.user_id),),
        commands=(
            Command(
                label="Undo it",
                permission=Permission.PURCHASES_UNDO,
                address=lambda key: f"/admin/purchases/undo/{key}",
                when=lambda values: values["undone_at"] is None,
                tone="danger",
            ),
        ),
        audited_as="merge",
    )
