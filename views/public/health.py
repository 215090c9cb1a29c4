"""Whether this server can do its work: the database answers and has the newest schema."""

from functools import cache
from pathlib import Path

from alembic.script import ScriptDirectory
from flask import Blueprint
from flask.typing import ResponseReturnValue

from admin_app.db_health import DatabaseFails
from views.backdesk import backdesk
from views.public.endpoints import Endpoint, endpoint
from views.public.shapes import Health

doors = Blueprint("health", __name__)

_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


@endpoint(
    doors,
    Endpoint(
        "GET",
        "/health",
        id="health",
        summary="Whether the database answers and has the newest schema",
        answers={200: ("All is well", Health), 503: ("Which part is not", Health)},
    ),
)
def health() -> ResponseReturnValue:
    """Answered within two seconds, whatever state the database is in."""
    state = _state()
    return state.model_dump(mode="json", exclude_defaults=True), 200 if state.status == "ok" else 503


def _state() -> Health:
    try:
        applied = backdesk().db.revisions()
    except DatabaseFails:
        return Health(status="failing", failing=["database"])
    if applied != newest_revisions():
        return Health(status="failing", failing=["migrations"])
    return Health(status="ok")


@cache
def newest_revisions() -> frozenset[str]:
    """The heads of the revisions that came with this code."""
    return frozenset(ScriptDirectory(str(_MIGRATIONS)).get_heads())
