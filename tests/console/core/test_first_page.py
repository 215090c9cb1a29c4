"""What must always be true, on the first page: when it was looked at, what is broken, and for whom."""

from collections.abc import Callable
from importlib.metadata import version

from bs4 import BeautifulSoup
from sqlalchemy import select, text

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services import invariants
from models import Practitioner, Role, WebhookEvent
from tests.console.page_checks import CheckedClient
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_practitioner

ClientFor = Callable[[Role], CheckedClient]
BREAK = "INSERT INTO webhook_events (provider, external_id, type, body, state) VALUES ('whop', 'm', 't', '', 'parked')"
SENTENCE = "A delivery that waits for a person says what it waits for."


def look(db: Database, *, unanswered: tuple[str, ...] = ()) -> None:
    with db.unit_of_work(Job("check_invariants")) as ctx:
        found = invariants.broken(ctx.session, now=ctx.now)
        names = [rule.name for rule in invariants.INVARIANTS if rule.name not in unanswered]
        invariants.keep(ctx, found, started_at=ctx.now, checked=names, unanswered=unanswered)


def test_it_says_when_it_was_looked_at_and_that_nothing_is_broken(db: Database, client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)
    assert "Nobody has looked yet." in client.get("/admin/").text
    look(db)
    assert "Nothing is broken. Last checked" in client.get("/admin/").text


def test_what_is_broken_is_shown_with_its_records_to_who_can_act(db: Database, client_for: ClientFor) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text(BREAK))
        event = ctx.session.scalars(select(WebhookEvent.id)).one()
    look(db)
    page = client_for(Role.OPS).get("/admin/").text
    assert SENTENCE in page
    assert f'href="/admin/webhook-events/{event}"' in page
    page = client_for(Role.AUDITOR).get("/admin/").text
    assert SENTENCE not in page
    assert "1 more is broken that others look after." in page


def test_a_time_zone_with_other_rules_at_the_database_is_shown(db: Database, client_for: ClientFor) -> None:
    add_practitioner(db, time_zone="Mars/Phobos")
    with db.unit_of_work(Job("check_invariants")) as ctx:
        found = invariants.look(ctx.session, invariants.ZONES_AGREE, now=ctx.now)
        assert found is not None
        invariants.note(ctx, [found], checked=[found.invariant.name])
    page = client_for(Role.OPS).get("/admin/").text
    assert "The database has the same rules as this product for every time zone in use." in page
    assert "Time zone Mars/Phobos is unknown here" in page


def test_the_system_page_says_for_each_zone_in_use_whether_the_database_has_the_same_rules(
    db: Database, client_for: ClientFor
) -> None:
    person = add_practitioner(db, time_zone="Asia/Tokyo")
    page = " ".join(BeautifulSoup(client_for(Role.AUDITOR).get("/admin/system/").text, "html5lib").get_text().split())
    assert "The database has the same rules as this product for every time zone in use." in page
    assert "Asia/Tokyo same rules" in page
    assert f"tzdata {version('tzdata')}" in page
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Practitioner, person.id).time_zone = "Mars/Phobos"
    page = " ".join(BeautifulSoup(client_for(Role.AUDITOR).get("/admin/system/").text, "html5lib").get_text().split())
    assert "other rules than this product for 1 of the zones in use" in page
    assert "Mars/Phobos differs is unknown here" in page


def test_a_rule_that_could_not_be_looked_at_is_named(db: Database, client_for: ClientFor) -> None:
    look(db, unanswered=("parked-event-says-why",))
    assert f"Took too long to be looked at: {SENTENCE}" in client_for(Role.OPS).get("/admin/").text
