"""The first page after sign-in: what waits for someone, and the way to everything this person may read."""

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services import worklists
from admin_app.services.worklists import Waiting
from views.backdesk import backdesk
from views.console.base import ConsoleView, page
from views.console.columns import age_text
from views.reading import read_session


@dataclass(frozen=True)
class Tile:
    """One kind of open work: how much, what it is, where it is done."""

    count: int
    label: str
    href: str
    detail: str = ""
    tone: str = "plain"


class HomeView(ConsoleView):
    permissions = MappingProxyType({"index": Permission.HOME_READ})

    def __init__(self) -> None:
        super().__init__(name="Home", endpoint="admin", url="/admin")

    @page("/")
    def index(self) -> ResponseReturnValue:
        session, now = read_session(), backdesk().db.clock()
        rendered: str = self.render(
            "console/home.html",
            tiles=_tiles(worklists.waiting(session), now),
            next_purchases=[(each, age_text(now - each.created_at)) for each in worklists.next_purchases(session)],
            recent=worklists.recent_commands(session),
        )
        return rendered


def _tiles(work: Waiting, now: datetime) -> list[Tile]:
    oldest = f"the oldest for {age_text(now - work.oldest_purchase)}" if work.oldest_purchase else ""
    tiles = [
        Tile(work.unclaimed, "purchases wait for their owner", "/admin/purchases/", oldest),
        Tile(
            work.with_likely_owner,
            "of them with a likely owner",
            "/admin/purchases/?owner=yes",
            "a look and a click each",
            "good",
        ),
        Tile(work.parked_events, "events wait for an e-mail or a purchase", "/admin/webhook-events/?state=parked"),
        Tile(work.extra_purchases, "extra purchases of people already pro", "/admin/extra-purchases/?open=yes"),
    ]
    broken = [
        Tile(work.failed_events, "events could not be processed", "/admin/webhook-events/?state=failed", tone="bad"),
        Tile(work.failed_mails, "mails could not be sent", "/admin/sent-emails/?state=failed", tone="bad"),
    ]
    return tiles + [tile for tile in broken if tile.count]
