"""A screen that was overtaken: nothing is done, and the page says what moved since somebody looked."""

from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup

from admin_app.db import Database
from admin_app.services import staff
from models import Role, StaffMember
from tests.console.conftest import PASSWORD, SETUP
from tests.console.page_checks import CheckedClient

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def member(db: Database) -> StaffMember:
    with db.unit_of_work(SETUP) as ctx:
        return staff.create_staff(ctx, email="new@example.com", name="Ola", role=Role.SUPPORT, password=PASSWORD)[0]


def filled_in(page: str) -> dict[str, list[str]]:
    """Every hidden field of the form with the plan, as a browser sends it."""
    field = BeautifulSoup(page, "html5lib").select_one('main input[name="fingerprint"]')
    assert field
    form = field.find_parent("form")
    assert form
    data: dict[str, list[str]] = {"reason": ["Looked at it"]}
    for hidden in form.find_all("input", attrs={"type": "hidden"}):
        data.setdefault(str(hidden["name"]), []).append(str(hidden["value"]))
    return data


def differences_on(page: str) -> list[list[str]]:
    rows = BeautifulSoup(page, "html5lib").select('[role="alert"] tbody tr')
    return [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows]


def change_role(db: Database, member: StaffMember, role: Role) -> None:
    with db.unit_of_work(SETUP) as ctx:
        staff.set_role(ctx, staff_id=member.id, role=role)


def test_the_difference_is_shown_and_nothing_is_done(db: Database, member: StaffMember, client_for: ClientFor) -> None:
    client = client_for(Role.ADMIN)
    address = f"/admin/staff/{member.id}/role?role=finance"
    data = filled_in(client.get(address).text)
    change_role(db, member, Role.OPS)
    answer = client.post(address, data=data)
    assert answer.status_code == 409
    assert differences_on(answer.text) == [["Role", "support", "ops"]]
    # The page that says so carries what it shows now: a second look is enough to go on.
    again = filled_in(answer.text)
    assert again["was_shown"] != data["was_shown"]
    assert client.post(address, data=again).status_code == 303


FORGED = (
    "",
    "{",
    "[1]",
    '["line"]',
    '["said", 5]',
    '["said", "<script>alert(1)</script>"]',
    '["line", "x", "<script>alert(1)</script>", "a", "b"]',
    '["said", "\\ud800"]',
    '["said", "\\u0000"]',
    "[" * 5000,
)


def test_what_is_carried_is_for_display_alone(db: Database, member: StaffMember, client_for: ClientFor) -> None:
    client = client_for(Role.ADMIN)
    address = f"/admin/staff/{member.id}/role?role=finance"
    data = filled_in(client.get(address).text)
    change_role(db, member, Role.OPS)
    for forged in FORGED:
        answer = client.post(address, data=data | {"was_shown": [forged]})
        assert answer.status_code == 409
        assert "<script>alert" not in answer.text
    # It decides nothing: with the right fingerprint the act goes through, whatever is carried.
    now = filled_in(client.get(address).text)
    assert client.post(address, data=now | {"was_shown": list(FORGED)}).status_code == 303
