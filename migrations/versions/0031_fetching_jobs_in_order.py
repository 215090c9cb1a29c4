"""An index by which a worker finds the next job of its queue without sorting what waits.

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


def downgrade() -> None:
    ops.drop_index("ix_procrastinate_jobs_next")
