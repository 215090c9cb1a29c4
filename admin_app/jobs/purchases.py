"""Looks again for whom waiting purchases probably belong to."""

from collections.abc import Sequence

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import until_none_is_due
from admin_app.services.purchases import owners

AT_ONCE = 100
# Each look reads much, and no one waits for it; the others that find and repair have their slot in between.
LOOKS_FOR_SECONDS = 20.0


def refresh_owners(bench: Bench, *, limit: int = AT_ONCE) -> int:
    """Look again where the last look is old; at how many purchases."""

    def stale(limit: int) -> Sequence[int]:
        with bench.db.read_only() as session:
            return owners.stale(session, bench.db.clock(), limit=limit)

    def look(pending_profile_id: int) -> bool:
        with bench.db.unit_of_work(Job("refresh_owners")) as ctx:
            return owners.refresh_one(ctx, pending_profile_id=pending_profile_id)

    return until_none_is_due("refresh_owners", stale, look, limit=limit, seconds=LOOKS_FOR_SECONDS)
