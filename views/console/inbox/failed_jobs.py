"""Background jobs that failed for good, the newest first, and having one done again."""

from dataclasses import dataclass
from types import MappingProxyType

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.core import failed_jobs
from admin_app.services.core.failed_jobs import FailedJob
from views.backdesk import backdesk
from views.console.base import KEY, ConsoleView, command, page
from views.console.columns import age_text
from views.console.filters import whole_number
from views.console.plan_pages import CommandPage, with_reason
from views.console.viewer import viewer
from views.reading import read_session

ADDRESS = "/admin/failed-jobs/"
ROWS = 50


@dataclass(frozen=True)
class Row:
    job: FailedJob
    about: str
    age: str
    again: str | None


class FailedJobsView(ConsoleView):
    permissions = MappingProxyType({"index": Permission.INBOX_READ, "retry": Permission.FAILURES_SETTLE})

    def __init__(self) -> None:
        super().__init__(name="Failed jobs", endpoint="failed-jobs", url=ADDRESS.rstrip("/"))

    @page("/")
    def index(self) -> ResponseReturnValue:
        before, now = whole_number(request.args.get("before", "")), backdesk().db.clock()
        found = failed_jobs.failed(read_session(), limit=ROWS + 1, before_id=before)
        may = viewer().may(Permission.FAILURES_SETTLE)
        rows = [
            Row(
                job,
                ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(job.arguments.items())),
                age_text(now - job.failed_at) if job.failed_at else "",
                f"{ADDRESS}{job.id}/retry" if may and not job.comes_by_itself else None,
            )
            for job in found[:ROWS]
        ]
        rendered: str = self.render(
            "console/inbox/failed_jobs.html",
            rows=rows,
            newest=ADDRESS if before else None,
            older=f"{ADDRESS}?before={rows[-1].job.id}" if len(found) > ROWS else None,
        )
        return rendered

    @command(f"/{KEY}/retry")
    def retry(self, key: int) -> ResponseReturnValue:
        return CommandPage(
            view=self,
            plan=lambda ctx: failed_jobs.plan_retry(ctx, job_id=key),
            act=with_reason(failed_jobs.retry, "It is being done again. Look again in a moment.", job_id=key),
            button="Do it again",
            title="Do it again",
            subtitle=f"Job {key}",
            cancel=ADDRESS,
            done=ADDRESS,
        ).respond()
