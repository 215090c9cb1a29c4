"""`python -m admin_app.jobs`: the worker. A start, like `wsgi.py`, and the only module here that knows the factory."""

import asyncio

from admin_app.config import Settings
from admin_app.factory import bench_for_worker
from admin_app.jobs import logs
from admin_app.jobs.app import build
from admin_app.jobs.worker import run_until_signalled


def main() -> None:
    settings = Settings()  # type: ignore[call-arg]  # read from the environment
    logs.configure(settings)
    bench = bench_for_worker(settings)
    try:
        asyncio.run(run_until_signalled(build(bench)))
    finally:
        bench.db.dispose()


if __name__ == "__main__":
    main()
