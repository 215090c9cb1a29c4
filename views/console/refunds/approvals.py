"""Approvals: large refunds that wait for a second person, and what was decided about the others."""

from admin_app.policies.permissions import Permission
from models import Approval, Refund, StaffMember
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.console.framework.searching import Search

AMOUNT = Column(
    "Refund",
    Refund.amount,
    "money",
    currency=Refund.currency,
    through=Approval.refund_id,
    link=("refunds", Approval.refund_id),
)
ASKED_BY = Column("Asked for by", StaffMember.email, through=Approval.requested_by_id)
DECIDED_BY = Column("Decided by", StaffMember.email, through=Approval.decided_by_id)
DECISION = Column("Decision", Approval.decision, "badge")


class ApprovalsView(ConsoleModelView):
    in_menu = Menu("Money", "Approvals", "user-check", 360)
    permissions = reads(Permission.PAYMENTS_READ)
    listing = ListSpec(
        section="approvals",
        title="Approvals",
        one="approval",
        model=Approval,
        lead="Large refunds, which somebody other than the one who asked approves or declines.",
        columns=(
            AMOUNT,
            ASKED_BY,
            Column("Asked for", Approval.requested_at, "time", sort="requested"),
            DECISION,
            DECIDED_BY,
            Column("Decided", Approval.decided_at, "time"),
            Column("Number", Approval.id, link=("approvals", Approval.id)),
        ),
        sorts={"requested": Sort("Asked for", Approval.requested_at, descending=True)},
        filters=(
            YesNo("open", "Waits", Approval.decided_at.is_(None)),
            Days("requested", "Asked for", Approval.requested_at),
            Exactly("refund", "Refund", Approval.refund_id),
        ),
        search=Search(hint="Number of the approval", key=Approval.id),
        empty="No refund has been large enough to need a second person.",
    )
    record = RecordSpec(
        title=Column("Amount", Refund.amount, "money", currency=Refund.currency, through=Approval.refund_id),
        badge=DECISION,
        groups=(
            Group("Request", (AMOUNT, ASKED_BY, Column("Asked for", Approval.requested_at, "time"))),
            Group(
                "Decision",
                (
                    DECISION,
                    DECIDED_BY,
                    Column("Decided", Approval.decided_at, "time"),
                    Column("Reason", Approval.reason),
                ),
            ),
        ),
        related=(Related("The refund, where it is decided", "refunds", "number", Approval.refund_id),),
    )
