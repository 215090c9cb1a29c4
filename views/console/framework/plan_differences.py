"""What a stale screen showed beside what holds now: the plan's form carries what it showed, for display alone."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import current_app
from markupsafe import Markup

from admin_app.errors import DomainError, PlanMoved
from admin_app.services.core.field_labels import label_of
from admin_app.services.core.plans import Plan, PlanLine
from views.console.framework.columns import plain_text

CARRIED = "was_shown"
# More than any plan has; what comes from a form is read up to here and no further.
MOST_CARRIED = 200
LONGEST_CARRIED = 4000
NOTHING = "–"
NOT_SHOWN = "not part of this plan"


@dataclass(frozen=True)
class Difference:
    """One field of the plan, as it was when somebody looked and as it is."""

    label: str
    then: str
    now: str


def carried(plan: Plan, zone: ZoneInfo) -> list[str]:
    """What the form of a plan carries along: its lines and its sentences as they read."""
    lines = [["line", line.record, line.field, *_shown(line, zone)] for line in plan.lines]
    said = [["said", sentence] for sentence in plan.consequences]
    return [json.dumps(each, ensure_ascii=False) for each in (lines + said)[:MOST_CARRIED]]


def differences(kept: Iterable[str], plan: Plan, zone: ZoneInfo) -> list[Difference]:
    """Where the plan as it stands reads otherwise than the one that was shown."""
    read = [parts for each in list(kept)[:MOST_CARRIED] if (parts := _read(each)) is not None]
    then = {(parts[1], parts[2]): (parts[3], parts[4]) for parts in read if parts[0] == "line"}
    now = {(line.record, line.field): _shown(line, zone) for line in plan.lines}
    found = [_of_line(key, then.get(key), now.get(key)) for key in dict.fromkeys([*then, *now])]
    said_then = [parts[1] for parts in read if parts[0] == "said"]
    return [each for each in [*found, _of_sentences(said_then, plan.consequences)] if each is not None]


def with_differences(error: DomainError, found: Sequence[Difference]) -> Markup:
    """The refusal's sentence with what moved, as the pages show it."""
    drawn: str = current_app.jinja_env.get_template("console/framework/plan_difference.html").render(
        sentence=error.sentence, differences=found, moved=isinstance(error, PlanMoved)
    )
    return Markup(drawn)  # noqa: S704  drawn by a template that escapes


def _shown(line: PlanLine, zone: ZoneInfo) -> tuple[str, str]:
    # A time after may be that of the act itself, which moves by looking.
    after = "" if isinstance(line.after, datetime) else _text(line.after, zone)
    return _text(line.now, zone), after


def _text(value: object, zone: ZoneInfo) -> str:
    return NOTHING if value is None or value == "" else plain_text(value, zone)


def _read(text: str) -> list[str] | None:
    try:
        parts = json.loads(text[:LONGEST_CARRIED])
    except (ValueError, RecursionError):
        return None
    fits = isinstance(parts, list) and all(isinstance(part, str) and _can_be_sent(part) for part in parts)
    return parts if fits and (len(parts), *parts[:1]) in {(5, "line"), (2, "said")} else None


def _can_be_sent(text: str) -> bool:
    # JSON may spell what no page can hold: a NUL, or half of a surrogate pair, which no encoding has.
    return not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in text)


def _of_line(key: tuple[str, str], then: tuple[str, str] | None, now: tuple[str, str] | None) -> Difference | None:
    label = label_of(key[1])
    if then is None or now is None:
        return Difference(label, then[0] if then else NOT_SHOWN, now[0] if now else NOT_SHOWN)
    if then[0] != now[0]:
        return Difference(label, then[0], now[0])
    return Difference(f"{label}, after", then[1], now[1]) if then[1] != now[1] else None


def _of_sentences(then: Sequence[str], now: Sequence[str]) -> Difference | None:
    gone = [sentence for sentence in then if sentence not in now]
    new = [sentence for sentence in now if sentence not in then]
    return Difference("What follows", " ".join(gone) or NOTHING, " ".join(new) or NOTHING) if gone or new else None
