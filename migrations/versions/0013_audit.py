"""The record of every command. PostgreSQL itself refuses to change or remove what is written there.

The service writes the chain of hashes; the triggers only refuse.

Locks: none on what exists.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

APPEND_ONLY = """
CREATE OR REPLACE FUNCTION audit_entries_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_entries is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_entries_append_only();
CREATE OR REPLACE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_append_only();
DROP FUNCTION IF EXISTS retired.audit_entries_append_only();
"""


def upgrade() -> None:
    ops.create_table(
        "audit_entries",
        Column("at", "timestamptz", required=True),
        Column("event", "varchar", required=True),
        Column("actor_kind", "varchar", required=True),
        Column("actor_id", "varchar", required=True),
        Column("actor_label", "varchar", required=True),
        Column("records", "text[]", required=True),
        Column("reason", "varchar"),
        Column("changes", "jsonb", "'[]'::jsonb", required=True),
        Column("facts", "jsonb", "'{}'::jsonb", required=True),
        Column("request_id", "varchar", required=True),
        Column("prev_hash", "bytea", required=True),
        Column("hash", "bytea", required=True),
    )
    ops.add_unique("audit_entries", "hash")
    ops.create_index("ix_audit_entries_at", "audit_entries", "at, id")
    ops.create_index("ix_audit_entries_event", "audit_entries", "event, at, id")
    ops.create_index("ix_audit_entries_actor", "audit_entries", "actor_kind, actor_id, at")
    ops.create_index("ix_audit_entries_records", "audit_entries", "records", using="gin")
    ops.execute(APPEND_ONLY)


def downgrade() -> None:
    retired.retire_table("audit_entries")
    ops.execute("ALTER FUNCTION audit_entries_append_only() SET SCHEMA retired")
