"""Runs the queue until told to stop, through outages of the database."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from procrastinate import App, JobContext
from procrastinate.worker import Worker

from admin_app.integrations.job_order import SLOTS
from admin_app.jobs import sweeper
from admin_app.jobs.app import CONCURRENCY
from admin_app.jobs.retry import frames_of

RESTART_SECONDS = 3.0
GRACE_SECONDS = 20.0
# Deliveries are stored without a notification, because those would make all of them wait for each other; see decision
# 0068. So this is also how long one waits at most for a worker that has nothing else to do.
POLL_SECONDS = 1.0
SPARE_THREADS = 2

log = structlog.get_logger("backdesk.jobs")


async def run(queue: App, stop: asyncio.Event, *, poll_seconds: float = POLL_SECONDS) -> None:
    """Work until `stop` is set; running jobs may finish first. A lost database only means a pause."""
    # Tasks run in threads. Python's own number of them follows the cores, and long jobs could hold all of those.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(CONCURRENCY + SPARE_THREADS))

    async def work() -> None:
        async with queue.open_async():
            await sweeper.begin(queue)
            await asyncio.gather(*(_serve(queue, name, slots, poll_seconds, stop) for name, slots in SLOTS.items()))

    await _again_and_again(work, stop)


async def _serve(queue: App, name: str, slots: int, poll_seconds: float, stop: asyncio.Event) -> None:
    """Work on one queue until told to stop.

    It is begun anew by itself, because its jobs come to their end first: those of another queue may take an hour.
    """

    async def work() -> None:
        one = Worker(
            queue,
            name=name,
            queues=[name],
            concurrency=slots,
            listen_notify=True,
            fetch_job_polling_interval=poll_seconds,
            shutdown_graceful_timeout=GRACE_SECONDS,
            delete_jobs="successful",
            install_signal_handlers=False,
            worker_middleware=[_by_its_number],
        )
        await _until_stopped(one, stop)

    await _again_and_again(work, stop, queue=name)


async def _until_stopped(one: Worker, stop: asyncio.Event) -> None:
    """Have it run until it is told to stop, or ends by a failure; what runs then has `GRACE_SECONDS`.

    Not by `App.run_worker_async` and its cancellation: one that comes while the worker registers gets lost in the
    connection's own `asyncio.wait_for` (Python 3.11), and the worker would go on for ever.
    """
    running, stopping = asyncio.create_task(one.run()), asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    one.stop()
    await running


async def _by_its_number(job: Callable[[], Awaitable[Any]], context: JobContext, _worker: Worker) -> Any:
    """Whatever is logged while a job runs carries its number: the list of failed jobs names no other trace."""
    with structlog.contextvars.bound_contextvars(job=context.job.id):
        return await job()


async def _again_and_again(work: Callable[[], Awaitable[None]], stop: asyncio.Event, **what: str) -> None:
    """Do it until told to stop; whatever ends it before only means a pause."""
    while not stop.is_set():
        try:
            await work()
        except Exception as error:
            log.error("worker interrupted", kind=type(error).__name__, at=frames_of(error), **what)
        if not stop.is_set():
            await _pause(stop)


async def _pause(stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), RESTART_SECONDS)
    except TimeoutError:
        return


async def run_until_signalled(queue: App) -> None:
    """`run` until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info("worker started", slots=SLOTS)
    await run(queue, stop)
    log.info("worker stopped")
