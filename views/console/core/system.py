"""The page that says whether the machinery around the product is as it must be: the database and the time zones."""

from types import MappingProxyType

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.core import zone_rules
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, page
from views.console.framework.navigation import Menu
from views.reading import read_session


class SystemView(ConsoleView):
    in_menu = Menu("Oversight", "System", "activity", 510)
    permissions = MappingProxyType({"index": Permission.INBOX_READ})

    def __init__(self) -> None:
        super().__init__(name="System", endpoint="system", url="/admin/system")

    @page("/")
    def index(self) -> ResponseReturnValue:
        session, now = read_session(), backdesk().db.clock()
        names = zone_rules.in_use(session, now)
        rendered: str = self.render(
            "console/core/system.html",
            versions=[
                ("Rules of time zones here", zone_rules.VERSION),
                ("Database", zone_rules.database_version(session)),
            ],
            zones=names,
            differing=zone_rules.differences(session, names, now),
            appointments=zone_rules.APPOINTMENTS,
        )
        return rendered
