"""New credits that members got, one row per period of 28 days."""

from admin_app.policies.permissions import Permission
from models import CreditRenewal
from views.console.base import ConsoleModelView, reads
from views.console.columns import Column
from views.console.filters import Days, Exactly
from views.console.list_specs import ListSpec, Sort
from views.console.records import Group, RecordSpec
from views.console.searching import Search

PROFILE = Column("Account", CreditRenewal.user_id, link=("profiles", CreditRenewal.user_id))
NUMBER = Column("Number", CreditRenewal.id, link=("credit-renewals", CreditRenewal.id))
FACTS = (
    PROFILE,
    Column("Credits", CreditRenewal.credits, "number"),
    Column("Used before", CreditRenewal.used_before, "number"),
    Column("Due", CreditRenewal.due_at, "time"),
)


class CreditRenewalsView(ConsoleModelView):
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="credit-renewals",
        title="Credit renewals",
        one="renewal",
        model=CreditRenewal,
        columns=(NUMBER, *FACTS, Column("Renewed", CreditRenewal.renewed_at, "time", sort="renewed")),
        sorts={
            "renewed": Sort("Renewed", CreditRenewal.renewed_at, descending=True),
            "id": Sort("Order of arrival", CreditRenewal.id, descending=True),
        },
        filters=(
            Days("renewed", "Renewed", CreditRenewal.renewed_at),
            Exactly("account", "Account", CreditRenewal.user_id),
        ),
        search=Search(hint="Account, or our number", exact=(CreditRenewal.user_id,), key=CreditRenewal.id),
        empty="Nobody’s credits have been renewed yet.",
    )
    record = RecordSpec(
        title=CreditRenewal.user_id,
        groups=(Group("Renewal", (*FACTS, Column("Renewed", CreditRenewal.renewed_at, "time"))),),
    )
