"""Applies a provider's stored event: transaction, network, transaction."""

from admin_app.context import Job
from admin_app.errors import ProviderUnavailable
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import code_of
from admin_app.services import inbox
from admin_app.services.inbox.handling import NotConfigured

ACTOR = Job("process_event")


@deadline.short_task
def process(bench: Bench, event_id: int, *, last_try: bool) -> None:
    """Apply the event, or note why not and leave it for the next try."""
    try:
        _process(bench, event_id, last_try=last_try)
    except Exception as error:
        with bench.db.unit_of_work(ACTOR) as ctx:
            inbox.fail(ctx, event_id=event_id, error_code=code_of(error))
        raise


def _process(bench: Bench, event_id: int, *, last_try: bool) -> None:
    with bench.db.unit_of_work(ACTOR) as ctx:
        opened = inbox.open_event(ctx, event_id=event_id)
    if opened is None:
        return
    needed, looked_up, lookup_failed = opened.reading.needed, None, False
    if needed is not None:
        try:
            looked_up = opened.handler.fetch(bench.providers, needed)
        except NotConfigured:
            lookup_failed = True
        except ProviderUnavailable:
            # Out of patience: the event is parked with this reason, where a person can help it on.
            if not last_try:
                raise
            lookup_failed = True
    with bench.db.unit_of_work(ACTOR) as ctx:
        inbox.apply(ctx, event_id=event_id, opened=opened, looked_up=looked_up, lookup_failed=lookup_failed)
