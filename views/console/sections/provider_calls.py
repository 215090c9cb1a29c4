"""Provider calls: everything that was changed at a provider, with the calls first whose answer never came."""

from admin_app.policies.permissions import Permission
from models import CallState, ProviderCall
from views.console.base import ConsoleModelView, reads
from views.console.columns import Column
from views.console.filters import Choice, Days, Exactly
from views.console.list_specs import ListSpec, Sort
from views.console.records import Group, RecordSpec
from views.console.searching import Search

STATE = Column("State", ProviderCall.state, "badge", sort="state")
ABOUT = Column("About", ProviderCall.subject, "records", text=lambda subject: (subject,))
OPERATION = Column("Operation", ProviderCall.operation, "code")
PROVIDER = Column("Provider", ProviderCall.provider)


class ProviderCallsView(ConsoleModelView):
    permissions = reads(Permission.PAYMENTS_READ)
    listing = ListSpec(
        section="provider-calls",
        title="Provider calls",
        one="provider call",
        model=ProviderCall,
        lead="What Backdesk changed at Stripe and elsewhere. Unknown: it left, and no answer came; it is being asked.",
        columns=(
            Column("Number", ProviderCall.id, link=("provider-calls", ProviderCall.id)),
            PROVIDER,
            OPERATION,
            ABOUT,
            STATE,
            Column("Error", ProviderCall.error_code, "badge"),
            Column("Tries", ProviderCall.attempts, "number"),
            Column("Noted", ProviderCall.created_at, "time", sort="created"),
        ),
        sorts={
            # By the word: unknown, succeeded, intended, failed.
            "state": Sort("Unknown first", ProviderCall.state, descending=True),
            "created": Sort("Noted", ProviderCall.created_at, descending=True),
        },
        filters=(
            Choice.of("state", "State", ProviderCall.state, CallState),
            Days("created", "Noted", ProviderCall.created_at),
            Exactly("about", "About", ProviderCall.subject),
        ),
        search=Search(
            hint="Call number, idempotency key, or a record like booking:12",
            exact=(ProviderCall.idempotency_key, ProviderCall.subject),
            key=ProviderCall.id,
        ),
        empty="A call is noted here before anything is changed at a provider.",
    )
    record = RecordSpec(
        title=ProviderCall.operation,
        badge=Column("State", ProviderCall.state, "badge"),
        groups=(
            Group(
                "Call",
                (
                    PROVIDER,
                    OPERATION,
                    ABOUT,
                    Column("Idempotency key", ProviderCall.idempotency_key, "code"),
                    Column("Noted", ProviderCall.created_at, "time"),
                ),
            ),
            Group(
                "Answer",
                (
                    Column("Came", ProviderCall.finished_at, "time"),
                    Column("Made there", ProviderCall.external_id, "code"),
                    Column("Error", ProviderCall.error_code, "badge"),
                    Column("Tries", ProviderCall.attempts, "number"),
                ),
            ),
        ),
    )
