"""What failed for good stands on a list until the same is done after all."""

from procrastinate.jobs import Status

from admin_app.integrations import job_queue
from admin_app.jobs.manager import HeldJobs
from admin_app.services.core import failed_jobs
from tests.faults.queued import by_queue, waiting
from tests.house import House
from tests.services.factories import OPERATOR


def queue(house: House, task: str, once_key: str | None = None, **arguments: object) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        job_queue.defer(ctx.session, task, once_key=once_key, **arguments)


def end_all(house: House, status: Status) -> None:
    async def end(_: object, manager: HeldJobs) -> None:
        worker = await manager.register_worker()
        while job := await manager.fetch_job(None, worker):
            await manager.finish_job(job, status, delete_job=status is Status.SUCCEEDED)

    by_queue(house, end)


def listed(house: House) -> list[tuple[str, dict[str, object]]]:
    with house.db.read_only() as session:
        return [(job.task, job.arguments) for job in failed_jobs.failed(session, limit=10)]


def test_what_failed_is_listed_until_it_is_done_after_all(real_house: House) -> None:
    for number in (1, 2):
        queue(real_house, "send_claim_mail", pending_profile_id=number)
    queue(real_house, "sweep", "recurring:sweep", timestamp=1)
    end_all(real_house, Status.FAILED)
    assert listed(real_house) == [
        ("sweep", {"timestamp": 1}),
        ("send_claim_mail", {"pending_profile_id": 2}),
        ("send_claim_mail", {"pending_profile_id": 1}),
    ]
    with real_house.db.read_only() as session:
        assert failed_jobs.counted(session) == {"sweep": 1, "send_claim_mail": 2}
        newest, second, _ = failed_jobs.failed(session, limit=3)
        assert newest.failed_at is not None
        assert [job.id for job in failed_jobs.failed(session, limit=1, before_id=newest.id)] == [second.id]
    queue(real_house, "send_claim_mail", pending_profile_id=2)
    queue(real_house, "sweep", "recurring:sweep", timestamp=2)
    end_all(real_house, Status.SUCCEEDED)
    assert listed(real_house) == [("send_claim_mail", {"pending_profile_id": 1})]
    assert waiting(real_house.db) == []
