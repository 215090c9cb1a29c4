"""The commands on a booking or meeting, each on its own page: what would happen, a reason, the act."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import InvalidInput
from admin_app.policies.permissions import Permission
from admin_app.services import appointments, refunds
from admin_app.services.appointments import Appointment, Kind
from admin_app.services.bookings import appointment_mails, attendance, rescheduling
from admin_app.services.calendars.calendar_entries import SPOKEN
from admin_app.services.core.amounts import major_units, minor_units, money_text
from admin_app.services.refunds import Quote, cancellations
from models import BookingSource, CanceledBecause
from views.backdesk import backdesk
from views.console.bookings import free_times
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address, time_text
from views.console.framework.current_staff import viewer
from views.console.framework.plan_pages import CommandPage, confirmed, form_text
from views.reading import read_session

COMMANDS = ("cancel", "reschedule", "complete", "no_show", "resend")
WANTED_BY = {
    CanceledBecause.BY_CLIENT: "The client",
    CanceledBecause.BY_PRACTITIONER: "The practitioner",
    CanceledBecause.BY_STAFF: "We, the business",
}


class AppointmentCommandsView(ConsoleView):
    """What is done about a booking or a meeting; both go through the same services."""

    permissions = MappingProxyType(dict.fromkeys(COMMANDS, Permission.BOOKINGS_MANAGE))
    kind: ClassVar[Kind]

    def __init__(self) -> None:
        kind = self.kind
        super().__init__(name=f"{kind} commands", endpoint=f"{kind}-commands", url=f"/admin/{kind}s")

    @command(f"/{KEY}/cancel")
    def cancel(self, key: int) -> ResponseReturnValue:
        found = self._found(key)
        payment = cancellations.paid_payment(read_session(), found.subject)
        quoted = refunds.quote(read_session(), payment.id) if payment else None
        limit = backdesk().settings.refund_approval_above
        chosen = request.values.get("because", "")
        tell = request.values.get("tell", "yes") == "yes"

        def act(ctx: Ctx) -> str:
            amount = _amount(quoted)
            cancellations.cancel(
                ctx,
                subject=found.subject,
                because=chosen,
                refund_amount=amount,
                reason=form_text("reason"),
                approval_above=limit,
                shown=form_text("fingerprint"),
                tell=tell,
            )
            back = f" A refund of {money_text(amount, quoted.currency)} was asked for." if amount and quoted else ""
            return f"The {self.kind} is canceled.{back}"

        entered = {name: request.values.get(name, "") for name in ("because", "refund", "amount", "tell")}
        return self._page(
            found,
            plan=lambda ctx: (
                cancellations.plan_cancel(
                    ctx,
                    subject=found.subject,
                    because=chosen,
                    refund_amount=_amount(quoted),
                    approval_above=limit,
                    tell=tell,
                )
                if chosen
                else None
            ),
            act=act,
            button=f"Cancel the {self.kind}",
            title=f"Cancel the {self.kind}",
            danger=True,
            template="console/bookings/cancel.html",
            hidden={name: value for name, value in entered.items() if value},
            more={
                "reasons": [("", "Choose…"), *((code.value, words) for code, words in WANTED_BY.items())],
                "entered": entered | {"tell": "yes" if tell else "no", "refund": entered["refund"] or "none"},
                "refundable": _refundable(quoted),
                "email": found.email,
                "source": SPOKEN.get(found.source, ""),
            },
        ).respond()

    @command(f"/{KEY}/reschedule")
    def reschedule(self, key: int) -> ResponseReturnValue:
        found = self._found(key)
        offer = free_times.WantedTime.of(found, request.values, backdesk().db.clock())
        tell = request.values.get("tell", "yes") == "yes"

        def act(ctx: Ctx) -> str:
            starts_at = offer.starts_at()
            rescheduling.reschedule(
                ctx,
                subject=found.subject,
                starts_at=starts_at,
                **confirmed(),
                tell=tell,
            )
            return f"The {self.kind} is rescheduled to {time_text(starts_at, viewer().zone)} ({viewer().zone.key})."

        return self._page(
            found,
            plan=lambda ctx: (
                rescheduling.plan_reschedule(ctx, subject=found.subject, starts_at=offer.starts_at(), tell=tell)
                if offer.has_choice
                else None
            ),
            act=act,
            button=f"Reschedule the {self.kind}",
            title=f"Reschedule the {self.kind}",
            template="console/bookings/reschedule.html",
            hidden=offer.carried | {"tell": "yes" if tell else "no"},
            more={"offer": offer, "other_choice": _other_choice(found, offer.carried, tell)},
        ).respond()

    @command(f"/{KEY}/complete")
    def complete(self, key: int) -> ResponseReturnValue:
        found = self._found(key)
        return self._simple(
            found,
            plan=lambda ctx: attendance.plan_complete(ctx, subject=found.subject),
            act=lambda ctx, **given: attendance.complete(ctx, subject=found.subject, **given),
            said=f"The {self.kind} is marked as completed.",
            button="Mark as completed",
            title="Mark as completed",
        )

    @command(f"/{KEY}/no-show")
    def no_show(self, key: int) -> ResponseReturnValue:
        found = self._found(key)
        return self._simple(
            found,
            plan=lambda ctx: attendance.plan_no_show(ctx, subject=found.subject),
            act=lambda ctx, **given: attendance.no_show(ctx, subject=found.subject, **given),
            said="It is noted that nobody came.",
            button="Note that nobody came",
            title="Note that nobody came",
        )

    @command(f"/{KEY}/resend")
    def resend(self, key: int) -> ResponseReturnValue:
        found = self._found(key)
        return self._simple(
            found,
            plan=lambda ctx: appointment_mails.plan_resend(ctx, subject=found.subject),
            act=lambda ctx, **given: appointment_mails.resend_confirmation(ctx, subject=found.subject, **given),
            said="The confirmation is on its way. It shows below once it is handed over.",
            button="Send the confirmation",
            title="Send the confirmation again",
        )

    def _found(self, key: int) -> Appointment:
        return appointments.get(read_session(), f"{self.kind}:{key}")

    def _simple(
        self, found: Appointment, *, act: Callable[..., Appointment], said: str, **parts: Any
    ) -> ResponseReturnValue:
        """A command whose plan needs nothing but the record."""
        return self._page(found, act=lambda ctx: act(ctx, **confirmed()), said=said, **parts).respond()

    def _page(self, found: Appointment, **parts: Any) -> CommandPage:
        address = record_address(f"{self.kind}s", found.number)
        zone = viewer().zone
        who = found.name or found.email or "an unknown guest"
        subtitle = f"{found.title} of {who} with {found.practitioner.name}, {time_text(found.row.starts_at, zone)}"
        return CommandPage(view=self, cancel=address, subtitle=f"{subtitle} ({zone.key})", **parts)


class BookingCommandsView(AppointmentCommandsView):
    kind = "booking"


class MeetingCommandsView(AppointmentCommandsView):
    kind = "meeting"


def _other_choice(found: Appointment, entered: Mapping[str, str], tell: bool) -> tuple[str, str] | None:
    """The way to the same plan with the mail withheld, or sent after all."""
    if found.source is not BookingSource.WEBSITE or not found.email:
        return None
    words = "Write nothing: they know, or will be called" if tell else "Write to them after all"
    return words, f"?{urlencode({**entered, 'tell': 'no' if tell else 'yes'})}"


def _amount(quoted: Quote | None) -> int | None:
    """What of the money goes back by the form: nothing, all that is left, or what was typed."""
    match request.values.get("refund", "none"):
        case "all":
            return quoted.refundable if quoted else None
        case "part":
            currency = quoted.currency if quoted else None
            return minor_units(request.values.get("amount", ""), currency)
        case "none" | "":
            return None
    sentence = "Choose whether money goes back."
    raise InvalidInput(sentence, fields={"refund": sentence})


def _refundable(quoted: Quote | None) -> dict[str, str] | None:
    """What the form offers to give back; nothing where nothing can be, or where one may not ask for it."""
    if quoted is None or quoted.refusal or not viewer().may(Permission.REFUNDS_REQUEST):
        return None
    return {
        "all": money_text(quoted.refundable, quoted.currency),
        "amount": major_units(quoted.refundable, quoted.currency),
        "currency": quoted.currency.upper(),
    }
