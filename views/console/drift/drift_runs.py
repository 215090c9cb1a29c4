"""Comparisons with the providers: how far each is, and what it found."""

from typing import Any

from sqlalchemy import case

from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.drift import PROVIDERS
from models import DriftRun
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.reading import read_session

PROVIDER = Column("Provider", DriftRun.provider, text=lambda name: PROVIDERS.get(name, name))
STATE = Column(
    "State",
    case((DriftRun.finished_at.is_(None), "running"), (DriftRun.error_code.is_not(None), "failed"), else_="done").label(
        "state"
    ),
    "badge",
)
COUNTS = (
    Column("Compared", DriftRun.compared, "number"),
    Column("Repaired", DriftRun.repaired, "number"),
    Column("To look at", DriftRun.found, "number"),
)
# Those that no person started carry the name of their job.
BY = Column("By", DriftRun.by, text=lambda by: by if "@" in by else "on schedule")
ERROR = Column("Ended by", DriftRun.error_code, "badge")


class DriftRunsView(ConsoleModelView):
    in_menu = Menu("Traffic", "Comparisons", "refresh", 440)
    permissions = reads(Permission.DRIFT_READ)
    record_template = "console/drift/run.html"
    listing = ListSpec(
        section="drift-runs",
        title="Comparisons",
        one="comparison",
        model=DriftRun,
        lead="Every six hours, with Whop every hour, or when somebody starts one: what the provider has is fetched and "
        "applied as its events would have been.",
        columns=(
            Column("Number", DriftRun.id, link=("drift-runs", DriftRun.id)),
            PROVIDER,
            STATE,
            *COUNTS,
            ERROR,
            BY,
            Column("Started", DriftRun.started_at, "time", sort="started"),
        ),
        sorts={"started": Sort("Started", DriftRun.started_at, descending=True)},
        filters=(
            Choice("provider", "Provider", DriftRun.provider, tuple(PROVIDERS)),
            Days("started", "Started", DriftRun.started_at),
        ),
        add=("Compare now", "/admin/drift-runs/start", Permission.DRIFT_RUN),
        empty="The first comparison runs within six hours. Start one to have it now.",
    )
    record = RecordSpec(
        title=PROVIDER,
        badge=STATE,
        groups=(
            Group("What it found", (*COUNTS, ERROR)),
            Group(
                "Times",
                (
                    Column("Started", DriftRun.started_at, "time"),
                    BY,
                    Column("Last sign of life", DriftRun.heartbeat_at, "time"),
                    Column("Ended", DriftRun.finished_at, "time"),
                ),
            ),
        ),
        related=(Related("What it noted first", "drift-findings", "run", DriftRun.id),),
    )

    def more(self, record_id: str) -> dict[str, Any]:
        run = read_session().get(DriftRun, int(record_id))
        if run is None:
            raise NotFound
        return {"run": run, "place": PLACES[str((run.cursor or {}).get("stage", "theirs"))]}


PLACES = {
    "theirs": "It goes through what the provider has.",
    "ours": "It goes through what we have and the provider did not list.",
    "findings": "It looks again at differences that are still open.",
}
