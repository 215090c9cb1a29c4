"""Choosing clients for a run, and its commands: start or discard it, stop it, put back what it changed."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.clients import bulk_runs, bulk_undo
from admin_app.services.clients.flag_words import WORDS
from admin_app.services.clients.flags import FlagRequest
from models import BulkRun, FlagName
from views.console.clients import flag_form
from views.console.clients.bulk_page import progress, request_facts
from views.console.clients.clients import ClientsView
from views.console.clients.flag_form import FlagForm
from views.console.framework import selection
from views.console.framework.base import KEY, ConsoleView, command
from views.console.framework.columns import record_address
from views.console.framework.current_staff import viewer
from views.console.framework.plan_pages import CommandPage, form_text
from views.reading import read_session

COMMANDS = ("choose", "start", "discard", "stop", "undo")
SWITCHES = {
    "pause-outbound": (FlagName.OUTBOUND_PAUSED, True),
    "resume-outbound": (FlagName.OUTBOUND_PAUSED, False),
    "disable-ai": (FlagName.AI_DISABLED, True),
    "enable-ai": (FlagName.AI_DISABLED, False),
}


@dataclass(frozen=True, kw_only=True)
class MakingPage(CommandPage):
    """A command whose act makes a run, and which leads to the plan of that run."""

    def _answer(self, result: Any, said: str) -> ResponseReturnValue:
        return redirect(f"{record_address('bulk-runs', result.id)}/start", 303)


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

        sent = FlagForm.of(request.form, viewer().zone)

        def choose(ctx: Ctx) -> BulkRun:
            reason = form_text("reason")
            asked = sent.flag_request(flag, reason) if turns_on else FlagRequest(flag, turns_on=False, reason=reason)
            return bulk_runs.choose(ctx, asked=asked, client_ids=chosen.keys, chosen_by=chosen.words)

        return MakingPage(
            view=self,
            act=choose,
            button="Show what would happen",
            cancel=chosen.back,
            title=f"{words} for {bulk_runs.clients(chosen.count)}",
            subtitle=f"{chosen.sentence} Nothing is switched yet: the next page shows who would change.",
            template="console/clients/bulk_choose.html",
            hidden=selection.carried(args),
            more={"turns_on": turns_on, **flag_form.shown(sent)},
        ).respond()

    @command(f"/{KEY}/start")
    def start(self, key: int) -> ResponseReturnValue:
        run, parts = bulk_runs.with_parts(read_session(), key)
        shown = progress(run, parts)
        return self._page(
            run,
            plan=lambda ctx: bulk_runs.plan_start(ctx, run_id=key),
            act=lambda ctx: bulk_runs.start(ctx, run_id=key, shown=form_text("fingerprint")),
            said="The run is on its way.",
            button=f"Switch {bulk_runs.clients(shown.size - shown.done)}",
            title=f"Start run {key}?",
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
        return self._simple(
            key,
            plan=lambda ctx: bulk_runs.plan_discard(ctx, run_id=key),
            act=lambda ctx: bulk_runs.discard(ctx, run_id=key),
            said="The choice is discarded. Nothing was switched.",
            done="/admin/bulk-runs/",
            button="Discard the choice",
            title=f"Discard run {key}?",
        )

    @command(f"/{KEY}/stop")
    def stop(self, key: int) -> ResponseReturnValue:
        return self._simple(
            key,
            plan=lambda ctx: bulk_runs.plan_stop(ctx, run_id=key),
            act=lambda ctx: bulk_runs.stop(ctx, run_id=key),
            said="The run stops after the clients it is at.",
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
            act=lambda ctx: bulk_undo.undo(ctx, run_id=key, reason=form_text("reason")),
            button="Show what would be put back",
            cancel=address,
            title=f"Undo run {key}?",
            subtitle=bulk_runs.title_of(run),
        ).respond()

    def _simple(self, key: int, **parts: Any) -> ResponseReturnValue:
        return self._page(bulk_runs.found(read_session(), key), more={"asks_reason": False}, danger=True, **parts)

    def _page(self, run: BulkRun, **parts: Any) -> ResponseReturnValue:
        address, subtitle = record_address("bulk-runs", run.id), bulk_runs.title_of(run)
        return CommandPage(view=self, subtitle=subtitle, cancel=address, **parts).respond()
