"""Has codes mailed to guests who asked for one, and guests registered that support asked for."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from admin_app.context import Ctx, Job
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.services.guests import guest_resolution, guest_sign_in


@deadline.short_task
def send_code(bench: Bench, guest_id: int, asking: str) -> None:
    """Have WorkOS mail a sign-in code to a guest. `asking` names the request, so that one request mails once."""
    guest_sign_in.send_code(_work(bench, "send_guest_code"), bench.providers.workos, guest_id=guest_id, asking=asking)


@deadline.short_task
def register(bench: Bench, meeting_id: int) -> None:
    """Register a meeting's guest at WorkOS, if nobody has done so yet."""
    guest_resolution.register_for(_work(bench, "register_guest"), bench.providers.workos, meeting_id=meeting_id)


def _work(bench: Bench, name: str) -> Callable[[], AbstractContextManager[Ctx]]:
    return lambda: bench.db.unit_of_work(Job(name))
