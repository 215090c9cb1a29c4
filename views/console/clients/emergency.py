"""The emergency stop: whether everyone is stopped, starting and ending it, and when it was."""

from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.policies.permissions import Permission
from admin_app.services.clients import emergency
from admin_app.services.core import audit
from admin_app.services.core.records import EVERYONE
from admin_app.services.core.time_zones import time_zones
from models import FlagChange, FlagName
from views.console.framework import local_times
from views.console.framework.base import ConsoleView, command, page
from views.console.framework.current_staff import viewer, zone_of
from views.console.framework.navigation import Menu
from views.console.framework.plan_pages import CommandPage, confirmed, form_text
from views.reading import read_session

ADDRESS = "/admin/emergency-stop/"
PERIODS_SHOWN = 50


class EmergencyStopView(ConsoleView):
    in_menu = Menu("Customers", "Emergency stop", "ban", 180)
    permissions = MappingProxyType(
        {
            "index": Permission.CLIENTS_READ,
            "start": Permission.EMERGENCY_STOP,
            "end": Permission.EMERGENCY_STOP,
        }
    )

    def __init__(self) -> None:
        super().__init__(name="Emergency stop", endpoint="emergency-stop", url="/admin/emergency-stop")

    @page("/")
    def index(self) -> ResponseReturnValue:
        session = read_session()
        periods = select(FlagChange).where(FlagChange.flag == FlagName.EMERGENCY_STOP)
        newest = periods.order_by(FlagChange.since.desc(), FlagChange.id.desc()).limit(PERIODS_SHOWN)
        return self.render(
            "console/clients/emergency.html",
            periods=list(session.scalars(newest)),
            history=audit.history(session, EVERYONE),
            may=viewer().may(Permission.EMERGENCY_STOP),
        )

    @command("/start")
    def start(self) -> ResponseReturnValue:
        named = request.values.get("zone", "")
        zone = zone_of(named) if named in time_zones() else viewer().zone
        typed, which = request.values.get("until"), request.values.get("until_which", "")

        def act(ctx: Ctx) -> str:
            until = local_times.moment(typed or "", zone, "until", which)
            emergency.start(ctx, reason=form_text("reason"), until=until, shown=form_text("fingerprint"))
            return "Everyone is stopped."

        return self._page(
            plan=lambda ctx: (
                emergency.plan_start(ctx, until=local_times.moment(typed, zone, "until", which))
                if typed is not None
                else None
            ),
            act=act,
            button="Stop everyone",
            title="Stop everyone",
            danger=True,
            template="console/clients/emergency_start.html",
            hidden={"until": typed or "", "until_which": which, "zone": zone.key},
            more={
                "until": typed or "",
                "until_which": which,
                "zone": zone.key,
                "twice": local_times.is_twice(typed or "", zone),
            },
        )

    @command("/end")
    def end(self) -> ResponseReturnValue:
        return self._page(
            plan=emergency.plan_end,
            act=lambda ctx: emergency.end(ctx, **confirmed()),
            said="The emergency stop is ended. Every client is served again as their own flags say.",
            button="End the emergency stop",
            title="End the emergency stop",
        )

    def _page(self, **parts: Any) -> ResponseReturnValue:
        return CommandPage(view=self, cancel=ADDRESS, **parts).respond()
