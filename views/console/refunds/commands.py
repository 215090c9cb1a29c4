"""Asking for a refund, deciding about a large one, and having Stripe asked what became of one."""

from functools import partial
from types import MappingProxyType
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, select

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services import appointments, payments, refunds
from admin_app.services.appointments import Appointment
from admin_app.services.payments import refund_sources
from admin_app.services.payments.refund_states import amount_of
from admin_app.services.refunds import approvals, keeping, refund_people, refund_sending, returned
from models import BookingSource, BookingStatus, Payment, PaymentState, Refund
from views.backdesk import backdesk
from views.console.framework.base import KEY, ConsoleView, command, page
from views.console.framework.columns import Cell, audited, record_address
from views.console.framework.plan_pages import CommandPage, confirmed, form_text
from views.console.refunds.refund_form import refund_limit, refund_page
from views.reading import known, read_session

PUT_RIGHT = {
    returned.AGAIN: "Give it back again at the provider",
    returned.BY_HAND: "It was paid out by hand",
    returned.NOTHING_OWED: "Nothing is owed any more",
}
PUT_RIGHT_DONE = {
    returned.AGAIN: "The {amount} are given back again, as {refund}. Its page says where it stands.",
    returned.BY_HAND: "It is noted that the {amount} were paid out by hand.",
    returned.NOTHING_OWED: "It is noted that nothing of the {amount} is owed any more.",
}


class PaymentCommandsView(ConsoleView):
    """Ask for a refund, from the payment or from the appointment it was made for."""

    permissions = MappingProxyType(
        dict.fromkeys(("refund", "keep", "of_booking", "of_meeting"), Permission.REFUNDS_REQUEST)
    )

    def __init__(self) -> None:
        super().__init__(name="Payment commands", endpoint="payment-commands", url="/admin/payments")

    @command(f"/{KEY}/refund")
    def refund(self, key: int) -> ResponseReturnValue:
        quoted = refunds.quote(read_session(), key)
        payment = read_session().get_one(Payment, key)
        chosen = {name: request.values.get(name, usual) for name, usual in (("appointment", "ends"), ("tell", "yes"))}
        ends, tell = chosen["appointment"] != "stays", chosen["tell"] != "no"
        found = appointments.get(read_session(), payments.subject_of(payment))
        coming = found.row.status is BookingStatus.CONFIRMED and found.row.starts_at > backdesk().db.clock()
        return refund_page(
            self,
            key,
            record_address("payments", key),
            quoted,
            payments.paid_for(payment),
            plan_refund=partial(refunds.plan_request, ends=ends, tell=tell),
            ask=partial(refunds.request, ends=ends, tell=tell),
            appointment=_asked_about(found, ends=ends, tell=tell) if coming else None,
            hidden=chosen if coming else None,
        )

    @command(f"/{KEY}/keep")
    def keep(self, key: int) -> ResponseReturnValue:
        address = record_address("payments", key)
        return CommandPage(
            view=self,
            plan=lambda ctx: keeping.plan_keep(ctx, payment_id=key),
            act=lambda ctx: keeping.keep(ctx, payment_id=key, **confirmed()),
            said="It is noted that the money stays here.",
            button="Keep the money",
            title="Keep the money of a canceled appointment",
            subtitle=f"Payment {key}",
            cancel=address,
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
            "put_right": Permission.REFUNDS_REQUEST,
        }
    )

    def __init__(self) -> None:
        super().__init__(name="Refund commands", endpoint="refund-commands", url="/admin/refunds")

    @command(f"/{KEY}/approve")
    def approve(self, key: int) -> ResponseReturnValue:
        return self._deciding(
            key,
            plan=lambda ctx: approvals.plan_decision(ctx, refund_id=key),
            act=lambda ctx: approvals.approve(ctx, refund_id=key, **confirmed()),
            said=lambda made: f"The refund of {amount_of(made)} is approved and on its way.",
            button="Approve the refund",
            title="Approve the refund",
        )

    @command(f"/{KEY}/decline")
    def decline(self, key: int) -> ResponseReturnValue:
        return self._deciding(
            key,
            plan=lambda ctx: approvals.plan_decision(ctx, refund_id=key, approve=False),
            act=lambda ctx: approvals.decline(ctx, refund_id=key, **confirmed()),
            said=lambda made: f"The refund of {amount_of(made)} is declined. Nothing was sent.",
            button="Decline the refund",
            title="Decline the refund",
            danger=True,
        )

    @command(f"/{KEY}/ask")
    def ask(self, key: int) -> ResponseReturnValue:
        return self._page(
            key,
            plan=lambda ctx: refund_sending.plan_ask(ctx, refund_id=key),
            act=lambda ctx: refund_sending.ask_soon(ctx, refund_id=key),
            said="The provider is being asked. Look again in a moment.",
            button="Ask now",
            title="Ask the provider about the refund",
            more={"asks_reason": False},
        )

    @command(f"/{KEY}/put-right")
    def put_right(self, key: int) -> ResponseReturnValue:
        how = request.values.get("how", "")

        def act(ctx: Ctx) -> str:
            given = {"reason": form_text("reason"), "shown": form_text("fingerprint")}
            made = returned.put_right(ctx, refund_id=key, how=how, approval_above=refund_limit(), **given)
            return PUT_RIGHT_DONE[returned.How(how)].format(amount=amount_of(made), refund=f"refund {made.id}")

        return self._page(
            key,
            plan=lambda ctx: returned.plan(ctx, refund_id=key, how=how, approval_above=refund_limit()) if how else None,
            act=act,
            button="Put it right",
            title="Put a refund right that came back",
            template="console/refunds/put_right.html",
            hidden={"how": how},
            more={"how": how, "ways": list(PUT_RIGHT.items())},
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        found = known(Refund, key, "There is no such refund.")
        address = record_address("refunds", key)
        subtitle = f"Refund {key}, {amount_of(found)}"
        return CommandPage(view=self, subtitle=subtitle, cancel=address, **parts).respond()

    def _deciding(self, key: int, **parts: Any) -> ResponseReturnValue:
        """The page of a decision, with the ways to what it is about."""
        return self._page(key, template="console/refunds/decide.html", more={"about": _about(key)}, **parts)


def _asked_about(found: Appointment, *, ends: bool, tell: bool) -> dict[str, Any]:
    """What the form asks about a coming appointment; a calendar in which it was made writes to the client by itself."""
    email = found.email if found.source is BookingSource.WEBSITE else None
    return {"kind": found.kind, "email": email, "ends": ends, "tell": tell}


def _about(refund_id: int) -> list[tuple[str, Cell | str | None]]:
    """What the refund is of and whom it is for, with links."""
    found = read_session().get(Refund, refund_id)
    if found is None:
        return []
    whom = refund_people.of(read_session(), refund_sources.of(read_session(), found))
    links = Cell("records", "", items=tuple(audited(name) for name in whom.records))
    return [("Amount", amount_of(found)), ("Of", links), ("E-mail", whom.email), ("Asked for by", found.requested_by)]


def _to_refund(of: ColumnElement[bool]) -> ResponseReturnValue:
    """To the payment of an appointment that was made: the newest of which something is left, else the newest."""
    paid = select(Payment.id).where(of, Payment.state == PaymentState.PAID)
    is_left = Payment.captured_amount > Payment.reserved_amount
    payment_id = read_session().scalar(paid.order_by(is_left.desc(), Payment.id.desc()).limit(1))
    if payment_id is None:
        raise NotFound("Nothing was paid for this appointment, so there is nothing to give back.")
    return redirect(f"{record_address('payments', payment_id)}/refund")
