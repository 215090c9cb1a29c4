"""`flask demo` at the command line: once, next to a simulator, and never beside real business."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import Result
from sqlalchemy import select

from admin_app.cli.demo import group
from admin_app.context import Job
from admin_app.db import Database
from admin_app.demo import guard
from admin_app.factory import create_app
from admin_app.integrations import registry
from admin_app.services.drift import drift_runs
from admin_app.services.drift.drift_whop import WhopSide
from admin_app.services.schedule import calendly_mapping
from admin_app.simulator.workos import control_workos
from models import Guest, Practitioner, SessionType, User
from tests.house import settings_for

REAL_WHOP = "https://api.whop.com/api/v1"
Demo = Callable[..., Result]


def running(database: Database, simulator: str, **changed: object) -> Demo:
    """Runs `flask demo …` on this database with these settings."""
    app = create_app(settings_for(simulator, **changed), database=database)

    def run(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(group, list(arguments))

    return run


def test_a_second_fill_changes_nothing_and_the_simulator_agrees_with_the_data(
    own_demo: Database, own_simulator: str
) -> None:
    run = running(own_demo, own_simulator)
    again = run("fill")
    assert again.exit_code == 0, again.output
    assert "there already" in again.output
    assert "The simulator knows" in again.output
    assert run("seed-simulator").output == again.output.splitlines(keepends=True)[-1]

    whop = registry.from_settings(settings_for(own_simulator)).whop
    assert whop is not None
    counts = drift_runs.compare(WhopSide(whop, own_demo.clock), lambda: own_demo.unit_of_work(Job("test")))
    # Staff deleted one purchase, whose membership Whop goes on with.
    assert set(counts.outcomes) == {"known", "deleted_by_staff"}
    assert counts.outcomes["deleted_by_staff"] == 1
    assert counts.compared > 900
    known = control_workos.state(own_simulator)
    assert [len(known[name]) for name in ("users", "organizations", "memberships", "codes")] == [36, 36, 36, 0]
    with own_demo.read_only() as session:
        guest = session.query(Guest).order_by(Guest.id).first()
    workos = registry.from_settings(settings_for(own_simulator)).workos
    assert workos is not None
    assert guest is not None
    found = workos.find_user(guest.email)
    assert found is not None
    assert (found.id, workos.find_organization(found.id)) == (guest.workos_user_id, guest.workos_org_id)

    calendars = registry.from_settings(settings_for(own_simulator))
    assert calendars.calendly is not None
    assert calendars.calcom is not None
    with own_demo.read_only() as session:
        sold = set(session.scalars(select(SessionType.calendly_event_type_uri)))
        mapped = session.scalars(select(Practitioner.calcom_event_type_id)).all()
        assert calendly_mapping.propose(session, calendars.calendly.event_types()) == []
    assert {kind.uri for kind in calendars.calendly.event_types()} == sold
    now = own_demo.clock()
    for event_type in filter(None, mapped):
        assert calendars.calcom.slots(event_type, now, now + timedelta(days=14)).slots


def test_a_purchase_is_made_at_the_simulated_whop(demo: Database, own_simulator: str) -> None:
    lost = running(demo, own_simulator)("purchase", "--email", "new@example.com", "--no-deliver")
    assert lost.exit_code == 0, lost.output
    assert "Whop sold a monthly membership: mem_" in lost.output
    assert "flask --app wsgi reconcile whop" in lost.output


def test_without_a_simulator_nobody_plays_the_customer(db: Database) -> None:
    run = running(db, "http://127.0.0.1:9", whop_api_base=REAL_WHOP)
    for arguments in (("purchase", "--email", "new@example.com"), ("seed-simulator",)):
        refused = run(*arguments)
        assert refused.exit_code == 1
        assert "does not point to a provider simulator" in refused.output


def test_a_simulator_that_is_away_is_said_so(db: Database) -> None:
    away = running(db, "http://127.0.0.1:9")("purchase", "--email", "new@example.com")
    assert away.exit_code == 1
    assert "does not answer" in away.output


def test_the_simulator_is_told_nothing_of_data_that_is_not_the_demos(db: Database, own_simulator: str) -> None:
    refused = running(db, own_simulator)("seed-simulator")
    assert refused.exit_code == 1
    assert "does not hold the demo's data" in refused.output


def test_a_database_in_use_is_left_alone(db: Database, own_simulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_STAFF_PASSWORD", "lantern-orbit-velvet-31")
    with db.unit_of_work(Job("test")) as ctx:
        ctx.session.add(User(open_id="user_real", name="Somebody Real"))
    refused = running(db, own_simulator)("fill")
    assert refused.exit_code == 1
    assert "nothing was filled in" in refused.output


def test_a_fill_without_a_password_says_which_variable_to_set(
    db: Database, own_simulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEMO_STAFF_PASSWORD", raising=False)
    refused = running(db, own_simulator, stripe_secret_key="sk_live_x", stripe_api_base="https://api.stripe.com")(
        "fill"
    )
    assert refused.exit_code == 1
    assert "Stripe of these settings is real" in refused.output
    assert "DEMO_STAFF_PASSWORD" in refused.output


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8200/whop/api/v1", True),
        ("http://localhost:8200", True),
        ("http://[::1]:8200", True),
        (REAL_WHOP, False),
        ("http://127.0.0.1.evil.example/whop/api/v1", False),
        ("smtp://mail.example.com:25", False),
        ("http://[broken", False),
    ],
)
def test_only_loopback_addresses_are_on_this_machine(address: str, local: bool) -> None:
    assert guard.is_on_this_machine(address) is local
