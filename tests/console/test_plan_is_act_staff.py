"""Plan = act, for who works here, by which keys programs come in, and who and what can be booked.

A page that asks for something new has no plan but what is typed: just that is there then.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.services import staff
from admin_app.services.core.plans import PlanLine
from admin_app.services.staff import service_keys
from admin_app.services.staff.staff_plans import A_NEW_ONE
from models import Practitioner, Role, Scope, SessionType, StaffSession
from tests.applications import Applications
from tests.console.client_scene import DAY, NUMBERS, Clients
from tests.console.conftest import PASSWORD, form_token
from tests.console.page_checks import CheckedClient
from tests.console.plan_walk import Case, Rules, of_form, walk
from tests.house import house, lent, simulator
from tests.services.diary import Clock, offered
from tests.services.factories import OPERATOR

__all__ = ["house", "simulator"]

Setup = Callable[[Clients], Case]
CASES: dict[str, Setup] = {}
RULES = Rules(
    # Who revoked a key is whoever does it.
    stamps=frozenset({"last_seen_at", "revoked_by"}),
    besides=frozenset({"staff", "staff_sessions"}),
    # The password that is made up is shown to one person, once.
    derived={"password": lambda row: A_NEW_ONE},
    lies_in={"password": "password_hash"},
)


# -- the staff ------------------------------------------------------------------------------------------------------


def _member(scene: Clients, role: Role = Role.SUPPORT, *, browsers: int = 0, **values: Any) -> int:
    """Somebody with that many browsers in which they are signed in, and one more in which they were last week."""
    email = f"m{next(NUMBERS)}@example.com"
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        member, _ = staff.create_staff(ctx, email=email, name="Kim", role=role, password=PASSWORD)
        number = member.id
        for name, value in values.items():
            setattr(member, name, value)
        began = scene.clock.now - 7 * DAY
        old = {"created_at": began, "last_seen_at": began, "expires_at": began + DAY / 2}
        ctx.session.add(StaffSession(staff_id=number, token_hash=email.encode(), **old))
    for _ in range(browsers):
        browser = scene.house.app.test_client()
        typed = {"csrf_token": form_token(browser, "/login"), "email": email, "password": PASSWORD}
        assert browser.post("/login", data=typed).status_code == 303
    return number


def _of(number: int, what: str, **parts: Any) -> Case:
    return Case(f"staff-commands.{what.replace('-', '_')}", f"/admin/staff/{number}/{what}", **parts)


def _waits(scene: Clients) -> int:
    return _member(scene, failed_sign_ins=7, locked_until=scene.clock.now + DAY / 96)


CASES["staff-commands.disable: signed in twice"] = lambda s: _of(_member(s, browsers=2), "disable")
CASES["staff-commands.disable: signed in nowhere any more"] = lambda s: _of(_member(s), "disable")
CASES["staff-commands.enable: who was disabled"] = lambda s: _of(_member(s, disabled_at=s.clock.now - DAY), "enable")
CASES["staff-commands.enable: who has to wait"] = lambda s: _of(_waits(s), "enable")
CASES["staff-commands.role: signed in once"] = lambda s: _of(_member(s, browsers=1), "role", typed={"role": "finance"})
CASES["staff-commands.password: signed in once"] = lambda s: _of(_member(s, browsers=1), "password", answers=200)
CASES["staff-commands.password: who has to wait"] = lambda s: _of(_waits(s), "password", answers=200)
CASES["staff-commands.sign_out: signed in twice"] = lambda s: _of(_member(s, browsers=2), "sign-out")


def _created(scene: Clients) -> Case:
    given = {"email": f"new{next(NUMBERS)}@example.com", "name": "Sam", "role": "ops"}
    form = of_form(adds=("staff",))
    return Case("staff-commands.create", "/admin/staff/new", given=given, form=form, new=given, answers=200)


CASES["staff-commands.create: somebody"] = _created


# -- keys of programs -----------------------------------------------------------------------------------------------


def _made_key(scene: Clients) -> Case:
    name = f"Phone agent {next(NUMBERS)}"
    given = {"name": name, "scopes": Scope.GATE_ASK.value, "expires_at": ""}
    new = {"name": name, "scopes": [Scope.GATE_ASK.value], "expires_at": None}
    form = of_form(adds=("service_key",))
    return Case("service-key-commands.create", "/admin/service-keys/new", given=given, form=form, new=new, answers=200)


def _revoked_key(scene: Clients) -> Case:
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        given = {"name": f"Phone agent {next(NUMBERS)}", "scopes": [Scope.GATE_ASK], "expires_at": None}
        row, _ = service_keys.create(ctx, **given, reason="For a test")
        number = row.id
    return Case("service-key-commands.revoke", f"/admin/service-keys/{number}/revoke")


CASES["service-key-commands.create: for one program"] = _made_key
CASES["service-key-commands.revoke: in use"] = _revoked_key


# -- who and what can be booked -------------------------------------------------------------------------------------


def _bookable(scene: Clients) -> SessionType:
    return offered(scene.house.db)


def _use(kind: str, number: int, what: str) -> Case:
    return Case(f"{kind}-forms.{what}", f"/admin/{kind}s/{number}/{what}")


def _out_of_use(scene: Clients, model: Any, number: int) -> int:
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(model, number).active = False
    return number


CASES["practitioner-forms.deactivate: in use"] = lambda s: _use(
    "practitioner", _bookable(s).practitioner_id, "deactivate"
)
CASES["practitioner-forms.activate: out of use"] = lambda s: _use(
    "practitioner", _out_of_use(s, Practitioner, _bookable(s).practitioner_id), "activate"
)
CASES["session-type-forms.deactivate: in use"] = lambda s: _use("session-type", _bookable(s).id, "deactivate")
CASES["session-type-forms.activate: out of use"] = lambda s: _use(
    "session-type", _out_of_use(s, SessionType, _bookable(s).id), "activate"
)


def _new_practitioner(scene: Clients) -> Case:
    new = {"name": "Ida", "email": f"ida{next(NUMBERS)}@example.com", "time_zone": "Europe/Oslo"}
    given = new | {"hours_mon": "09:00-12:00", "free_meetings": "no"}
    new |= {"working_hours": {"mon": [["09:00", "12:00"]]}, "free_meetings": False, "active": True}
    form = of_form(adds=("practitioner",))
    return Case("practitioner-forms.create", "/admin/practitioners/new", given=given, form=form, new=new)


def _changed_practitioner(scene: Clients) -> Case:
    number = _bookable(scene).practitioner_id
    key = f"practitioner:{number}"
    (row,) = scene.house.rows(select(Practitioner).where(Practitioner.id == number))
    lines = (
        PlanLine(key, "name", row.name, "Ida Other", ""),
        PlanLine(key, "working_hours", row.working_hours, row.working_hours | {"mon": [["10:00", "11:30"]]}, ""),
    )
    given = {"name": "Ida Other", "hours_mon": "10:00-11:30"}
    return Case("practitioner-forms.edit", f"/admin/practitioners/{number}/edit", given=given, form=of_form(*lines))


def _new_session_type(scene: Clients) -> Case:
    number = _bookable(scene).practitioner_id
    given = {"title": "Long one", "minutes": "90", "price": "80.50", "price_currency": "EUR"}
    new = {"title": "Long one", "minutes": 90, "price_amount": 8_050, "price_currency": "eur", "active": True}
    form = of_form(adds=("session_type",))
    given |= {"practitioner_id": str(number)}
    new |= {"practitioner_id": number}
    return Case("session-type-forms.create", "/admin/session-types/new", given=given, form=form, new=new)


def _changed_session_type(scene: Clients) -> Case:
    row = _bookable(scene)
    line = PlanLine(f"session_type:{row.id}", "minutes", row.minutes, 45, "")
    address = f"/admin/session-types/{row.id}/edit"
    return Case("session-type-forms.edit", address, given={"minutes": "45"}, form=of_form(line))


CASES["practitioner-forms.create: with hours"] = _new_practitioner
CASES["practitioner-forms.edit: other hours"] = _changed_practitioner
CASES["session-type-forms.create: for money"] = _new_session_type
CASES["session-type-forms.edit: shorter"] = _changed_session_type


@pytest.fixture
def scene(simulator: str, db: Any, applications: Applications) -> Clients:
    made = lent(applications, simulator, db)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    return Clients(made, Clock(db))


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    walk(scene.house, name, CASES[name](scene), monkeypatch, RULES)
