"""What turning a flag would change, shown before it is turned."""

from datetime import datetime
from typing import Any

from admin_app.services.clients import flag_clock
from admin_app.services.clients.flag_periods import Effect, FlagState, shortened
from admin_app.services.clients.flag_requests import FlagRequest
from admin_app.services.clients.flag_words import OUTSIDE, UNTIL_SWITCHED_BACK, WORDS, end_words
from admin_app.services.core.plans import Plan, PlanLine
from admin_app.services.core.records import client_key, flag_change_key
from models.clients import Client, FlagChange, OnExpiry

ADDS = ("flag_change",)
ASKED_FOR = "this command"
REPLACED = "the new period takes its place"
SHORTENED = "it ends where the new period begins"


def of_request(client: Client, state: FlagState, asked: FlagRequest, effect: Effect, now: datetime) -> Plan:
    """The plan of a checked request."""
    words = WORDS[asked.flag]
    if not asked.turns_on:
        lines, said = _lines_off(client, state, now), _said_off(state)
    elif asked.since is None:
        lines, said = _lines_on(client, state, asked, effect, now), _said_on(state, asked, now)
    else:
        lines, said = _lines_later(client, state, asked, effect), _said_later(state, asked, effect, now)
    return Plan(
        title=f"{words.turn_on if asked.turns_on else words.turn_off}: {client.name}",
        outcome=words.on if asked.turns_on else words.off,
        lines=tuple(lines),
        consequences=tuple(said),
        fingerprint=state.fingerprint,
        refusal=already(state, asked) if effect.already else None,
        # What another program set has no period that could end: one is kept that says who switched it off.
        adds=ADDS if asked.turns_on or state.set_outside else (),
    )


def of_cancel(client: Client, period: FlagChange, fingerprint: str, refusal: str | None, *, ends_there: bool) -> Plan:
    """The plan of taking back what is scheduled; `ends_there`: what is on before it ends at its start."""
    about = flag_change_key(period.id)
    holds = "What holds now stays as it is."
    if ends_there:
        holds = "What is on before still ends where this would have begun. Change its end if it is to go on."
    return Plan(
        title=f"Cancel what is scheduled for {client.name}: {WORDS[period.flag].name}",
        outcome="canceled",
        lines=(
            PlanLine(about, "next_since", period.since, None, ASKED_FOR),
            PlanLine(about, "next_until", period.until or UNTIL_SWITCHED_BACK, None, ASKED_FOR),
        ),
        consequences=(holds, f"It was scheduled by {period.by}: {period.reason}"),
        fingerprint=fingerprint,
        refusal=refusal,
    )


def already(state: FlagState, asked: FlagRequest) -> str:
    """That what is asked for holds already, and since whom."""
    words = WORDS[asked.flag]
    if not asked.turns_on:
        return f"{words.off} already, so there is nothing to switch off."
    if asked.since is not None:
        return "The same is scheduled already, so nothing was changed."
    by = f" by {state.change.by}" if state.change else ""
    return f"{words.on} already{by} with the same end, so nothing was changed."


def kept(period: FlagChange) -> dict[str, Any]:
    """What a new period is, as its history tells it."""
    return {
        "since": period.since,
        "until": period.until or UNTIL_SWITCHED_BACK,
        "on_expiry": _at_end(period),
        "tell_email": period.tell_email,
        "tell_at": period.tell_at,
    }


def _lines_on(client: Client, state: FlagState, asked: FlagRequest, effect: Effect, now: datetime) -> list[PlanLine]:
    about, current = client_key(client.id), state.change
    lines = [
        PlanLine(about, asked.flag.value, state.is_on, True, ASKED_FOR),
        PlanLine(about, "since", _since(state), now, ASKED_FOR),
        PlanLine(about, "until", _until(state), asked.until or UNTIL_SWITCHED_BACK, ASKED_FOR),
        PlanLine(
            about,
            "on_expiry",
            _at_end(current),
            end_words(asked.on_expiry, asked.until is not None),
            ASKED_FOR,
        ),
        PlanLine(about, "tell_email", current.tell_email if current else None, asked.tell_email, ASKED_FOR),
        PlanLine(about, "tell_at", current.tell_at if current else None, asked.tell_at, ASKED_FOR),
    ]
    canceled = [each for each in effect.lifted if each is not current]
    shown = [each for each in lines if each.now is not None or each.after is not None]
    return shown + ended(current, now, REPLACED) + _canceled(canceled)


def _lines_later(client: Client, state: FlagState, asked: FlagRequest, effect: Effect) -> list[PlanLine]:
    about = client_key(client.id)
    lines = [PlanLine(about, asked.flag.value, state.is_on, state.is_on, "nothing changes before it starts")]
    for each in effect.shortened:
        key, after = flag_change_key(each.id), shortened(each, effect)
        at_end = end_words(after.pop("on_expiry"), has_end=True)
        lines.append(PlanLine(key, "until", _until_of(each), after.pop("until"), SHORTENED))
        lines.append(PlanLine(key, "on_expiry", _at_end(each), at_end, SHORTENED))
        lines += [PlanLine(key, name, getattr(each, name), value, SHORTENED) for name, value in after.items()]
    lines += [
        PlanLine(about, "next_since", None, asked.since, ASKED_FOR),
        PlanLine(about, "next_until", None, asked.until or UNTIL_SWITCHED_BACK, ASKED_FOR),
        PlanLine(about, "on_expiry", None, end_words(asked.on_expiry, asked.until is not None), ASKED_FOR),
        PlanLine(about, "tell_email", None, asked.tell_email, ASKED_FOR),
        PlanLine(about, "tell_at", None, asked.tell_at, ASKED_FOR),
    ]
    return [each for each in lines if each.now is not None or each.after is not None] + _canceled(effect.lifted)


def _lines_off(client: Client, state: FlagState, now: datetime) -> list[PlanLine]:
    about = client_key(client.id)
    lines = [PlanLine(about, state.flag.value, state.is_on, False, ASKED_FOR)]
    if state.is_on:
        lines += [
            PlanLine(about, "since", _since(state), None, ASKED_FOR),
            PlanLine(about, "until", _until(state), None, ASKED_FOR),
        ]
    return lines + ended(state.change, now, ASKED_FOR)


def ended(period: FlagChange | None, now: datetime, source: str) -> list[PlanLine]:
    """That the period that is in force ends now."""
    return [PlanLine(flag_change_key(period.id), "lifted_at", None, now, source)] if period else []


def _canceled(periods: Any) -> list[PlanLine]:
    return [PlanLine(flag_change_key(each.id), "next_since", each.since, None, REPLACED) for each in periods]


def _said_on(state: FlagState, asked: FlagRequest, now: datetime) -> list[str]:
    words = WORDS[asked.flag]
    said = [f"{words.on} from now on."]
    if state.change is not None:
        said.append(f"It is on already, by {state.change.by}: {state.change.reason}. What is said here replaces that.")
    if state.set_outside:
        said.append(f"It is on already, {OUTSIDE}, without a reason. What is said here replaces that.")
    return said + _said_of_end(asked, now)


def _said_later(state: FlagState, asked: FlagRequest, effect: Effect, now: datetime) -> list[str]:
    said = ["Nothing changes before it starts."]
    if effect.shortened:
        said.append("What is on before then ends where this begins, and whoever was to be told of its end is not.")
    if state.set_outside:
        said.append(f"It is on now, {OUTSIDE}. This takes over when it starts, and with its end it goes off.")
    return said + _said_of_end(asked, now)


def _said_of_end(asked: FlagRequest, now: datetime) -> list[str]:
    if asked.until is None:
        return ["It stays on until somebody switches it back."]
    said = ["At the end date it goes off by itself, at that very moment."]
    if asked.on_expiry is OnExpiry.STAY:
        said = ["At the end date it stays on and waits for a decision on the first page."]
    if asked.tell_email and asked.tell_at:
        when = "at once, because that moment has passed" if asked.tell_at <= now else "before that"
        said.append(f"A mail goes to {asked.tell_email} {when}.")
    return said


def _said_off(state: FlagState) -> list[str]:
    said = [f"{WORDS[state.flag].off} from now on, as far as this flag goes."]
    if state.change is not None:
        said.append(f"It was switched on by {state.change.by}: {state.change.reason}")
        if state.change.tell_email and state.change.told_at is None:
            said.append(f"{state.change.tell_email} is not written to any more.")
    if state.set_outside:
        said.append(f"It was {OUTSIDE}, so nobody here can say why.")
    if state.scheduled:
        said.append("What is scheduled for later stays scheduled.")
    return said


def _since(state: FlagState) -> datetime | str | None:
    if state.change is not None:
        return state.change.since
    return OUTSIDE if state.is_on else None


def _until(state: FlagState) -> datetime | str | None:
    if state.change is not None:
        return _until_of(state.change)
    return UNTIL_SWITCHED_BACK if state.is_on else None


def _until_of(period: FlagChange) -> datetime | str:
    return flag_clock.ends_at(period) or period.until or UNTIL_SWITCHED_BACK


def _at_end(period: FlagChange | None) -> str | None:
    return end_words(period.on_expiry, period.until is not None) if period else None
