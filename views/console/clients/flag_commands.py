"""Switching a client off and on, and taking back what is scheduled."""

from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.clients import flags
from admin_app.services.clients.flag_words import WORDS
from admin_app.services.clients.flags import FlagRequest
from admin_app.services.core.plans import Plan
from models import Client, FlagChange, FlagName
from views.backdesk import backdesk
from views.console.clients.flag_form import FlagForm, shown
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.plan_pages import CommandPage, confirmed, form_text
from views.reading import known, read_session

FLAG = "<any(outbound_paused,ai_disabled):flag>"


class FlagCommandsView(ConsoleView):
    permissions = MappingProxyType(dict.fromkeys(("turn_on", "turn_off"), Permission.CLIENTS_SWITCH))

    def __init__(self) -> None:
        super().__init__(name="Flag commands", endpoint="switch-commands", url="/admin/clients")

    @command(f"/{KEY}/switches/{FLAG}/on")
    def turn_on(self, key: int, flag: str) -> ResponseReturnValue:
        switch, name = FlagName(flag), _name_of(key)
        sent = FlagForm.of(request.values, viewer().zone)

        def act(ctx: Ctx) -> str:
            asked = sent.flag_request(switch, form_text("reason"))
            period = flags.set_flag(ctx, client_id=key, asked=asked, shown=form_text("fingerprint"))
            later = "It is scheduled." if period.since > ctx.now else f"{WORDS[switch].on}."
            return f"{later} {name}’s page shows until when."

        return self._page(
            key,
            plan=lambda ctx: _plan(ctx, key, sent.flag_request(switch, form_text("reason"))) if sent.is_sent else None,
            act=act,
            button=WORDS[switch].turn_on,
            title=WORDS[switch].turn_on,
            subtitle=name,
            template="console/clients/flag.html",
            hidden=sent.carried,
            more=shown(sent),
        )

    @command(f"/{KEY}/switches/{FLAG}/off")
    def turn_off(self, key: int, flag: str) -> ResponseReturnValue:
        switch = FlagName(flag)

        def flag_request() -> FlagRequest:
            return FlagRequest(flag=switch, turns_on=False, reason=form_text("reason"))

        return self._page(
            key,
            plan=lambda ctx: _plan(ctx, key, flag_request()),
            act=lambda ctx: flags.set_flag(ctx, client_id=key, asked=flag_request(), shown=form_text("fingerprint")),
            said=f"{WORDS[switch].off} any more, as far as this flag goes.",
            button=WORDS[switch].turn_off,
            title=WORDS[switch].turn_off,
            subtitle=_name_of(key),
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        address = record_address("clients", key)
        return CommandPage(view=self, cancel=address, **parts).respond()


class FlagChangeCommandsView(ConsoleView):
    permissions = MappingProxyType({"cancel": Permission.CLIENTS_SWITCH})

    def __init__(self) -> None:
        super().__init__(name="Commands on periods", endpoint="flag-change-commands", url="/admin/flag-changes")

    @command(f"/{KEY}/cancel")
    def cancel(self, key: int) -> ResponseReturnValue:
        period = read_session().get(FlagChange, key)
        if period is None or period.client_id is None or not period.value:
            raise NotFound("There is no such period.")

        address = record_address("clients", period.client_id)
        return CommandPage(
            view=self,
            plan=lambda ctx: flags.plan_cancel(ctx, change_id=key),
            act=lambda ctx: flags.cancel(ctx, change_id=key, **confirmed()),
            said="What was scheduled is canceled.",
            button="Cancel what is scheduled",
            title="Cancel what is scheduled",
            subtitle=f"{_name_of(period.client_id)}: {WORDS[period.flag].name}",
            cancel=address,
            danger=True,
        ).respond()


def _plan(ctx: Ctx, client_id: int, asked: FlagRequest) -> Plan:
    return flags.plan_flag(ctx, client_id=client_id, asked=asked, base_url=backdesk().settings.base_url)


def _name_of(client_id: int) -> str:
    client = known(Client, client_id, "There is no such client.")
    return client.name
