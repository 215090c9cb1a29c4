"""One search box for everything: what each section that the person may read finds first."""

from types import MappingProxyType

from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from admin_app.policies.permissions import Permission
from admin_app.services.move_in.earlier_ids import records_called
from views.console.framework.base import ConsoleView, page
from views.console.framework.current_staff import viewer
from views.console.framework.listing import read_query
from views.console.framework.records import RelatedList, first_rows
from views.console.framework.searching import typed_text
from views.reading import read_session

# In the order of a question about a customer: what they paid, who they are, what they booked, what came in.
SEARCHED = ("pending-profiles", "profiles", "users", "clients", "bookings", "meetings", "webhook-events")
# By an id of a provider alone, which says by its beginning what it is of.
SEARCHED_BY_ID = {
    "memberships": ("mem_", "sub_"),
    "membership-payments": ("pay_", "pi_", "in_"),
    "refunds": ("rf_", "re_"),
}
SHORTEST = 3


class SearchView(ConsoleView):
    permissions = MappingProxyType({"index": Permission.HOME_READ})

    def __init__(self) -> None:
        super().__init__(name="Search", endpoint="search", url="/admin/search")

    @page("/")
    def index(self) -> ResponseReturnValue:
        typed = typed_text(request.args.get("q", ""))
        found = self._found(typed) if len(typed) >= SHORTEST else []
        return self.render("console/core/search.html", typed=typed, found=found, shortest=SHORTEST)

    def _found(self, typed: str) -> list[RelatedList]:
        person, session = viewer(), read_session()
        lists = []
        by_id = [name for name, beginnings in SEARCHED_BY_ID.items() if typed.startswith(beginnings)]
        # What was brought over keeps a number that was its id; another id is looked up.
        earlier = {table.replace("_", "-"): key for table, key in records_called(session, typed).items()}
        for name in dict.fromkeys((*SEARCHED, *by_id, *earlier)):
            section = self.neighbour(name)
            if not person.may(section.permissions["index_view"]):
                continue
            query = read_query(section.listing, MultiDict({"q": earlier.get(name, typed)}), person)
            shown = first_rows(session, section.listing.title, query, person)
            if shown.page.rows:
                lists.append(shown)
        return lists
