"""What the gate says about a client now, for each action, and the smallest change that would unblock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from admin_app.policies.permissions import Permission
from admin_app.services.clients import gate
from admin_app.services.clients.gate import ACTIONS, Action, Block, GateFacts
from views.backdesk import backdesk
from views.console.framework.columns import record_address, time_text
from views.console.framework.current_staff import Viewer

WORDS: dict[Action, str] = {"outbound": "Outbound calls", "ai": "AI"}
_OVERRIDE = ("Override billing", "billing/override", Permission.BILLING_OVERRIDE)
_GRANT = ("Grant a trial", "billing/trial", Permission.TRIALS_GRANT)
_EXTEND = ("Extend the trial", "billing/extend", Permission.TRIALS_GRANT)
# Where a block is taken away, for whoever may; below the client's page unless the address is whole.
COMMANDS: dict[str, tuple[tuple[str, str, Permission], ...]] = {
    "emergency_stop": (("Lift the emergency stop", "/admin/emergency-stop/end", Permission.EMERGENCY_STOP),),
    "outbound_paused": (("Turn outbound calls on", "switches/outbound_paused/off", Permission.CLIENTS_SWITCH),),
    "ai_disabled": (("Turn the AI on", "switches/ai_disabled/off", Permission.CLIENTS_SWITCH),),
    "no_billing": (_GRANT, _OVERRIDE),
    "trial_over": (_EXTEND, _OVERRIDE),
    "trial_end_unknown": (_EXTEND, _OVERRIDE),
    **dict.fromkeys(("canceled", "past_due", "payment_inactive", "payment_unknown", "billing_unknown"), (_OVERRIDE,)),
    "onboarding_incomplete": (("Complete by hand", "onboarding/complete", Permission.ONBOARDING_OVERRIDE),),
}


@dataclass(frozen=True)
class ShownBlock:
    """One reason: what, when it ends, why and by whom."""

    code: str
    sentence: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ShownRemedy:
    sentence: str
    links: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ShownDecision:
    action: str
    words: str
    allowed: bool
    blocks: Sequence[ShownBlock]
    remedies: Sequence[ShownRemedy]


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/clients/gate_panel.html` shows: what the endpoint would answer, by the same function."""
    facts = gate.facts_of(session, client_id, trial_days=backdesk().settings.trial_days)
    return {"decisions": [_shown(facts, action, now, viewer) for action in ACTIONS]}


def _shown(facts: GateFacts, action: Action, now: datetime, viewer: Viewer) -> ShownDecision:
    decision = gate.decide(facts, action, now)
    return ShownDecision(
        action=action,
        words=WORDS[action],
        allowed=decision.allowed,
        blocks=[ShownBlock(block.code, f"{block.sentence}.", _facts(block, viewer)) for block in decision.blocks],
        remedies=[
            ShownRemedy(remedy.sentence, _links(facts.client_id, remedy.code, viewer))
            for remedy in gate.smallest_change(facts, action, now)
        ],
    )


def _facts(block: Block, viewer: Viewer) -> list[tuple[str, str]]:
    until = time_text(block.until, viewer.zone) if block.until else ""
    named = (("Why", block.because), ("By", block.by), ("Until", until))
    return [(label, text) for label, text in named if text]


def _links(client_id: int, code: str, viewer: Viewer) -> list[tuple[str, str]]:
    here = record_address("clients", client_id)
    return [
        (label, address if address.startswith("/") else f"{here}/{address}")
        for label, address, permission in COMMANDS.get(code, ())
        if viewer.may(permission)
    ]
