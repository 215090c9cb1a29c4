"""The schema as the business had it, grown by hand.

People who paid before they had an account are rows of `profiles` whose user_id begins with `temp_`; clients
have no guards; onboarding states point to their client as `customer_id`; nothing knows Calendly; meetings know
no guest. Constraints carry the names that PostgreSQL gives by itself. On a database that has these tables
already, only columns that are missing are added, and the downgrade gives the tables back as they were found.

Locks: none on an empty database; else one short ACCESS EXCLUSIVE per table that lacks a column.
"""

from migrations import found_before, ops, retired
from migrations.ops import Column

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CREATED_AT = Column("created_at", "timestamptz", "now()")
UPDATED_AT = Column("updated_at", "timestamptz", "now()")
PRICE = (Column("price_amount", "integer", "0"), Column("price_currency", "varchar", "'usd'"))
TIME_AND_STATE = (
    Column("starts_at", "timestamptz", required=True),
    Column("ends_at", "timestamptz", required=True),
    Column("status", "varchar(32)", "'pending'"),
)
PRACTITIONER = Column("practitioner_id", "bigint", required=True)
OF_PRACTITIONER = "FOREIGN KEY (practitioner_id) REFERENCES practitioners (id)"


TABLES = (
    "meetings", "bookings", "session_types", "practitioners", "onboarding_states", "clients", "profiles", "users",
)  # fmt: skip


def upgrade() -> None:
    found_before.remember(TABLES)
    people()
    clients()
    scheduling()
    for table in TABLES:
        retired.bring_back(table, revision, key=key_of(table))


def people() -> None:
    ops.found_table(
        "users",
        Column("open_id", "varchar", required=True),
        Column("name", "varchar"),
        Column("email", "text"),
        Column("role", "varchar", "'user'"),
        CREATED_AT,
        Column("last_signed_in", "timestamptz", "now()"),
        rest=["UNIQUE (open_id)"],
    )
    ops.found_table(
        "profiles",
        Column("email", "text"),
        Column("membership", "varchar(32)", "'free'"),
        Column("payment_provider", "varchar(32)"),
        Column("whop_user_id", "varchar"),
        Column("whop_membership_id", "varchar"),
        Column("stripe_customer_id", "varchar"),
        Column("stripe_subscription_id", "varchar"),
        Column("plan_duration", "varchar(32)"),
        Column("billing_cycle_start", "timestamptz"),
        Column("billing_cycle_end", "timestamptz"),
        Column("next_credit_renewal", "timestamptz"),
        Column("usage_credits", "integer"),
        Column("used_credits", "integer"),
        Column("status", "varchar(32)", "'active'"),
        CREATED_AT,
        UPDATED_AT,
        key="user_id varchar",
    )


def clients() -> None:
    ops.found_table(
        "clients",
        Column("name", "varchar", required=True),
        Column("email", "text"),
        Column("phone", "varchar"),
        CREATED_AT,
        UPDATED_AT,
    )
    # Where the column has its later name already, it must not be added again under the earlier one.
    renamed = "client_id" in ops.columns_of("onboarding_states")
    ops.found_table(
        "onboarding_states",
        *([] if renamed else [Column("customer_id", "bigint", required=True)]),
        Column("forwarding_enabled", "boolean", "false"),
        Column("test_call_detected", "boolean", "false"),
        Column("current_step", "varchar", "'start'"),
        CREATED_AT,
        UPDATED_AT,
        rest=["UNIQUE (customer_id)", "FOREIGN KEY (customer_id) REFERENCES clients (id)"],
    )


def scheduling() -> None:
    ops.found_table(
        "practitioners",
        Column("name", "varchar", required=True),
        Column("email", "text", required=True),
        Column("time_zone", "varchar", "'UTC'"),
        Column("calcom_user_id", "varchar"),
        Column("calcom_event_type_id", "varchar"),
        Column("active", "boolean", "true"),
        CREATED_AT,
        rest=["UNIQUE (email)"],
    )
    ops.found_table(
        "session_types",
        PRACTITIONER,
        Column("title", "varchar", required=True),
        Column("minutes", "integer", required=True),
        *PRICE,
        CREATED_AT,
        rest=[OF_PRACTITIONER],
    )
    ops.found_table(
        "bookings",
        PRACTITIONER,
        Column("session_type_id", "bigint", required=True),
        Column("client_name", "varchar", required=True),
        Column("client_email", "text", required=True),
        *TIME_AND_STATE,
        *PRICE,
        Column("stripe_checkout_session_id", "varchar"),
        Column("stripe_payment_intent_id", "varchar"),
        Column("calcom_booking_uid", "varchar"),
        CREATED_AT,
        UPDATED_AT,
        rest=[OF_PRACTITIONER, "FOREIGN KEY (session_type_id) REFERENCES session_types (id)"],
    )
    ops.found_table("meetings", PRACTITIONER, *TIME_AND_STATE, *PRICE, CREATED_AT, UPDATED_AT, rest=[OF_PRACTITIONER])


def downgrade() -> None:
    found = found_before.recall() or {}
    for table in TABLES:
        if table in found:
            retired.give_back(table, found[table], key=key_of(table))
        else:
            retired.retire_table(table)
    found_before.forget()


def key_of(table: str) -> str:
    return "user_id" if table == "profiles" else "id"
