"""Clients of the business: what they may do, how they pay, how far they are with onboarding."""

from typing import Any

from admin_app.policies.permissions import Permission
from models import BillingStatus, Client
from views.backdesk import backdesk
from views.console.billing import billing_panel
from views.console.clients import flags_panel, gate_panel, onboarding_panel
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.current_staff import viewer
from views.console.framework.filters import Choice, Days, YesNo
from views.console.framework.list_specs import BulkCommand, ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of
from views.reading import read_session

BILLING = Column("Billing", Client.billing_status, "badge")


PANELS = {
    "gate_panel": gate_panel.panel,
    "flags_panel": flags_panel.panel,
    "onboarding_panel": onboarding_panel.panel,
    "billing_panel": billing_panel.panel,
}


class ClientsView(ConsoleModelView):
    in_menu = Menu("Customers", "Clients", "building-store", 130)
    permissions = reads(Permission.CLIENTS_READ)
    record_template = "console/clients/client.html"
    listing = ListSpec(
        section="clients",
        title="Clients",
        one="client",
        model=Client,
        columns=(
            Column("Name", Client.name, link=("clients", Client.id)),
            Column("E-mail", Client.email),
            BILLING,
            Column("Onboarded", Client.onboarding_complete, "yes_no"),
            Column("Outbound paused", Client.outbound_paused, "yes_no"),
            Column("AI disabled", Client.ai_disabled, "yes_no"),
            Column("Trial ends", Client.trial_ends_at, "time", sort="trial_ends"),
            Column("Since", Client.created_at, "time", sort="made"),
        ),
        sorts={
            "made": Sort("Since", Client.created_at, descending=True),
            "trial_ends": Sort("Trial ends", Client.trial_ends_at),
            "id": Sort("Number", Client.id),
        },
        filters=(
            Choice.of("billing", "Billing", Client.billing_status, BillingStatus),
            YesNo("onboarded", "Onboarding complete", Client.onboarding_complete),
            YesNo("paused", "Outbound paused", Client.outbound_paused),
            YesNo("ai_disabled", "AI disabled", Client.ai_disabled),
            YesNo("canceling", "Cancellation pending", Client.pending_cancellation),
            Days("trial_ends", "Trial ends", Client.trial_ends_at),
            Days("made", "Since", Client.created_at),
        ),
        search=Search(
            hint="Name or e-mail or part of it, Stripe id, number",
            emails=(Client.email,),
            parts=(part_of(Client.name), part_of(Client.email)),
            exact=(Client.stripe_customer_id, Client.stripe_subscription_id),
            key=Client.id,
        ),
        bulk=tuple(
            BulkCommand(label, f"/admin/bulk-runs/choose/{word}", Permission.CLIENTS_SWITCH)
            for word, label in (
                ("pause-outbound", "Pause outbound"),
                ("resume-outbound", "Resume outbound"),
                ("disable-ai", "Disable AI"),
                ("enable-ai", "Enable AI"),
            )
        ),
        empty="No client has signed up yet.",
    )
    record = RecordSpec(
        title=Client.name,
        badge=BILLING,
        groups=(
            Group(
                "Contact",
                (Column("Name", Client.name), Column("E-mail", Client.email), Column("Phone", Client.phone)),
            ),
            Group(
                "At Stripe",
                (
                    Column("Customer", Client.stripe_customer_id, "code"),
                    Column("Subscription", Client.stripe_subscription_id, "code"),
                ),
            ),
            Group(
                "Record",
                (Column("Since", Client.created_at, "time"), Column("Last changed", Client.updated_at, "time")),
            ),
        ),
        related=(
            Related("Onboarding", "onboarding-states", "client", Client.id),
            Related("Periods of its flags", "flag-changes", "client", Client.id),
        ),
        audited_as="client",
    )

    def more(self, record_id: str) -> dict[str, Any]:
        session, now, person = read_session(), backdesk().db.clock(), viewer()
        return {name: panel(session, int(record_id), now, person) for name, panel in PANELS.items()}
