"""Choosing clients for a run, and its commands: start or discard it, stop it, put back what it changed."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.clients import bulk_runs, bulk_undo
from admin_app.services.clients.flag_words import WORDS
from admin_app.services.clients.flags import FlagRequest
from admin_app.services.core.plans import Plan
from models import BulkRun, Switch
from views.console.clients import flag_form
from views.console.clients.bulk_page import progress, request_facts
from views.console.clients.clients import ClientsView
from views.console.clients.flag_form import SwitchForm
from views.console.framework import selection
from views.console.framework.base import KEY, ConsoleView, command, console_unit_of_work
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.plan_pages import CommandPage
from views.reading import read_session

COMMANDS = ("choose", "start", "discard", "stop", "undo")
SWITCHES = {
    "pause-outbound": (Switch.OUTBOUND_PAUSED, True),
    "resume-outbound": (Switch.OUTBOUND_PAUSED, False),
    "disable-ai": (Switch.AI_DISABLED, True),
    "enable-ai": (Switch.AI_DISABLED, False),
}


@dataclass(frozen=True, kw_only=True)
class MakingPage(CommandPage):
    """A command that makes a run and leads to its plan."""

    makes: Callable[[Ctx], BulkRun]

    def respond(self) -> ResponseReturnValue:
        if request.method != "POST":
            return self._asked()
        try:
            with console_unit_of_work() as ctx:
                run = self.makes(ctx)
        except (InvalidInput, Conflict) as error:
            return self._show(error), error.status
        return redirect(f"{record_address('bulk-runs', run.id)}/start", 303)


class BulkRunCommandsView(ConsoleView):
    permissions = MappingProxyType(dict.fromkeys(COMMANDS, Permission.CLIENTS_SWITCH))

    def __init__(self) -> None:
        super().__init__(name="Bulk run commands", endpoint="bulk-run-commands", url="/admin/bulk-runs")

    @command("/choose/<word>")
    def choose(self, word: str) -> ResponseReturnValue:
        """What is to be done with the clients chosen in their list, and until when."""
        if word not in SWITCHES:
            raise NotFound
        flag, turns_on = SWITCHES[word]
        words = WORDS[flag].turn_on if turns_on else WORDS[flag].turn_off
        args = selection.given(request.args, request.form)
        chosen = selection.read_selection(read_session(), ClientsView.listing, args, viewer())

        sent = SwitchForm.of(request.form, viewer().zone)

        def makes(ctx: Ctx) -> BulkRun:
            reason = request.form.get("reason", "")
            asked = sent.flag_request(flag, reason) if turns_on else FlagRequest(flag, turns_on=False, reason=reason)
            return bulk_runs.choose(ctx, asked=asked, client_ids=chosen.keys, chosen_by=chosen.words)

        return MakingPage(
            view=self,
            plan=lambda ctx: None,
            act=lambda ctx: "",
            makes=makes,
            button="Show what would happen",
            cancel=chosen.back,
            done="",
            title=f"{words} for {bulk_runs.clients(chosen.count)}",
            subtitle=f"{chosen.sentence} Nothing is switched yet: the next page shows who would change.",
            template="console/clients/bulk_choose.html",
            hidden=selection.carried(args),
            more={"turns_on": turns_on, **flag_form.shown(sent)},
        ).respond()

    @command(f"/{KEY}/start")
    def start(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            bulk_runs.start(ctx, run_id=key, shown=request.form.get("fingerprint", ""))
            return "The run is on its way."

        run, parts = bulk_runs.with_parts(read_session(), key)
        shown = progress(run, parts)
        return self._page(
            run,
            lambda ctx: bulk_runs.plan_start(ctx, run_id=key),
            act,
            button=f"Switch {bulk_runs.clients(shown.size - shown.done)}",
            title=f"Start run {key}?",
            subtitle=bulk_runs.title_of(run),
            template="console/clients/bulk_start.html",
            more={
                "asks_reason": False,
                "progress": shown,
                "facts_of_request": request_facts(run, viewer().zone),
                "discard": f"{record_address('bulk-runs', key)}/discard" if shown.planned else "",
            },
        )

    @command(f"/{KEY}/discard")
    def discard(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            bulk_runs.discard(ctx, run_id=key)
            return "The choice is discarded. Nothing was switched."

        return self._simple(
            key,
            lambda ctx: bulk_runs.plan_discard(ctx, run_id=key),
            act,
            done="/admin/bulk-runs/",
            button="Discard the choice",
            title=f"Discard run {key}?",
        )

    @command(f"/{KEY}/stop")
    def stop(self, key: int) -> ResponseReturnValue:
        def act(ctx: Ctx) -> str:
            bulk_runs.stop(ctx, run_id=key)
            return "The run stops after the clients it is at."

        return self._simple(
            key,
            lambda ctx: bulk_runs.plan_stop(ctx, run_id=key),
            act,
            button="Stop the run",
            title=f"Stop run {key}?",
        )

    @command(f"/{KEY}/undo")
    def undo(self, key: int) -> ResponseReturnValue:
        run = bulk_runs.found(read_session(), key)
        address = record_address("bulk-runs", key)
        return MakingPage(
            view=self,
            plan=lambda ctx: bulk_undo.plan_undo(ctx, run_id=key),
            act=lambda ctx: "",
            makes=lambda ctx: bulk_undo.undo(ctx, run_id=key, reason=request.form.get("reason", "")),
            button="Show what would be put back",
            cancel=address,
            done=address,
            title=f"Undo run {key}?",
            subtitle=bulk_runs.title_of(run),
        ).respond()

    def _simple(
        self, key: int, plan: Callable[[Ctx], Plan], act: Callable[[Ctx], str], **parts: Any
    ) -> ResponseReturnValue:
        run = bulk_runs.found(read_session(), key)
        parts = {"subtitle": bulk_runs.title_of(run), "more": {"asks_reason": False}, "danger": True} | parts
        return self._page(run, plan, act, **parts)

    def _page(
        self, run: BulkRun, plan: Callable[[Ctx], Plan], act: Callable[[Ctx], str], **parts: Any
    ) -> ResponseReturnValue:
        address = record_address("bulk-runs", run.id)
        return CommandPage(view=self, plan=plan, act=act, cancel=address, **({"done": address} | parts)).respond()
