"""Asking for a refund, deciding about a large one, and having Stripe asked what became of one."""

from types import MappingProxyType
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, select

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services import approvals, payments, refund_sending, refunds
from admin_app.services.amounts import major_units, minor_units, money_text
from admin_app.services.plans import Plan
from admin_app.services.refund_states import amount_of
from admin_app.services.refunds import Quote
from models import Payment, PaymentState, Refund, RefundReason, RefundState
from views.backdesk import backdesk
from views.console.base import KEY, ConsoleView, command, page
from views.console.columns import record_address
from views.console.plan_pages import CommandPage, form_text
from views.reading import read_session

REASONS = {
    RefundReason.REQUESTED_BY_CUSTOMER: "The client asked for it",
    RefundReason.CANCELED_BY_US: "We canceled the appointment",
    RefundReason.DUPLICATE: "It was paid twice",
    RefundReason.FRAUDULENT: "Somebody else's card was used",
    RefundReason.OTHER: "Another reason, see the note",
}


class PaymentCommandsView(ConsoleView):
    """Ask for a refund, from the payment or from the appointment it was made for."""

    permissions = MappingProxyType(dict.fromkeys(("refund", "of_booking", "of_meeting"), Permission.REFUNDS_REQUEST))

    def __init__(self) -> None:
        super().__init__(name="Payment commands", endpoint="payment-commands", url="/admin/payments")

    @command(f"/{KEY}/refund")
    def refund(self, key: int) -> ResponseReturnValue:
        quoted = refunds.quote(read_session(), key)
        about = payments.paid_for(read_session().get_one(Payment, key))
        typed = request.values.get("amount")

        def plan(ctx: Ctx) -> Plan | None:
            if typed is None or quoted.refusal:
                return None
            wanted = minor_units(typed, quoted.currency)
            return refunds.plan_request(ctx, payment_id=key, amount=wanted, approval_above=refund_limit())

        def act(ctx: Ctx) -> str:
            made = refunds.request(
                ctx,
                payment_id=key,
                amount=minor_units(typed or "", quoted.currency),
                reason_code=request.form.get("reason_code", ""),
                note=request.form.get("note", ""),
                approval_above=refund_limit(),
                shown=request.form.get("fingerprint", ""),
            )
            waits = made.state is RefundState.AWAITING_APPROVAL
            return (
                f"Refund {made.id} over {amount_of(made)} {'waits for a second person' if waits else 'is on its way'}."
            )

        address = record_address("payments", key)
        return CommandPage(
            view=self,
            plan=plan,
            act=act,
            button="Ask for this refund",
            title="Give money back",
            subtitle=f"Payment {key}, for {about['what']} {about['number']}",
            cancel=address,
            done=address,
            template="console/money/request.html",
            more={
                "quote": facts_of(quoted),
                "refusal": quoted.refusal,
                "currency": quoted.currency.upper(),
                "amount": major_units(quoted.refundable, quoted.currency) if typed is None else typed,
                "reasons": choices_of_reasons(),
            },
        ).respond()

    @page(f"/of-booking/{KEY}")
    def of_booking(self, key: int) -> ResponseReturnValue:
        return _to_refund(Payment.booking_id == key)

    @page(f"/of-meeting/{KEY}")
    def of_meeting(self, key: int) -> ResponseReturnValue:
        return _to_refund(Payment.meeting_id == key)


class RefundCommandsView(ConsoleView):
    """What is done about a refund that somebody asked for."""

    permissions = MappingProxyType(
        {
            "approve": Permission.REFUNDS_APPROVE,
            "decline": Permission.REFUNDS_APPROVE,
            "ask": Permission.REFUNDS_REQUEST,
        }
    )

    def __init__(self) -> None:
        super().__init__(name="Refund commands", endpoint="refund-commands", url="/admin/refunds")

    @command(f"/{KEY}/approve")
    def approve(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            made = approvals.approve(ctx, refund_id=key, reason=form_text("reason"), shown=form_text("fingerprint"))
            return f"The refund of {amount_of(made)} is approved and on its way."

        return self._page(
            key,
            plan=lambda ctx: approvals.plan_decision(ctx, refund_id=key),
            act=act,
            button="Approve the refund",
            title="Approve the refund",
        )

    @command(f"/{KEY}/decline")
    def decline(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            made = approvals.decline(ctx, refund_id=key, reason=form_text("reason"), shown=form_text("fingerprint"))
            return f"The refund of {amount_of(made)} is declined. Nothing was sent."

        return self._page(
            key,
            plan=lambda ctx: approvals.plan_decision(ctx, refund_id=key, approve=False),
            act=act,
            button="Decline the refund",
            title="Decline the refund",
            danger=True,
        )

    @command(f"/{KEY}/ask")
    def ask(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            refund_sending.ask_soon(ctx, refund_id=key)
            return "The provider is being asked. Look again in a moment."

        return self._page(
            key,
            plan=lambda ctx: refund_sending.plan_ask(ctx, refund_id=key),
            act=act,
            button="Ask now",
            title="Ask the provider about the refund",
            more={"asks_reason": False},
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        found = read_session().get(Refund, key)
        if found is None:
            raise NotFound("There is no such refund.")
        address = record_address("refunds", key)
        subtitle = f"Refund {key}, {amount_of(found)}"
        return CommandPage(view=self, subtitle=subtitle, cancel=address, done=address, **parts).respond()


def choices_of_reasons() -> list[tuple[str, str]]:
    return [("", "Choose…"), *((reason.value, words) for reason, words in REASONS.items())]


def refund_limit() -> int:
    """Above how much, in minor units, a second person decides."""
    return backdesk().settings.refund_approval_above


def facts_of(quoted: Quote) -> list[tuple[str, str]]:
    """What the page says of the money before anything is typed."""

    def money(amount: int | None) -> str:
        return "not told yet" if amount is None else money_text(amount, quoted.currency)

    return [
        ("Captured", money(quoted.captured)),
        ("Given back", money(quoted.refunded)),
        ("On its way back", money(quoted.on_its_way)),
        ("Can be given back", money(quoted.refundable)),
        (f"Fee that {quoted.provider} keeps", money(quoted.fee)),
    ]


def _to_refund(of: ColumnElement[bool]) -> ResponseReturnValue:
    """To the payment of an appointment that was made, which is the newest one."""
    paid = select(Payment.id).where(of, Payment.state == PaymentState.PAID).order_by(Payment.id.desc()).limit(1)
    payment_id = read_session().scalar(paid)
    if payment_id is None:
        raise NotFound("Nothing was paid for this appointment, so there is nothing to give back.")
    return redirect(f"{record_address('payments', payment_id)}/refund")
