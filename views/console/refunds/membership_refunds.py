"""Asking for a refund of what was paid for a membership: from the payment, the membership or the account."""

from types import MappingProxyType
from urllib.parse import urlencode

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from admin_app.context import Job
from admin_app.errors import ProviderUnavailable
from admin_app.policies.permissions import Permission
from admin_app.services.memberships import asking
from admin_app.services.payments.refund_sources import paid_for
from admin_app.services.refunds import membership_refunds
from models import MembershipPayment
from views.backdesk import backdesk
from views.console.framework.base import KEY, ConsoleView, command, page
from views.console.framework.columns import record_address
from views.console.framework.plan_pages import CommandPage
from views.console.refunds.refund_form import refund_page
from views.reading import close_read_session, read_session

ASKS = Job("ask_what_was_paid")


class MembershipPaymentCommandsView(ConsoleView):
    permissions = MappingProxyType(
        dict.fromkeys(("refund", "of_membership", "of_account", "ask"), Permission.REFUNDS_REQUEST)
    )

    def __init__(self) -> None:
        super().__init__(
            name="Membership payment commands", endpoint="membership-payment-commands", url="/admin/membership-payments"
        )

    @command(f"/{KEY}/refund")
    def refund(self, key: int) -> ResponseReturnValue:
        silent = _ask_now(key)
        quoted = membership_refunds.quote(read_session(), key)
        return refund_page(
            self,
            key,
            record_address("membership-payments", key),
            quoted,
            paid_for(read_session().get_one(MembershipPayment, key)),
            plan_refund=membership_refunds.plan_request,
            ask=membership_refunds.request,
            silent=silent,
        )

    @page(f"/of-membership/{KEY}")
    def of_membership(self, key: int) -> ResponseReturnValue:
        return _to_refund("membership", str(key), membership_id=key)

    @page("/of-account/<path:user_id>")
    def of_account(self, user_id: str) -> ResponseReturnValue:
        return _to_refund("account", user_id, user_id=user_id)

    @command(f"/of-membership/{KEY}/ask")
    def ask(self, key: int) -> ResponseReturnValue:
        address = record_address("memberships", key)
        return CommandPage(
            view=self,
            plan=lambda ctx: asking.plan_ask(ctx, membership_id=key),
            act=lambda ctx: asking.ask_soon(ctx, membership_id=key),
            said="The provider is being asked. Look again in a moment.",
            button="Ask now",
            title="Ask what was paid",
            cancel=address,
            more={"asks_reason": False},
        ).respond()


def _ask_now(payment_id: int) -> str | None:
    """Have the provider say how the payment is now; the sentence for whoever waits, when it does not."""
    desk = backdesk()
    if desk.providers is None:
        return "No provider is configured, so nobody can be asked what can be given back."
    close_read_session()  # no connection is held while somebody else is asked, and what was read is out of date then
    try:
        asking.refresh_payment(lambda: desk.db.unit_of_work(ASKS), desk.providers, payment_id=payment_id)
    except ProviderUnavailable as error:
        if request.method == "POST":
            raise
        return f"{error.sentence} What can be given back is not known now."
    return None


def _to_refund(
    kind: str, value: str, *, membership_id: int | None = None, user_id: str | None = None
) -> ResponseReturnValue:
    """To the only payment that it can be, or to the list of those it may be; where it can be none, with the reason."""
    found = membership_refunds.to_give_back(read_session(), membership_id=membership_id, user_id=user_id)
    if len(found) == 1:
        return redirect(f"{record_address('membership-payments', found[0])}/refund")
    if found:
        return redirect(f"/admin/membership-payments/?{urlencode({kind: value, 'paid': 'yes'})}")
    why, asked = membership_refunds.why_nothing(read_session(), membership_id=membership_id, user_id=user_id)
    flash(_with_way_to_ask(why, asked, value), "warning")
    return redirect(f"/admin/membership-payments/?{urlencode({kind: value})}")


def _with_way_to_ask(why: str, asked: list[int], account: str) -> str:
    """The reason, with the link by which the provider is asked what was paid; of several memberships one is chosen."""
    if not asked:
        return why
    if len(asked) == 1:
        address, words = f"/admin/membership-payments/of-membership/{asked[0]}/ask", "Ask what was paid"
    else:
        address, words = f"/admin/memberships/?{urlencode({'account': account})}", "Ask what was paid for one of them"
    return Markup('{} <a href="{}">{}</a>').format(why, address, words)
