"""The first page after sign-in: where this person's work is."""

from types import MappingProxyType

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from views.console.base import ConsoleView, page


class HomeView(ConsoleView):
    permissions = MappingProxyType({"index": Permission.HOME_READ})

    def __init__(self) -> None:
        super().__init__(name="Home", endpoint="admin", url="/admin")

    @page("/")
    def index(self) -> ResponseReturnValue:
        return self.render("console/home.html")
