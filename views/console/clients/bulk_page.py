"""What the pages of a run show: the request in words, how far it is, and its clients by outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import case, literal

from admin_app.services.clients.bulk_runs import Part
from admin_app.services.clients.flag_words import ON_EXPIRY, UNTIL_SWITCHED_BACK, WORDS
from admin_app.services.clients.flags import FlagRequest
from models import BulkOutcome, BulkRun, BulkState
from models.clients import CLIENT_FLAGS
from views.console.framework.columns import time_text

# The order of a run, and what is said of clients with each outcome.
OUTCOMES = {
    BulkOutcome.CHANGED: "changed",
    BulkOutcome.WAITING: "waiting",
    BulkOutcome.ALREADY: "so already, left as they are",
    BulkOutcome.EXCLUDED: "left out",
    BulkOutcome.MOVED: "switched by somebody else meanwhile, left as they are",
    BulkOutcome.FAILED: "refused",
}
# What a run is called, as the database says it for lists.
WHAT = case(
    (BulkRun.undoes_id.is_not(None), literal("Undo of an earlier run")),
    *(
        ((BulkRun.flag == flag) & (BulkRun.turns_on == turns_on), literal(words))
        for flag in CLIENT_FLAGS
        for turns_on, words in ((True, WORDS[flag].turn_on), (False, WORDS[flag].turn_off))
    ),
)


@dataclass(frozen=True)
class PartShown:
    """Clients of a run with one outcome for one reason, and the list of those with the outcome."""

    count: str
    words: str
    because: str
    href: str


@dataclass(frozen=True)
class Progress:
    """How far a run is; `done` of `size` clients have their outcome."""

    done: int
    size: int
    running: bool
    planned: bool
    stopping: bool
    parts: Sequence[PartShown]

    @property
    def per_cent(self) -> int:
        return 100 * self.done // self.size if self.size else 100


def progress(run: BulkRun, parts: Sequence[Part]) -> Progress:
    waiting = sum(part.count for part in parts if part.outcome is BulkOutcome.WAITING)
    order = list(OUTCOMES)
    return Progress(
        done=run.size - waiting,
        size=run.size,
        running=run.state is BulkState.RUNNING,
        planned=run.state is BulkState.PLANNED,
        stopping=run.stop_asked,
        parts=[_shown(run, part) for part in sorted(parts, key=lambda part: order.index(part.outcome))],
    )


def _shown(run: BulkRun, part: Part) -> PartShown:
    words = OUTCOMES[part.outcome]
    if part.outcome is BulkOutcome.WAITING and run.state is BulkState.PLANNED:
        words = "would change"
    arguments = urlencode({"run": run.id, "outcome": part.outcome.value})
    return PartShown(f"{part.count:,}", words, part.because or "", f"/admin/bulk-items/?{arguments}")


def request_facts(run: BulkRun, zone: ZoneInfo) -> list[tuple[str, str]]:
    """The asked in words, with times in that zone."""
    facts = [("Chosen", run.chosen_by), ("By", run.by), ("Reason", run.wish["reason"])]
    if run.undoes_id is not None:
        return [("What", f"Puts back what run {run.undoes_id} changed"), *facts]
    asked = FlagRequest.from_json(run.wish)
    words = WORDS[run.flag]
    if not run.turns_on:
        return [("What", words.turn_off), *facts]
    return [("What", words.turn_on), *_span(asked, zone), *facts]


def _span(asked: FlagRequest, zone: ZoneInfo) -> list[tuple[str, Any]]:
    facts = [
        ("From", _moment(asked.since, zone) if asked.since else "at once"),
        ("Until", _moment(asked.until, zone) if asked.until else UNTIL_SWITCHED_BACK),
    ]
    if asked.until:
        facts.append(("At the end date", ON_EXPIRY[asked.on_expiry]))
    if asked.tell_email and asked.tell_at:
        facts.append(("Told before it ends", f"{asked.tell_email} on {_moment(asked.tell_at, zone)}"))
    return facts


def _moment(moment: Any, zone: ZoneInfo) -> str:
    return f"{time_text(moment, zone)} ({zone.key})"
