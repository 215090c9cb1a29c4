"""Registering guests in WorkOS: found or made, and nothing twice, whatever goes wrong on the way."""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from admin_app.context import Guest as Visitor
from admin_app.errors import Forbidden, GuestUserCreationError
from admin_app.integrations.http.transport import Patience, Rules
from admin_app.services import guests
from admin_app.services.core import audit
from admin_app.services.guests import Registered
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos
from models import CallState, Guest, Organization, ProviderCall
from tests.house import House, build
from tests.services.factories import AUDITOR, SUPPORT
from tests.services.purchases.test_claim_races import at_once

VISITOR = Visitor()
_numbers = itertools.count(1)
# In the order in which WorkOS is called for somebody new.
CALLS = ("find", "create user", "find organization", "create organization", "create membership", "send code")


@pytest.fixture
def email() -> str:
    return f"Gina{next(_numbers)}@guests.example.com"


def register(house: House, email: str, **options: Any) -> Registered:
    options = {"name": "Gina van Guest"} | options
    actor = options.pop("actor", VISITOR)
    workos = options.pop("workos", house.bench.providers.workos)
    return guests.register(lambda: house.db.unit_of_work(actor), workos, email=email, **options)


def at_workos(house: House, email: str) -> dict[str, list[dict[str, Any]]]:
    """What WorkOS has of this address."""
    state = control_workos.state(house.simulator)
    users = [user for user in state["users"] if user["email"] == email.lower()]
    ids = {user["id"] for user in users}
    memberships = [found for found in state["memberships"] if found["user_id"] in ids]
    named = {f"user-{user_id}" for user_id in ids}
    return {
        "users": users,
        "organizations": [found for found in state["organizations"] if found["name"] in named],
        "memberships": memberships,
        "codes": [found for found in state["codes"] if found["email"] == email.lower()],
    }


def counted(house: House, email: str) -> tuple[int, ...]:
    """Users, organizations, memberships and mails."""
    return tuple(map(len, at_workos(house, email).values()))


def row(house: House, email: str) -> Guest:
    (guest,) = house.rows(select(Guest).where(Guest.email == email))
    return guest


def states(house: House, guest: Guest) -> dict[str, CallState]:
    calls = house.rows(select(ProviderCall).where(ProviderCall.subject == f"guest:{guest.id}"))
    return {call.operation: call.state for call in calls}


def test_somebody_new_is_made_with_an_organization_and_gets_one_code(house: House, email: str) -> None:
    with capture_logs() as lines:
        registered = register(house, email)
    there = at_workos(house, email)
    assert counted(house, email) == (1, 1, 1, 1)
    (user,), (organization,) = there["users"], there["organizations"]
    assert (registered.user_id, registered.organization_id) == (user["id"], organization["id"])
    assert (user["first_name"], user["last_name"]) == ("Gina", "van Guest")
    assert organization["external_id"] == f"user-{user['id']}"
    guest = row(house, email)
    assert (guest.workos_user_id, guest.workos_org_id, guest.created_here) == (user["id"], organization["id"], True)
    assert guest.code_sent_at is not None
    (kept,) = house.rows(select(Organization).where(Organization.workos_id == organization["id"]))
    assert (kept.name, kept.kind) == (f"user-{user['id']}", "personal")
    assert set(states(house, guest).values()) == {CallState.SUCCEEDED}
    with house.db.read_only() as session:
        (entry,) = audit.history(session, f"guest:{guest.id}")
    assert entry.sentence == f"visitor registered the guest {email} in WorkOS: created"
    assert [(line["event"], line["guest_id"]) for line in lines] == [("guest created", guest.id)]
    assert "@" not in str(lines)


def test_the_same_guest_again_is_the_same_and_hears_nothing(house: House, email: str) -> None:
    first = register(house, email)
    with capture_logs() as lines:
        again = register(house, email.upper(), name="G. Guest")
    assert (again.user_id, again.organization_id, again.outcome) == (first.user_id, first.organization_id, "found")
    assert counted(house, email) == (1, 1, 1, 1)
    assert [line["event"] for line in lines] == ["guest found"]


def test_somebody_whom_workos_knew_is_left_alone(house: House, email: str) -> None:
    known = control_workos.create_user(house.simulator, email=email, team="Harbour Dental")
    registered = register(house, email)
    assert (registered.user_id, registered.organization_id, registered.outcome) == (known["id"], None, "found")
    assert counted(house, email) == (1, 0, 1, 0)
    guest = row(house, email)
    assert (guest.workos_user_id, guest.created_here, guest.code_sent_at) == (known["id"], False, None)
    assert register(house, email) == registered


def test_a_personal_organization_from_before_is_found(house: House, email: str) -> None:
    first = register(house, email)
    with house.db.unit_of_work(SUPPORT) as ctx:
        ctx.session.delete(ctx.session.get_one(Guest, first.guest_id))
    again = register(house, email)
    assert (again.user_id, again.organization_id) == (first.user_id, first.organization_id)
    assert (again.outcome, counted(house, email)) == ("found", (1, 1, 1, 1))


def test_who_was_deleted_at_workos_is_registered_anew(house: House, email: str) -> None:
    first = register(house, email)
    control_workos.delete_user(house.simulator, first.user_id)
    again = register(house, email)
    assert again.user_id != first.user_id
    assert again.outcome == "created"
    assert row(house, email).workos_user_id == again.user_id
    assert len(control_workos.codes(house.simulator, email)) == 2


def test_an_address_that_moved_to_another_guest_at_workos(house: House, email: str) -> None:
    with house.db.unit_of_work(SUPPORT) as ctx:
        known = control_workos.create_user(house.simulator, email=email)
        ctx.session.add(Guest(email=f"old-{email}", workos_user_id=known["id"]))
        ctx.session.add(Guest(email=f"other-{email}"))
    assert register(house, email).user_id == known["id"]
    assert row(house, f"old-{email}").workos_user_id is None
    assert row(house, f"other-{email}").version == 1


@pytest.mark.parametrize("call", range(6), ids=CALLS)
@pytest.mark.parametrize("mode", ["500", "429", "apply-then-drop", "apply-then-500"])
def test_one_failure_anywhere_leaves_nothing_twice(house: House, email: str, call: int, mode: str) -> None:
    control.fault(house.simulator, "workos", mode, after=call)
    with capture_logs() as lines:
        try:
            first = register(house, email)
        except GuestUserCreationError:
            assert mode == "500"
            first = None
            assert [line["event"] for line in lines] == ["guest failed"]
    again = register(house, email)
    users, organizations, memberships, codes = counted(house, email)
    assert (users, organizations, memberships) == (1, 1, 1)
    # A server that fails without having sent the code cannot be told from one that sent it: no second mail then.
    assert codes == (0 if (call, mode) == (5, "500") else 1)
    assert again.organization_id is not None
    if first is not None:
        assert (again.user_id, again.organization_id) == (first.user_id, first.organization_id)
    unknown = {name for name, state in states(house, row(house, email)).items() if state is not CallState.SUCCEEDED}
    assert unknown == ({"code.send"} if call == 5 and mode != "429" else set())


@pytest.mark.parametrize("call", range(6), ids=CALLS)
@pytest.mark.parametrize("mode", ["500", "429", "apply-then-drop", "apply-then-500"])
def test_an_outage_in_the_middle_is_made_good_later(house: House, email: str, call: int, mode: str) -> None:
    control.fault(house.simulator, "workos", mode, times=20, after=call)
    try:
        register(house, email)
    except GuestUserCreationError:
        assert row(house, email).workos_user_id is None
    else:
        assert (call, mode) in {(5, "500"), (5, "apply-then-drop"), (5, "apply-then-500")}
    control.fault(house.simulator, "workos", "off")
    register(house, email)
    assert counted(house, email) == (1, 1, 1, 0 if (call, mode) == (5, "500") else 1)
    assert row(house, email).created_here


def test_a_process_that_dies_after_any_step_is_followed_by_one_that_finishes(house: House, email: str) -> None:
    class Died(Exception):
        """What no code of ours catches."""

    for step in range(1, 12):
        opened = itertools.count(1)

        def work(step: int = step, opened: Any = opened) -> Any:
            if next(opened) > step:
                raise Died
            return house.db.unit_of_work(VISITOR)

        try:
            guests.register(work, house.bench.providers.workos, email=email, name="Gina")
        except Died:
            continue
        break
    assert register(house, email).outcome == "found"
    users, organizations, memberships, codes = counted(house, email)
    assert (users, organizations, memberships) == (1, 1, 1)
    assert codes <= 1


def test_without_workos_nobody_is_registered(house: House, email: str) -> None:
    with pytest.raises(GuestUserCreationError):
        register(house, email, workos=None)
    with pytest.raises(GuestUserCreationError):
        register(build(house.simulator, house.db, workos_api_base="http://127.0.0.1:1"), email)
    assert counted(house, email) == (0, 0, 0, 0)


def test_a_slow_workos_ends_in_an_unknown_call_that_is_asked_about(
    house: House, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_second = Patience(seconds=1, seconds_per_try=1)
    monkeypatch.setattr("admin_app.integrations.workos.workos_api.RULES", Rules(reads=a_second, writes=a_second))
    impatient = build(house.simulator, house.db)
    control.fault(house.simulator, "workos", "slow", after=1, seconds=2)
    with pytest.raises(GuestUserCreationError):
        register(impatient, email)
    assert states(house, row(house, email)) == {"user.create": CallState.UNKNOWN}
    waited = register(impatient, email)
    assert (waited.outcome, counted(house, email)) == ("created", (1, 1, 1, 1))


def test_an_auditor_registers_nobody(house: House, email: str) -> None:
    with pytest.raises(Forbidden):
        register(house, email, actor=AUDITOR)


def test_many_requests_for_one_new_guest_make_one_and_send_one_code(real_house: House, email: str) -> None:
    ids: Counter[tuple[str, str | None]] = Counter()

    def once() -> str:
        registered = register(real_house, email)
        ids[registered.user_id, registered.organization_id] += 1
        return registered.outcome

    calls: list[Callable[[], str]] = [once] * 12
    outcomes = at_once(calls)
    assert set(outcomes) <= {"created", "found"}
    assert len(ids) == 1
    assert next(iter(ids))[1] is not None
    assert counted(real_house, email) == (1, 1, 1, 1)


def test_a_clear_no_about_the_code_is_sent_again_later(house: House, email: str) -> None:
    control.fault(house.simulator, "workos", "429", times=2, after=5)
    with pytest.raises(GuestUserCreationError):
        register(house, email)
    assert states(house, row(house, email))["code.send"] is CallState.FAILED
    assert register(house, email).outcome == "created"
    assert counted(house, email) == (1, 1, 1, 1)
    assert states(house, row(house, email))["code.send"] is CallState.SUCCEEDED
