"""Which of the business's own programs a request speaks for, proved by its service key."""

from collections.abc import Callable

import structlog
from flask import after_this_request, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from admin_app.context import Service
from admin_app.policies.permissions import SCOPES, require_scope
from admin_app.services.staff import service_keys
from models import Scope
from views.backdesk import backdesk, request_id

log = structlog.get_logger("backdesk.callers")

_LONGEST_KEY = 500


def service(session: Session, scope: Scope) -> Service:
    """The calling program; refused without a key that counts and has the scope."""
    house = backdesk()
    found = service_keys.caller(
        session, presented_key(), of_settings=house.settings.service_api_key, now=house.db.clock()
    )
    if found.note_use:
        _after_the_answer(_noting(found.service))
    require_scope(found.service, SCOPES[scope])
    return found.service


def presented_key() -> str:
    """The key of the request, as a bearer token or in its own header."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "").strip()
    # What is longer than any key is not hashed, only refused.
    return key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY]


def _noting(caller: Service) -> Callable[[], None]:
    db, reference = backdesk().db, request_id()

    def note() -> None:
        try:
            with db.unit_of_work(caller, request_id=reference) as ctx:
                service_keys.note_use(ctx)
        except SQLAlchemyError as error:
            # The caller has its answer already, and nothing depends on this note.
            log.warning("use of a key not noted", request_id=reference, kind=type(error).__name__)

    return note


def _after_the_answer(act: Callable[[], None]) -> None:
    """Once the answer was handed over, so that nobody waits for it."""

    @after_this_request
    def when_closed(response: Response) -> Response:
        response.call_on_close(act)
        return response
