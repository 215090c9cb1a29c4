"""Comparisons with the providers, exports with their files, and the keys of the business's own programs.

Locks: SHARE ROW EXCLUSIVE on staff for the moments in which a foreign key is noted.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

FINDINGS = "state IN ('open', 'repaired', 'adopted', 'pushed', 'ignored', 'gone')"


def upgrade() -> None:
    _drift()
    _exports()
    _service_keys()


def _drift() -> None:
    ops.create_table(
        "drift_runs",
        Column("provider", "varchar", required=True),
        Column("by", "varchar", required=True),
        Column("started_at", "timestamptz", "now()", required=True),
        Column("finished_at", "timestamptz"),
        Column("heartbeat_at", "timestamptz"),
        Column("lease", "varchar"),
        Column("cursor", "jsonb"),
        Column("compared", "integer", "0", required=True),
        Column("repaired", "integer", "0", required=True),
        Column("found", "integer", "0", required=True),
        Column("error_code", "varchar"),
    )
    ops.create_index("ix_drift_runs_started_at", "drift_runs", "started_at, id")
    ops.create_index("ix_drift_runs_provider", "drift_runs", "provider, started_at, id")
    ops.create_index("uq_drift_runs_unfinished", "drift_runs", "provider", unique=True, where="finished_at IS NULL")
    ops.create_table(
        "drift_findings",
        Column("run_id", "bigint", required=True),
        Column("provider", "varchar", required=True),
        Column("external_id", "varchar", required=True),
        Column("subject", "varchar"),
        Column("field", "varchar", required=True),
        Column("ours", "varchar"),
        Column("theirs", "varchar"),
        Column("because", "varchar"),
        Column("wanted", "varchar"),
        Column("state", "varchar(32)", "'open'", required=True),
        Column("owner_id", "bigint"),
        Column("found_at", "timestamptz", "now()", required=True),
        Column("last_seen_at", "timestamptz", "now()", required=True),
        Column("resolved_at", "timestamptz"),
        Column("resolved_by", "varchar"),
        Column("reason", "varchar"),
        Column("version", "integer", "1", required=True),
    )
    ops.add_foreign_key("drift_findings", "run_id", "drift_runs")
    ops.add_foreign_key("drift_findings", "owner_id", "staff")
    ops.add_check("drift_findings", "state", FINDINGS)
    ops.create_index(
        "uq_drift_findings_open",
        "drift_findings",
        "provider, external_id, field",
        unique=True,
        where="state = 'open'",
    )
    ops.create_index("ix_drift_findings_external_id", "drift_findings", "provider, external_id, field, id")
    ops.create_index("ix_drift_findings_provider", "drift_findings", "provider, found_at, id")
    ops.create_index("ix_drift_findings_found_at", "drift_findings", "found_at, id")
    ops.create_index("ix_drift_findings_state", "drift_findings", "state, found_at, id")
    ops.create_index("ix_drift_findings_subject", "drift_findings", "subject, id")
    ops.create_index("ix_drift_findings_run_id", "drift_findings", "run_id")
    ops.create_index("ix_drift_findings_owner_id", "drift_findings", "owner_id")


def _exports() -> None:
    ops.create_table(
        "exports",
        Column("section", "varchar", required=True),
        Column("arguments", "jsonb", required=True),
        Column("filter_words", "varchar", required=True),
        Column("format", "varchar(32)", required=True),
        Column("time_zone", "varchar", required=True),
        Column("state", "varchar(32)", "'queued'", required=True),
        Column("by_id", "bigint", required=True),
        Column("estimated_rows", "integer"),
        Column("rows", "integer", "0", required=True),
        Column("size", "integer", "0", required=True),
        Column("error_code", "varchar"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("started_at", "timestamptz"),
        Column("finished_at", "timestamptz"),
        Column("expires_at", "timestamptz"),
    )
    ops.add_foreign_key("exports", "by_id", "staff")
    ops.add_check("exports", "format", "format IN ('csv', 'xlsx')")
    ops.add_check("exports", "state", "state IN ('queued', 'running', 'done', 'failed', 'expired', 'handed_over')")
    ops.create_index("ix_exports_created_at", "exports", "created_at, id")
    ops.create_index("ix_exports_by_id", "exports", "by_id, id")
    ops.create_index("ix_exports_expires_at", "exports", "expires_at, id", where="state = 'done'")
    ops.create_table(
        "export_chunks",
        Column("export_id", "bigint", required=True),
        Column("number", "integer", required=True),
        Column("body", "bytea", required=True),
    )
    ops.add_foreign_key("export_chunks", "export_id", "exports", on_delete="CASCADE")
    ops.add_unique("export_chunks", "export_id", "number")


def _service_keys() -> None:
    ops.create_table(
        "service_keys",
        Column("name", "varchar", required=True),
        Column("hint", "varchar", required=True),
        Column("key_hash", "bytea", required=True),
        Column("scopes", "text[]", required=True),
        Column("created_by", "varchar", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("expires_at", "timestamptz"),
        Column("last_used_at", "timestamptz"),
        Column("revoked_at", "timestamptz"),
        Column("revoked_by", "varchar"),
        Column("version", "integer", "1", required=True),
    )
    ops.add_unique("service_keys", "name")
    ops.add_unique("service_keys", "key_hash")
    ops.create_index("ix_service_keys_created_at", "service_keys", "created_at, id")


def downgrade() -> None:
    for table in ("service_keys", "export_chunks", "exports", "drift_findings", "drift_runs"):
        retired.retire_table(table)
