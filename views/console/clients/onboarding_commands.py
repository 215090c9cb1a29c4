"""Completing an onboarding by hand, and taking a completion back."""

from types import MappingProxyType
from typing import Any

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.clients import onboarding
from models import Client
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, confirmed
from views.reading import known


class OnboardingCommandsView(ConsoleView):
    permissions = MappingProxyType(dict.fromkeys(("complete", "reopen"), Permission.ONBOARDING_OVERRIDE))

    def __init__(self) -> None:
        super().__init__(name="Onboarding commands", endpoint="onboarding-commands", url="/admin/clients")

    @command(f"/{KEY}/onboarding/complete")
    def complete(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: onboarding.plan_complete_anyway(ctx, client_id=key),
            act=lambda ctx: onboarding.complete_anyway(ctx, client_id=key, **confirmed()),
            said=lambda done: f"The onboarding of {done.name} is complete.",
            title="Complete the onboarding by hand",
        )

    @command(f"/{KEY}/onboarding/reopen")
    def reopen(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: onboarding.plan_reopen(ctx, client_id=key),
            act=lambda ctx: onboarding.reopen(ctx, client_id=key, **confirmed()),
            said=lambda done: f"The onboarding of {done.name} is open again.",
            title="Reopen the onboarding",
            danger=True,
        )

    def _page(self, key: int, *, title: str, **parts: Any) -> ResponseReturnValue:
        client = known(Client, key, "There is no such client.")
        address = record_address("clients", key)
        return CommandPage(
            view=self, title=title, button=title, subtitle=client.name, cancel=address, **parts
        ).respond()
