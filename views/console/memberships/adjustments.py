"""What staff gave or took by hand: complimentary memberships, their ends, and credits; each can be undone."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy import Text, cast, literal

from admin_app.policies.permissions import Permission
from admin_app.services.memberships import adjustment_undo
from models import Adjustment, AdjustmentKind, Profile
from views.console.framework.base import KEY, ConsoleModelView, ConsoleView, command, reads
from views.console.framework.columns import Column, record_address
from views.console.framework.filters import Choice, Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.framework.records import Command, Group, RecordSpec
from views.console.framework.searching import Search
from views.reading import known

ACCOUNT = Column("Account", Adjustment.user_id, link=("profiles", Adjustment.user_id))
NUMBER = Column("Number", Adjustment.id, link=("adjustments", Adjustment.id))
WORDS = {AdjustmentKind.GIVEN: "membership given", AdjustmentKind.ENDED: "membership ended"}
KIND = Column("What", Adjustment.kind, text=lambda kind: WORDS.get(kind) or str(kind).replace("_", " "))
TITLE = (literal("Adjustment ", Text) + cast(Adjustment.id, Text)).label("title")
CREDITS = Column("Credits changed", Adjustment.credits, "number")

GONE = Column("Account deleted", Profile.account_deleted_at, "time", through=Adjustment.user_id)


def _can_be_undone(values: Mapping[str, Any]) -> bool:
    """A membership can be where it went with its person; credits of an account that was deleted are nobody's."""
    is_there = values["account_deleted_at"] is None or values["kind"] in adjustment_undo.OF_MEMBERSHIP
    return values["undone_at"] is None and is_there


class AdjustmentsView(ConsoleModelView):
    in_menu = Menu("Customers", "Adjustments", "edit", 100)
    permissions = reads(Permission.PROFILES_READ)
    listing = ListSpec(
        section="adjustments",
        title="Adjustments",
        one="adjustment",
        model=Adjustment,
        lead="What staff gave or took by hand: memberships that nobody sold, and credits.",
        columns=(
            NUMBER,
            ACCOUNT,
            KIND,
            CREDITS,
            Column("By", Adjustment.made_by),
            Column("Made", Adjustment.made_at, "time", sort="made"),
            Column("Undone", Adjustment.undone_at, "time"),
        ),
        sorts={"made": Sort("Made", Adjustment.made_at, descending=True)},
        filters=(
            Choice.of("kind", "What", Adjustment.kind, AdjustmentKind),
            YesNo("undone", "Undone", Adjustment.undone_at.is_not(None)),
            Days("made", "Made", Adjustment.made_at),
            Exactly("account", "Account", Adjustment.user_id),
            Exactly("membership", "Membership", Adjustment.membership_id),
        ),
        search=Search(hint="Account, or our number", exact=(Adjustment.user_id,), key=Adjustment.id),
        empty="Staff have given and taken nothing by hand.",
    )
    record = RecordSpec(
        title=TITLE,
        groups=(
            Group(
                "Adjustment",
                (
                    ACCOUNT,
                    GONE,
                    KIND,
                    Column("Membership", Adjustment.membership_id, link=("memberships", Adjustment.membership_id)),
                    CREDITS,
                    Column("Reason", Adjustment.reason),
                    Column("By", Adjustment.made_by),
                    Column("Made", Adjustment.made_at, "time"),
                ),
            ),
            Group(
                "Before and after",
                (
                    Column("Credits before", Adjustment.usage_before, "number"),
                    Column("Used before", Adjustment.used_before, "number"),
                    Column("Credits after", Adjustment.usage_after, "number"),
                    Column("Used after", Adjustment.used_after, "number"),
                    Column("Date before", Adjustment.date_before, "time"),
                    Column("Date after", Adjustment.date_after, "time"),
                ),
            ),
            Group(
                "Undone",
                (
                    Column("Undone", Adjustment.undone_at, "time"),
                    Column("Undone by", Adjustment.undone_by),
                    Column("Because", Adjustment.undo_reason),
                ),
            ),
        ),
        commands=(
            Command(
                label="Undo it",
                permission=Permission.MEMBERSHIPS_ADJUST,
                address=lambda key: f"/admin/adjustments/{key}/undo",
                when=_can_be_undone,
            ),
        ),
    )


class AdjustmentCommandsView(ConsoleView):
    permissions = MappingProxyType({"undo": Permission.MEMBERSHIPS_ADJUST})

    def __init__(self) -> None:
        super().__init__(name="Adjustment commands", endpoint="adjustment-commands", url="/admin/adjustments")

    @command(f"/{KEY}/undo")
    def undo(self, key: int) -> ResponseReturnValue:
        found = known(Adjustment, key, "There is no such adjustment.")
        address = record_address("adjustments", key)
        return CommandPage(
            view=self,
            plan=lambda ctx: adjustment_undo.plan(ctx, adjustment_id=key),
            act=lambda ctx: adjustment_undo.undo(ctx, adjustment_id=key, **confirmed()),
            said="The adjustment is undone.",
            button="Undo it",
            cancel=address,
            title="Undo an adjustment",
            subtitle=f"Account {found.user_id}",
        ).respond()
