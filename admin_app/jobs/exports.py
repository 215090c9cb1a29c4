"""Makes the files of larger exports, in the name of who asked for them, and deletes those whose time is over."""

from datetime import timedelta

from admin_app.context import Job
from admin_app.errors import Forbidden, NotFound
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import code_of
from admin_app.services.core import exports

ACTOR = Job("make_export")
SWEEP = Job("expire_exports")


def make(bench: Bench, export_id: int, *, last_try: bool) -> None:
    """Make the file from its beginning, whatever a try before has left."""
    try:
        _make(bench, export_id)
    except exports.Overtaken:
        return
    except Exception as error:
        # A person who may not, or a list that is gone: no further try would change that.
        final = isinstance(error, Forbidden | NotFound)
        if final or last_try:
            with bench.db.unit_of_work(ACTOR) as ctx:
                exports.fail(ctx, export_id=export_id, error_code=code_of(error))
        if not final:
            raise


def _make(bench: Bench, export_id: int) -> None:
    if bench.lists is None:
        raise LookupError("this worker was started without the lists")
    with bench.db.unit_of_work(ACTOR) as ctx:
        work = exports.begin(ctx, export_id=export_id)
    if work is None:
        return
    rows, size = exports.make(work, bench.lists, reads=bench.db.read_only, writes=lambda: bench.db.unit_of_work(ACTOR))
    keep_for = timedelta(days=bench.settings.export_days)
    with bench.db.unit_of_work(work.reader) as ctx:
        exports.finish(ctx, work=work, rows=rows, size=size, keep_for=keep_for)


def expire(bench: Bench) -> int:
    """Delete the contents of exports whose time is over; how many."""
    with bench.db.unit_of_work(SWEEP) as ctx:
        return exports.expire(ctx)
