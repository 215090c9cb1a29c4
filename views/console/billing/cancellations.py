"""Pending cancellations: clients who leave, and the day on which that takes effect."""

from sqlalchemy import true

from admin_app.policies.permissions import Permission
from admin_app.services import finance
from models import Client, Subscription
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related

EFFECTIVE = Column("Takes effect", finance.cancellation_effective(), "time")
REQUESTED = Column("Asked for", Client.cancellation_requested_at, "time", sort="requested")
MONTHLY = Column(
    "Monthly",
    finance.of_current_subscription(Subscription.monthly_amount),
    "money",
    currency=finance.of_current_subscription(Subscription.currency),
)
BILLING = Column("Billing", Client.billing_status, "badge")


class CancellationsView(ConsoleModelView):
    in_menu = Menu("Money", "Cancellations", "logout", 280)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="cancellations",
        title="Pending cancellations",
        one="client",
        many="clients",
        lead="Clients who canceled and are served until the day it takes effect.",
        model=Client,
        scope=Client.pending_cancellation == true(),
        columns=(Column("Name", Client.name, link=("clients", Client.id)), EFFECTIVE, REQUESTED, MONTHLY, BILLING),
        sorts={"requested": Sort("Asked for", Client.cancellation_requested_at, descending=True)},
        filters=(Days("requested", "Asked for", Client.cancellation_requested_at),),
        empty="Nobody asked to cancel.",
    )
    record = RecordSpec(
        title=Column("Name", Client.name, link=("clients", Client.id)),
        badge=BILLING,
        groups=(
            Group("Cancellation", (Column("Client", Client.name, link=("clients", Client.id)), EFFECTIVE, REQUESTED)),
            Group("Billing", (BILLING, MONTHLY)),
        ),
        related=(Related("Billing history", "billing-changes", "client", Client.id),),
    )
