"""Taking an import back, as long as nothing in the product was built on it."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.services.core import audit
from admin_app.services.move_in import gathering
from admin_app.services.move_in.catalog import ENTITIES, OF, Kind
from admin_app.services.move_in.importing import hold
from admin_app.services.move_in.staging import patiently
from admin_app.services.move_in.writing import kept
from models.move_in import MoveRun

# What an import makes itself beside the records: it goes with them.
ITS_OWN = frozenset(
    {"client_customers", "person_addresses", "claim_tokens", "booking_links", "booking_attendees", "booking_hosts"}
    | {"memberships"}
)
MINE = "SELECT record FROM moved_rows WHERE system = :system AND table_name = :table AND record IS NOT NULL"
REFERRING = text(
    """
    SELECT c.conrelid::regclass::text, a.attname
      FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.contype = 'f' AND c.confrelid = to_regclass(:table) AND cardinality(c.conkey) = 1
     ORDER BY 1, 2
    """
)


class BuiltOn(Conflict):
    code = "built_on"
    sentence = "Something was built on what was brought over, so it is not taken back."


def counted(session: Session, *, system: str) -> dict[str, int]:
    """How many records the system's imports made, by table of ours; raises NotFound where there are none."""
    found = session.execute(
        text(
            "SELECT table_name, count(*) FROM moved_rows WHERE system = :system AND record IS NOT NULL "
            "GROUP BY 1 ORDER BY 1"
        ),
        {"system": system},
    )
    numbers = {str(table): int(number) for table, number in found}
    if not numbers:
        raise NotFound(f"Nothing was brought over from an earlier system called {system!r}.")
    return numbers


def built_on(session: Session, *, system: str) -> list[str]:
    """What keeps the import from being taken back, a sentence each."""
    patiently(session)
    tables = counted(session, system=system)
    brought = [entity.table for entity in ENTITIES if entity.table in tables]
    return [*_referring(session, system, brought), *_changed(session, system, brought)]


def _referring(session: Session, system: str, tables: Sequence[str]) -> Iterator[str]:
    """Rows of the product's own that point at what was brought over."""
    for table in tables:
        for source, column in session.execute(REFERRING, {"table": table}):
            if source in ITS_OWN:
                continue
            theirs = f"x.{OF[source].key.ours}::text" if source in OF else "NULL"
            number = session.scalar(
                text(
                    f"SELECT count(*) FROM {source} x WHERE x.{column}::text IN ({MINE}) AND NOT EXISTS "
                    f"(SELECT FROM moved_rows t WHERE t.table_name = '{source}' AND t.record = {theirs})"
                ),
                {"system": system, "table": table},
            )
            if number:
                yield f"{number:,} rows of {source} refer to {table} that were brought over"


def _changed(session: Session, system: str, tables: Sequence[str]) -> Iterator[str]:
    """Records that are not as an import left them last, or are not there any more."""
    for table in tables:
        key = OF[table].key
        other = text(
            f"SELECT count(*) FROM moved_rows m LEFT JOIN {table} o "
            f"ON o.{key.ours} = m.record::{'text' if key.kind is Kind.OWN_KEY else 'bigint'} "
            "WHERE m.system = :system AND m.table_name = :table AND m.record IS NOT NULL "
            f"AND {kept(OF[table], 'o')} IS DISTINCT FROM m.kept"
        )
        number = session.scalar(other, {"system": system, "table": table})
        if number:
            yield f"{number:,} records of {table} were changed here since"


def take_back(ctx: Ctx, *, system: str) -> int:
    """Remove every record that the imports made, children first; raises BuiltOn when something stands on one."""
    hold(ctx, system, alone=True)
    if built_on(ctx.session, system=system):
        raise BuiltOn
    number = 0
    unfinished = select(MoveRun).where(MoveRun.system == system, MoveRun.finished_at.is_(None))
    for going in ctx.session.scalars(unfinished):
        gathering.forget(ctx, going)
    for entity in reversed(ENTITIES):
        which = {"system": system, "table": entity.table}
        cast = "" if entity.key.kind is Kind.OWN_KEY else "::bigint"
        ids = f"(SELECT record{cast} FROM ({MINE}) m)"
        for table, column in _made_beside(entity.table):
            ctx.session.execute(text(f"DELETE FROM {table} WHERE {column} IN {ids}"), which)
        done = ctx.session.execute(text(f"DELETE FROM {entity.table} WHERE {entity.key.ours} IN {ids}"), which)
        number += done.rowcount  # type: ignore[attr-defined]
    ctx.session.flush()
    ctx.session.execute(text("DELETE FROM moved_rows WHERE system = :system"), {"system": system})
    ctx.session.execute(text("DELETE FROM move_runs WHERE system = :system"), {"system": system})
    audit.record(ctx, "legacy.undone", records=[f"legacy:{system}"], facts={"system": system, "rows": number})
    return number


def _made_beside(table: str) -> tuple[tuple[str, str], ...]:
    """Rows that an import makes beside a record and that no foreign key removes with it."""
    return {
        "profiles": (("memberships", "profile_user_id"), ("person_addresses", "user_id")),
        "pending_profiles": (("memberships", "pending_profile_id"),),
        "clients": (("client_customers", "client_id"),),
    }.get(table, ())
