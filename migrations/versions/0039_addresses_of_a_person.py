"""Addresses of a person are rows; accounts that were deleted; the links of claim mails that were replaced.

Filled once with what was verified last: the address of whoever signed in, and of each profile. Of two accounts with one
address, the one that signed in last has it.

Locks: ACCESS EXCLUSIVE on users and profiles for the moments in which columns without a default are added; SHARE ROW
EXCLUSIVE on pending_profiles for the moment in which the foreign key is noted. Rows are filled in batches.
"""

from migrations import batches, ops, retired
from migrations.ops import Column

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

ASKED = (Column("provider_asked_at", "timestamptz"), Column("provider_told_at", "timestamptz"))
DELETED = Column("account_deleted_at", "timestamptz")

# Whoever has rows already is left as they are, so that this can be run again.
OF_USERS = """
INSERT INTO person_addresses (user_id, email, is_primary, verified_at)
SELECT DISTINCT ON (source.email) source.open_id, source.email, true, source.created_at
FROM users source
WHERE {batch} AND source.email IS NOT NULL
AND NOT EXISTS (
    SELECT FROM users later WHERE later.email = source.email
    AND (later.last_signed_in, later.id) > (source.last_signed_in, source.id))
AND NOT EXISTS (SELECT FROM person_addresses a WHERE a.user_id = source.open_id)
ORDER BY source.email, source.id
ON CONFLICT DO NOTHING
"""
OF_PROFILES = r"""
INSERT INTO person_addresses (user_id, email, is_primary, verified_at)
SELECT DISTINCT ON (source.email) source.user_id, source.email,
    NOT EXISTS (SELECT FROM person_addresses a WHERE a.user_id = source.user_id AND a.is_primary),
    coalesce((SELECT u.created_at FROM users u WHERE u.open_id = source.user_id), source.created_at)
FROM profiles source
WHERE {batch} AND source.email IS NOT NULL AND NOT starts_with(source.user_id, 'temp_')
AND NOT EXISTS (SELECT FROM users u WHERE u.email = source.email AND u.open_id <> source.user_id)
AND NOT EXISTS (SELECT FROM person_addresses a WHERE a.email = source.email)
ORDER BY source.email, source.membership DESC, source.updated_at DESC
ON CONFLICT DO NOTHING
"""
NO_USER_HAS_IT = (
    "email IS NOT NULL AND NOT starts_with(user_id, 'temp_') "
    "AND NOT EXISTS (SELECT FROM users u WHERE u.email = profiles.email)"
)
TOKENS = """
INSERT INTO claim_tokens (digest, pending_profile_id, sent_at, expires_at)
SELECT source.token, source.id, source.updated_at, source.token_expires_at
FROM pending_profiles source
WHERE {batch} AND source.token IS NOT NULL
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    person_addresses()
    claim_tokens()
    retired.add_columns("users", revision, *ASKED)
    retired.add_columns("profiles", revision, DELETED, key="user_id")
    ops.create_index(
        "ix_profiles_account_deleted", "profiles", "created_at, user_id", where="account_deleted_at IS NOT NULL"
    )


def person_addresses() -> None:
    ops.create_table(
        "person_addresses",
        Column("user_id", "varchar", required=True),
        Column("email", "citext", required=True),
        Column("is_primary", "boolean", "false", required=True),
        Column("verified_at", "timestamptz", required=True),
        Column("given_up_at", "timestamptz"),
    )
    ops.add_check("person_addresses", "primary_is_verified", "NOT is_primary OR given_up_at IS NULL")
    ops.create_index(
        "uq_person_addresses_verified", "person_addresses", "email", unique=True, where="given_up_at IS NULL"
    )
    ops.create_index("uq_person_addresses_primary", "person_addresses", "user_id", unique=True, where="is_primary")
    ops.create_index("ix_person_addresses_user_id", "person_addresses", "user_id, id")
    ops.create_index("ix_person_addresses_email", "person_addresses", "email")
    ops.create_index("ix_person_addresses_verified_at", "person_addresses", "verified_at, id")
    ops.create_index(
        "ix_person_addresses_given_up", "person_addresses", "verified_at, id", where="given_up_at IS NOT NULL"
    )
    batches.fill(OF_USERS, "users", "id", rows="email IS NOT NULL", called="source")
    batches.fill(OF_PROFILES, "profiles", "user_id", rows=NO_USER_HAS_IT, called="source")


def claim_tokens() -> None:
    ops.create_table(
        "claim_tokens",
        Column("digest", "varchar", required=True),
        Column("pending_profile_id", "bigint", required=True),
        Column("sent_at", "timestamptz", required=True),
        Column("expires_at", "timestamptz"),
        Column("replaced_at", "timestamptz"),
    )
    ops.add_unique("claim_tokens", "digest")
    ops.add_foreign_key("claim_tokens", "pending_profile_id", "pending_profiles", on_delete="CASCADE")
    ops.create_index("ix_claim_tokens_pending_profile_id", "claim_tokens", "pending_profile_id, id")
    batches.fill(TOKENS, "pending_profiles", "id", rows="token IS NOT NULL", called="source")


def downgrade() -> None:
    retired.retire_columns("profiles", revision, ["account_deleted_at"], key="user_id")
    retired.retire_columns("users", revision, ["provider_asked_at", "provider_told_at"])
    retired.retire_table("claim_tokens")
    retired.retire_table("person_addresses")
