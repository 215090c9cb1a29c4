"""Which lines of months that are over have moved since: a list of months counts those and reads no line that did not.

Locks: making each trigger waits for the writers of its table and holds them up for a moment.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# What of a record makes its line; a change of anything else moves none.
WATCHED = {
    "payments": "state, paid_at, currency, captured_amount, dispute_lost_at, dispute_amount",
    "refunds": "state, settled_at, currency, amount",
    "billing_changes": "movement, at, currency, monthly_before, monthly_after",
}
# Whoever writes the record holds its row, so two notes of one line never meet. A month that is not over is not closed.
NOTE = """
CREATE OR REPLACE FUNCTION note_moved_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found jsonb;
    line text[];
    at timestamptz;
BEGIN
    FOREACH found IN ARRAY ARRAY[to_jsonb(OLD), to_jsonb(NEW)] LOOP
        FOREACH line SLICE 1 IN ARRAY CASE TG_TABLE_NAME
            WHEN 'payments' THEN ARRAY[['payment', found ->> 'paid_at'], ['dispute', found ->> 'dispute_lost_at']]
            WHEN 'refunds' THEN ARRAY[['refund', found ->> 'settled_at']]
            ELSE ARRAY[['billing_change', found ->> 'at']]
        END LOOP
            at := line[2]::timestamptz;
            IF at < date_trunc('month', now(), 'UTC') THEN
                INSERT INTO moved_lines (month, line_key)
                VALUES (date_trunc('month', at AT TIME ZONE 'UTC'), line[1] || ':' || (found ->> 'id'))
                ON CONFLICT DO NOTHING;
            END IF;
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$
"""
# What has moved in the closed months so far: each kept line that is not so any more, each line that was not kept.
SO_FAR = """
INSERT INTO moved_lines (month, line_key)
WITH line AS (
    SELECT 'payment:' || id AS line_key, 'payment' AS kind, paid_at AS at, currency, captured_amount AS amount
    FROM payments WHERE state = 'paid'
    UNION ALL
    SELECT 'refund:' || id, 'refund', settled_at, currency, -amount FROM refunds WHERE state = 'succeeded'
    UNION ALL
    SELECT 'dispute:' || id, 'dispute_lost', dispute_lost_at, currency, -coalesce(dispute_amount, captured_amount)
    FROM payments
    UNION ALL
    SELECT 'billing_change:' || id, movement, at, currency, monthly_after - monthly_before
    FROM billing_changes WHERE movement <> 'none' AND currency IS NOT NULL
), now_so AS (
    SELECT c.month, line.* FROM line JOIN month_closings c ON c.month = date_trunc('month', line.at AT TIME ZONE 'UTC')
), kept AS (
    SELECT c.month, l.line_key, l.kind, l.currency, l.amount
    FROM month_lines l JOIN month_closings c ON c.id = l.closing_id
)
SELECT month, line_key FROM now_so FULL JOIN kept USING (month, line_key)
WHERE (now_so.kind, now_so.currency, now_so.amount) IS DISTINCT FROM (kept.kind, kept.currency, kept.amount)
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    ops.create_table(
        "moved_lines", Column("month", "date", required=True), Column("line_key", "varchar", required=True)
    )
    ops.add_unique("moved_lines", "month", "line_key")
    ops.execute(NOTE)
    for table, columns in WATCHED.items():
        ops.execute(
            f"CREATE OR REPLACE TRIGGER {table}_moved_lines AFTER INSERT OR DELETE OR UPDATE OF {columns} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION note_moved_lines()"
        )
    with ops.unhurried():
        ops.execute(SO_FAR)


def downgrade() -> None:
    for table in WATCHED:
        ops.execute(f"DROP TRIGGER IF EXISTS {table}_moved_lines ON {table}")
    ops.execute("DROP FUNCTION IF EXISTS note_moved_lines()")
    retired.retire_table("moved_lines")
