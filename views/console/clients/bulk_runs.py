"""Runs over many clients, and what became of each client in them."""

from typing import Any

from admin_app.policies.permissions import Permission
from admin_app.services.clients import bulk_runs
from models import BulkItem, BulkOutcome, BulkRun, BulkState, Client
from views.console.clients.bulk_page import WHAT, progress, request_facts
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.current_staff import viewer
from views.console.framework.filters import Choice, Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.reading import read_session

STATE = Column("State", BulkRun.state, "badge")
OUTCOME = Column("Outcome", BulkItem.outcome, "badge")
OVER = (BulkState.DONE, BulkState.STOPPED)


def _command(label: str, word: str, when: Any, tone: str = "plain") -> Command:
    return Command(
        label=label,
        permission=Permission.CLIENTS_SWITCH,
        address=lambda key: f"/admin/bulk-runs/{key}/{word}",
        when=when,
        tone=tone,
    )


class BulkRunsView(ConsoleModelView):
    in_menu = Menu("Customers", "Bulk runs", "users", 140)
    permissions = reads(Permission.CLIENTS_READ)
    record_template = "console/clients/bulk_run.html"
    listing = ListSpec(
        section="bulk-runs",
        title="Bulk runs",
        one="run",
        many="runs",
        model=BulkRun,
        columns=(
            Column("Number", BulkRun.id, link=("bulk-runs", BulkRun.id)),
            Column("What", WHAT),
            STATE,
            Column("Clients", BulkRun.size, "number"),
            Column("Chosen", BulkRun.chosen_by),
            Column("By", BulkRun.by),
            Column("Made", BulkRun.created_at, "time", sort="made"),
        ),
        sorts={"made": Sort("Made", BulkRun.created_at, descending=True)},
        filters=(
            Choice.of("state", "State", BulkRun.state, BulkState),
            Days("made", "Made", BulkRun.created_at),
            Exactly("undoes", "Undo of run", BulkRun.undoes_id),
        ),
        lead="Clients that are switched together. A run begins in the list of clients.",
        empty="Choose clients in their list to switch many of them together.",
    )
    record = RecordSpec(
        title=WHAT,
        badge=STATE,
        groups=(
            Group(
                "Run",
                (
                    Column("Number", BulkRun.id),
                    Column("Clients", BulkRun.size, "number"),
                    Column("By", BulkRun.by),
                    Column("Undo of run", BulkRun.undoes_id, link=("bulk-runs", BulkRun.undoes_id)),
                ),
            ),
            Group(
                "Times",
                (
                    Column("Chosen", BulkRun.created_at, "time"),
                    Column("Started", BulkRun.started_at, "time"),
                    Column("Ended", BulkRun.finished_at, "time"),
                    Column("Asked to stop", BulkRun.stop_asked, "yes_no"),
                ),
            ),
        ),
        related=(
            Related("Its clients", "bulk-items", "run", BulkRun.id),
            Related("Undone by", "bulk-runs", "undoes", BulkRun.id),
        ),
        commands=(
            _command("Start", "start", lambda values: values["state"] is BulkState.PLANNED, "primary"),
            _command("Go on", "start", lambda values: values["state"] is BulkState.STOPPED),
            _command("Discard", "discard", lambda values: values["state"] is BulkState.PLANNED, "danger"),
            _command("Stop", "stop", lambda values: values["state"] is BulkState.RUNNING, "danger"),
            _command("Undo", "undo", lambda values: values["state"] in OVER and values["undoes_id"] is None),
        ),
        audited_as="bulk_run",
    )

    def more(self, record_id: str) -> dict[str, Any]:
        run, parts = bulk_runs.with_parts(read_session(), int(record_id))
        return {"progress": progress(run, parts), "facts_of_request": request_facts(run, viewer().zone)}


class BulkItemsView(ConsoleModelView):
    in_menu = Menu("Customers", "Bulk run results", "list-search", 150)
    permissions = reads(Permission.CLIENTS_READ)
    listing = ListSpec(
        section="bulk-items",
        title="Bulk run results",
        one="client in a run",
        many="clients in runs",
        model=BulkItem,
        columns=(
            Column("Client", Client.name, through=BulkItem.client_id, link=("clients", BulkItem.client_id)),
            OUTCOME,
            Column("Because", BulkItem.because),
            Column("Run", BulkItem.run_id, link=("bulk-runs", BulkItem.run_id)),
            Column("Done", BulkItem.done_at, "time"),
        ),
        sorts={"client": Sort("Client", BulkItem.client_id), "id": Sort("Order of the run", BulkItem.id)},
        filters=(
            Exactly("run", "Run", BulkItem.run_id),
            Choice.of("outcome", "Outcome", BulkItem.outcome, BulkOutcome),
            Exactly("client", "Client", BulkItem.client_id),
        ),
        empty="Nobody has switched many clients together yet.",
    )
    record = RecordSpec(
        title=Column("Client", Client.name, through=BulkItem.client_id),
        badge=OUTCOME,
        groups=(
            Group(
                "In the run",
                (
                    Column("Run", BulkItem.run_id, link=("bulk-runs", BulkItem.run_id)),
                    Column("Client", BulkItem.client_id, link=("clients", BulkItem.client_id)),
                    OUTCOME,
                    Column("Because", BulkItem.because),
                    Column("Done", BulkItem.done_at, "time"),
                ),
            ),
        ),
    )
