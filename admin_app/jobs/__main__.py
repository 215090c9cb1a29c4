"""`python -m admin_app.jobs`: the worker. A start, like `wsgi.py`, and the only module here that knows the factory."""

import asyncio
import sys

from pydantic import ValidationError

from admin_app import error_reports, logs
from admin_app.config import Settings, in_sentences
from admin_app.factory import bench_for_worker
from admin_app.jobs import invariants
from admin_app.jobs.app import build
from admin_app.jobs.worker import run_until_signalled


def main() -> None:
    """Run one worker until a signal ends it. Settings that cannot be used end it at once, in sentences."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # read from the environment
    except ValidationError as wrong:
        sys.exit(in_sentences(wrong))
    logs.own_lines(sys.stderr)
    logs.library_lines()
    error_reports.start(settings)
    bench = bench_for_worker(settings)
    try:
        invariants.look_at_zones(bench)
        asyncio.run(run_until_signalled(build(bench)))
    finally:
        bench.db.dispose()


if __name__ == "__main__":
    main()
