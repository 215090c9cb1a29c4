"""What was only a habit becomes a rule: required values with defaults, known values, our names for constraints.

Locks: per table, ACCESS EXCLUSIVE for changes of the catalogue. Missing values are filled in batches, and each rule
is validated beside the traffic. Where a large table grew differently, integer keys stay integers, and a type for
which each row is written anew comes with a copy of the table (migrations/rebuilding.py). Where that cannot be, the
rows are written under the lock, and the time limit ends what lasts. Earlier code may go on leaving these columns out;
writing NULL into them explicitly is refused from here on.
"""

from migrations import ops
from migrations.ops import Column

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CREATED_AT = Column("created_at", "timestamptz", "now()", required=True)
UPDATED_AT = Column("updated_at", "timestamptz", "now()", required=True)
PRICE = (
    Column("price_amount", "integer", "0", required=True),
    Column("price_currency", "varchar", "'usd'", required=True),
)
STATUS = Column("status", "varchar(32)", "'pending'", required=True)
REQUIRED = {
    "users": (
        Column("role", "varchar", "'user'", required=True),
        CREATED_AT,
        Column("last_signed_in", "timestamptz", "now()", required=True),
    ),
    "profiles": (
        Column("membership", "varchar(32)", "'free'", required=True),
        Column("usage_credits", "integer", "0", required=True),
        Column("used_credits", "integer", "0", required=True),
        Column("status", "varchar(32)", "'active'", required=True),
        CREATED_AT,
        UPDATED_AT,
    ),
    "clients": (CREATED_AT, UPDATED_AT),
    "onboarding_states": (
        Column("forwarding_enabled", "boolean", "false", required=True),
        Column("test_call_detected", "boolean", "false", required=True),
        Column("current_step", "varchar", "'start'", required=True),
        CREATED_AT,
        UPDATED_AT,
    ),
    "practitioners": (
        Column("time_zone", "varchar", "'UTC'", required=True),
        Column("active", "boolean", "true", required=True),
        CREATED_AT,
    ),
    "session_types": (*PRICE, CREATED_AT),
    "bookings": (STATUS, *PRICE, CREATED_AT, UPDATED_AT),
    "meetings": (STATUS, *PRICE, CREATED_AT, UPDATED_AT),
}
# How the column is spelled when it grew differently: all of these only change the catalogue (the session is in UTC).
TEXTS = {
    "users": {"open_id", "name"},
    "profiles": {"whop_user_id", "whop_membership_id", "stripe_customer_id", "stripe_subscription_id"},
    "clients": {"name", "phone"},
    "practitioners": {"name", "calcom_user_id", "calcom_event_type_id"},
    "session_types": {"title"},
    "bookings": {"client_name", "stripe_checkout_session_id", "stripe_payment_intent_id", "calcom_booking_uid"},
}
TIMES = {
    "profiles": {"billing_cycle_start", "billing_cycle_end", "next_credit_renewal"},
    "bookings": {"starts_at", "ends_at"},
    "meetings": {"starts_at", "ends_at"},
}
SLOT_STATUS = "status IN ('pending', 'confirmed', 'canceled', 'completed', 'no_show', 'refunded')"
CHECKS = {
    "profiles": {
        "membership": "membership IN ('free', 'pro')",
        "payment_provider": "payment_provider IN ('whop', 'stripe')",
        "plan_duration": "plan_duration IN ('monthly', 'yearly')",
        "status": "status IN ('active', 'inactive')",
        "used_credits_not_negative": "used_credits >= 0",
    },
    "session_types": {"minutes_positive": "minutes > 0", "price_not_negative": "price_amount >= 0"},
    "bookings": {
        "ends_after_start": "ends_at > starts_at",
        "price_not_negative": "price_amount >= 0",
        "status": SLOT_STATUS,
    },
    "meetings": {"ends_after_start": "ends_at > starts_at", "status": SLOT_STATUS},
}
UNIQUE = {
    "users": ("open_id",),
    "practitioners": ("email",),
    "clients": ("stripe_customer_id", "stripe_subscription_id"),
    "bookings": ("stripe_checkout_session_id", "stripe_payment_intent_id", "calcom_booking_uid"),
}
FOREIGN_KEYS = (
    ("session_types", "practitioner_id", "practitioners"),
    ("bookings", "practitioner_id", "practitioners"),
    ("bookings", "session_type_id", "session_types"),
    ("meetings", "practitioner_id", "practitioners"),
)
# A purchase that still waits in a `temp_` row keeps what the claim would give it: pro, and 1000 credits.
KEPT = "usage_credits = coalesce(usage_credits, 1000), membership = coalesce(membership, 'pro')"
WAITING_PURCHASES = "user_id LIKE 'temp\\_%' AND (usage_credits IS NULL OR membership IS NULL)"


def upgrade() -> None:
    ops.update("profiles", KEPT, WAITING_PURCHASES)
    for type_name, tables in (("varchar", TEXTS), ("timestamptz", TIMES)):
        for table, names in tables.items():
            for name in sorted(names if ops.rehearsed() else names & ops.columns_of(table).keys()):
                ops.convert(table, Column(name, type_name))
    for table, columns in REQUIRED.items():
        ops.ensure_columns(table, *columns)
        ops.name_primary_key(table, "user_id" if table == "profiles" else "id")
    for table, checks in CHECKS.items():
        for name, rule in checks.items():
            ops.add_check(table, name, rule)
    for table, columns_once in UNIQUE.items():
        for column in columns_once:
            ops.add_unique(table, column)
    for table, column, target in FOREIGN_KEYS:
        ops.add_foreign_key(table, column, target)


def downgrade() -> None:
    for table, checks in CHECKS.items():
        for name in checks:
            ops.drop_constraint(table, f"ck_{table}_{name}")
    for table in ("clients", "bookings"):
        for column in UNIQUE[table]:
            ops.drop_constraint(table, f"uq_{table}_{column}")
    for table, columns in REQUIRED.items():
        ops.ensure_columns(table, *(Column(column.name, column.type, column.default) for column in columns))
    for column in ("usage_credits", "used_credits"):
        ops.set_default("profiles", column, None)
