"""A client's customers at Stripe get a row each, and what a nightly look found broken is kept.

Filled from the numbers that stand with clients and with subscriptions. Where two clients could have one customer, it is
the one who has the number in the column, else the one whose subscription goes on, else the one asked about last.

Locks: SHARE ROW EXCLUSIVE on clients for the moment in which a foreign key is noted; ACCESS EXCLUSIVE on subscriptions
for one change of the catalogue. Indexes are built concurrently.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

NAMED = (Column("named_client_id", "bigint"),)
FILL = """
INSERT INTO client_customers (stripe_customer_id, client_id, since, last_seen_at, created_at, updated_at)
SELECT DISTINCT ON (stripe_customer_id) stripe_customer_id, client_id,
       CASE WHEN client_id IS NOT NULL THEN since END, last_seen_at, since, since
  FROM (SELECT c.stripe_customer_id, c.id AS client_id, 0 AS place, c.updated_at AS since,
               (SELECT max(s.fetched_at) FROM subscriptions s WHERE s.stripe_customer_id = c.stripe_customer_id)
                   AS last_seen_at
          FROM clients c WHERE c.stripe_customer_id IS NOT NULL
        UNION ALL
        SELECT s.stripe_customer_id, s.client_id,
               CASE WHEN s.client_id IS NULL THEN 3
                    WHEN s.status IN ('canceled', 'incomplete_expired') THEN 2 ELSE 1 END,
               s.created_at, s.fetched_at
          FROM subscriptions s) AS known
 ORDER BY stripe_customer_id, place, last_seen_at DESC NULLS LAST
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    ops.create_table(
        "client_customers",
        Column("client_id", "bigint"),
        Column("stripe_customer_id", "varchar", required=True),
        Column("since", "timestamptz"),
        Column("named_client_id", "bigint"),
        Column("email", "citext"),
        Column("name", "varchar"),
        Column("deleted_at", "timestamptz"),
        Column("last_seen_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_unique("client_customers", "stripe_customer_id")
    ops.add_foreign_key("client_customers", "client_id", "clients", on_delete="SET NULL")
    ops.create_index("ix_client_customers_client_id", "client_customers", "client_id, id")
    ops.create_index("ix_client_customers_created_at", "client_customers", "created_at, id")
    ops.create_index("ix_client_customers_email", "client_customers", "email")
    ops.create_index(
        "ix_client_customers_named_client_id",
        "client_customers",
        "named_client_id",
        where="named_client_id IS NOT NULL",
    )
    retired.add_columns("subscriptions", revision, *NAMED)
    with ops.unhurried():
        ops.execute(FILL)
    ops.create_table(
        "invariant_findings",
        Column("name", "varchar", required=True),
        Column("first_found_at", "timestamptz", required=True),
        Column("last_found_at", "timestamptz", required=True),
        Column("count", "integer", required=True),
        Column("records", "text[]", required=True),
        Column("cleared_at", "timestamptz"),
    )
    ops.create_index(
        "uq_invariant_findings_open", "invariant_findings", "name", unique=True, where="cleared_at IS NULL"
    )
    ops.create_index("ix_invariant_findings_first_found_at", "invariant_findings", "first_found_at, id")
    ops.create_table(
        "invariant_checks",
        Column("started_at", "timestamptz", required=True),
        Column("finished_at", "timestamptz"),
        Column("checked", "integer", "0", required=True),
        Column("broken", "integer", "0", required=True),
        Column("unanswered", "text[]", "'{}'::text[]", required=True),
    )
    ops.create_index("ix_invariant_checks_started_at", "invariant_checks", "started_at, id")


def downgrade() -> None:
    retired.retire_table("invariant_checks")
    retired.retire_table("invariant_findings")
    retired.retire_columns("subscriptions", revision, [column.name for column in NAMED])
    retired.retire_table("client_customers")
