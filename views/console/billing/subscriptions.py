"""Subscriptions as they were last fetched from Stripe."""

from sqlalchemy import func, or_

from admin_app.policies.permissions import Permission
from admin_app.services.subscriptions import billing_mapping
from models import Client, Subscription
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, OneOf
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.console.framework.searching import Search

STATUS = Column("At Stripe", Subscription.status, "badge")
CLIENT = Column("Client", Client.name, through=Subscription.client_id, link=("clients", Subscription.client_id))
MONTHLY = Column("A month", Subscription.monthly_amount, "money", currency=Subscription.currency)
DUE = Column("Due", Subscription.amount_due, "money", currency=Subscription.currency)
STRIPE_ID = Column("Subscription", Subscription.stripe_subscription_id, "code", link=("subscriptions", Subscription.id))

# What people look for; each stands on an index of its own.
LOOKED_FOR = {
    "past_due": ("past due", Subscription.past_due_since.is_not(None)),
    "canceling": ("ends with its period", Subscription.cancel_at_period_end),
    "nobodys": ("of a customer nobody here knows", Subscription.client_id.is_(None)),
}
OVER = or_(Subscription.status.in_(sorted(billing_mapping.OVER)), Subscription.ended_at.is_not(None))
CANCELS = or_(Subscription.cancel_at_period_end, func.coalesce(Subscription.cancel_at > func.now(), False)) & ~OVER


class SubscriptionsView(ConsoleModelView):
    in_menu = Menu("Money", "Subscriptions", "refresh", 370)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="subscriptions",
        title="Subscriptions",
        one="subscription",
        model=Subscription,
        columns=(
            STRIPE_ID,
            CLIENT,
            STATUS,
            MONTHLY,
            DUE,
            Column("Past due since", Subscription.past_due_since, "time"),
            Column("Cancels", CANCELS.label("cancels"), "yes_no"),
            Column("Period ends", Subscription.current_period_end, "time"),
            Column("First seen", Subscription.created_at, "time", sort="created"),
        ),
        sorts={
            "created": Sort("First seen", Subscription.created_at, descending=True),
            "id": Sort("Order of arrival", Subscription.id, descending=True),
        },
        filters=(
            Choice("status", "At Stripe", Subscription.status, tuple(billing_mapping.MEANINGS)),
            OneOf("looked_for", "Only", LOOKED_FOR),
            Days("created", "First seen", Subscription.created_at),
            Exactly("client", "Client", Subscription.client_id),
            Exactly("customer", "Customer", Subscription.stripe_customer_id),
        ),
        search=Search(
            hint="Stripe's id of a subscription or customer, or our number",
            exact=(Subscription.stripe_subscription_id, Subscription.stripe_customer_id),
            key=Subscription.id,
        ),
        empty="Subscriptions appear here as soon as Stripe tells of one.",
    )
    record = RecordSpec(
        title=Subscription.stripe_subscription_id,
        badge=STATUS,
        groups=(
            Group(
                "At Stripe",
                (
                    CLIENT,
                    STATUS,
                    Column("Collection paused", Subscription.collection_paused, "yes_no"),
                    MONTHLY,
                    Column("Price", Subscription.price_id, "code"),
                    Column("Customer", Subscription.stripe_customer_id, "code"),
                ),
            ),
            Group(
                "What is due",
                (
                    DUE,
                    Column("Past due since", Subscription.past_due_since, "time"),
                    Column("Next attempt", Subscription.next_payment_attempt, "time"),
                ),
            ),
            Group(
                "Times",
                (
                    Column("Started", Subscription.started_at, "time"),
                    Column("Trial ends", Subscription.trial_end, "time"),
                    Column("Period began", Subscription.current_period_start, "time"),
                    Column("Period ends", Subscription.current_period_end, "time"),
                    Column("Cancels at the period’s end", Subscription.cancel_at_period_end, "yes_no"),
                    Column("Cancels at", Subscription.cancel_at, "time"),
                    Column("Cancellation asked for", Subscription.canceled_at, "time"),
                    Column("Ended", Subscription.ended_at, "time"),
                ),
            ),
            Group(
                "Record",
                (
                    Column("Asked last", Subscription.fetched_at, "time"),
                    Column("Last changed", Subscription.updated_at, "time"),
                    Column("First seen", Subscription.created_at, "time"),
                ),
            ),
        ),
        related=(Related("Stripe’s events", "webhook-events", "subject", Subscription.stripe_subscription_id),),
        audited_as="subscription",
    )
