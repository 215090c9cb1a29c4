"""Background jobs that failed for good, the newest first, and what is done about one: try it again, or settle it."""

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services.core import failed_jobs
from admin_app.services.core.failed_jobs import FailedJob
from views.backdesk import backdesk
from views.console.framework.base import KEY, ConsoleView, command, page
from views.console.framework.columns import age_text, audited, machine_time
from views.console.framework.current_staff import viewer
from views.console.framework.filters import whole_number
from views.console.framework.navigation import Menu
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.inbox.failures import SETTLED
from views.reading import read_session

ADDRESS = "/admin/failed-jobs/"
ROWS = 50


# What each task is for, as the rest of the console calls it. What runs on a schedule is shown by its name.
WORDS = {
    "ask_about_billing": "Ask Stripe about a client’s subscriptions",
    "ask_about_person": "Ask Clerk about an account",
    "ask_about_subscription": "Ask Stripe about a subscription that is nobody’s yet",
    "ask_about_refund": "Ask the provider about a refund",
    "ask_what_was_paid": "Ask what was paid for a membership",
    "change_address": "Change an address at Clerk",
    "change_membership": "Cancel a membership at its provider, or take that back",
    "compare_membership": "Compare a membership with Whop",
    "compare_with": "Compare everything with a provider",
    "expire_checkout": "Close a page to pay on at Stripe",
    "extend_trial": "Extend a trial at Stripe",
    "follow_refunds": "See a refund through",
    "settle_canceled": "Decide about the money of what a client called off in a calendar",
    "follow_switch": "Begin or end a switch on time",
    "make_export": "Write the file of an export",
    "process_event": "Process a provider event",
    "refresh_billing": "Work out a client’s billing status",
    "register_guest": "Register a guest at WorkOS",
    "run_bulk": "Carry out a bulk run",
    "send_appointment_mail": "Send a mail about an appointment",
    "send_claim_mail": "Send a claim mail",
    "send_guest_code": "Send a sign-in code to a guest",
    "send_refund": "Send a refund to the provider",
    "send_switch_mail": "Send a mail about a flag",
    "settle_call": "Ask a provider what became of a call",
    "settle_finding": "Settle a difference with a provider",
    "sync_calendar": "Bring the calendars in line with a booking",
}
# Which kind of record an argument is the number of, as the audit calls it.
RECORDS = {
    "booking_id": "booking",
    "call_id": "provider_call",
    "change_id": "flag_change",
    "client_id": "client",
    "event_id": "webhook_event",
    "export_id": "export",
    "finding_id": "drift_finding",
    "guest_id": "guest",
    "meeting_id": "meeting",
    "pending_profile_id": "pending_profile",
    "refund_id": "refund",
    "run_id": "bulk_run",
}
# What only the queue and the mails need.
UNSAID = frozenset({failed_jobs.BY_THE_CLOCK, "asking", "key", "once"})


@dataclass(frozen=True)
class Row:
    """One failed job: what it was for, the records that it was about, and the commands that this person has."""

    job: FailedJob
    what: str
    about: list[tuple[str, str]]
    age: str
    moment: str
    again: str | None
    settle: str | None


def _row(job: FailedJob, now: datetime, may: bool) -> Row:
    return Row(
        job,
        WORDS.get(job.task, ""),
        [_named(name, value) for name, value in sorted(job.arguments.items()) if name not in UNSAID],
        f"{age_text(now - job.failed_at)} ago" if job.failed_at else "",
        machine_time(job.failed_at) if job.failed_at else "",
        f"{ADDRESS}{job.id}/retry" if may and not job.comes_by_itself else None,
        f"{ADDRESS}{job.id}/settle" if may else None,
    )


def _name(number: int) -> str:
    """A job by its number and what it was for."""
    job = failed_jobs.find(read_session(), number)
    return f"Job {number}: {WORDS.get(job.task, job.task)}" if job else f"Job {number}"


def _named(name: str, value: Any) -> tuple[str, str]:
    """An argument as the record that it is about, with the address of its page, or as it is."""
    if name == "subject":
        return audited(str(value))
    if name in RECORDS and value:
        return audited(f"{RECORDS[name]}:{value}")
    return f"{name.replace('_', ' ')} {value}", ""


class FailedJobsView(ConsoleView):
    in_menu = Menu("Traffic", "Failed jobs", "refresh", 460)
    permissions = MappingProxyType(
        {"index": Permission.INBOX_READ} | dict.fromkeys(("retry", "settle"), Permission.FAILURES_SETTLE)
    )

    def __init__(self) -> None:
        super().__init__(name="Failed jobs", endpoint="failed-jobs", url=ADDRESS.rstrip("/"))

    @page("/")
    def index(self) -> ResponseReturnValue:
        before, now = whole_number(request.args.get("before", "")), backdesk().db.clock()
        found = failed_jobs.failed(read_session(), limit=ROWS + 1, before_id=before)
        may = viewer().may(Permission.FAILURES_SETTLE)
        rows = [_row(job, now, may) for job in found[:ROWS]]
        rendered: str = self.render(
            "console/inbox/failed_jobs.html",
            rows=rows,
            may=may,
            newest=ADDRESS if before else None,
            older=f"{ADDRESS}?before={rows[-1].job.id}" if len(found) > ROWS else None,
        )
        return rendered

    @command(f"/{KEY}/retry")
    def retry(self, key: int) -> ResponseReturnValue:
        said = f"Job {key} is being tried again, under a new number. If it fails for good again, it appears here."
        return self._page(
            key,
            plan=lambda ctx: failed_jobs.plan_retry(ctx, job_id=key),
            act=lambda ctx: failed_jobs.retry(ctx, job_id=key, **confirmed()),
            said=said,
            button="Try again",
            title="Try again",
        )

    @command(f"/{KEY}/settle")
    def settle(self, key: int) -> ResponseReturnValue:
        said = f"Job {key} is settled and needs no attention any more."
        return self._page(
            key,
            plan=lambda ctx: failed_jobs.plan_settle(ctx, job_id=key),
            act=lambda ctx: failed_jobs.settle(ctx, job_id=key, **confirmed()),
            said=said,
            button=SETTLED,
            title=SETTLED,
        )

    def _page(self, key: int, **parts: Any) -> ResponseReturnValue:
        return CommandPage(view=self, subtitle=_name(key), cancel=ADDRESS, **parts).respond()
