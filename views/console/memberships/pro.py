"""The page that says what makes pro: the products and plans that were sold, and the settings that decide."""

from types import MappingProxyType

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.memberships import sold
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, page
from views.console.framework.navigation import Menu
from views.reading import read_session


class WhatMakesProView(ConsoleView):
    in_menu = Menu("Purchases", "What makes pro", "list-check", 60)
    permissions = MappingProxyType({"index": Permission.PURCHASES_READ})

    def __init__(self) -> None:
        super().__init__(name="What makes pro", endpoint="what-makes-pro", url="/admin/what-makes-pro")

    @page("/")
    def index(self) -> ResponseReturnValue:
        settings = backdesk().settings
        named = {"WHOP_PRO_PRODUCTS": settings.pro_products, "WHOP_PRO_PLANS": settings.pro_plans}
        found = sold.sold(read_session())
        shown: str = self.render(
            "console/memberships/what_makes_pro.html",
            rows=[(provider_name(row.provider.value), row) for row in found],
            settings=[(name, ", ".join(sorted(ids))) for name, ids in named.items()],
            names_some=any(named.values()),
            cut_at=sold.MOST if len(found) == sold.MOST else None,
        )
        return shown
