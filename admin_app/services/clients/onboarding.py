"""Onboarding: two steps that programs report, and a completion that is refused until both hold.

A completion stays when a step stops to hold later: it is shown, and undone by a person only.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import Conflict
from admin_app.policies.permissions import Permission, require
from admin_app.services.clients.client_facts import NoSuchClient
from admin_app.services.core import audit, plans
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import Plan, PlanLine
from admin_app.services.core.records import client_key
from models import Client, OnboardingState

# What is missing, in words, by the column that would say it holds.
STEPS = {"forwarding_enabled": "forwarding is not enabled", "test_call_detected": "no test call was detected"}
DONE = "done"
_NEXT_STEP = {
    (False, False): "start",
    (True, False): "test_call",
    (False, True): "forwarding",
    (True, True): "finish",
}
ADDS = ("onboarding_state",)
REOPENED: Mapping[str, Any] = MappingProxyType(dict.fromkeys(("completed_at", "overridden_by", "overridden_because")))


class OnboardingIncomplete(Conflict):
    """Steps of the onboarding are missing, and the sentence names them: 409. An override has to be said as one."""

    code = "onboarding_incomplete"


def missing(state: OnboardingState | None) -> tuple[str, ...]:
    """The steps that do not hold, by their columns."""
    return tuple(step for step in STEPS if state is None or not getattr(state, step))


def report(
    ctx: Ctx,
    *,
    client_id: int,
    forwarding_enabled: bool | None = None,
    test_call_detected: bool | None = None,
    complete: bool | None = None,
) -> Client:
    """Take what a program says about the steps; what it does not say stays as it is.

    `complete` asks for completion, which OnboardingIncomplete refuses, with all of this report, until both steps hold,
    those of the same report included. Only a person takes a completion back, so False says nothing.
    """
    require(ctx, Permission.ONBOARDING_REPORT)
    said = {"forwarding_enabled": forwarding_enabled, "test_call_detected": test_call_detected}
    told = {step: value for step, value in said.items() if value is not None}
    client, state = _locked(ctx, client_id)
    if not told and not complete:
        return client
    state = state or _begun(ctx, client)
    changes = [Change(step, getattr(state, step), value) for step, value in told.items()]
    for step, value in told.items():
        if getattr(state, step) != value:
            setattr(state, step, value)
            setattr(state, f"{step}_at", ctx.now)
    if complete and not client.onboarding_complete:
        if lacking := missing(state):
            raise OnboardingIncomplete(_refusal(lacking))
        changes += _complete(ctx, client, state)
    _follow(ctx, client, state, "onboarding.reported", changes)
    return client


def _refusal(lacking: tuple[str, ...]) -> str:
    return f"Onboarding cannot be completed: {' and '.join(STEPS[step] for step in lacking)}. Nothing was changed."


# -- what staff may do ----------------------------------------------------------------------------------------------


def plan_complete_anyway(ctx: Ctx, *, client_id: int) -> Plan:
    """What completing by hand would change, and what is missing that it passes over."""
    require(ctx, Permission.ONBOARDING_OVERRIDE)
    client, state = _locked(ctx, client_id)
    lacking = [STEPS[step] for step in missing(state)]
    passed_over = f"It is completed although {' and '.join(lacking)}." if lacking else "Both steps hold."
    return Plan(
        title=f"Complete the onboarding of {client.name}",
        outcome="completed",
        lines=(
            PlanLine(client_key(client_id), "onboarding_complete", client.onboarding_complete, True, "your decision"),
            *_lines(state, _by_hand(ctx, state, plans.REASON_TO_COME) | {"current_step": DONE}),
        ),
        consequences=(
            passed_over,
            "The gate does not block for onboarding any more.",
            "Who and why is kept.",
        ),
        fingerprint=_fingerprint(client, state),
        refusal="The onboarding is complete already." if client.onboarding_complete else None,
        adds=() if state else ADDS,
    )


def complete_anyway(ctx: Ctx, *, client_id: int, reason: str, shown: str) -> Client:
    """Complete although a step may be missing; who and why stay on the record."""
    reason = plans.require_reason(reason)
    plan = plan_complete_anyway(ctx, client_id=client_id)
    plans.require_same(shown, plan.fingerprint)
    if plan.refusal:
        raise Conflict(plan.refusal)
    client, state = _locked(ctx, client_id)
    state = state or _begun(ctx, client)
    changes = [Change("onboarding_complete", client.onboarding_complete, True)]
    changes += _put(state, _by_hand(ctx, state, reason))
    client.onboarding_complete = True
    _follow(ctx, client, state, "onboarding.completed_by_hand", changes, reason)
    return client


def plan_reopen(ctx: Ctx, *, client_id: int) -> Plan:
    """What taking the completion back would change."""
    require(ctx, Permission.ONBOARDING_OVERRIDE)
    client, state = _locked(ctx, client_id)
    return Plan(
        title=f"Reopen the onboarding of {client.name}",
        outcome="reopened",
        lines=(
            PlanLine(client_key(client_id), "onboarding_complete", client.onboarding_complete, False, "your decision"),
            *_lines(state, {**REOPENED, **({"current_step": next_step(state)} if state else {})}),
        ),
        consequences=("The gate blocks outbound calls and the AI until it is completed again.",
                      "The steps stay as they were reported."),
        fingerprint=_fingerprint(client, state),
        refusal=None if client.onboarding_complete else "The onboarding is not complete.",
        adds=() if state else ADDS,
    )  # fmt: skip


def reopen(ctx: Ctx, *, client_id: int, reason: str, shown: str) -> Client:
    """Take a completion back; the steps stay as they were reported."""
    reason = plans.require_reason(reason)
    plan = plan_reopen(ctx, client_id=client_id)
    plans.require_same(shown, plan.fingerprint)
    if plan.refusal:
        raise Conflict(plan.refusal)
    client, state = _locked(ctx, client_id)
    state = state or _begun(ctx, client)
    changes = [Change("onboarding_complete", client.onboarding_complete, False)]
    changes += _put(state, REOPENED)
    client.onboarding_complete = False
    _follow(ctx, client, state, "onboarding.reopened", changes, reason)
    return client


def _by_hand(ctx: Ctx, state: OnboardingState | None, reason: str) -> dict[str, Any]:
    """What completing by hand writes down with the steps; who and why where a step is passed over."""
    passed_over = {"overridden_by": ctx.actor.label, "overridden_because": reason} if missing(state) else {}
    return {"completed_at": ctx.now, **passed_over}


def _put(state: OnboardingState, values: Mapping[str, Any]) -> list[Change]:
    changes = [Change(name, getattr(state, name), value) for name, value in values.items()]
    for name, value in values.items():
        setattr(state, name, value)
    return changes


def _lines(state: OnboardingState | None, values: Mapping[str, Any]) -> tuple[PlanLine, ...]:
    """What becomes of the steps that are kept; there are none where nothing was ever reported."""
    if state is None:
        return ()
    about = f"onboarding_state:{state.id}"
    return tuple(PlanLine(about, name, getattr(state, name), value, "this command") for name, value in values.items())


# -- both -----------------------------------------------------------------------------------------------------------


def _locked(ctx: Ctx, client_id: int) -> tuple[Client, OnboardingState | None]:
    """The client, locked, and its steps: whoever holds the client's lock may make the row of the steps."""
    client = ctx.session.scalar(
        select(Client).where(Client.id == client_id).with_for_update().execution_options(populate_existing=True)
    )
    if client is None:
        raise NoSuchClient
    state = ctx.session.scalar(
        select(OnboardingState)
        .where(OnboardingState.client_id == client_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return client, state


def _begun(ctx: Ctx, client: Client) -> OnboardingState:
    state = OnboardingState(client_id=client.id, created_at=ctx.now, updated_at=ctx.now)
    ctx.session.add(state)
    ctx.session.flush()
    ctx.session.refresh(state)
    return state


def _complete(ctx: Ctx, client: Client, state: OnboardingState) -> list[Change]:
    changes = [Change("onboarding_complete", client.onboarding_complete, True),
               Change("completed_at", state.completed_at, ctx.now)]  # fmt: skip
    client.onboarding_complete = True
    state.completed_at = ctx.now
    return changes


def _follow(
    ctx: Ctx, client: Client, state: OnboardingState, event: str, changes: list[Change], reason: str | None = None
) -> None:
    """The step that comes next, and the history; nothing when nothing changed."""
    step = DONE if client.onboarding_complete else next_step(state)
    changes.append(Change("current_step", state.current_step, step))
    if all(change.before == change.after for change in changes):
        return
    completion_changed = any(change.field == "onboarding_complete" for change in changes)
    state.current_step = step
    state.updated_at = ctx.now
    state.version += 1
    if completion_changed:
        client.updated_at = ctx.now
        client.version += 1
    ctx.session.flush()
    audit.record(ctx, event, records=[client_key(client.id)], reason=reason, changes=changes,
                 facts={"name": client.name})  # fmt: skip


def next_step(state: OnboardingState) -> str:
    """The step that is open, while nobody completed it."""
    return _NEXT_STEP[state.forwarding_enabled, state.test_call_detected]


def _fingerprint(client: Client, state: OnboardingState | None) -> str:
    return plans.fingerprint(client.id, client.onboarding_complete, state)


def missing_since(client: Client, state: OnboardingState | None, step: str) -> datetime:
    """Since when a step does not hold: since it stopped to, else since onboarding began, else since sign-up."""
    if state is None:
        return client.created_at
    changed: datetime | None = getattr(state, f"{step}_at")
    return changed or state.created_at
