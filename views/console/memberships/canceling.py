"""Canceling a membership at its provider, now or with its period, and taking that back: by its page or its holder's."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from flask import redirect
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.rows import seller_of
from admin_app.services.purchases import cancel_actions, canceling
from admin_app.services.purchases.cancel_actions import CancelAction
from models import Membership, MembershipStatus, Profile, ProviderMembership, Rhythm
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, command, page
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.framework.records import Command
from views.reading import close_read_session, known, read_session

MEMBERSHIP = "/<int(max=9223372036854775807):membership_id>"
PERMISSION = Permission.PURCHASES_CANCEL


class Form(NamedTuple):
    word: str
    label: str
    button: str
    title: str


FORMS: Mapping[CancelAction, Form] = MappingProxyType(
    {
        CancelAction.AT_END: Form(
            "cancel-at-period-end", "Cancel at period end", "Cancel at period end", "Cancel at the end of its period"
        ),
        CancelAction.NOW: Form("cancel-now", "Cancel now", "Cancel it now", "Cancel now"),
        CancelAction.BACK: Form(
            "take-back", "Take the cancellation back", "Take the cancellation back", "Take the cancellation back"
        ),
    }
)


def _is_running(values: Mapping[str, Any]) -> bool:
    return values["status"] is MembershipStatus.ACTIVE and values["external_id"] is not None


def _applies(action: CancelAction, values: Mapping[str, Any]) -> bool:
    """By what is known here; the provider is asked before the plan is shown."""
    ends, once = values["cancel_at_period_end"], values["rhythm"] in (Rhythm.ONE_TIME, Rhythm.LIFETIME)
    if action is CancelAction.BACK:
        is_over = values["status"] is not MembershipStatus.ACTIVE and values["external_id"] is not None
        return (_is_running(values) and ends) or (is_over and once)
    # What waits for a payment serves nobody, and would be charged again.
    waits = values["provider_status"] in ("unpaid", "paused", "incomplete", "unresolved")
    return (_is_running(values) or waits) and (action is CancelAction.NOW or not (ends or once))


def _command(section: str, action: CancelAction, when: Any) -> Command:
    form = FORMS[action]
    return Command(
        label=form.label,
        permission=PERMISSION,
        address=lambda key: f"{section}/{quote(str(key), safe='')}/{form.word}",
        when=lambda values: when(action, values),
        tone="danger" if action is CancelAction.NOW else "plain",
    )


COMMANDS = tuple(_command("/admin/memberships", action, _applies) for action in FORMS)


def _applies_to_profile(action: CancelAction, values: Mapping[str, Any]) -> bool:
    if values["membership"] is not Membership.PRO or values["payment_provider"] is None:
        return False
    ends = bool(values["cancel_at_period_end"])
    return ends if action is CancelAction.BACK else action is CancelAction.NOW or not ends


OF_PROFILE = tuple(_command("/admin/memberships/of-account", action, _applies_to_profile) for action in FORMS)


class MembershipCancelingView(ConsoleView):
    """Has a membership canceled at its provider, and that taken back."""

    permissions = MappingProxyType(dict.fromkeys(("at_end", "now", "back", "of_account"), PERMISSION))

    def __init__(self) -> None:
        super().__init__(name="Membership canceling", endpoint="membership-canceling", url="/admin/memberships")

    @command(f"{MEMBERSHIP}/{FORMS[CancelAction.AT_END].word}")
    def at_end(self, membership_id: int) -> ResponseReturnValue:
        return self._respond(membership_id, CancelAction.AT_END)

    @command(f"{MEMBERSHIP}/{FORMS[CancelAction.NOW].word}")
    def now(self, membership_id: int) -> ResponseReturnValue:
        return self._respond(membership_id, CancelAction.NOW)

    @command(f"{MEMBERSHIP}/{FORMS[CancelAction.BACK].word}")
    def back(self, membership_id: int) -> ResponseReturnValue:
        return self._respond(membership_id, CancelAction.BACK)

    @page("/of-account/<user_id>/<word>")
    def of_account(self, user_id: str, word: str) -> ResponseReturnValue:
        """To the account's membership that this is about; to all of them where it may be about several."""
        if word not in {form.word for form in FORMS.values()}:
            raise NotFound
        mine = (ProviderMembership.profile_user_id == user_id, ProviderMembership.external_id.is_not(None))
        live = select(ProviderMembership).where(*mine, ProviderMembership.status == MembershipStatus.ACTIVE)
        if word == FORMS[CancelAction.BACK].word:
            live = live.where(ProviderMembership.cancel_at_period_end)
        found = read_session().scalars(live.limit(2)).all()
        if not found and read_session().get(Profile, user_id) is None:
            raise NotFound("There is no such account.")
        if len(found) == 1:
            return redirect(f"{record_address('memberships', found[0].id)}/{word}")
        return redirect(f"/admin/memberships/?{urlencode({'account': user_id})}")

    def _respond(self, membership_id: int, action: CancelAction) -> ResponseReturnValue:
        row = known(ProviderMembership, membership_id, canceling.GONE)
        subtitle, name = f"Membership {name_of(row)}", provider_name(seller_of(row).value)
        close_read_session()  # no transaction is open while the provider is asked
        snapshot = cancel_actions.ask_for_plan(backdesk().providers, row)
        asked: dict[str, Any] = {"membership_id": membership_id, "action": action, "snapshot": snapshot}

        address, form = record_address("memberships", membership_id), FORMS[action]
        return CommandPage(
            view=self,
            plan=lambda ctx: canceling.plan(ctx, **asked),
            act=lambda ctx: canceling.begin(ctx, **asked, **confirmed()),
            said=(f"{name} is being asked to {cancel_actions.WORDS[action]}. Its answer is shown here in a moment."),
            button=form.button,
            title=form.title,
            subtitle=subtitle,
            danger=action is CancelAction.NOW,
            cancel=address,
        ).respond()
