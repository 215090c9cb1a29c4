"""Unclaimed purchases, the oldest first, and the page of one purchase."""

from types import MappingProxyType

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import case, func

from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from models import PaymentProvider, PendingProfile, PlanDuration
from views.console.framework.base import ConsoleModelView, page
from views.console.framework.columns import Column
from views.console.framework.current_staff import viewer
from views.console.framework.filters import Choice, Days, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.searching import Search, part_of
from views.console.purchases.page import purchase_page
from views.console.purchases.pending_profiles import WHOP_IDS
from views.reading import read_session

OWNER = case(
    (PendingProfile.likely_owners > 0, "likely"),
    (PendingProfile.likely_owners == 0, "none found"),
    else_="not looked yet",
)


class UnclaimedPurchasesView(ConsoleModelView):
    in_menu = Menu("Purchases", "Unclaimed", "hourglass", 20)
    permissions = MappingProxyType(
        dict.fromkeys(("index_view", "details_view"), Permission.PURCHASES_READ),
    )
    listing = ListSpec(
        section="purchases",
        title="Unclaimed purchases",
        one="unclaimed purchase",
        lead="Paid before an account existed. The oldest is first.",
        model=PendingProfile,
        scope=~PendingProfile.claimed,
        columns=(
            Column(label="E-mail", value=PendingProfile.email, link=("purchases", PendingProfile.id)),
            Column(label="Buyer", value=PendingProfile.name),
            Column(label="Waiting", value=PendingProfile.created_at, kind="age", sort="bought"),
            Column(label="Plan", value=PendingProfile.plan_duration),
            Column(label="Credits", value=PendingProfile.usage_credits, kind="number"),
            Column(label="Provider", value=PendingProfile.payment_provider),
            Column(label="Status", value=PendingProfile.status, kind="badge"),
            Column(label="Owner", value=OWNER, kind="badge"),
        ),
        sorts={"bought": Sort("Time of purchase", PendingProfile.created_at)},
        filters=(
            YesNo("owner", "Likely owner", func.coalesce(PendingProfile.likely_owners, 0) > 0),
            Choice.of("plan", "Plan", PendingProfile.plan_duration, PlanDuration),
            Choice.of("provider", "Provider", PendingProfile.payment_provider, PaymentProvider),
            Days("bought", "Bought", PendingProfile.created_at),
        ),
        search=Search(
            hint="Any part of the e-mail, Whop user id or membership id",
            emails=(PendingProfile.email,),
            parts=(part_of(PendingProfile.email), WHOP_IDS),
            key=PendingProfile.id,
        ),
        empty="Every purchase has found its owner. New ones appear here the moment they are paid.",
    )

    @page("/<record_id>")
    def details_view(self, record_id: str) -> ResponseReturnValue:
        pending = read_session().get(PendingProfile, self.listing.parse_key(record_id) or 0)
        if pending is None:
            raise NotFound("There is no purchase under this address. It may have been deleted.")
        wanted = request.args.get("find", "")
        return self.render(
            "console/purchases/purchase.html", **purchase_page(read_session(), pending, wanted, viewer())
        )
