"""Overriding a client's billing, granting and extending their trial, and having Stripe asked."""

from types import MappingProxyType
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.billing import billing_asking, billing_overrides, trials
from admin_app.services.core.plans import Plan
from models import BillingOverride, Client
from views.console.billing.billing_form import BillingForm
from views.console.framework.base import KEY, ConsoleView, command, page
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.plan_pages import CommandPage, form_text
from views.reading import read_session

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

        def plan(ctx: Ctx) -> Plan | None:
            if not sent.is_sent:
                return None
            return billing_overrides.plan_override(ctx, client_id=key, status=sent.status, until=sent.until)

        def act(ctx: Ctx) -> str:
            made = billing_overrides.override(
                ctx,
                client_id=key,
                status=sent.status,
                until=sent.until,
                reason=form_text("reason"),
                shown=form_text("fingerprint"),
            )
            return f"The client counts as {made.status.value.replace('_', ' ')} now. This page shows until when."

        return self._page(
            key,
            plan=plan,
            act=act,
            button="Put it in force",
            title="Override the billing status",
            template=FORM,
            hidden=sent.carried,
            more=sent.shown(has_status=True),
        )

    @command(f"/{KEY}/billing/lift")
    def lift(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            billing_overrides.lift(ctx, client_id=key, reason=form_text("reason"), shown=form_text("fingerprint"))
            return "The override is lifted."

        return self._page(
            key,
            plan=lambda ctx: billing_overrides.plan_lift(ctx, client_id=key),
            act=act,
            button="Lift the override",
            title="Lift the override",
        )

    @command(f"/{KEY}/billing/trial")
    def trial(self, key: int) -> ResponseReturnValue:
        sent = _sent()

        def plan(ctx: Ctx) -> Plan | None:
            return trials.plan_grant(ctx, client_id=key, until=sent.until) if sent.is_sent else None

        def act(ctx: Ctx) -> str:
            trials.grant(
                ctx, client_id=key, until=sent.until, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return "The trial runs."

        return self._page(
            key,
            plan=plan,
            act=act,
            button="Grant the trial",
            title="Grant a trial",
            template=FORM,
            hidden=sent.carried,
            more=sent.shown(has_status=False),
        )

    @command(f"/{KEY}/billing/extend")
    def extend(self, key: int) -> ResponseReturnValue:
        sent = _sent()

        def plan(ctx: Ctx) -> Plan | None:
            return trials.plan_extend(ctx, client_id=key, until=sent.until) if sent.is_sent else None

        def act(ctx: Ctx) -> str:
            trials.extend(
                ctx, client_id=key, until=sent.until, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return "The trial is extended. One that Stripe runs is extended there in a moment."

        return self._page(
            key,
            plan=plan,
            act=act,
            button="Extend the trial",
            title="Extend the trial",
            template=FORM,
            hidden=sent.carried,
            more=sent.shown(has_status=False),
        )

    @command(f"/{KEY}/billing/ask")
    def ask(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            billing_asking.ask_soon(ctx, client_id=key)
            return "Stripe is being asked. The history of this page says what it answered; look again in a moment."

        return self._page(
            key,
            plan=lambda ctx: billing_asking.plan_ask(ctx, client_id=key),
            act=act,
            button="Ask Stripe now",
            title="Ask Stripe about the subscriptions",
            more={"asks_reason": False},
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        client = read_session().get(Client, key)
        if client is None:
            raise NotFound("There is no such client.")
        address = record_address("clients", key)
        return CommandPage(view=self, subtitle=client.name, cancel=address, done=address, **parts).respond()


class BillingOverrideCommandsView(ConsoleView):
    """From an override to the command on its client, who has one at most."""

    permissions = MappingProxyType({"lift": Permission.BILLING_OVERRIDE})

    def __init__(self) -> None:
        super().__init__(
            name="Commands on overrides", endpoint="billing-override-commands", url="/admin/billing-overrides"
        )

    @page(f"/{KEY}/lift")
    def lift(self, key: int) -> ResponseReturnValue:
        found = read_session().get(BillingOverride, key)
        if found is None:
            raise NotFound("There is no such override.")
        return redirect(f"{record_address('clients', found.client_id)}/billing/lift")


def _sent() -> BillingForm:
    return BillingForm.of(request.values, viewer().zone)
