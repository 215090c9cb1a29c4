"""Who the clients are at Stripe, and who pays there although nobody here knows them."""

from admin_app.policies.permissions import Permission
from models import Client, ClientCustomer
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly, OneOf
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search

NUMBER = Column("Customer", ClientCustomer.stripe_customer_id, "code", link=("client-customers", ClientCustomer.id))
CLIENT = Column("Client", Client.name, through=ClientCustomer.client_id, link=("clients", ClientCustomer.client_id))
EMAIL = Column("E-mail at Stripe", ClientCustomer.email)
NAME = Column("Name at Stripe", ClientCustomer.name)


class ClientCustomersView(ConsoleModelView):
    in_menu = Menu("Money", "Stripe customers", "users", 380)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="client-customers",
        title="Stripe customers",
        one="Stripe customer",
        model=ClientCustomer,
        lead="A client may be several customers at Stripe. The one whose subscription counts stands with the client.",
        columns=(
            NUMBER,
            CLIENT,
            EMAIL,
            NAME,
            Column("Client since", ClientCustomer.since, "time"),
            Column("Deleted at Stripe", ClientCustomer.deleted_at, "time"),
            Column("First seen", ClientCustomer.created_at, "time", sort="created"),
        ),
        sorts={"created": Sort("First seen", ClientCustomer.created_at, descending=True)},
        filters=(
            OneOf("whose", "Whose", {"nobodys": ("nobody here knows them", ClientCustomer.client_id.is_(None))}),
            Days("created", "First seen", ClientCustomer.created_at),
            Exactly("client", "Client", ClientCustomer.client_id),
            Exactly("customer", "Customer", ClientCustomer.stripe_customer_id),
            Exactly("email", "E-mail", ClientCustomer.email),
        ),
        search=Search(
            hint="Stripe's id of a customer, or our number",
            exact=(ClientCustomer.stripe_customer_id,),
            key=ClientCustomer.id,
        ),
        empty="Customers appear here as soon as Stripe tells of a subscription.",
    )
    record = RecordSpec(
        title=ClientCustomer.stripe_customer_id,
        groups=(
            Group(
                "Who it is",
                (
                    CLIENT,
                    Column("Since", ClientCustomer.since, "time"),
                    Column("Client number at Stripe", ClientCustomer.named_client_id),
                ),
            ),
            Group(
                "At Stripe",
                (
                    EMAIL,
                    NAME,
                    Column("Deleted", ClientCustomer.deleted_at, "time"),
                    Column("Asked last", ClientCustomer.last_seen_at, "time"),
                    Column("First seen", ClientCustomer.created_at, "time"),
                ),
            ),
        ),
        related=(Related("Subscriptions", "subscriptions", "customer", ClientCustomer.stripe_customer_id),),
        commands=(
            Command(
                label="Say which client it is",
                permission=Permission.DRIFT_RESOLVE,
                address=lambda key: f"/admin/client-customers/{key}/link",
                when=lambda values: values["client_id"] is None,
                tone="primary",
            ),
        ),
        audited_as="client_customer",
    )
