"""The page with the numbers of purchases and claims, as charts whose bars open to exactly their rows."""

from datetime import timedelta
from types import MappingProxyType
from urllib.parse import urlencode

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.purchases import purchase_numbers
from admin_app.services.purchases.purchase_numbers import Bucket, Numbers
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, page
from views.console.framework.charts import Bar, Chart, bar_chart
from views.console.framework.columns import age_text
from views.console.framework.current_staff import viewer
from views.console.framework.navigation import Menu
from views.reading import read_session

ALL = "/admin/pending-profiles/"
UNCLAIMED = "/admin/purchases/"


class PurchaseNumbersView(ConsoleView):
    in_menu = Menu("Purchases", "Analytics", "chart-bar", 80)
    permissions = MappingProxyType({"index": Permission.PURCHASES_READ})

    def __init__(self) -> None:
        super().__init__(name="Purchase numbers", endpoint="purchase-numbers", url="/admin/purchase-numbers")

    @page("/")
    def index(self) -> ResponseReturnValue:
        zone = viewer().zone
        found = purchase_numbers.numbers(read_session(), now=backdesk().db.clock(), zone=zone)
        page: str = self.render(
            "console/purchases/numbers.html",
            figures=_figures(found),
            charts=_charts(found),
            weeks=purchase_numbers.WEEKS,
            zone=zone.key,
        )
        return page


def _figures(found: Numbers) -> list[tuple[str, str, str]]:
    """The headline numbers: label, value, and the list behind it."""
    share = f"{found.conversion:g} %" if found.conversion is not None else "–"
    return [
        ("Purchases before an account", f"{found.purchases:,}", ALL),
        ("Found their owner", f"{found.claimed:,}", f"{ALL}?claimed=yes"),
        ("Conversion to sign-up", share, f"{ALL}?claimed=yes"),
        ("Still waiting", f"{found.unclaimed:,}", UNCLAIMED),
        ("Median time to claim", _duration(found.median_wait), f"{ALL}?claimed=yes"),
    ]


def _duration(span: timedelta | None) -> str:
    return age_text(span) if span is not None else "–"


def _charts(found: Numbers) -> list[Chart]:
    return [
        bar_chart(
            "Purchases per week",
            "purchases",
            [Bar(f"{w.monday:%d %b}", w.purchases, _rows(made_from=w.monday, made_to=w.sunday)) for w in found.weeks],
        ),
        bar_chart(
            "Claims per week",
            "claims",
            [
                Bar(f"{w.monday:%d %b}", w.claims, _rows(claimed_at_from=w.monday, claimed_at_to=w.sunday))
                for w in found.weeks
            ],
        ),
        bar_chart(
            "Conversion from purchase to sign-up, by week of purchase",
            "percent claimed",
            [
                Bar(
                    f"{w.monday:%d %b}",
                    w.conversion or 0,
                    _rows(claimed="yes", made_from=w.monday, made_to=w.sunday),
                )
                for w in found.weeks
            ],
            full=100,
        ),
        bar_chart(
            "Time from purchase to claim",
            "claims",
            [Bar(bucket.label, bucket.count, _rows(waited=bucket.key)) for bucket in found.waits],
        ),
        bar_chart("Age of what is unclaimed", "purchases", [_age_bar(bucket) for bucket in found.ages]),
    ]


def _age_bar(bucket: Bucket) -> Bar:
    bounds = {"bought_from": bucket.first, "bought_to": bucket.last}
    query = urlencode({name: day.isoformat() for name, day in bounds.items() if day is not None})
    return Bar(bucket.label, bucket.count, f"{UNCLAIMED}?{query}")


def _rows(**filters: object) -> str:
    return f"{ALL}?{urlencode(filters)}"
