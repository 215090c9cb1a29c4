"""Making and revoking service keys."""

from datetime import datetime
from types import MappingProxyType

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.policies.permissions import Permission
from admin_app.services.staff import service_keys
from models import Scope, ServiceKey
from views.console.framework import local_times
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.local_times import LocalForm
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.staff.staff_commands import HandOverPage
from views.reading import known

SCOPES = {
    Scope.CLIENTS_READ: "Read a client",
    Scope.GATE_ASK: "Ask the gate",
    Scope.ONBOARDING_REPORT: "Report the steps of onboarding",
}


class _KeyForm(LocalForm):
    fields = ("expires_at", "expires_at_which")

    @property
    def expires_at(self) -> datetime | None:
        """The moment that was typed; an empty field is a key without an end."""
        text = self.typed.get("expires_at", "").strip()
        if not text:
            return None
        return local_times.moment(text, self.zone, "expires_at", self.typed.get("expires_at_which", ""))

    @property
    def is_twice(self) -> bool:
        return local_times.is_twice(self.typed.get("expires_at", ""), self.zone)


class ServiceKeyCommandsView(ConsoleView):
    permissions = MappingProxyType(dict.fromkeys(("create", "revoke"), Permission.SERVICE_KEYS_MANAGE))

    def __init__(self) -> None:
        super().__init__(name="Service key commands", endpoint="service-key-commands", url="/admin/service-keys")

    @command("/new")
    def create(self) -> ResponseReturnValue:
        form = _KeyForm.of(request.form, viewer().zone)

        def act(ctx: Ctx) -> str:
            _, key = service_keys.create(
                ctx,
                name=request.form.get("name", ""),
                scopes=request.form.getlist("scopes"),
                expires_at=form.expires_at,
                reason=request.form.get("reason", ""),
            )
            return key

        return HandOverPage(
            view=self,
            act=act,
            button="Make the key",
            cancel="/admin/service-keys/",
            title="Make a service key",
            subtitle="It is shown to you once, on the next page.",
            template="console/staff/new_service_key.html",
            hand_over="console/staff/service_key.html",
            more={"scopes": SCOPES, "chosen": request.form.getlist("scopes"), "expiry": form},
        ).respond()

    @command(f"/{KEY}/revoke")
    def revoke(self, key: int) -> ResponseReturnValue:
        found = known(ServiceKey, key, "There is no such service key.")

        address = record_address("service-keys", key)
        return CommandPage(
            view=self,
            plan=lambda ctx: service_keys.plan_revoke(ctx, service_key_id=key),
            act=lambda ctx: service_keys.revoke(ctx, service_key_id=key, **confirmed()),
            said=lambda revoked: f"The key {revoked.name} is revoked. Whoever calls by it is refused.",
            button="Revoke the key",
            title="Revoke the key",
            subtitle=found.name,
            danger=True,
            cancel=address,
        ).respond()
