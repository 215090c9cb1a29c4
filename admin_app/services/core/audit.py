"""The append-only audit: written in the transaction of the command, read as sentences."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, Select, bindparam, event, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, aliased
from sqlalchemy.sql import cast

from admin_app.context import Ctx
from admin_app.services.core.audit_events import EVENTS
from admin_app.services.core.field_labels import label_of
from models.core import AuditEntry

CHAIN_LOCK = 0x6261636B  # one number known to all processes; the chain has one end, so appends take turns
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d")
GENESIS = b"\x00" * 32
# Stands for a fact that an entry does not hold.
NOT_KEPT = "—"
_COLLECTED, _LISTENS = "audit.collected", "audit.listens"


@dataclass(frozen=True)
class Change:
    """One field's value before and after, on the main record unless `record` names another."""

    field: str
    before: Any
    after: Any
    record: str | None = None


@dataclass(frozen=True)
class HistoryChange:
    """One field of an entry, before and after; None: there was or is no value. Moments are aware, for the reader's
    zone.
    """

    label: str
    before: str | datetime | None
    after: str | datetime | None


@dataclass(frozen=True)
class HistoryItem:
    """An audit entry as people read it."""

    id: int
    at: datetime
    event: str
    actor_kind: str
    actor_label: str
    sentence: str
    reason: str | None
    request_id: str
    changes: tuple[HistoryChange, ...]

    @property
    def by_whom(self) -> str:
        return by_whom(self.actor_kind, self.actor_label)


class UnknownEvent(LookupError):
    """A programming error: the event or its facts are not declared in `audit_events`."""


def plain(value: Any) -> Any:
    """A value as JSON keeps it: enums by value, times in ISO 8601."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def record(
    ctx: Ctx,
    event: str,
    *,
    records: Sequence[str],
    reason: str | None = None,
    changes: Iterable[Change] = (),
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Add one entry to the caller's transaction; `records` are `type:id`, the main one first.

    It is written right before the commit (`write`), so that the chain's lock is taken last and held shortly. An entry
    of a savepoint that is rolled back is gone with it. Raises UnknownEvent at once for what is not declared.
    """
    facts = {name: plain(value) for name, value in (facts or {}).items()}
    declared = EVENTS.get(event)
    if declared is None or declared.facts != facts.keys():
        wanted = sorted(declared.facts) if declared else "no such event"
        raise UnknownEvent(f"{event}: {wanted} declared, {sorted(facts)} given")
    entry = AuditEntry(
        at=ctx.now,
        event=event,
        actor_kind=ctx.actor.kind,
        actor_id=str(getattr(ctx.actor, "id", ctx.actor.label)),
        actor_label=ctx.actor.label,
        records=list(dict.fromkeys(records)),
        reason=reason,
        changes=[
            {
                "record": c.record or records[0],
                "field": c.field,
                "before": plain(c.before),
                "after": plain(c.after),
            }
            for c in changes
            if plain(c.before) != plain(c.after)
        ],
        facts=facts,
        request_id=ctx.request_id,
    )
    _collected(ctx.session).append((entry, _enclosing(ctx.session)))


def write(session: Session) -> None:
    """Append to the chain what this transaction recorded so far; asked for by whoever reads the audit back in it.

    From here to the transaction's end nobody else's entry can be written: nothing but the commit should follow.
    """
    if not session.info.get(_COLLECTED):
        return
    entries = [entry for entry, _ in session.info.pop(_COLLECTED)]
    session.flush()  # whatever else may wait for a lock does so before the chain is held
    session.execute(select(func.pg_advisory_xact_lock(CHAIN_LOCK)))
    # A statement of its own: only one that begins after the lock sees the newest end of the chain.
    last = session.scalar(select(AuditEntry.hash).order_by(AuditEntry.id.desc()).limit(1)) or GENESIS
    for entry in entries:
        entry.prev_hash = last
        entry.hash = last = _digest(entry)
    session.add_all(entries)
    session.flush()


def _collected(session: Session) -> list[tuple[AuditEntry, frozenset[SessionTransaction]]]:
    """What this session's transaction recorded and has not written yet, each with the savepoints it belongs to."""
    if _COLLECTED not in session.info:
        session.info[_COLLECTED] = []
    if not session.info.get(_LISTENS):
        session.info[_LISTENS] = True
        event.listen(session, "before_commit", _write_last)
        event.listen(session, "after_soft_rollback", _forget)
        event.listen(session, "do_orm_execute", _write_what_is_asked_for)
    found: list[tuple[AuditEntry, frozenset[SessionTransaction]]] = session.info[_COLLECTED]
    return found


def _enclosing(session: Session) -> frozenset[SessionTransaction]:
    inner, around = session.get_nested_transaction(), set()
    while inner is not None:
        around.add(inner)
        inner = inner.parent
    return frozenset(around)


def _write_last(session: Session) -> None:
    if not session.in_nested_transaction():  # the end of a savepoint is announced as a commit, too
        write(session)


def _forget(session: Session, ended: SessionTransaction) -> None:
    """Drop what was recorded within the savepoint, or the whole transaction, that was rolled back."""
    if _COLLECTED in session.info:
        kept = [(entry, around) for entry, around in session.info[_COLLECTED] if ended.parent and ended not in around]
        session.info[_COLLECTED] = kept


def _write_what_is_asked_for(asked: ORMExecuteState) -> None:
    if asked.session.info.get(_COLLECTED) and any(found.class_ is AuditEntry for found in asked.all_mappers):
        write(asked.session)


def _digest(entry: AuditEntry) -> bytes:
    content = {
        "at": entry.at.timestamp(),
        "event": entry.event,
        "actor": [entry.actor_kind, entry.actor_id, entry.actor_label],
        "records": entry.records,
        "reason": entry.reason,
        "changes": entry.changes,
        "facts": entry.facts,
        "request_id": entry.request_id,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(entry.prev_hash + text.encode()).digest()


def first_broken_link(session: Session) -> int | None:
    """The id of the first entry that was altered or whose predecessor is missing; None when the chain holds."""
    previous = GENESIS
    in_order = select(AuditEntry).order_by(AuditEntry.id).execution_options(yield_per=1000)
    with closing(session.scalars(in_order)) as entries:
        for entry in entries:
            if entry.prev_hash != previous or entry.hash != _digest(entry):
                return entry.id
            previous = entry.hash
    return None


def about(record_key: str) -> ColumnElement[bool]:
    """The condition that an entry concerns this record."""
    return AuditEntry.records.contains(cast([record_key], ARRAY(TEXT)))


def _newest(condition: ColumnElement[bool]) -> Select[AuditEntry]:
    """Of all that are about it, by their index; OFFSET holds the planner to it.

    It guesses that every record has many entries, and with a limit in sight goes through the whole audit from its end.
    """
    mine = aliased(AuditEntry, select(AuditEntry).where(condition).offset(literal_column("0")).subquery())
    return select(mine).order_by(mine.id.desc()).limit(bindparam("limit", type_=Integer))


# Shown on every record's page, so they are built once: of one name, and of one of several.
_NAMES = bindparam("records", type_=ARRAY(TEXT))
_HISTORY = _newest(AuditEntry.records.contains(_NAMES))
_HISTORY_OF_SEVERAL = _newest(AuditEntry.records.overlap(_NAMES))


def history(session: Session, *record_keys: str, limit: int = 50) -> list[HistoryItem]:
    """The newest entries about a record, newest first; `record_keys` are the names that it goes by."""
    write(session)
    statement = _HISTORY if len(record_keys) == 1 else _HISTORY_OF_SEVERAL
    # By the connection: plain rows are read here, and every record's page waits for them.
    rows = session.connection().execute(statement, {"records": list(record_keys), "limit": limit})
    return [as_history(row) for row in rows]


def as_history(entry: AuditEntry | Row[Any]) -> HistoryItem:
    """An entry, or a row with its columns, as people read it."""
    return HistoryItem(
        id=entry.id,
        at=entry.at,
        event=entry.event,
        actor_kind=entry.actor_kind,
        actor_label=entry.actor_label,
        sentence=sentence(entry.event, actor_name(entry.actor_kind, entry.actor_label), entry.facts),
        reason=entry.reason,
        request_id=entry.request_id,
        changes=changes_of(entry.changes),
    )


def changes_of(kept: Iterable[Mapping[str, Any]]) -> tuple[HistoryChange, ...]:
    """Changes as an entry keeps them, as people read them; what an older release did not keep is left open."""
    return tuple(
        HistoryChange(label_of(change["field"]), _shown(change.get("before")), _shown(change.get("after")))
        for change in kept
        if "field" in change
    )


def actor_name(kind: str, label: str) -> str:
    """Who acted, for people: a task's own name says nothing to them."""
    return "Backdesk" if kind == "job" else label


def by_whom(kind: str, label: str) -> str:
    """Who acted, beside a sentence that says so already: of the product itself, which task it was."""
    if kind != "job":
        return label
    is_command = label.startswith("flask ")
    return f"command “{label}”" if is_command else f"task “{label.replace('_', ' ')}”"


def sentence(event: str, actor_label: str, facts: Mapping[str, Any]) -> str:
    """The entry in plain words, whatever release wrote it.

    An event that is no longer declared is shown by its name, and a fact that the event did not have then by a dash:
    entries are never changed, but what is declared is.
    """
    declared = EVENTS.get(event)
    if declared is None:
        return f"{actor_label}: {event}"
    kept = {name: _shown(value) or NOT_KEPT for name, value in facts.items()}
    return declared.sentence.format_map(defaultdict(lambda: NOT_KEPT, kept, actor=actor_label))


def _shown(value: Any) -> str | datetime | None:
    """As people read it; a kept time is a time again, so that the page can show it in the reader's zone."""
    match value:
        case None:
            return None
        case True:
            return "yes"
        case False:
            return "no"
        case str() if TIME.fullmatch(value):
            return datetime.fromisoformat(value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)
