"""The gate: whether something may be done for a client now, and every reason why not.

One pure function of the client's facts and the time. Whatever calls out, or lets the AI act, for a client has to ask it
first and to take anything but `allowed` as a no; nothing in this product does either by itself. What is not known is
refused.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from admin_app.services.clients.client_facts import (
    BillingFacts,
    BillingInForce,
    FlagFacts,
    GateFacts,
    NoSuchClient,
    OverrideFacts,
    facts_of,
)
from models import BillingStatus

__all__ = ["ACTIONS", "Action", "Block", "Decision", "GateFacts", "NoSuchClient", "Remedy", "decide", "facts_of",
           "smallest_change"]  # fmt: skip

Action = Literal["outbound", "ai"]
ACTIONS: tuple[Action, ...] = get_args(Action)
SET_OUTSIDE = "set outside Backdesk"

# Every code, worst first: what people decided for everyone, then for this client, then money, then what is missing.
# A code stands for one sentence; codes are a contract with outside callers.
REASONS: dict[str, str] = {
    "emergency_stop": "Everything is stopped for everyone",
    "emergency_stop_unknown": "It is not known whether everything is stopped for everyone",
    "outbound_paused": "Outbound calls are paused",
    "outbound_unknown": "It is not known whether outbound calls are paused",
    "ai_disabled": "The AI is switched off",
    "ai_unknown": "It is not known whether the AI is switched off",
    "canceled": "The subscription is canceled",
    "past_due": "A payment is past due",
    "no_billing": "There is no subscription and no trial",
    "billing_unknown": "It is not known how this client pays",
    "trial_over": "The trial is over",
    "trial_end_unknown": "The client is on trial, and it is not known until when",
    "payment_inactive": "The subscription is active, but nothing is paid for it",
    "payment_unknown": "The subscription is active, but it is not known whether it is paid for",
    "onboarding_incomplete": "Onboarding is not complete",
    "onboarding_unknown": "It is not known whether onboarding is complete",
}
_RANK = {code: rank for rank, code in enumerate(REASONS)}
_SWITCHES = frozenset({"emergency_stop", "outbound_paused", "ai_disabled"})


@dataclass(frozen=True)
class Block:
    """One reason for a no. `until`: when it ends by the clock alone; None: only somebody ends it.

    `because` and `by` are of the one who decided it. Outside callers are told the reason of a flag, nobody's name.
    """

    code: str
    until: datetime | None = None
    because: str | None = None
    by: str | None = None

    @property
    def sentence(self) -> str:
        """What blocks, without when and why and without a full stop."""
        return REASONS[self.code]

    @property
    def is_switch(self) -> bool:
        return self.code in _SWITCHES

    @property
    def message(self) -> str:
        """The sentence for outside callers."""
        if not self.is_switch:
            return f"{self.sentence}."
        until = f" until {self.until:%d %b %Y %H:%M} UTC" if self.until else ""
        because = f": {self.because.rstrip(' .')}" if self.because else ""
        return f"{self.sentence}{until}{because}."


@dataclass(frozen=True)
class Decision:
    """What the gate says: allowed exactly when nothing blocks; the blocks come worst first."""

    action: Action
    blocks: tuple[Block, ...]

    @property
    def allowed(self) -> bool:
        return not self.blocks


def decide(facts: GateFacts, action: Action, now: datetime) -> Decision:
    """Every block that applies to the action at `now`, an aware time."""
    switched = _outbound(facts, now) if action == "outbound" else _ai(facts, now)
    found = (_stop(facts, now), switched, _billing(facts.billing, now), _onboarding(facts))
    blocks = sorted((block for block in found if block is not None), key=lambda block: _RANK[block.code])
    return Decision(action, tuple(blocks))


def _stop(facts: GateFacts, now: datetime) -> Block | None:
    return _switch(facts.emergency_stop, "emergency_stop", "emergency_stop_unknown", now)


def _outbound(facts: GateFacts, now: datetime) -> Block | None:
    return _switch(facts.outbound_paused, "outbound_paused", "outbound_unknown", now)


def _ai(facts: GateFacts, now: datetime) -> Block | None:
    return _switch(facts.ai_disabled, "ai_disabled", "ai_unknown", now)


def _switch(switch: FlagFacts | None, code: str, unknown: str, now: datetime) -> Block | None:
    if switch is None:
        return Block(unknown)
    if not switch.is_on(now):
        return None
    period = switch.period(now)
    if period is None:
        return Block(code, because=SET_OUTSIDE)
    return Block(code, switch.off_at(now), period.reason, period.by)


def _billing(billing: BillingFacts | None, now: datetime) -> Block | None:
    if billing is None:
        return Block("billing_unknown")
    counts = billing.in_force(now)
    code = _billing_code(counts, now)
    if code is None:
        return None
    if code == "no_billing" and counts.override is None and billing.granted_trial_is_over(now):
        # It leaves no billing behind, and no other one is granted: what ended is what is missing.
        code = "trial_over"
    override = counts.override
    return Block(code, override.until, override.reason, override.by) if override else Block(code)


def _billing_code(counts: BillingInForce, now: datetime) -> str | None:
    match counts.status:
        case None:
            return "billing_unknown"
        case BillingStatus.NONE:
            return "no_billing"
        case BillingStatus.CANCELED | BillingStatus.PAST_DUE:
            return counts.status.value
        case BillingStatus.TRIAL:
            if counts.trial_end is None:
                return "trial_end_unknown"
            return "trial_over" if counts.trial_end <= now else None
        case BillingStatus.ACTIVE if counts.payment_active is None:
            return "payment_unknown"
        case BillingStatus.ACTIVE:
            return None if counts.payment_active else "payment_inactive"


def _onboarding(facts: GateFacts) -> Block | None:
    if facts.onboarding_complete is None:
        return Block("onboarding_unknown")
    return None if facts.onboarding_complete else Block("onboarding_incomplete")


# -- what would have to change --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remedy:
    """One change that takes the block `code` away: what to do, and what it makes of the facts."""

    code: str
    sentence: str
    change: Callable[[GateFacts, datetime], GateFacts]

    def applied(self, facts: GateFacts, now: datetime) -> GateFacts:
        return self.change(facts, now)


def smallest_change(facts: GateFacts, action: Action, now: datetime) -> tuple[Remedy, ...]:
    """The fewest changes after which the gate would allow the action, in the order of the blocks.

    No change takes two blocks away, so it is one for each.
    """
    return tuple(_REMEDIES[block.code] for block in decide(facts, action, now).blocks)


def _no_stop(facts: GateFacts, now: datetime) -> GateFacts:
    return replace(facts, emergency_stop=FlagFacts(False))


def _calls_on(facts: GateFacts, now: datetime) -> GateFacts:
    return replace(facts, outbound_paused=FlagFacts(False))


def _ai_on(facts: GateFacts, now: datetime) -> GateFacts:
    return replace(facts, ai_disabled=FlagFacts(False))


def _billing_put_right(facts: GateFacts, now: datetime) -> GateFacts:
    """By an override, which also stands for what Stripe would say once it is paid there."""
    billing = facts.billing or BillingFacts(None, None)
    right = OverrideFacts(BillingStatus.ACTIVE, now, now + timedelta(days=1), "", "")
    return replace(facts, billing=replace(billing, override=right))


def _onboarded(facts: GateFacts, now: datetime) -> GateFacts:
    return replace(facts, onboarding_complete=True)


_ASK_AGAIN = "Ask again when it can be told"
_REMEDIES: dict[str, Remedy] = {
    code: Remedy(code, sentence, change)
    for code, sentence, change in (
        ("emergency_stop", "Lift the emergency stop", _no_stop),
        ("emergency_stop_unknown", _ASK_AGAIN, _no_stop),
        ("outbound_paused", "Turn outbound calls on", _calls_on),
        ("outbound_unknown", _ASK_AGAIN, _calls_on),
        ("ai_disabled", "Turn the AI on", _ai_on),
        ("ai_unknown", _ASK_AGAIN, _ai_on),
        ("canceled", "Have the client subscribe again at Stripe, or override billing", _billing_put_right),
        ("past_due", "Have the open invoice paid at Stripe, or override billing", _billing_put_right),
        ("no_billing", "Have the client subscribe at Stripe, grant a trial, or override billing", _billing_put_right),
        ("billing_unknown", "Compare with Stripe, or override billing", _billing_put_right),
        ("trial_over", "Have the client subscribe at Stripe, extend the trial, or override billing",
         _billing_put_right),
        ("trial_end_unknown", "Extend the trial, so that its end is known, or override billing", _billing_put_right),
        ("payment_inactive", "Put a payment method in at Stripe, or override billing", _billing_put_right),
        ("payment_unknown", "Compare with Stripe, or override billing", _billing_put_right),
        ("onboarding_incomplete", "Have forwarding enabled and a test call made, or complete the onboarding by hand",
         _onboarded),
        ("onboarding_unknown", _ASK_AGAIN, _onboarded),
    )
}  # fmt: skip
