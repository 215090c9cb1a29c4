"""The page on which a refund is asked for, of whatever it is that was paid."""

from collections.abc import Mapping
from typing import Any, Protocol

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.approval_limits import Limit
from admin_app.context import Ctx
from admin_app.services.core.amounts import major_units, minor_units, money_text
from admin_app.services.core.plans import Plan
from admin_app.services.payments.refund_states import amount_of
from admin_app.services.refunds import Quote
from models import Refund, RefundReason, RefundState
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView
from views.console.framework.plan_pages import CommandPage, form_text

REASONS = {
    RefundReason.REQUESTED_BY_CUSTOMER: "The client asked for it",
    RefundReason.CANCELED_BY_US: "We canceled the appointment",
    RefundReason.DUPLICATE: "It was paid twice",
    RefundReason.FRAUDULENT: "Somebody else's card was used",
    RefundReason.OTHER: "Another reason, see the note",
}


class PlanRefund(Protocol):
    def __call__(self, ctx: Ctx, *, payment_id: int, amount: int, approval_above: Limit) -> Plan: ...


class AskForRefund(Protocol):
    def __call__(
        self,
        ctx: Ctx,
        *,
        payment_id: int,
        amount: int,
        reason_code: str,
        note: str,
        approval_above: Limit,
        shown: str,
    ) -> Refund: ...


def refund_page(
    view: ConsoleView,
    payment_id: int,
    address: str,
    quoted: Quote,
    about: Mapping[str, Any],
    *,
    plan_refund: PlanRefund,
    ask: AskForRefund,
    silent: str | None = None,
    appointment: Mapping[str, Any] | None = None,
    hidden: Mapping[str, str] | None = None,
) -> ResponseReturnValue:
    """Quote, form and plan. `address` is the payment's page, `silent` says why the provider could not be asked.

    `appointment` is what the form asks about an appointment that may end with it, `hidden` what was chosen there.
    """
    key = payment_id
    typed = request.values.get("amount")
    refusal = silent or quoted.refusal

    def plan(ctx: Ctx) -> Plan | None:
        if typed is None or refusal:
            return None
        wanted = minor_units(typed, quoted.currency)
        return plan_refund(ctx, payment_id=key, amount=wanted, approval_above=refund_limit())

    def act(ctx: Ctx) -> str:
        made = ask(
            ctx,
            payment_id=key,
            amount=minor_units(typed or "", quoted.currency),
            reason_code=form_text("reason_code"),
            note=form_text("note"),
            approval_above=refund_limit(),
            shown=form_text("fingerprint"),
        )
        waits = made.state is RefundState.AWAITING_APPROVAL
        return f"Refund {made.id} of {amount_of(made)} {'waits for a second person' if waits else 'is on its way'}."

    return CommandPage(
        view=view,
        plan=plan,
        act=act,
        button="Ask for this refund",
        title="Refund a payment",
        subtitle=f"Payment {key}, for {about['what']} {about['number']}",
        cancel=address,
        template="console/refunds/request.html",
        hidden=hidden or {},
        more={
            "appointment": appointment,
            "quote": facts_of(quoted),
            "refusal": refusal,
            "currency": quoted.currency.upper(),
            "amount": major_units(quoted.refundable, quoted.currency) if typed is None else typed,
            "reasons": choices_of_reasons(),
        },
    ).respond()


def choices_of_reasons() -> list[tuple[str, str]]:
    """The reasons for a refund as a form offers them: value and words, with the empty one first."""
    return [("", "Choose…"), *((reason.value, words) for reason, words in REASONS.items())]


def facts_of(quoted: Quote) -> list[tuple[str, str]]:
    """What the page says of the money before anything is typed."""

    def money(amount: int | None) -> str:
        return "not told yet" if amount is None else money_text(amount, quoted.currency)

    return [
        ("Paid", money(quoted.captured)),
        ("Refunded", money(quoted.refunded)),
        ("On its way back", money(quoted.on_its_way)),
        ("Can be refunded", money(quoted.refundable)),
        (f"Fee that {quoted.provider} keeps", money(quoted.fee)),
    ]


def refund_limit() -> Limit:
    """Above how much of each currency a second person decides."""
    return backdesk().settings.refund_approval_above
