"""Rules between rows: what may be there only once, what overlaps, what should have been decided long ago.

They are marked in `prepared`, beside what its own columns break. Of rows that have something in common one is not
marked as broken, because it can come over; whoever is to put it right has to see all of them, and for an inspection
the others are noted in a column of their own (`beside`).
"""

from collections.abc import Mapping
from dataclasses import replace

from admin_app.context import Ctx
from admin_app.services.move_in import sql
from admin_app.services.move_in.catalog import Kind
from admin_app.services.move_in.mapping import LEAVE, REFUSE, MoveMap, Notice, Rule, TableMap
from admin_app.services.move_in.staging import breaks_any, run
from models import Base
from models.purchases import LEGACY_PREFIX

HELD = "('pending', 'confirmed')"
HAS_TIMES = frozenset({"bookings", "meetings"})
LONG_PAST = "1 day"


def mark_pending_past(ctx: Ctx, mapping: MoveMap, mapped: TableMap, into: str, *, told: bool = True) -> None:
    """What is still pending although its time is over; canceled at once where that is decided.

    `told`: the rows have the digest of what the source says now; without it what was brought over counts as the same.
    """
    if not {"status", "ends_at"} <= {each.ours for each in mapped.fields()}:
        return
    past = f"status = 'pending' AND ends_at < {sql.value(ctx.now.isoformat())}::timestamptz - interval '{LONG_PAST}'"
    if mapping.decided(Rule.EMPTY_LABEL) != "empty":
        # What the source does not say is told as such, and not as what it would be by itself.
        past += f" AND NOT coalesce(broken, '{{}}') && ARRAY[{sql.value(f'{Rule.EMPTY_LABEL}:status')}]"
    # What was brought over before its time was over, and has not changed there since, is no matter of the import's.
    is_news = "p.told IS DISTINCT FROM p.told_before" if told else "NOT p.is_known"
    match mapping.decided(Rule.PENDING_PAST):
        case "cancel":
            was = f"SELECT FROM {mapped.to} o WHERE o.id = CASE WHEN p.is_known THEN p.record::bigint END"
            which = f"{past} AND ({is_news} OR EXISTS ({was} AND o.canceled_because = 'never_paid'))"
            run(ctx, f"UPDATE {into} p SET status = 'canceled', canceled_because = 'never_paid' WHERE {which}")
        case "keep":
            return
        case _:
            _mark(ctx, into, Rule.PENDING_PAST, "status", f"{past} AND {is_news}")


def mark_twice(ctx: Ctx, mapping: MoveMap, mapped: TableMap, into: str) -> None:
    """What another row before it has, or a record of ours that is not its own."""
    entity = mapped.entity
    changes_hands = _changes_hands(mapping, mapped, into)
    run(ctx, f"ANALYZE {into}")
    for each in mapped.fields():
        if each.kind in {Kind.IDENTITY, Kind.OWN_KEY}:
            taken = f"o.{sql.name(each.ours)}::text = p.record AND NOT p.is_known"
            own = "record"
        elif each.unique:
            own = sql.name(each.ours)
            taken = (
                f"o.{own} = p.{own} AND o.{sql.name(entity.key.ours)}::text IS DISTINCT FROM p.record {changes_hands}"
            )
        else:
            continue
        earlier = (
            f"SELECT ctid AS at, row_number() OVER (PARTITION BY {own} ORDER BY ctid) AS place FROM {into} "
            f"WHERE {own} IS NOT NULL AND NOT {breaks_any(mapping, LEAVE)}"
        )
        later = f"p.ctid IN (SELECT at FROM ({earlier}) numbered WHERE place > 1)"
        _mark(ctx, into, Rule.TWICE, each.ours, f"(EXISTS (SELECT FROM {entity.table} o WHERE {taken}) OR {later})")


def mark_overlaps(ctx: Ctx, mapping: MoveMap, mapped: TableMap, into: str) -> None:
    """A held or confirmed booking or meeting that takes time which another one before it has."""
    if mapped.to not in HAS_TIMES or not _says_when(mapped):
        return
    held = (
        f"SELECT ctid AS at, practitioner_id, starts_at, ends_at, max(ends_at) OVER (PARTITION BY practitioner_id "
        f"ORDER BY starts_at, ctid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until "
        f"FROM {into} WHERE status IN {HELD} AND practitioner_id IS NOT NULL AND ends_at > starts_at "
        f"AND NOT {breaks_any(mapping, LEAVE)}"
    )
    run(ctx, f"ANALYZE {into}")
    there = (
        f"EXISTS (SELECT FROM {mapped.to} o WHERE o.practitioner_id = p.practitioner_id AND o.status IN {HELD} "
        "AND tstzrange(o.starts_at, o.ends_at) && tstzrange(p.starts_at, p.ends_at) "
        f"AND o.id::text IS DISTINCT FROM p.record {_changes_hands(mapping, mapped, into)})"
    )
    before = f"p.ctid IN (SELECT at FROM ({held}) held WHERE starts_at < busy_until)"
    usable = f"p.status IN {HELD} AND p.ends_at > p.starts_at"
    _mark(ctx, into, Rule.OVERLAP, "starts_at", f"{usable} AND ({before} OR {there})")


def mark_unrefused(ctx: Ctx, mapping: MoveMap, mapped: TableMap, into: str) -> None:
    """Overlaps of meetings: those of bookings the database refuses by itself, and is asked about only then."""
    if mapped.to == "meetings":
        mark_overlaps(ctx, mapping, mapped, into)


def note_the_others(ctx: Ctx, mapping: MoveMap, mapped: TableMap, into: str) -> None:
    """The rows with which those that are marked have something in common; after all that marks, and once."""
    run(ctx, f"ALTER TABLE {into} ADD COLUMN beside text[]")
    for each in mapped.fields():
        if each.unique:
            own, mark = sql.name(each.ours), sql.value(f"{Rule.TWICE}:{each.ours}")
            is_same = f"p.{own} IN (SELECT {own} FROM {into} WHERE {mark} = ANY (broken))"
            _note(ctx, into, Rule.TWICE, each.ours, f"{is_same} AND NOT {breaks_any(mapping, LEAVE)}")
    if mapped.to in HAS_TIMES:
        _note(ctx, into, Rule.OVERLAP, "starts_at", _overlaps(mapping, mapped, into))


def note_purchases(ctx: Ctx, mapping: MoveMap, prepared: Mapping[str, str]) -> None:
    """What is worth knowing of accounts and purchases together. `prepared`: of our tables those that come over."""
    accounts, pending = prepared.get("profiles"), prepared.get("pending_profiles")
    if pending is not None and _fills(mapping, "pending_profiles", "claimed_by_user_id"):
        gone = "p.claimed_by_user_id IS NOT NULL AND NOT EXISTS (SELECT FROM {0} a WHERE a.{1} = p.claimed_by_user_id)"
        unknown = [gone.format("profiles", "user_id"), *([gone.format(accounts, "record")] if accounts else [])]
        _note(ctx, pending, Notice.CLAIMED_BY_GONE, "claimed_by_user_id", " AND ".join(unknown))
    if accounts is None or not _fills(mapping, "profiles", "email"):
        return
    temp = f"starts_with(p.record, {sql.value(LEGACY_PREFIX)})"
    _note(ctx, accounts, Notice.TEMP_WITHOUT_EMAIL, "email", f"{temp} AND p.email IS NULL")
    same = [
        f"EXISTS (SELECT FROM {waiting} w WHERE w.{name} = p.{name})"
        for waiting in ("pending_profiles", *([pending] if pending else []))
        for name in ("email", "whop_membership_id")
        if _fills(mapping, "profiles", name)
        and (waiting == "pending_profiles" or _fills(mapping, "pending_profiles", name))
    ]
    _note(ctx, accounts, Notice.TEMP_ALREADY_PENDING, "email", f"{temp} AND ({' OR '.join(same)})")


def _fills(mapping: MoveMap, to: str, ours: str) -> bool:
    table = mapping.table(to)
    return table is not None and table.filling(ours) is not None


def _says_when(mapped: TableMap) -> bool:
    return {"practitioner_id", "starts_at", "ends_at", "status"} <= {each.ours for each in mapped.fields()}


def _overlaps(mapping: MoveMap, mapped: TableMap, into: str) -> str:
    """SQL that is true of a row `p` whose time another row of the same practitioner has as well; linear in the rows."""
    if not _says_when(mapped):
        return "false"
    whatever = replace(mapping, decisions={**mapping.decisions, Rule.OVERLAP: REFUSE})
    by_time = "OVER (PARTITION BY practitioner_id ORDER BY starts_at, ctid"
    return (
        "p.ctid IN (SELECT at FROM (SELECT ctid AS at, starts_at, ends_at, "
        f"max(ends_at) {by_time} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until, "
        f"lead(starts_at) {by_time}) AS next_starts FROM {into} WHERE status IN {HELD} "
        f"AND practitioner_id IS NOT NULL AND ends_at > starts_at AND NOT {breaks_any(whatever, LEAVE)}) held "
        "WHERE starts_at < busy_until OR ends_at > next_starts)"
    )


def _note(ctx: Ctx, into: str, what: Rule | Notice, ours: str, of: str) -> None:
    mark = sql.value(f"{what}:{ours}")
    run(
        ctx,
        f"UPDATE {into} p SET beside = array_append(beside, {mark}) "
        f"WHERE {of} AND NOT coalesce({mark} = ANY (broken), false)",
    )


def rewritten(mapping: MoveMap, row: str) -> str:
    """SQL that is true of a row of `prepared` whose record will be what the source says now."""
    return (
        f"{row}.is_known AND NOT {row}.is_conflict AND {row}.told IS DISTINCT FROM {row}.told_before "
        f"AND NOT {breaks_any(mapping, LEAVE, f'{row}.broken')}"
    )


def _changes_hands(mapping: MoveMap, mapped: TableMap, into: str) -> str:
    """What a record has as long as its own row, which is written with these, has not taken it away counts not."""
    key = f"o.{sql.name(mapped.entity.key.ours)}::text"
    return f"AND NOT EXISTS (SELECT FROM {into} x WHERE x.record = {key} AND {rewritten(mapping, 'x')})"


def make_room(ctx: Ctx, mapping: MoveMap, mapped: TableMap, into: str) -> None:
    """Records that are about to be rewritten give up what may be there only once, and their time, so that it can
    change hands among them and to new ones: a slot that was given up, an e-mail that went from one to the other.
    """
    key, columns = sql.name(mapped.entity.key.ours), Base.metadata.tables[mapped.to].c
    sets = []
    for each in mapped.fields():
        if each.unique and each.kind is not Kind.REFERENCE:
            sets.append(f"{each.ours} = " + ("NULL" if columns[each.ours].nullable else f"'in motion ' || o.{key}"))
    if mapped.to == "bookings" and mapped.filling("status"):
        sets.append("status = 'canceled'")
    if sets:
        which = f"o.{key}::text = p.record AND {rewritten(mapping, 'p')}"
        run(ctx, f"UPDATE {mapped.to} o SET {', '.join(sets)} FROM {into} p WHERE {which}")


def _mark(ctx: Ctx, into: str, rule: Rule, ours: str, breaks: str) -> None:
    run(ctx, f"UPDATE {into} p SET broken = array_append(broken, {sql.value(f'{rule}:{ours}')}) WHERE {breaks}")
