"""What a command would change, shown before it acts, and the fingerprint that tells whether that still holds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import inspect

from admin_app.errors import InvalidInput, PlanMoved
from admin_app.services.core.audit import plain
from models.base import Base

MOST_REASON = 1000
# Stands in a mail that a plan shows where the reason will be, which is written below the plan.
REASON_TO_COME = "(the reason that you give)"
# Looked up again in the background, or asked of the provider: no reason to refuse what a person decided meanwhile.
LOOKED_UP_AGAIN = ("likely_owners", "owners_checked_at", "asked_at")


@dataclass(frozen=True)
class Choice:
    """One of the values that a field could get: `key` goes into the form, `source` says where it comes from."""

    key: str
    value: Any
    source: str


@dataclass(frozen=True)
class PlanLine:
    """One field: what it is, what it becomes by the rule, where that comes from, and what else may be chosen.

    `later`: not by this command, but once a second person has let it happen; so it is with mails and calls.
    """

    record: str
    field: str
    now: Any
    after: Any
    source: str
    choices: tuple[Choice, ...] = ()
    chosen: str | None = None
    later: bool = False

    @property
    def changes(self) -> bool:
        return bool(plain(self.now) != plain(self.after))


@dataclass(frozen=True)
class PlannedMail:
    """A mail as it will read, made by the code that sends it; `when` says after what it goes."""

    to: str
    subject: str
    text: str
    when: str = "at once"
    later: bool = False


@dataclass(frozen=True)
class PlannedCall:
    """A change at a provider, named as the journal of calls names it; `sentence` says it to a person."""

    provider: str
    operation: str
    sentence: str
    later: bool = False


@dataclass(frozen=True)
class Plan:
    """The whole command: its lines, its consequences in sentences, and what forbids it, if anything.

    `names` says how the records of the lines are called, where they are of more than one. `mails` and `calls` are all
    that leave the house because of it; `adds` and `removes` are the kinds of the records that are new or gone then, one
    for each.
    """

    title: str
    outcome: str
    lines: tuple[PlanLine, ...]
    consequences: tuple[str, ...]
    fingerprint: str
    refusal: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    mails: tuple[PlannedMail, ...] = ()
    calls: tuple[PlannedCall, ...] = ()
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()


def fingerprint(*parts: Any) -> str:
    """A digest of the state a plan was made from: rows by their columns, everything else as JSON."""
    content = [_state(part) if isinstance(part, Base) else part for part in parts]
    text = json.dumps(content, sort_keys=True, default=plain, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _state(row: Base) -> dict[str, Any]:
    return {name: value for name, value in snapshot(row).items() if name not in LOOKED_UP_AGAIN}


def require_same(shown: str, current: str) -> None:
    """Refuse to act on a plan that is not the one shown."""
    if shown != current:
        raise PlanMoved


def snapshot(row: Base, fields: tuple[str, ...] | None = None) -> dict[str, Any]:
    """A row's columns as JSON keeps them."""
    names = fields or tuple(column.key for column in inspect(type(row)).column_attrs)
    return {name: plain(getattr(row, name)) for name in names}


def restored(model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """A snapshot's values as Python has them."""
    columns = inspect(model).columns
    return {name: _value(columns[name].type, value) for name, value in values.items()}


def _value(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if kind.python_type is datetime:
        return datetime.fromisoformat(value)
    enum_class = getattr(kind, "enum_class", None)
    return enum_class(value) if enum_class else value


def require_reason(reason: str | None) -> str:
    """The reason without surrounding space; a missing or overlong one is refused with its sentence."""
    stripped = (reason or "").strip()
    if not stripped:
        raise InvalidInput("Say why: a reason is needed.", fields={"reason": "Write a reason."})
    if len(stripped) > MOST_REASON or "\x00" in stripped:
        raise InvalidInput(
            "The reason cannot be kept as it is.",
            fields={"reason": f"Use at most {MOST_REASON} plain characters."},
        )
    return stripped
