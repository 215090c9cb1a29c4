"""The steps of clients' billing: what statuses and recurring revenue over time are made of."""

from admin_app.policies.permissions import Permission
from models import BillingChange, BillingStatus, Client, Movement
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, LastBefore, UtcMonth
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec

CLIENT = Column("Client", Client.name, through=BillingChange.client_id, link=("clients", BillingChange.client_id))
BEFORE = Column("Status before", BillingChange.status_before, "badge")
AFTER = Column("Status after", BillingChange.status_after, "badge")
MOVEMENT = Column(
    "Revenue", BillingChange.movement, "badge", text=lambda kind: "same" if kind is Movement.NONE else kind
)
MONTHLY_BEFORE = Column("Monthly before", BillingChange.monthly_before, "money", currency=BillingChange.currency)
MONTHLY_AFTER = Column("Monthly after", BillingChange.monthly_after, "money", currency=BillingChange.currency)
AT = Column("From", BillingChange.at, "time", sort="at")
CAUSE = Column("Because of", BillingChange.cause, text=lambda cause: cause.replace("_", " "))


class BillingChangesView(ConsoleModelView):
    in_menu = Menu("Money", "Billing history", "activity", 290)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="billing-changes",
        title="Billing history",
        one="step",
        many="steps",
        lead="Every change of a client's status or monthly amount. They are added and never changed.",
        model=BillingChange,
        columns=(
            CLIENT,
            AT,
            BEFORE,
            AFTER,
            MOVEMENT,
            MONTHLY_BEFORE,
            MONTHLY_AFTER,
            CAUSE,
            Column("Number", BillingChange.id, link=("billing-changes", BillingChange.id)),
        ),
        sorts={
            "at": Sort("From", BillingChange.at, descending=True),
            "id": Sort("Order of arrival", BillingChange.id, descending=True),
        },
        filters=(
            Choice.of("movement", "Revenue", BillingChange.movement, Movement),
            Choice.of("status", "Status after", BillingChange.status_after, BillingStatus),
            UtcMonth("month", "From", BillingChange.at),
            LastBefore("status_at", "Each client's status", BillingChange.at, (BillingChange.client_id,)),
            LastBefore(
                "revenue_at",
                "What recurred",
                BillingChange.at,
                (BillingChange.client_id, BillingChange.currency),
                BillingChange.monthly_after > 0,
            ),
            Days("at", "From", BillingChange.at),
            Exactly("currency", "Currency", BillingChange.currency),
            Exactly("client", "Client", BillingChange.client_id),
        ),
        empty="Steps appear here as soon as a client subscribes.",
    )
    record = RecordSpec(
        title=CLIENT,
        badge=AFTER,
        groups=(
            Group("Status", (CLIENT, BEFORE, AFTER, CAUSE)),
            Group("Recurring revenue", (MOVEMENT, MONTHLY_BEFORE, MONTHLY_AFTER)),
            Group(
                "When",
                (
                    Column("Holds from", BillingChange.at, "time"),
                    Column("Learned", BillingChange.recorded_at, "time"),
                ),
            ),
        ),
    )
