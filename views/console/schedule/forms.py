"""Practitioners and session types: the hand-written forms, and putting them out of use and back."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services import schedule
from admin_app.services.core.time_zones import time_zones
from admin_app.services.schedule import working_hours
from admin_app.services.schedule.schedule_forms import NO
from models import Practitioner, SessionType
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.filters import whole_number
from views.console.framework.plan_pages import CommandPage, form_text
from views.console.schedule.practitioner_choice import practitioner_choices
from views.reading import read_session

COMMANDS = MappingProxyType(dict.fromkeys(("create", "edit", "activate", "deactivate"), Permission.SCHEDULE_MANAGE))


class PractitionerFormsView(ConsoleView):
    permissions = COMMANDS

    def __init__(self) -> None:
        super().__init__(name="Practitioner forms", endpoint="practitioner-forms", url="/admin/practitioners")

    @command("/new")
    def create(self) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            row = schedule.create_practitioner(ctx, values=request.form, reason=form_text("reason"))
            return f"{row.name} is added. Add what can be booked next."

        empty = schedule.practitioner_form(None)
        usual = {f"hours_{day}": "09:00-12:00, 13:00-17:00" for day in working_hours.WEEKDAYS[:5]}
        return self.form_text(
            # Time that is given away is decided about.
            empty | usual | {"free_meetings": NO},
            act,
            cancel="/admin/practitioners/",
            done="/admin/practitioners/?sort=-id",
            button="Add the practitioner",
            title="Add a practitioner",
        )

    @command(f"/{KEY}/edit")
    def edit(self, key: int) -> ResponseReturnValue:
        row = _row(Practitioner, key)

        def act(ctx: Ctx) -> str:
            kept = schedule.change_practitioner(
                ctx, practitioner_id=key, values=request.form, version=_version(), reason=form_text("reason")
            )
            return f"{kept.name} is saved."

        address = record_address("practitioners", key)
        return self.form_text(
            schedule.practitioner_form(row),
            act,
            cancel=address,
            done=address,
            button="Save",
            title=f"Change {row.name}",
            subtitle="Appointments that were made stay as they are; the times offered follow at once.",
            hidden={"version": str(row.version)},
        )

    def form_text(self, form: Mapping[str, str], act: Callable[[Ctx], str], **parts: Any) -> ResponseReturnValue:
        more = {"zones": sorted(time_zones()), "days": working_hours.DAYS}
        return _form_page(self, "console/schedule/practitioner.html", form, act, more=more, **parts)

    @command(f"/{KEY}/activate")
    def activate(self, key: int) -> ResponseReturnValue:
        return self._use(key, active=True)

    @command(f"/{KEY}/deactivate")
    def deactivate(self, key: int) -> ResponseReturnValue:
        return self._use(key, active=False)

    def _use(self, key: int, *, active: bool) -> ResponseReturnValue:
        row = _row(Practitioner, key)

        def act(ctx: Ctx) -> str:
            schedule.set_practitioner_use(
                ctx, practitioner_id=key, active=active, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return f"{row.name} is {'in use again' if active else 'out of use'}."

        return _use_page(
            self,
            lambda ctx: schedule.plan_practitioner_use(ctx, practitioner_id=key, active=active),
            act,
            record_address("practitioners", key),
            active,
        )


class SessionTypeFormsView(ConsoleView):
    permissions = COMMANDS

    def __init__(self) -> None:
        super().__init__(name="Session type forms", endpoint="session-type-forms", url="/admin/session-types")

    @command("/new")
    def create(self) -> ResponseReturnValue:
        chosen = request.values.get("practitioner_id", "")

        def act(ctx: Ctx) -> str:
            row = schedule.create_session_type(
                ctx, practitioner_id=whole_number(chosen) or 0, values=request.form, reason=form_text("reason")
            )
            return f"“{row.title}” is added and can be booked."

        of_one = record_address("practitioners", whole_number(chosen) or 0) if whole_number(chosen) else ""
        return self.form_text(
            schedule.session_type_form(None) | {"practitioner_id": chosen},
            act,
            cancel=of_one or "/admin/session-types/",
            done=of_one or "/admin/session-types/",
            button="Add the session type",
            title="Add a session type",
            more={"practitioners": practitioner_choices(read_session(), chosen)},
        )

    @command(f"/{KEY}/edit")
    def edit(self, key: int) -> ResponseReturnValue:
        row = _row(SessionType, key)

        def act(ctx: Ctx) -> str:
            kept = schedule.change_session_type(
                ctx, session_type_id=key, values=request.form, version=_version(), reason=form_text("reason")
            )
            return f"“{kept.title}” is saved."

        address = record_address("session-types", key)
        return self.form_text(
            schedule.session_type_form(row),
            act,
            cancel=address,
            done=address,
            button="Save",
            title=f"Change {row.title}",
            subtitle="What was booked keeps its length and its price.",
            hidden={"version": str(row.version)},
            more={"practitioners": ()},
        )

    def form_text(self, form: Mapping[str, str], act: Callable[[Ctx], str], **parts: Any) -> ResponseReturnValue:
        return _form_page(self, "console/schedule/session_type.html", form, act, **parts)

    @command(f"/{KEY}/activate")
    def activate(self, key: int) -> ResponseReturnValue:
        return self._use(key, active=True)

    @command(f"/{KEY}/deactivate")
    def deactivate(self, key: int) -> ResponseReturnValue:
        return self._use(key, active=False)

    def _use(self, key: int, *, active: bool) -> ResponseReturnValue:
        row = _row(SessionType, key)

        def act(ctx: Ctx) -> str:
            schedule.set_session_type_use(
                ctx, session_type_id=key, active=active, reason=form_text("reason"), shown=form_text("fingerprint")
            )
            return f"“{row.title}” is {'in use again' if active else 'out of use'}."

        return _use_page(
            self,
            lambda ctx: schedule.plan_session_type_use(ctx, session_type_id=key, active=active),
            act,
            record_address("session-types", key),
            active,
        )


def _form_page(
    view: ConsoleView,
    template: str,
    form: Mapping[str, str],
    act: Callable[[Ctx], str],
    *,
    more: Mapping[str, Any],
    **parts: Any,
) -> ResponseReturnValue:
    """What was typed stands in the form until it is saved; a field that was not sent is shown as it is kept."""
    values = dict(form) | {name: text for name, text in request.form.items() if name in form}
    return CommandPage(
        view=view, plan=lambda ctx: None, act=act, template=template, more={"values": values, **more}, **parts
    ).respond()


def _use_page(view: ConsoleView, plan: Any, act: Any, address: str, active: bool) -> ResponseReturnValue:
    words = "Put back into use" if active else "Take out of use"
    return CommandPage(
        view=view, plan=plan, act=act, cancel=address, done=address, button=words, title=words, danger=not active
    ).respond()


def _row(model: type[Any], key: int) -> Any:
    row = read_session().get(model, key)
    if row is None:
        raise NotFound
    return row


def _version() -> int:
    """The record's version that the form was made from; a form without one is out of date."""
    return whole_number(form_text("version")) or 0
