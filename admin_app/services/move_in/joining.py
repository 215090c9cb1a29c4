"""Systems that keep one of our rows in two tables: which these are, by the names of their columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from admin_app.integrations.earlier import SourceTable, joined
from admin_app.services.move_in.catalog import NAME_PARTS, OF, PUT_TOGETHER, Entity, bare


@dataclass(frozen=True)
class Pair:
    """Where one of our tables may lie: its rows name, by one of the columns `on`, a row of one of the tables `other`.

    `to`: which column of the other one says it; without it the other's key. `first`: the table's own name, where it is
    none that our table is usually called; its rows are known by `on` then.
    """

    ours: str
    on: tuple[str, ...]
    other: tuple[str, ...]
    to: tuple[str, ...] = ()
    first: tuple[str, ...] = ()


# What a person's row says of a booking; that they are active, or their currency, says nothing of it.
OF_A_PERSON = {"bookings": frozenset({"client_name", "client_email"})}
PEOPLE = ("user", "users", "account", "accounts")
PAIRS: Sequence[Pair] = (
    Pair("practitioners", ("userid", "accountid"), PEOPLE),
    Pair("bookings", ("clientid", "customerid", "guestid", "userid"), (*PEOPLE, "client", "clients", "customers")),
    Pair("meetings", ("eventid",), ("event", "events")),
    Pair("practitioners", ("workosuserid",), ("profile", "profiles"), ("workosuserid",), ("user", "users")),
)


def with_partners(named: dict[str, SourceTable], tables: Sequence[SourceTable]) -> dict[str, SourceTable]:
    """Of our tables, the source's table: where it says too little by itself, with the one that says the rest."""
    found = dict(named)
    for pair in PAIRS:
        first = named.get(pair.ours)
        if first is None:
            first = next((table for table in tables if pair.first and bare(table.name) in pair.first), None)
        elif pair.first:
            continue
        if first is not None and (both := _joined(pair, first, tables)):
            found[pair.ours] = both
    return found


def _joined(pair: Pair, first: SourceTable, tables: Sequence[SourceTable]) -> SourceTable | None:
    on = next((column.name for name in pair.on for column in first.columns if bare(column.name) == name), None)
    for other in tables:
        if on is None or other is first or bare(other.name) not in pair.other:
            continue
        to = next((column.name for column in other.columns if bare(column.name) in pair.to), None)
        if to is None and not pair.to and len(other.key) == 1:
            (to,) = other.key
        if to is not None and _says_more(OF[pair.ours], first, other):
            both = joined(first, other, on=on, to=to)
            return replace(both, key=(on,)) if pair.first else both
    return None


def _says_more(entity: Entity, first: SourceTable, other: SourceTable) -> bool:
    """Whether the other table has anything of ours that the first has not."""
    known, more = (_said(entity, table) for table in (first, other))
    return any(may_say(entity, ours) for ours in more - known)


def may_say(entity: Entity, ours: str) -> bool:
    """Whether a joined table may fill this column."""
    return ours != entity.key.ours and ours in OF_A_PERSON.get(entity.table, {ours})


def _said(entity: Entity, table: SourceTable) -> set[str]:
    said = {found.ours for column in table.columns if (found := entity.called(column.name))}
    if any(bare(column.name) in NAME_PARTS for column in table.columns):
        said |= PUT_TOGETHER & {each.ours for each in entity.fields}
    return said
