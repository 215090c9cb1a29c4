"""Runs the queue until told to stop, through outages of the database."""

import asyncio
import signal

import structlog
from procrastinate import App

from admin_app.jobs import sweeper
from admin_app.jobs.app import CONCURRENCY
from admin_app.jobs.retry import frames_of

RESTART_SECONDS = 3.0
GRACE_SECONDS = 20.0
# Deliveries are stored without a notification, because those would make all of them wait for each other; see decision
# 0068. So this is also how long one waits at most for a worker that has nothing else to do.
POLL_SECONDS = 1.0

log = structlog.get_logger("backdesk.jobs")


async def run(queue: App, stop: asyncio.Event, *, poll_seconds: float = POLL_SECONDS) -> None:
    """Work until `stop` is set; running jobs may finish first. A lost database only means a pause."""
    while not stop.is_set():
        try:
            async with queue.open_async():
                await sweeper.requeue_stalled(queue)
                await _work(queue, stop, poll_seconds)
        except Exception as error:
            log.error("worker interrupted", kind=type(error).__name__, at=frames_of(error))
        if not stop.is_set():
            await _pause(stop)


async def _work(queue: App, stop: asyncio.Event, poll_seconds: float) -> None:
    working = asyncio.create_task(
        queue.run_worker_async(
            name="backdesk",
            concurrency=CONCURRENCY,
            listen_notify=True,
            fetch_job_polling_interval=poll_seconds,
            shutdown_graceful_timeout=GRACE_SECONDS,
            delete_jobs="successful",
            install_signal_handlers=False,
        )
    )
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            working.cancel()
        await asyncio.gather(working, return_exceptions=stop.is_set())
    finally:
        stopping.cancel()


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
    log.info("worker started", concurrency=CONCURRENCY)
    await run(queue, stop)
    log.info("worker stopped")
