"""The steps of a client's onboarding: what is missing, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.policies.permissions import Permission
from admin_app.services.clients import onboarding
from models import Client, OnboardingState
from views.console.framework.columns import record_address
from views.console.framework.current_staff import Viewer

_STEPS = select(Client, OnboardingState).outerjoin(OnboardingState, OnboardingState.client_id == Client.id)
WORDS = {"forwarding_enabled": "Forwarding enabled", "test_call_detected": "Test call detected"}


@dataclass(frozen=True)
class ShownStep:
    """One step; `since` is when that last changed, None for a step that holds and nobody noted since when."""

    words: str
    holds: bool
    since: datetime | None


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/clients/onboarding_panel.html` shows, by one query."""
    row = session.execute(_STEPS.where(Client.id == client_id)).one_or_none()
    if row is None:
        return {"steps": []}
    client, state = row
    here = f"{record_address('clients', client_id)}/onboarding"
    may = viewer.may(Permission.ONBOARDING_OVERRIDE)
    missing = onboarding.missing(state)
    return {
        "steps": _steps(client, state),
        "complete": client.onboarding_complete,
        "completed_at": state.completed_at if state else None,
        "outside": client.onboarding_complete and (state is None or state.completed_at is None),
        "by": state.overridden_by if state else None,
        "because": state.overridden_because if state else None,
        # A completion stays when a step stops to hold; that it did is to be seen.
        "slipped": [WORDS[step] for step in missing] if client.onboarding_complete else [],
        "command": _command(here, client.onboarding_complete) if may else None,
    }


def _steps(client: Client, state: OnboardingState | None) -> Sequence[ShownStep]:
    missing = onboarding.missing(state)
    return [
        ShownStep(
            words,
            step not in missing,
            onboarding.missing_since(client, state, step) if step in missing else getattr(state, f"{step}_at"),
        )
        for step, words in WORDS.items()
    ]


def _command(here: str, complete: bool) -> tuple[str, str]:
    return ("Reopen the onboarding", f"{here}/reopen") if complete else ("Complete by hand", f"{here}/complete")
