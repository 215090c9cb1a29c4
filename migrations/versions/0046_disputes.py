"""Each dispute of a payment gets a row, for a payment may have several; the payment's own columns are derived.

A refund says when the bank sent it back and how that was put right. What came back of an appointment that still counts
as refunded is found and waits for a person. Of a checkout's call it is counted how many of its attempts have ended.

The first dispute of a payment has the payment's number, by which the lines of closed months name it.

Locks: ACCESS EXCLUSIVE on refunds and provider_calls for a change of the catalogue; SHARE ROW EXCLUSIVE on payments for
the moment in which a trigger is made and a foreign key is noted. Disputes are few: one statement writes their rows.
"""

from migrations import ops, retired
from migrations.ops import Column

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

INDEXES = {
    "payment_id": ("payment_id", None),
    "created_at": ("created_at, id", None),
    "status": ("status, created_at, id", None),
    "due_by": ("due_by, id", None),
    "lost_at": ("lost_at, id", "lost_at IS NOT NULL"),
    "regained_at": ("regained_at, id", "regained_at IS NOT NULL"),
}
COPIED = """
INSERT INTO disputes ({number} payment_id, stripe_dispute_id, status, reason, amount, currency, due_by, lost_at,
        created_at, updated_at)
SELECT {value} p.id, p.dispute_id, coalesce(p.dispute_status, 'needs_response'), coalesce(p.dispute_reason, 'general'),
       coalesce(p.dispute_amount, p.captured_amount), p.currency, p.dispute_due_by, p.dispute_lost_at,
       p.updated_at, p.updated_at
  FROM payments p
 WHERE p.dispute_id IS NOT NULL AND NOT EXISTS (SELECT FROM disputes d WHERE d.stripe_dispute_id = p.dispute_id)
"""
# What an earlier release heard of a dispute that has a row already.
HEARD = """
UPDATE disputes d SET status = p.dispute_status, due_by = coalesce(p.dispute_due_by, d.due_by),
       lost_at = CASE WHEN p.dispute_status = 'lost' THEN coalesce(d.lost_at, p.dispute_lost_at) ELSE d.lost_at END,
       regained_at = CASE WHEN p.dispute_status = 'won' AND d.lost_at IS NOT NULL
           THEN coalesce(d.regained_at, p.updated_at) END
  FROM payments p WHERE p.dispute_id = d.stripe_dispute_id AND p.dispute_status <> d.status
"""
NUMBERS = """
SELECT setval(pg_get_serial_sequence('disputes', 'id'), greatest((SELECT max(id) FROM disputes), 1))
"""
# The function of 0035, whose lines of disputes are found in {lines}.
NOTE = """
CREATE OR REPLACE FUNCTION note_moved_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found jsonb;
    line text[];
    at timestamptz;
BEGIN
    FOREACH found IN ARRAY ARRAY[to_jsonb(OLD), to_jsonb(NEW)] LOOP
        FOREACH line SLICE 1 IN ARRAY CASE TG_TABLE_NAME
            {lines}
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
BY_ROWS = """WHEN 'payments' THEN ARRAY[['payment', found ->> 'paid_at']]
            WHEN 'disputes' THEN
                ARRAY[['dispute', found ->> 'lost_at'], ['dispute_won', found ->> 'regained_at']]"""
BY_PAYMENTS = "WHEN 'payments' THEN ARRAY[['payment', found ->> 'paid_at'], ['dispute', found ->> 'dispute_lost_at']]"
RETURNED = (
    Column("key_suffix", "varchar"),
    Column("returned_at", "timestamptz"),
    Column("made_good_at", "timestamptz"),
    Column("made_good_by", "varchar"),
    Column("made_good_how", "varchar"),
)
ENDED = Column("attempts_ended", "integer", "0", required=True)
CAME_BACK = """
UPDATE refunds r SET returned_at = coalesce(r.settled_at, r.updated_at)
  FROM payments p
  LEFT JOIN bookings b ON b.id = p.booking_id LEFT JOIN meetings m ON m.id = p.meeting_id
 WHERE p.id = r.payment_id AND r.state = 'failed' AND r.stripe_refund_id IS NOT NULL AND r.returned_at IS NULL
   AND coalesce(b.status, m.status) = 'refunded' AND p.captured_amount - p.reserved_amount >= r.amount
"""
WATCHED = "state, paid_at, currency, captured_amount"
WATCHED_BEFORE = f"{WATCHED}, dispute_lost_at, dispute_amount"


def upgrade() -> None:
    ops.create_table(
        "disputes",
        Column("payment_id", "bigint", required=True),
        Column("stripe_dispute_id", "varchar", required=True),
        Column("status", "varchar", required=True),
        Column("reason", "varchar", required=True),
        Column("amount", "bigint", required=True),
        Column("currency", "varchar", required=True),
        Column("due_by", "timestamptz"),
        Column("asked_at", "timestamptz"),
        Column("lost_at", "timestamptz"),
        Column("regained_at", "timestamptz"),
        Column("created_at", "timestamptz", "now()", required=True),
        Column("updated_at", "timestamptz", "now()", required=True),
        Column("version", "integer", "1", required=True),
    )
    ops.add_unique("disputes", "stripe_dispute_id")
    ops.add_foreign_key("disputes", "payment_id", "payments")
    for name, (columns, where) in INDEXES.items():
        ops.create_index(f"ix_disputes_{name}", "disputes", columns, where=where)
    ops.execute(HEARD)
    free = " AND NOT EXISTS (SELECT FROM disputes d WHERE d.id = p.id)"
    ops.execute(COPIED.format(number="id,", value="p.id,") + free)
    ops.execute(NUMBERS)
    ops.execute(COPIED.format(number="", value=""))
    ops.execute(NOTE.format(lines=BY_ROWS))
    watch("payments", WATCHED)
    watch("disputes", "lost_at, regained_at, currency, amount")
    refunds()
    ops.ensure_columns("provider_calls", ENDED)


def refunds() -> None:
    fresh = ops.offline() or "returned_at" not in ops.columns_of("refunds")
    retired.add_columns("refunds", revision, *RETURNED)
    ops.create_index("ix_refunds_returned_at", "refunds", "returned_at, id", where="returned_at IS NOT NULL")
    if fresh:
        ops.execute(CAME_BACK)


def watch(table: str, columns: str) -> None:
    ops.execute(
        f"CREATE OR REPLACE TRIGGER {table}_moved_lines AFTER INSERT OR DELETE OR UPDATE OF {columns} ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION note_moved_lines()"
    )


def downgrade() -> None:
    ops.execute(NOTE.format(lines=BY_PAYMENTS))
    watch("payments", WATCHED_BEFORE)
    if ops.offline() or ops.has_table("disputes"):
        ops.execute("DROP TRIGGER IF EXISTS disputes_moved_lines ON disputes")
    retired.retire_table("disputes")
    if ops.offline() or ENDED.name in ops.columns_of("provider_calls"):
        ops.execute(f"ALTER TABLE provider_calls DROP COLUMN {ENDED.name}")
    retired.retire_columns("refunds", revision, [column.name for column in RETURNED])
