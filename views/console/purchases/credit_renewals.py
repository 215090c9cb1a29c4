"""Credits that members got, one row per period of a membership."""

from admin_app.policies.permissions import Permission
from models import CreditPeriod
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search

PROFILE = Column("Account", CreditPeriod.user_id, link=("profiles", CreditPeriod.user_id))
NUMBER = Column("Number", CreditPeriod.id, link=("credit-renewals", CreditPeriod.id))
FACTS = (
    PROFILE,
    Column("Membership", CreditPeriod.membership_id, link=("memberships", CreditPeriod.membership_id)),
    Column("Credits", CreditPeriod.credits, "number"),
    Column("Used before", CreditPeriod.used_before, "number"),
    Column("Period begins", CreditPeriod.starts_at, "time"),
)


class CreditRenewalsView(ConsoleModelView):
    in_menu = Menu("Money", "Credit renewals", "gift", 400)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="credit-renewals",
        title="Credit renewals",
        one="period of credits",
        model=CreditPeriod,
        columns=(NUMBER, *FACTS, Column("Granted", CreditPeriod.granted_at, "time", sort="renewed")),
        sorts={
            "renewed": Sort("Granted", CreditPeriod.granted_at, descending=True),
            "id": Sort("Order of arrival", CreditPeriod.id, descending=True),
        },
        filters=(
            Days("renewed", "Granted", CreditPeriod.granted_at),
            Exactly("account", "Account", CreditPeriod.user_id),
            Exactly("membership", "Membership", CreditPeriod.membership_id),
        ),
        search=Search(hint="Account, or our number", exact=(CreditPeriod.user_id,), key=CreditPeriod.id),
        empty="Nobody has been granted credits yet.",
    )
    record = RecordSpec(
        title=CreditPeriod.user_id,
        groups=(Group("Renewal", (*FACTS, Column("Granted", CreditPeriod.granted_at, "time"))),),
    )
