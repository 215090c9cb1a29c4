"""Plan = act, for what is done about calls, mails and jobs that failed: tried again, or settled."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models import CallState, MailState, ProviderCall, Role, SentEmail
from tests.applications import Applications
from tests.console.appointment_scene import NUMBERS, TIMES, Scene
from tests.console.client_scene import Clients
from tests.console.inbox.test_failed_jobs import failed
from tests.console.page_checks import CheckedClient
from tests.console.plan_walk import Case, Rules, walk
from tests.house import house, lent, simulator
from tests.services.diary import Clock, held, offered
from tests.services.factories import OPERATOR, buy

__all__ = ["house", "simulator"]

Setup = Callable[[Scene], Case]
CASES: dict[str, Setup] = {}
AGAIN, CALL_AGAIN = "sent-email-commands.again", "provider-call-commands.retry"
# Settling is about the call or the mail itself; elsewhere they are compared by what left.
SETTLING = Rules(besides=frozenset({"provider_calls", "sent_emails"}))
# A fresh link is made for a claim mail, and nobody is shown it.
TRYING = Rules(stamps=frozenset({"token", "token_expires_at"}), apart=frozenset({"claim_tokens"}))


def _call(scene: Scene, booking_id: int, operation: str, **values: Any) -> int:
    """A call that Cal.com refused for good, and that waits for a person since."""
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        key = f"calcom-{operation}-{booking_id}"
        defaults = {"provider": "calcom", "subject": f"booking:{booking_id}", "operation": operation, "attempts": 1}
        defaults |= {"state": CallState.FAILED, "error_code": "no_available_users_found_error"}
        made = ProviderCall(**(defaults | values), idempotency_key=key, attention_since=ctx.now, finished_at=ctx.now)
        ctx.session.add(made)
        ctx.session.flush()
        return int(made.id)


def _unmade(scene: Scene) -> int:
    """A confirmed booking that Cal.com would have and does not."""
    kind = offered(scene.house.db, price=0, minutes=60, calcom_event_type_id=scene.event_type)
    subject = held(scene.house.db, kind, scene.starts, client_email=f"client{next(NUMBERS)}@example.com")
    _forget_jobs(scene)
    return int(subject[8:])


def _forget_jobs(scene: Scene) -> None:
    while scene.house._next_job() is not None:
        pass


def _on_call(number: int, what: str) -> Case:
    return Case(f"provider-call-commands.{what}", f"/admin/provider-calls/{number}/{what}", role=Role.OPS)


def _past(scene: Scene) -> Case:
    number = _call(scene, _unmade(scene), "booking.create")
    scene.clock.now = scene.starts + timedelta(minutes=1)
    return _on_call(number, "retry")


CASES[f"{CALL_AGAIN}: a booking that Cal.com did not take"] = lambda s: _on_call(
    _call(s, _unmade(s), "booking.create"), "retry"
)
CASES[f"{CALL_AGAIN}: a booking that has begun"] = _past
CASES[f"{CALL_AGAIN}: a cancellation of what is on"] = lambda s: _on_call(
    _call(s, int(s.free()[8:]), "booking.cancel"), "retry"
)
CASES["provider-call-commands.settle: refused for good"] = lambda s: _on_call(
    _call(s, _unmade(s), "booking.create"), "settle"
)
CASES["provider-call-commands.settle: without an answer"] = lambda s: _on_call(
    _call(s, _unmade(s), "booking.create", state=CallState.UNKNOWN), "settle"
)


# -- mails ----------------------------------------------------------------------------------------------------------


def _lost(scene: Scene, template: str, state: MailState = MailState.UNKNOWN) -> Case:
    """The last mail of this kind may have gone out, or did not."""
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        newest = select(SentEmail).where(SentEmail.template == template).order_by(SentEmail.id.desc()).limit(1)
        mail = ctx.session.scalars(newest).one()
        mail.state, mail.last_error, number = state, "worker_died", mail.id
    return Case(AGAIN, f"/admin/sent-emails/{number}/again", role=Role.SUPPORT)


def _confirmation(scene: Scene) -> Case:
    scene.free()
    return _lost(scene, "confirmation")


def _of_what_is_over(scene: Scene) -> Case:
    subject = scene.free()
    case = _lost(scene, "confirmation")
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(type(scene.row(subject)), int(subject[8:]))
        row.status, row.canceled_because, row.canceled_at = "canceled", "by_client", ctx.now
    return case


def _claim(scene: Scene) -> Case:
    buy(scene.house.db, f"buyer{next(NUMBERS)}@example.com", membership_id=f"mem_{next(NUMBERS)}")
    scene.house.work()
    return _lost(scene, "claim", MailState.FAILED)


CASES[f"{AGAIN}: a confirmation that may have gone out"] = _confirmation
CASES[f"{AGAIN}: a confirmation of what is over"] = _of_what_is_over
CASES[f"{AGAIN}: a claim mail that did not"] = _claim
CASES["sent-email-commands.settle: a confirmation"] = lambda s: Case(
    "sent-email-commands.settle", _confirmation(s).address.replace("/again", "/settle"), role=Role.SUPPORT
)


# -- jobs -----------------------------------------------------------------------------------------------------------


def _failed_job(scene: Scene, what: str) -> Case:
    """One with nothing left to do: what another does then is with the record as it is, and its own plan's."""
    client_id = Clients(scene.house, scene.clock).client()
    number = failed(scene.house.db, "refresh_billing", f"refresh_billing:{client_id}", client_id=client_id)
    return Case(f"failed-jobs.{what}", f"/admin/failed-jobs/{number}/{what}", role=Role.OPS)


CASES["failed-jobs.retry: with nothing left to do"] = lambda s: _failed_job(s, "retry")
CASES["failed-jobs.settle: done by hand"] = lambda s: _failed_job(s, "settle")


@pytest.fixture
def scene(simulator: str, db: Any, applications: Applications) -> Scene:
    made = lent(applications, simulator, db)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=40)
    return Scene(made, Clock(db), soon + timedelta(hours=next(TIMES)))


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = SETTLING if ".settle:" in name else TRYING
    walk(scene.house, name, CASES[name](scene), monkeypatch, rules)
