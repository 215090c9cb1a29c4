"""Command pages: GET shows the plan, POST runs one service and comes back, or shows the plan again with what is wrong.

What was typed and chosen is kept in every case, and a plan that moved is shown as it stands now, with what moved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from flask import flash, g, redirect, request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import Conflict, DomainError, InvalidInput
from admin_app.services.core.plans import Plan, PlanLine
from views.console.framework.base import ConsoleView, console_unit_of_work
from views.console.framework.current_staff import viewer
from views.console.framework.plan_differences import CARRIED, carried, differences, with_differences

CHOICE_PREFIX = "choice_"
CONFIRM = "console/framework/confirm.html"


@dataclass(frozen=True, kw_only=True)
class CommandPage:
    """One command: how it is planned, how it is run, and how its page reads.

    `plan` gives the plan to show, or None while the form still asks for what it is made from. `act` calls one service;
    `said` is the sentence shown after it, or makes that sentence of what `act` returned, which by itself is taken as
    the sentence. `cancel` is the address to go back to without acting; `done` the one after it, usually the same.
    `hidden` is what the form carries along besides the plan's fingerprint; `more` goes to the template.
    """

    view: ConsoleView
    act: Callable[[Ctx], Any]
    button: str
    cancel: str
    title: str
    plan: Callable[[Ctx], Plan | None] = lambda ctx: None
    said: str | Callable[[Any], str] = str
    done: str = ""
    subtitle: str = ""
    danger: bool = False
    template: str = CONFIRM
    hidden: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def respond(self) -> ResponseReturnValue:
        """The page, or after a successful act the way back with the sentence that says what was done."""
        # HEAD comes without the form token, so it must never act.
        if request.method != "POST":
            return self._asked()
        try:
            with console_unit_of_work() as ctx:
                result = self.act(ctx)
                said = self.said if isinstance(self.said, str) else self.said(result)
        except (InvalidInput, Conflict) as error:
            return self._show(error), error.status
        return self._answer(result, said)

    def _answer(self, result: Any, said: str) -> ResponseReturnValue:
        """Where a successful act leads; `result` is what it returned."""
        flash(said, "success")
        return redirect(self.done or self.cancel, 303)

    def _asked(self) -> ResponseReturnValue:
        try:
            return self._show()
        except InvalidInput as error:
            if self.template == CONFIRM:
                raise
            # The page has a field of its own for what was refused, so it is shown there with what was typed.
            return self._show(error), error.status

    def _show(self, error: DomainError | None = None) -> str:
        with console_unit_of_work() as ctx:
            plan = self._planned(ctx, error)
        zone = viewer().zone
        g.carried_plan = carried(plan, zone) if plan else []
        problem: str | None = error.sentence if error else None
        was_shown = request.form.getlist(CARRIED)
        if isinstance(error, Conflict) and plan is not None and was_shown:
            problem = with_differences(error, differences(was_shown, plan, zone))
        picked = choices_of(request.form)
        page: str = self.view.render(
            self.template,
            title=self.title,
            subtitle=self.subtitle,
            plan=replace(plan, lines=tuple(_with_pick(line, picked) for line in plan.lines)) if plan else None,
            act=self.button,
            address=request.path,
            cancel=self.cancel,
            danger=self.danger,
            hidden=self.hidden,
            problem=problem,
            problems=error.fields if error else {},
            overtaken=isinstance(error, Conflict),
            reason=request.form.get("reason", ""),
            typed=request.form,
            **self.more,
        )
        return page

    def _planned(self, ctx: Ctx, error: DomainError | None) -> Plan | None:
        try:
            return self.plan(ctx)
        except InvalidInput:
            # What was refused is what the plan is made from: the page shows its form again instead.
            if error is None:
                raise
            return None


def form_text(name: str) -> str:
    """What the form says under this name, or nothing."""
    return request.form.get(name, "")


class Confirmed(TypedDict):
    """What every act takes of the form that confirms its plan."""

    reason: str
    shown: str


def confirmed() -> Confirmed:
    """The reason that was typed, and the fingerprint of the plan that was shown; empty where the form has none."""
    return {"reason": form_text("reason"), "shown": form_text("fingerprint")}


def choices_of(form: Mapping[str, str]) -> dict[str, str]:
    """The choices per field that the form carries."""
    return {name.removeprefix(CHOICE_PREFIX): key for name, key in form.items() if name.startswith(CHOICE_PREFIX)}


def _with_pick(line: PlanLine, picked: Mapping[str, str]) -> PlanLine:
    """The line with what was chosen before the page had to be shown again."""
    key = picked.get(line.field)
    return replace(line, chosen=key) if any(choice.key == key for choice in line.choices) else line
