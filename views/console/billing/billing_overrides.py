"""What finance put in force instead of Stripe's word: who, why, from when until when."""

from sqlalchemy import and_, case, func, or_

from admin_app.policies.permissions import Permission
from models import BillingOverride, Client
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly, OneOf
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec
from views.console.framework.searching import Search

CLIENT = Column("Client", Client.name, through=BillingOverride.client_id, link=("clients", BillingOverride.client_id))
STATUS = Column("Counts as", BillingOverride.status, "badge")
NUMBER = Column("Number", BillingOverride.id, link=("billing-overrides", BillingOverride.id))

# By the database's clock, as the product itself asks.
IN_FORCE = and_(BillingOverride.lifted_at.is_(None), BillingOverride.until > func.now())
STATES = {
    "in_force": ("in force", IN_FORCE),
    "over": ("over", or_(BillingOverride.lifted_at.is_not(None), BillingOverride.until <= func.now())),
}
STATE = Column("State", case((IN_FORCE, "in force"), else_="over").label("state"), "badge")


class BillingOverridesView(ConsoleModelView):
    in_menu = Menu("Money", "Billing overrides", "edit", 390)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="billing-overrides",
        title="Billing overrides",
        one="override",
        model=BillingOverride,
        columns=(
            NUMBER,
            CLIENT,
            STATUS,
            STATE,
            Column("Why", BillingOverride.reason),
            Column("By", BillingOverride.by),
            Column("Since", BillingOverride.since, "time", sort="since"),
            Column("Until", BillingOverride.until, "time"),
            Column("Ended", BillingOverride.lifted_at, "time"),
        ),
        sorts={
            "since": Sort("Since", BillingOverride.since, descending=True),
            "id": Sort("Order of arrival", BillingOverride.id, descending=True),
        },
        filters=(
            OneOf("state", "State", STATES),
            Days("since", "Since", BillingOverride.since),
            Exactly("client", "Client", BillingOverride.client_id),
        ),
        search=Search(hint="Number", key=BillingOverride.id),
        empty="Nobody has overridden a billing status yet.",
    )
    record = RecordSpec(
        title=STATUS,
        badge=STATE,
        groups=(
            Group(
                "Override",
                (
                    CLIENT,
                    STATUS,
                    Column("Why", BillingOverride.reason),
                    Column("By", BillingOverride.by),
                    Column("Since", BillingOverride.since, "time"),
                    Column("Until", BillingOverride.until, "time"),
                    Column("In force before", BillingOverride.status_without, "badge"),
                ),
            ),
            Group(
                "End",
                (
                    Column("Ended", BillingOverride.lifted_at, "time"),
                    Column("Ended by", BillingOverride.lifted_by),
                    Column("Ended because", BillingOverride.lift_reason),
                ),
            ),
        ),
        commands=(
            Command(
                label="Lift the override",
                permission=Permission.BILLING_OVERRIDE,
                address=lambda key: f"/admin/billing-overrides/{key}/lift",
                when=lambda values: values["state"] == "in force",
                tone="primary",
            ),
        ),
    )
