"""The operator's commands."""

import pytest
from click.testing import Result
from sqlalchemy import select, text

from models import EventState, PendingProfile, Profile, WebhookEvent
from tests.house import House
from tests.integrations.signing import events
from tests.services.factories import OPERATOR, buy

NO_EMAIL = next(path for path in events("whop") if path.name == "membership.activated.v1-no-email.json").read_bytes()


def run(house: House, *arguments: str) -> Result:
    return house.app.test_cli_runner().invoke(args=list(arguments))


@pytest.fixture
def parked(house: House) -> int:
    house.whop(NO_EMAIL)
    house.work(last_try=True)
    (event,) = house.rows(select(WebhookEvent))
    assert event.state is EventState.PARKED
    return int(event.id)


def test_inbox_list_and_show(house: House, parked: int) -> None:
    listed = run(house, "inbox", "list")
    assert listed.exit_code == 0
    assert f"{parked}" in listed.output
    assert "email_missing" in listed.output
    assert run(house, "inbox", "list", "--state", "processed").output == "No such events.\n"
    assert run(house, "inbox", "list", "--provider", "clerk").output == "No such events.\n"
    shown = run(house, "inbox", "show", str(parked))
    assert "Attach the buyer's address" in shown.output
    assert NO_EMAIL.decode() not in shown.output
    assert NO_EMAIL.decode() in run(house, "inbox", "show", str(parked), "--body").output


def test_inbox_attach_email_and_release(house: House, parked: int) -> None:
    wrong = run(house, "inbox", "attach-email", str(parked), "nonsense", "--reason", "they called")
    assert wrong.exit_code == 1
    right = run(house, "inbox", "attach-email", str(parked), "buyer@example.com", "--reason", "they called")
    assert right.exit_code == 0
    house.work()
    assert [row.email for row in house.rows(select(PendingProfile))] == ["buyer@example.com"]
    again = run(house, "inbox", "release", str(parked), "--reason", "once more")
    assert (again.exit_code, "not waiting" in again.output) == (1, True)


def test_inbox_without_a_reason_or_an_event(house: House) -> None:
    assert run(house, "inbox", "release", "1").exit_code == 2
    assert run(house, "inbox", "show", "99999").output == "Error: There is no such event in the inbox.\n"
    assert run(house, "inbox", "release", "99999", "--reason", "because it is there").exit_code == 1
    assert run(house, "inbox", "show", "9" * 30).exit_code == 2


def test_verify_audit_finds_what_was_changed(house: House) -> None:
    buy(house.db, "chained@example.com")
    buy(house.db, "second@example.com", membership_id="mem_2")
    assert run(house, "verify", "audit").output == "The audit's chain is whole.\n"
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER USER"))
        ctx.session.execute(
            text("UPDATE audit_entries SET reason = 'forged' WHERE id = (SELECT min(id) FROM audit_entries)")
        )
    broken = run(house, "verify", "audit")
    assert broken.exit_code == 1
    assert "chain is broken at entry" in broken.output


def test_legacy_status_and_move(house: House) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add_all(
            [
                Profile(user_id=f"temp_{n}", email=f"old{n}@example.com" if n else None, membership="pro")
                for n in range(4)
            ]
        )
    assert run(house, "legacy", "status").output == "4 left; 1 of them name no e-mail and stay.\n"
    assert "2 moved, 2 left." in run(house, "legacy", "move", "--limit", "2").output
    assert "1 moved, 1 left." in run(house, "legacy", "move").output
    assert "0 moved, 1 left." in run(house, "legacy", "move").output
    assert house.count(PendingProfile) == 3


def test_reconcile_whop_counts_in_words(house: House) -> None:
    answer = run(house, "reconcile", "whop")
    assert answer.exit_code == 0
    assert "memberships compared." in answer.output
