"""The switches with their history, and runs that turn one for many clients.

Locks: SHARE ROW EXCLUSIVE on clients and staff for the moments in which a foreign key is noted.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

ONE_AT_A_TIME = "ex_flag_changes_one_at_a_time"
OPEN = "lifted_at IS NULL AND value"
STATES = "state IN ('planned', 'running', 'done', 'stopped')"
OUTCOMES = "outcome IN ('waiting', 'excluded', 'changed', 'already', 'moved', 'failed')"
SWITCHES = "flag IN ('outbound_paused', 'ai_disabled', 'emergency_stop')"


def upgrade() -> None:
    _bulk_runs()
    _flag_changes()
    _bulk_items()


def _bulk_runs() -> None:
    ops.create_table(
        "bulk_runs",
        Column("flag", "varchar(32)", required=True),
        Column("turns_on", "boolean", required=True),
        Column("wish", "jsonb", required=True),
        Column("chosen_by", "varchar", required=True),
        Column("state", "varchar(32)", "'planned'", required=True),
        Column("by", "varchar", required=True),
        Column("by_id", "bigint", required=True),
        Column("undoes_id", "bigint"),
        Column("size", "integer", "0", required=True),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("started_at", "timestamptz"),
        Column("finished_at", "timestamptz"),
        Column("stop_asked", "boolean", "false", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_foreign_key("bulk_runs", "by_id", "staff")
    ops.add_foreign_key("bulk_runs", "undoes_id", "bulk_runs")
    ops.add_unique("bulk_runs", "undoes_id")
    ops.add_check("bulk_runs", "flag", SWITCHES)
    ops.add_check("bulk_runs", "state", STATES)
    ops.create_index("ix_bulk_runs_created_at", "bulk_runs", "created_at, id")


def _flag_changes() -> None:
    ops.create_table(
        "flag_changes",
        Column("client_id", "bigint"),
        Column("flag", "varchar(32)", required=True),
        Column("value", "boolean", "true", required=True),
        Column("reason", "varchar", required=True),
        Column("by", "varchar", required=True),
        Column("since", "timestamptz", required=True),
        Column("until", "timestamptz"),
        Column("on_expiry", "varchar(32)", "'lift'", required=True),
        Column("tell_email", "varchar"),
        Column("tell_at", "timestamptz"),
        Column("told_at", "timestamptz"),
        Column("lifted_at", "timestamptz"),
        Column("lifted_by", "varchar"),
        Column("lift_reason", "varchar"),
        Column("bulk_run_id", "bigint"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_foreign_key("flag_changes", "client_id", "clients", on_delete="CASCADE")
    ops.add_foreign_key("flag_changes", "bulk_run_id", "bulk_runs")
    ops.add_check("flag_changes", "flag", SWITCHES)
    ops.add_check("flag_changes", "on_expiry", "on_expiry IN ('lift', 'stay')")
    ops.add_check("flag_changes", "for_one_or_everyone", "(client_id IS NULL) = (flag = 'emergency_stop')")
    ops.add_check("flag_changes", "until_after_since", "until > since")
    ops.add_check("flag_changes", "lifted_by_somebody", "(lifted_at IS NULL) = (lifted_by IS NULL)")
    one_at_a_time = (
        "EXCLUDE USING gist (coalesce(client_id, 0) WITH =, flag WITH =, "
        f"tstzrange(since, CASE WHEN on_expiry = 'lift' THEN until END) WITH &&) WHERE ({OPEN})"
    )
    if not ops.has_constraint("flag_changes", ONE_AT_A_TIME, one_at_a_time):
        ops.execute(f"ALTER TABLE flag_changes ADD CONSTRAINT {ONE_AT_A_TIME} {one_at_a_time}")
    ops.create_index("ix_flag_changes_client_id", "flag_changes", "client_id, since, id")
    ops.create_index("ix_flag_changes_since", "flag_changes", "since, id")
    ops.create_index("ix_flag_changes_by", "flag_changes", "by, since, id")
    ops.create_index("ix_flag_changes_open", "flag_changes", "flag, since, id", where=OPEN)
    ops.create_index("ix_flag_changes_ending", "flag_changes", "until, id", where=f"{OPEN} AND until IS NOT NULL")
    ops.create_index("ix_flag_changes_bulk_run_id", "flag_changes", "bulk_run_id", where="bulk_run_id IS NOT NULL")


def _bulk_items() -> None:
    ops.create_table(
        "bulk_items",
        Column("run_id", "bigint", required=True),
        Column("client_id", "bigint", required=True),
        Column("seen", "varchar", required=True),
        Column("outcome", "varchar(32)", "'waiting'", required=True),
        Column("because", "varchar"),
        Column("former", "jsonb"),
        Column("flag_change_id", "bigint"),
        Column("done_at", "timestamptz"),
    )
    ops.add_foreign_key("bulk_items", "run_id", "bulk_runs", on_delete="CASCADE")
    ops.add_foreign_key("bulk_items", "client_id", "clients", on_delete="CASCADE")
    ops.add_foreign_key("bulk_items", "flag_change_id", "flag_changes", on_delete="SET NULL")
    ops.add_unique("bulk_items", "run_id", "client_id")
    ops.add_check("bulk_items", "outcome", OUTCOMES)
    ops.create_index("ix_bulk_items_outcome", "bulk_items", "run_id, outcome, id")
    ops.create_index("ix_bulk_items_client_id", "bulk_items", "client_id")


def downgrade() -> None:
    for table in ("bulk_items", "flag_changes", "bulk_runs"):
        retired.retire_table(table)
