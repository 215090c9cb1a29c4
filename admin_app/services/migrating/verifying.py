"""The whole look at a database: its schema, its totals, and what must always be true."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from admin_app.services import invariants
from admin_app.services.migrating import catalogue, comparing, revisions, totals
from admin_app.services.migrating.report import Line, Section, Verdict


def look(connection: Connection, session: Session, *, now: datetime) -> Sequence[Section]:
    """Every section; reads whole tables. The invariants are asked only where the schema is what they ask for."""
    where = revisions.place(connection)
    there = catalogue.read(connection)
    schema = comparing.sections(connection, there)
    ready = where.is_newest and not schema[0].wrong
    return [
        Section("Revision", ("Database",), (_revision(where),)),
        *schema,
        *totals.sections(connection, there),
        Section("Invariants", ("Rule", "How many"), tuple(_rules(session, now) if ready else _not_asked())),
    ]


def _revision(where: revisions.Place) -> Line:
    if where.is_newest:
        return Line((where.sentence,))
    count = len(revisions.to_come(where.revision))
    return Line((where.sentence,), Verdict.WRONG, f"{count} revisions to come: flask migrate plan")


def _rules(session: Session, now: datetime) -> Iterator[Line]:
    broken = {found.invariant.name: found for found in invariants.broken(session, now=now)}
    for rule in invariants.INVARIANTS:
        found = broken.get(rule.name)
        if found is None:
            yield Line((rule.name, "0"))
        else:
            named = ", ".join(found.records[:5])
            yield Line((rule.name, found.how_many), Verdict.WRONG, f"{rule.sentence} Look at: {named}")


def _not_asked() -> Iterator[Line]:
    yield Line(
        ("all of them", ""), Verdict.NOTE, "not asked: they are written for the newest schema without a difference"
    )
