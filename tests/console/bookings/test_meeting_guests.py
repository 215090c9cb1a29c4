"""Putting a meeting's guest right in the console: linked to somebody whom WorkOS knows, or registered once more."""

import itertools
from collections.abc import Callable

import pytest

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.jobs import guests as guest_jobs
from admin_app.jobs.bench import Bench
from admin_app.services.core import audit
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import Meeting, Role
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient
from tests.house import settings_for, simulator
from tests.services import diary

ClientFor = Callable[[Role], CheckedClient]
_numbers = itertools.count(1)
__all__ = ["simulator"]


@pytest.fixture
def settings(simulator: str) -> Settings:
    return settings_for(simulator)


@pytest.fixture
def email() -> str:
    return f"gil{next(_numbers)}@console.example.com"


@pytest.fixture
def meeting(db: Database, email: str) -> int:
    """A meeting from before guests were registered."""
    clock = diary.Clock(db)
    return int(diary.meeting(db, diary.offered(db), diary.tomorrow(clock.now), guest_email=email).split(":")[1])


def now(db: Database, meeting: int) -> Meeting:
    with db.read_only() as session:
        return session.get_one(Meeting, meeting)


def test_a_guest_is_looked_up_then_linked(
    db: Database, simulator: str, meeting: int, email: str, client_for: ClientFor
) -> None:
    known = control_workos.create_user(simulator, email=f"right-{email}")
    client, page = client_for(Role.SUPPORT), f"/admin/meetings/{meeting}/link-guest"
    assert "What changes" not in client.get(page).text
    asked = f"{page}?email=right-{email}"
    plan = client.get(asked).text
    assert known["id"] in plan
    assert f"Mails about the meeting go to {email} as before." in plan
    data = form_on(client, asked)
    unsaid = client.post(page, data=data)
    assert (unsaid.status_code, now(db, meeting).guest_workos_user_id) == (422, None)
    done = client.post(page, data=data | {"reason": "Wrote the wrong address"})
    assert (done.status_code, done.location) == (303, f"/admin/meetings/{meeting}")
    row = now(db, meeting)
    assert (row.guest_workos_user_id, row.guest_org_id, row.guest_email) == (known["id"], None, email)
    with db.read_only() as session:
        entry = audit.history(session, f"meeting:{meeting}")[0]
    assert (entry.reason, entry.event) == ("Wrote the wrong address", "guest.resolved")
    assert "is linked to that guest already" in client.get(asked).text
    again = client.post(page, data=data | {"reason": "Twice"})
    assert again.status_code == 409


@pytest.mark.parametrize("typed", ["nobody@console.example.com", "no address", "%00@x.de"])
def test_whom_workos_does_not_know_is_not_linked(db: Database, meeting: int, typed: str, client_for: ClientFor) -> None:
    client, page = client_for(Role.OPS), f"/admin/meetings/{meeting}/link-guest"
    assert client.get(f"{page}?email={typed}").status_code == 422
    token = form_on(client, f"/admin/meetings/{meeting}/register-guest")["csrf_token"]
    for email in (typed, ""):
        answer = client.post(page, data={"csrf_token": token, "email": email, "fingerprint": "x", "reason": "Why"})
        assert answer.status_code == 422
    assert now(db, meeting).guest_workos_user_id is None


def test_a_silent_workos_changes_nothing(db: Database, simulator: str, meeting: int, client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)
    control.fault(simulator, "workos", "500", times=2)
    assert client.get(f"/admin/meetings/{meeting}/link-guest?email=a@example.com").status_code == 503


def test_a_guest_is_registered_once_more_by_a_job(
    db: Database, simulator: str, settings: Settings, meeting: int, email: str, client_for: ClientFor
) -> None:
    client, page = client_for(Role.SUPPORT), f"/admin/meetings/{meeting}/register-guest"
    data = form_on(client, page) | {"reason": "WorkOS was down"}
    assert client.post(page, data=data).status_code == 303
    assert diary.jobs(db, "register_guest") == [{"meeting_id": meeting}]
    bench = Bench(db, settings, registry.from_settings(settings))
    for _ in range(2):
        guest_jobs.register(bench, meeting)
    row = now(db, meeting)
    (user,) = control_workos.users(simulator, email)
    assert row.guest_workos_user_id == user["id"]
    assert row.guest_org_id is not None
    assert len(control_workos.codes(simulator, email)) == 1
    assert "is registered" in client.get(page).text
    assert client.post(page, data=data).status_code == 409


def test_a_meeting_without_an_address_cannot_be_registered(
    db: Database, settings: Settings, meeting: int, client_for: ClientFor
) -> None:
    with db.unit_of_work(diary.OPERATOR) as ctx:
        ctx.session.get_one(Meeting, meeting).guest_email = None
    client = client_for(Role.SUPPORT)
    assert "has no e-mail address" in client.get(f"/admin/meetings/{meeting}/register-guest").text
    guest_jobs.register(Bench(db, settings, registry.from_settings(settings)), meeting)
    assert now(db, meeting).guest_workos_user_id is None


@pytest.mark.parametrize("role", [Role.FINANCE, Role.AUDITOR])
def test_who_may_not_is_refused(meeting: int, role: Role, client_for: ClientFor) -> None:
    for command in ("link-guest", "register-guest"):
        assert client_for(role).get(f"/admin/meetings/{meeting}/{command}").status_code == 403
