"""Completing an onboarding by hand, and taking a completion back."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.clients import onboarding
from admin_app.services.core.plans import Plan
from models import Client
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, form_text
from views.reading import read_session


class OnboardingCommandsView(ConsoleView):
    permissions = MappingProxyType(dict.fromkeys(("complete", "reopen"), Permission.ONBOARDING_OVERRIDE))

    def __init__(self) -> None:
        super().__init__(name="Onboarding commands", endpoint="onboarding-commands", url="/admin/clients")

    @command(f"/{KEY}/onboarding/complete")
    def complete(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            done = onboarding.complete_anyway(
                ctx, client_id=key, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return f"The onboarding of {done.name} is complete."

        title = "Complete the onboarding by hand"
        return self._page(key, lambda ctx: onboarding.plan_complete_anyway(ctx, client_id=key), act, title=title)

    @command(f"/{KEY}/onboarding/reopen")
    def reopen(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            done = onboarding.reopen(ctx, client_id=key, reason=form_text("reason"), shown=form_text("fingerprint"))
            return f"The onboarding of {done.name} is open again."

        title = "Reopen the onboarding"
        return self._page(key, lambda ctx: onboarding.plan_reopen(ctx, client_id=key), act, title=title, danger=True)

    def _page(
        self, key: int, plan: Callable[[Ctx], Plan], act: Callable[[Ctx], str], *, title: str, **more: Any
    ) -> ResponseReturnValue:
        client = read_session().get(Client, key)
        if client is None:
            raise NotFound("There is no such client.")
        address = record_address("clients", key)
        return CommandPage(
            view=self,
            plan=plan,
            act=act,
            title=title,
            button=title,
            subtitle=client.name,
            cancel=address,
            done=address,
            **more,
        ).respond()
