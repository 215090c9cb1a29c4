"""What staff give to an account: a complimentary membership until a day or for ever, and credits."""

from datetime import datetime
from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.errors import InvalidInput, NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.memberships import complimentary, credit_adjusting
from admin_app.services.memberships.extras import name_of
from admin_app.services.people import users
from models import ProviderMembership
from views.console.framework import local_times
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.local_times import LocalForm
from views.console.framework.plan_pages import CommandPage, confirmed
from views.reading import read_session

GIVE, CREDITS = "console/memberships/give.html", "console/memberships/credits.html"
WAYS = [("", "Choose…"), ("add", "Add credits"), ("take", "Take credits"), ("renew", "Renew early")]
UNTIL, EVER = "until", "ever"


class GivenForm(LocalForm):
    fields = ("runs", "until", "until_which")

    @property
    def is_sent(self) -> bool:
        return "runs" in self.typed

    @property
    def until(self) -> datetime | None:
        """The end, none where it runs for ever; what was not said or cannot be read is refused."""
        text, runs = self.typed.get("until", "").strip(), self.typed.get("runs", "")
        if runs not in (UNTIL, EVER):
            raise InvalidInput(fields={"runs": "Choose how long it runs."})
        if runs == EVER and text:
            raise InvalidInput(fields={"until": "Leave this empty where it runs for ever."})
        if runs == EVER:
            return None
        return local_times.moment(text, self.zone, "until", self.typed.get("until_which", ""))

    def shown(self) -> dict[str, Any]:
        """What the page's template needs of it."""
        is_twice = local_times.is_twice(self.typed.get("until", ""), self.zone)
        return {"entered": self.typed, "zone": self.zone.key, "is_twice": is_twice}


def _sent() -> GivenForm:
    return GivenForm.of(request.values, viewer().zone)


class AccountCommandsView(ConsoleView):
    """Give an account a membership, and adjust its credits."""

    permissions = MappingProxyType({"give": Permission.MEMBERSHIPS_ADJUST, "credits": Permission.MEMBERSHIPS_ADJUST})

    def __init__(self) -> None:
        super().__init__(name="Account commands", endpoint="account-commands", url="/admin/profiles")

    @command("/<user_id>/give")
    def give(self, user_id: str) -> ResponseReturnValue:
        sent = _sent()

        return self._page(
            user_id,
            plan=lambda ctx: complimentary.plan_give(ctx, user_id=user_id, until=sent.until) if sent.is_sent else None,
            act=lambda ctx: complimentary.give(ctx, user_id=user_id, until=sent.until, **confirmed()),
            said="The membership is given.",
            button="Give it",
            title="Give a complimentary membership",
            template=GIVE,
            hidden=sent.carried,
            more=sent.shown(),
        )

    @command("/<user_id>/credits")
    def credits(self, user_id: str) -> ResponseReturnValue:
        entered = {name: request.values.get(name, "") for name in ("way", "amount")}

        return self._page(
            user_id,
            plan=lambda ctx: (
                credit_adjusting.plan(ctx, user_id=user_id, **entered) if "way" in request.values else None
            ),
            act=lambda ctx: credit_adjusting.adjust(ctx, user_id=user_id, **entered, **confirmed()),
            said="The credits are adjusted.",
            button="Adjust the credits",
            title="Adjust credits",
            template=CREDITS,
            hidden=entered,
            more={"entered": entered, "ways": WAYS},
        )

    def _page(self, user_id: str, **parts: Any) -> ResponseReturnValue:
        owner = users.known_owner(read_session(), user_id)
        address = record_address("profiles", user_id)
        return CommandPage(view=self, subtitle=owner.email or owner.user_id, cancel=address, **parts).respond()


class GivenMembershipCommandsView(ConsoleView):
    """Change the end of a complimentary membership, and end it."""

    permissions = MappingProxyType({"change_end": Permission.MEMBERSHIPS_ADJUST, "end": Permission.MEMBERSHIPS_ADJUST})

    def __init__(self) -> None:
        super().__init__(
            name="Complimentary membership commands", endpoint="given-membership-commands", url="/admin/memberships"
        )

    @command(f"/{KEY}/change-end")
    def change_end(self, key: int) -> ResponseReturnValue:
        sent = _sent()

        return self._page(
            key,
            plan=lambda ctx: (
                complimentary.plan_end_change(ctx, membership_id=key, until=sent.until) if sent.is_sent else None
            ),
            act=lambda ctx: complimentary.change_end(ctx, membership_id=key, until=sent.until, **confirmed()),
            said="The membership has its new end.",
            button="Change the end",
            title="Change the end",
            template=GIVE,
            hidden=sent.carried,
            more=sent.shown(),
        )

    @command(f"/{KEY}/end")
    def end(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: complimentary.plan_end(ctx, membership_id=key),
            act=lambda ctx: complimentary.end(ctx, membership_id=key, **confirmed()),
            said="The membership is over.",
            button="End it now",
            title="End the complimentary membership",
            danger=True,
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        row = read_session().get(ProviderMembership, key)
        if row is None or not row.is_complimentary:
            raise NotFound("There is no such complimentary membership.")
        address = record_address("memberships", key)
        return CommandPage(view=self, subtitle=name_of(row), cancel=address, **parts).respond()
