"""What the gate says about a client now, for each action, and the smallest change that would unblock."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from views.console.viewer import Viewer


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/clients/gate_panel.html` shows."""
    return {}
