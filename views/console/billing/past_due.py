"""Subscriptions whose payment is due: who, since when, how much, and when Stripe tries again."""

from admin_app.policies.permissions import Permission
from models import Client, Subscription
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search

CLIENT = Column("Client", Client.name, through=Subscription.client_id, link=("clients", Subscription.client_id))
IN_FORCE = Column("In force here", Client.billing_status, "badge", through=Subscription.client_id)
STATUS = Column("At Stripe", Subscription.status, "badge")
DUE = Column("Due", Subscription.amount_due, "money", currency=Subscription.currency)
NEXT = Column("Next try", Subscription.next_payment_attempt, "time")


class PastDueView(ConsoleModelView):
    in_menu = Menu("Money", "Past due", "hourglass", 270)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="past-due",
        title="Past due",
        one="subscription",
        many="subscriptions",
        lead="Subscriptions whose payment is due, the oldest first.",
        model=Subscription,
        scope=Subscription.past_due_since.is_not(None),
        columns=(
            CLIENT,
            Column("Since", Subscription.past_due_since, "time", sort="since"),
            Column("For", Subscription.past_due_since, "age"),
            DUE,
            NEXT,
            STATUS,
            IN_FORCE,
            Column("Subscription", Subscription.stripe_subscription_id, "code", link=("past-due", Subscription.id)),
        ),
        sorts={"since": Sort("Since", Subscription.past_due_since)},
        filters=(
            Days("since", "Past due since", Subscription.past_due_since),
            Exactly("client", "Client", Subscription.client_id),
        ),
        search=Search(
            hint="Stripe's id of the subscription or customer",
            exact=(Subscription.stripe_subscription_id, Subscription.stripe_customer_id),
            key=Subscription.id,
        ),
        empty="Nobody's payment is due.",
    )
    record = RecordSpec(
        title=CLIENT,
        badge=STATUS,
        groups=(
            Group(
                "What is due",
                (CLIENT, DUE, Column("Since", Subscription.past_due_since, "time"), NEXT, STATUS, IN_FORCE),
            ),
            Group(
                "Subscription",
                (
                    Column("Monthly", Subscription.monthly_amount, "money", currency=Subscription.currency),
                    Column("Paid until", Subscription.current_period_end, "time"),
                    Column("Subscription", Subscription.stripe_subscription_id, "code"),
                    Column("Customer", Subscription.stripe_customer_id, "code"),
                    Column("Fetched from Stripe", Subscription.fetched_at, "time"),
                ),
            ),
        ),
    )
