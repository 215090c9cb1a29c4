"""A job that processes a delivery is inserted without a notification: the worker looks for such jobs each second.

PostgreSQL lets one transaction with a notification commit at a time, in all databases of the server, and holds that
lock while the disk is waited for; deliveries would be taken in one after the other.

Locks: SHARE ROW EXCLUSIVE on procrastinate_jobs for the moment in which the trigger is replaced.
"""

from migrations import ops

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TRIGGER = """
CREATE OR REPLACE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1
    AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ({condition})
    EXECUTE PROCEDURE procrastinate_notify_queue_job_inserted_v1();
"""
WAITING = "new.status = 'todo'::procrastinate_job_status"


def upgrade() -> None:
    ops.execute(TRIGGER.format(condition=f"{WAITING} AND new.task_name <> 'process_event'"))


def downgrade() -> None:
    ops.execute(TRIGGER.format(condition=WAITING))
