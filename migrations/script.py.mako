"""${message}

The rules, for whoever writes this revision:

1. One idea. No import from admin_app, models or views: they change, this revision must not.
2. Only operations of migrations/ops.py, or SQL that can be run twice: part of it may have been done by hand,
   or by a run of this very revision that was interrupted. Each statement commits by itself.
   Before any run the revision is rehearsed without a connection (migrations/needs.py), so that what stands in the
   way is told first: nothing outside these operations takes part in that.
3. Earlier code still runs: a new column is nullable or has a server default; a constraint is added NOT VALID
   and validated afterwards; a name that changes lives beside the old one until a later revision drops that.
4. Indexes are built CONCURRENTLY (ops.create_index). No statement may need a strong lock for longer than it
   takes to change the catalogue; what rewrites or scans under such a lock says so here, with the reason.
5. The downgrade loses nothing: tables and columns are retired, not dropped, and the upgrade brings them back.
6. Add rows for it to tests/migrations.

Locks: (which tables, which strength, for how long)
"""

from migrations import ops

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    ${downgrades if downgrades else "raise NotImplementedError"}
