"""Practitioners and session types: the hand-written forms, and putting them out of use and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from flask import request
from flask.typing import ResponseReturnValue

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
from views.console.framework.plan_pages import CommandPage, confirmed, form_text
from views.console.schedule.practitioner_choice import practitioner_choices
from views.reading import known, read_session

COMMANDS = MappingProxyType(dict.fromkeys(("create", "edit", "activate", "deactivate"), Permission.SCHEDULE_MANAGE))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the forms of one kind of record are made from: its names, and the services that save it.

    `key_name` is how the services call its key, `spoken` how a sentence writes its name, `stays` what a change leaves.
    """

    section: str
    model: type[Any]
    key_name: str
    template: str
    name: Callable[[Any], str]
    spoken: str
    stays: str
    form: Callable[[Any], Mapping[str, str]]
    change: Callable[..., Any]
    plan_use: Callable[..., Any]
    set_use: Callable[..., Any]


class ScheduleFormsView(ConsoleView):
    """What both kinds do alike: change a record, put it out of use and back."""

    permissions = COMMANDS
    kind: ClassVar[Kind]

    def __init__(self) -> None:
        kind = self.kind
        word = kind.section.removesuffix("s")
        name = f"{word.replace('-', ' ').capitalize()} forms"
        super().__init__(name=name, endpoint=f"{word}-forms", url=f"/admin/{kind.section}")

    @command(f"/{KEY}/edit")
    def edit(self, key: int) -> ResponseReturnValue:
        kind, row = self.kind, self._row(key)
        return self._form(
            kind.form(row),
            act=lambda ctx: kind.change(
                ctx, **{kind.key_name: key}, values=request.form, version=_version(), reason=form_text("reason")
            ),
            said=lambda kept: f"{kind.spoken.format(kind.name(kept))} is saved.",
            cancel=record_address(kind.section, key),
            button="Save",
            title=f"Change {kind.name(row)}",
            subtitle=kind.stays,
            hidden={"version": str(row.version)},
        )

    @command(f"/{KEY}/activate")
    def activate(self, key: int) -> ResponseReturnValue:
        return self._use(key, active=True)

    @command(f"/{KEY}/deactivate")
    def deactivate(self, key: int) -> ResponseReturnValue:
        return self._use(key, active=False)

    def _use(self, key: int, *, active: bool) -> ResponseReturnValue:
        kind, row = self.kind, self._row(key)
        words = "Put back into use" if active else "Take out of use"
        of: dict[str, Any] = {kind.key_name: key, "active": active}
        return CommandPage(
            view=self,
            plan=lambda ctx: kind.plan_use(ctx, **of),
            act=lambda ctx: kind.set_use(ctx, **of, **confirmed()),
            said=f"{kind.spoken.format(kind.name(row))} is {'in use again' if active else 'out of use'}.",
            cancel=record_address(kind.section, key),
            button=words,
            title=words,
            danger=not active,
        ).respond()

    def _form(
        self, form: Mapping[str, str], *, more: Mapping[str, Any] | None = None, **parts: Any
    ) -> ResponseReturnValue:
        """What was typed stands in the form until it is saved; a field that was not sent is shown as it is kept."""
        values = dict(form) | {name: text for name, text in request.form.items() if name in form}
        shown = {"values": values, **self._choices(), **(more or {})}
        return CommandPage(view=self, template=self.kind.template, more=shown, **parts).respond()

    def _choices(self) -> Mapping[str, Any]:
        """What the form lets one choose from, as its template calls it."""
        return {}

    def _row(self, key: int) -> Any:
        return known(self.kind.model, key, NotFound.sentence)


class PractitionerFormsView(ScheduleFormsView):
    kind = Kind(
        section="practitioners",
        model=Practitioner,
        key_name="practitioner_id",
        template="console/schedule/practitioner.html",
        name=lambda row: row.name,
        spoken="{}",
        stays="Appointments that were made stay as they are; the times offered follow at once.",
        form=schedule.practitioner_form,
        change=schedule.change_practitioner,
        plan_use=schedule.plan_practitioner_use,
        set_use=schedule.set_practitioner_use,
    )

    @command("/new")
    def create(self) -> ResponseReturnValue:
        usual = {f"hours_{day}": "09:00-12:00, 13:00-17:00" for day in working_hours.WEEKDAYS[:5]}
        return self._form(
            # Time that is given away is decided about.
            schedule.practitioner_form(None) | usual | {"free_meetings": NO},
            act=lambda ctx: schedule.create_practitioner(ctx, values=request.form, reason=form_text("reason")),
            said=lambda row: f"{row.name} is added. Add what can be booked next.",
            cancel="/admin/practitioners/",
            done="/admin/practitioners/?sort=-id",
            button="Add the practitioner",
            title="Add a practitioner",
        )

    def _choices(self) -> Mapping[str, Any]:
        return {"zones": sorted(time_zones()), "days": working_hours.DAYS}


class SessionTypeFormsView(ScheduleFormsView):
    kind = Kind(
        section="session-types",
        model=SessionType,
        key_name="session_type_id",
        template="console/schedule/session_type.html",
        name=lambda row: row.title,
        spoken="“{}”",
        stays="What was booked keeps its length and its price.",
        form=schedule.session_type_form,
        change=schedule.change_session_type,
        plan_use=schedule.plan_session_type_use,
        set_use=schedule.set_session_type_use,
    )

    @command("/new")
    def create(self) -> ResponseReturnValue:
        chosen = request.values.get("practitioner_id", "")
        practitioner_id = whole_number(chosen) or 0
        return self._form(
            schedule.session_type_form(None) | {"practitioner_id": chosen},
            act=lambda ctx: schedule.create_session_type(
                ctx, practitioner_id=practitioner_id, values=request.form, reason=form_text("reason")
            ),
            said=lambda row: f"“{row.title}” is added and can be booked.",
            cancel=record_address("practitioners", practitioner_id) if practitioner_id else "/admin/session-types/",
            button="Add the session type",
            title="Add a session type",
            more={"practitioners": practitioner_choices(read_session(), chosen)},
        )


def _version() -> int:
    """The record's version that the form was made from; a form without one is out of date."""
    return whole_number(form_text("version")) or 0
