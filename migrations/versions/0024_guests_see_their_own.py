"""A guest's session reads as a role of its own, to which PostgreSQL shows that guest's rows alone.

The role `backdesk_guest` belongs to the whole server, so other databases there may have made it already, and a
downgrade leaves it. Everybody else keeps seeing everything, the owner of the tables or not: the one policy lets all
rows through, the other one stands against the guest role. A guest that is being registered has no WorkOS id yet.

Locks: ACCESS EXCLUSIVE on meetings, guests and organizations, each for a change of the catalogue only.
"""

import time

from sqlalchemy.exc import DBAPIError

from migrations import ops, retired, running
from migrations.ops import Column

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ROLE = "backdesk_guest"
# Empty after a transaction that named a guest has ended: nobody has the empty id.
WHO = "nullif(current_setting('app.guest_workos_user_id', true), '')"
OWN = {
    "meetings": f"guest_workos_user_id = {WHO}",
    "guests": f"workos_user_id = {WHO}",
    "organizations": f"kind = 'personal' AND name = 'user-' || {WHO}",
}
SHOWN = {
    "practitioners": "id, name, time_zone",
    "session_types": "id, practitioner_id, title, minutes, price_amount, price_currency",
}
ALREADY_THERE = {"42710", "23505"}  # duplicate_object, unique_violation: another database's migrator was faster
MEANWHILE = {"XX000", "23505"}  # "tuple concurrently updated" has no code of its own
NOT_ALLOWED = "42501"
TRIES = 20
WITHOUT_ROLE = (
    "Guests' sessions read as the role %(role)s, which %(user)s may not make or take. Everything else works; "
    "guests are refused until an administrator of the server runs, in this database:\n"
    "  CREATE ROLE %(role)s NOLOGIN; -- unless it is there\n"
    "  GRANT %(role)s TO %(user)s;\n"
    "  SELECT let_guests_read();"
)


def upgrade() -> None:
    ops.ensure_columns("guests", Column("workos_user_id", "varchar"))
    if ops.has_table("guests_0024", "retired"):
        ops.execute("INSERT INTO guests SELECT * FROM retired.guests_0024; DROP TABLE retired.guests_0024")
    ops.execute(let_guests_read())
    for table in OWN:
        ops.execute(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS everybody ON {table}; "
            f"CREATE POLICY everybody ON {table} USING (true) WITH CHECK (true)"
        )
    if make_role() and may_be_taken():
        ops.execute("SELECT let_guests_read()")
    else:
        running.log.warning(WITHOUT_ROLE, {"role": ROLE, "user": migrator()})


def let_guests_read() -> str:
    """A function, so that it can be called later where an administrator had to make the role first."""
    granted = [
        f"""DROP POLICY IF EXISTS guests_see_their_own ON {table};
        -- Whoever may take the role is a member of it, so the policy names the role once more.
        CREATE POLICY guests_see_their_own ON {table} AS RESTRICTIVE TO {ROLE}
            USING (current_user <> '{ROLE}' OR ({own}));
        GRANT SELECT ON {table} TO {ROLE};"""
        for table, own in OWN.items()
    ]
    granted += [f"GRANT SELECT ({columns}) ON {table} TO {ROLE};" for table, columns in SHOWN.items()]
    body = "\n        ".join(granted)
    return f"""
    CREATE OR REPLACE FUNCTION let_guests_read() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT has_schema_privilege('{ROLE}', 'public', 'USAGE') THEN
            GRANT USAGE ON SCHEMA public TO {ROLE};
        END IF;
        {body}
    END $$"""


def downgrade() -> None:
    ops.execute("DROP FUNCTION IF EXISTS let_guests_read()")
    if ops.offline() or role_is_there():
        for table, columns in SHOWN.items():
            ops.execute(f"REVOKE SELECT ({columns}) ON {table} FROM {ROLE}")
        for table in OWN:
            ops.execute(f"REVOKE SELECT ON {table} FROM {ROLE}; DROP POLICY IF EXISTS guests_see_their_own ON {table}")
    for table in OWN:
        ops.execute(f"DROP POLICY IF EXISTS everybody ON {table}; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    ops.execute(
        f"{retired.MAKE_SCHEMA}LOCK TABLE guests IN SHARE ROW EXCLUSIVE MODE; "
        "CREATE TABLE retired.guests_0024 AS SELECT * FROM guests WHERE workos_user_id IS NULL; "
        "DELETE FROM guests WHERE workos_user_id IS NULL"
    )
    ops.set_required("guests", "workos_user_id")


def role_is_there() -> bool:
    return ops.found("SELECT FROM pg_roles WHERE rolname = :role", role=ROLE)


def make_role() -> bool:
    """Whether the role is there now."""
    if role_is_there():
        return True
    try:
        ops.execute(f"CREATE ROLE {ROLE} NOLOGIN")
    except DBAPIError as error:
        if code_of(error) == NOT_ALLOWED:
            return False
        if code_of(error) not in ALREADY_THERE:
            raise
    return True


def may_be_taken() -> bool:
    """Whether the migrating user, who is the product's too as a rule, may take the role for a transaction now."""
    privilege, options = ("SET", " WITH SET TRUE, INHERIT FALSE") if version() >= 160000 else ("MEMBER", "")
    for attempt in range(TRIES):
        if ops.found(f"SELECT WHERE pg_has_role(current_user, '{ROLE}', '{privilege}')"):
            return True
        try:
            ops.execute(f"GRANT {ROLE} TO CURRENT_USER{options}")
        except DBAPIError as error:
            if code_of(error) == NOT_ALLOWED:
                return False
            if code_of(error) not in MEANWHILE or attempt == TRIES - 1:
                raise
            time.sleep(0.1)
        if ops.offline():
            return True
    return False


def version() -> int:
    found = ops.rows("SELECT current_setting('server_version_num')::int")
    return int(found[0][0]) if found else 160000


def code_of(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def migrator() -> str:
    found = ops.rows("SELECT quote_ident(current_user)")
    return str(found[0][0]) if found else "CURRENT_USER"
