"""Tables and columns of an earlier system that mean what ours mean, and are called something else.

To such a table a migration would lay an empty one beside, to such a column an empty one in the same table: the data
would stay behind unseen. So names are compared without case, underscores and plural, and by what the earlier systems
are known to say (`start_time`, `workos_org_id`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from migrations import running
from migrations.refusing import quoted

# What people fill by hand or by an earlier system. Only these: a foreign `Payment` may be anything.
OF_EARLIER_SYSTEMS = (
    "users", "profiles", "pending_profiles", "clients", "onboarding_states", "practitioners", "session_types",
    "bookings", "meetings", "organizations", "guests",
)  # fmt: skip
OTHER_WORDS = {
    "starttime": "starts_at", "startat": "starts_at", "endtime": "ends_at", "endat": "ends_at",
    "customerid": "client_id", "workosorgid": "workos_id", "duration": "minutes", "durationminutes": "minutes",
    "price": "price_amount", "pricecents": "price_amount", "priceincents": "price_amount", "amount": "price_amount",
    "currency": "price_currency", "isactive": "active",
}  # fmt: skip
TABLES = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, n.nspname = ANY (current_schemas(false)) AS seen
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname = ANY (current_schemas(false) || 'public'::name)
 ORDER BY 1, 2
"""
KINDS = {"p": "a partitioned table", "f": "a foreign table", "v": "a view", "m": "a materialized view"}


def meaning(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def of_table(name: str) -> str:
    """`"SessionType"`, `session_types` and `sessionTypes` mean the same."""
    return re.sub(r"s$", "", re.sub(r"ies$", "y", meaning(name)))


def tables(ours: Iterable[str]) -> Iterator[str]:
    """A sentence per table that means one of ours and is not where and what it must be."""
    wanted = {of_table(name): name for name in ours if name in OF_EARLIER_SYSTEMS}
    exact = set(ours)
    for row in running.rows(TABLES):
        place = f"{quoted(row.schema)}.{quoted(row.name)}"
        if row.schema == "public" and row.name in exact:
            if row.kind in KINDS:
                yield f"{place} is {KINDS[row.kind]}, where Backdesk needs a table."
        elif of_table(row.name) in wanted and row.kind not in {"v", "m"}:
            yield f"The table {place} means what Backdesk keeps in public.{wanted[of_table(row.name)]}."


def left_beside() -> Iterator[str]:
    """A sentence per table whose rows an earlier release passed by: it made an empty one of ours beside it.

    Once the tool is there that brings them over, they may stand where they stand.
    """
    wanted = {of_table(name): name for name in OF_EARLIER_SYSTEMS}
    if _is_there("moved_rows"):
        return
    for row in running.rows(TABLES):
        place, ours = f"{quoted(row.schema)}.{quoted(row.name)}", wanted.get(of_table(row.name))
        if ours is None or row.kind not in {"r", "p"} or (row.schema, row.name) == ("public", ours):
            continue
        if _is_there(ours) and not _is_filled(f"public.{ours}") and _is_filled(place):
            yield (
                f"The table {place} has rows and means what Backdesk keeps in public.{ours}, which is empty: give "
                "Backdesk a database of its own, or move that table to a schema outside the search path."
            )


def _is_there(table: str) -> bool:
    return running.found("SELECT WHERE to_regclass(:name) IS NOT NULL", name=f"public.{table}")


def _is_filled(place: str) -> bool:
    is_readable = running.found("SELECT WHERE has_table_privilege(:place, 'SELECT')", place=place)
    return is_readable and running.found(f"SELECT FROM {place} LIMIT 1")


def columns(table: str, there: Iterable[str], wanted: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs: a column that is there, and the one of ours that it means."""
    by_meaning: Mapping[str, str] = {meaning(name): name for name in wanted}
    for name in there:
        if name in by_meaning.values():
            continue
        other = OTHER_WORDS.get(meaning(name), "")
        ours = by_meaning.get(meaning(name)) or (other if other in by_meaning.values() else None)
        if ours is not None:
            yield name, ours
