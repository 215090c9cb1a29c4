"""Overriding a client's billing, granting and extending their trial, and having Stripe asked."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.billing import billing_asking, billing_overrides, trials
from admin_app.services.core.plans import Plan
from models import BillingOverride, Client
from views.console.billing.billing_form import BillingForm
from views.console.framework.base import KEY, ConsoleView, command, page
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.plan_pages import CommandPage, confirmed
from views.reading import known

FORM = "console/billing/billing_form.html"


class BillingCommandsView(ConsoleView):
    permissions = MappingProxyType(
        {
            "override": Permission.BILLING_OVERRIDE,
            "lift": Permission.BILLING_OVERRIDE,
            "trial": Permission.TRIALS_GRANT,
            "extend": Permission.TRIALS_GRANT,
            "ask": Permission.DRIFT_RUN,
        }
    )

    def __init__(self) -> None:
        super().__init__(name="Billing commands", endpoint="billing-commands", url="/admin/clients")

    @command(f"/{KEY}/billing/override")
    def override(self, key: int) -> ResponseReturnValue:
        sent = _sent()

        return self._page(
            key,
            plan=lambda ctx: (
                billing_overrides.plan_override(ctx, client_id=key, status=sent.status, until=sent.until)
                if sent.is_sent
                else None
            ),
            act=lambda ctx: billing_overrides.override(
                ctx, client_id=key, status=sent.status, until=sent.until, **confirmed()
            ),
            said=lambda made: (
                f"The client counts as {made.status.value.replace('_', ' ')} now. This page shows until when."
            ),
            button="Put it in force",
            title="Override the billing status",
            template=FORM,
            hidden=sent.carried,
            more=sent.shown(has_status=True),
        )

    @command(f"/{KEY}/billing/lift")
    def lift(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: billing_overrides.plan_lift(ctx, client_id=key),
            act=lambda ctx: billing_overrides.lift(ctx, client_id=key, **confirmed()),
            said="The override is lifted.",
            button="Lift the override",
            title="Lift the override",
        )

    @command(f"/{KEY}/billing/trial")
    def trial(self, key: int) -> ResponseReturnValue:
        return self._trial(
            key,
            trials.plan_grant,
            trials.grant,
            said="The trial runs.",
            button="Grant the trial",
            title="Grant a trial",
        )

    @command(f"/{KEY}/billing/extend")
    def extend(self, key: int) -> ResponseReturnValue:
        return self._trial(
            key,
            trials.plan_extend,
            trials.extend,
            said="The trial is extended. One that Stripe runs is extended there in a moment.",
            button="Extend the trial",
            title="Extend the trial",
        )

    @command(f"/{KEY}/billing/ask")
    def ask(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: billing_asking.plan_ask(ctx, client_id=key),
            act=lambda ctx: billing_asking.ask_soon(ctx, client_id=key),
            said="Stripe is being asked. The history of this page says what it answered; look again in a moment.",
            button="Ask Stripe now",
            title="Ask Stripe about the subscriptions",
            more={"asks_reason": False},
        )

    def _trial(
        self, key: int, plan: Callable[..., Plan], act: Callable[..., object], **parts: Any
    ) -> ResponseReturnValue:
        """A command that asks until when a trial runs."""
        sent = _sent()
        return self._page(
            key,
            plan=lambda ctx: plan(ctx, client_id=key, until=sent.until) if sent.is_sent else None,
            act=lambda ctx: act(ctx, client_id=key, until=sent.until, **confirmed()),
            template=FORM,
            hidden=sent.carried,
            more=sent.shown(has_status=False),
            **parts,
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        client = known(Client, key, "There is no such client.")
        address = record_address("clients", key)
        return CommandPage(view=self, subtitle=client.name, cancel=address, **parts).respond()


class BillingOverrideCommandsView(ConsoleView):
    """From an override to the command on its client, who has one at most."""

    permissions = MappingProxyType({"lift": Permission.BILLING_OVERRIDE})

    def __init__(self) -> None:
        super().__init__(
            name="Commands on overrides", endpoint="billing-override-commands", url="/admin/billing-overrides"
        )

    @page(f"/{KEY}/lift")
    def lift(self, key: int) -> ResponseReturnValue:
        found = known(BillingOverride, key, "There is no such override.")
        return redirect(f"{record_address('clients', found.client_id)}/billing/lift")


def _sent() -> BillingForm:
    return BillingForm.of(request.values, viewer().zone)
