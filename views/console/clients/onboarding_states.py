"""How far each client is with onboarding."""

from admin_app.policies.permissions import Permission
from models import Client, OnboardingState
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search

CLIENT = Column("Client", Client.name, through=OnboardingState.client_id, link=("clients", OnboardingState.client_id))
STEPS = (
    Column("Forwarding enabled", OnboardingState.forwarding_enabled, "yes_no"),
    Column("Test call detected", OnboardingState.test_call_detected, "yes_no"),
    Column("Current step", OnboardingState.current_step),
)


class OnboardingStatesView(ConsoleModelView):
    in_menu = Menu("Customers", "Onboarding", "list-check", 160)
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
            Column("Completed", OnboardingState.completed_at, "time"),
            Column("Completed by hand by", OnboardingState.overridden_by),
            Column("Last changed", OnboardingState.updated_at, "time"),
        ),
        sorts={"id": Sort("Number", OnboardingState.id, descending=True)},
        filters=(
            YesNo("forwarding", "Forwarding enabled", OnboardingState.forwarding_enabled),
            YesNo("test_call", "Test call detected", OnboardingState.test_call_detected),
            YesNo("completed", "Completed", OnboardingState.completed_at.is_not(None)),
            YesNo("by_hand", "Completed by hand", OnboardingState.overridden_by.is_not(None)),
            Exactly("client", "Client", OnboardingState.client_id),
        ),
        search=Search(hint="Number", key=OnboardingState.id),
        empty="No client has begun onboarding.",
    )
    record = RecordSpec(
        title=OnboardingState.current_step,
        groups=(
            Group(
                "Steps",
                (
                    CLIENT,
                    *STEPS,
                    Column("Forwarding so since", OnboardingState.forwarding_enabled_at, "time"),
                    Column("Test call so since", OnboardingState.test_call_detected_at, "time"),
                ),
            ),
            Group(
                "Completion",
                (
                    Column("Completed", OnboardingState.completed_at, "time"),
                    Column("Completed by hand by", OnboardingState.overridden_by),
                    Column("Because", OnboardingState.overridden_because),
                ),
            ),
            Group(
                "Record",
                (
                    Column("Begun", OnboardingState.created_at, "time"),
                    Column("Last changed", OnboardingState.updated_at, "time"),
                ),
            ),
        ),
    )
