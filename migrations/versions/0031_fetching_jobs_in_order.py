"""Indexes by which a worker finds the next job of its queue without sorting what waits, and a person what failed.

Locks: none that readers or writers wait for.
"""

from migrations import ops

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ops.create_index(
        "ix_procrastinate_jobs_next", "procrastinate_jobs", "queue_name, priority DESC, id", where="status = 'todo'"
    )
    ops.create_index("ix_procrastinate_jobs_failed", "procrastinate_jobs", "task_name, id", where="status = 'failed'")


def downgrade() -> None:
    ops.drop_index("ix_procrastinate_jobs_failed")
    ops.drop_index("ix_procrastinate_jobs_next")
