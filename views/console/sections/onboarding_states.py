"""How far each client is with onboarding."""

from admin_app.policies.permissions import Permission
from models import Client, OnboardingState
from views.console.base import ConsoleModelView, reads
from views.console.columns import Column
from views.console.filters import Exactly, YesNo
from views.console.listing import ListSpec, Sort
from views.console.records import Group, RecordSpec
from views.console.searching import Search

CLIENT = Column("Client", Client.name, through=OnboardingState.client_id, link=("clients", OnboardingState.client_id))
STEPS = (
    Column("Forwarding enabled", OnboardingState.forwarding_enabled, "yes_no"),
    Column("Test call detected", OnboardingState.test_call_detected, "yes_no"),
    Column("Current step", OnboardingState.current_step),
)


class OnboardingStatesView(ConsoleModelView):
    permissions = reads(Permission.CLIENTS_READ)
    listing = ListSpec(
        section="onboarding-states",
        title="Onboarding",
        one="onboarding",
        many="onboardings",
        model=OnboardingState,
        columns=(
            Column("Number", OnboardingState.id, link=("onboarding-states", OnboardingState.id)),
            CLIENT,
            *STEPS,
            Column("Last changed", OnboardingState.updated_at, "time"),
        ),
        sorts={"id": Sort("Number", OnboardingState.id, descending=True)},
        filters=(
            YesNo("forwarding", "Forwarding enabled", OnboardingState.forwarding_enabled),
            YesNo("test_call", "Test call detected", OnboardingState.test_call_detected),
            Exactly("client", "Client", OnboardingState.client_id),
        ),
        search=Search(hint="Number", key=OnboardingState.id),
        empty="No client has begun onboarding.",
    )
    record = RecordSpec(
        title=OnboardingState.current_step,
        groups=(
            Group("Steps", (CLIENT, *STEPS)),
            Group(
                "Record",
                (
                    Column("Begun", OnboardingState.created_at, "time"),
                    Column("Last changed", OnboardingState.updated_at, "time"),
                ),
            ),
        ),
    )
