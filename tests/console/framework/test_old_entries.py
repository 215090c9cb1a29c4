"""Audit entries that an older release wrote are shown for ever, whatever today's release declares of their events."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import text

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services.core import audit
from admin_app.services.core.audit_events import EVENTS
from models import AuditEntry, Role
from tests.console.rows import NOW, one_of_everything
from tests.services.factories import add_profile

EVENT_OF_YORE = "purchase.of_yore"
# Kinds of records by the section that shows them with their history.
AUDITED = {
    "bookings": "booking",
    "clients": "client",
    "drift-findings": "drift_finding",
    "meetings": "meeting",
    "payments": "payment",
    "pending-profiles": "pending_profile",
    "profiles": "profile",
    "purchases": "pending_profile",
    "refunds": "refund",
    "webhook-events": "webhook_event",
}


def wrote(db: Database, records: list[str], facts: dict[str, Any], changes: Iterable[dict[str, Any]]) -> None:
    """One entry of every event, as a release might have kept it that declared other facts."""
    with db.unit_of_work(Job("tests")) as ctx:
        for number, event in enumerate([*EVENTS, EVENT_OF_YORE]):
            entry = AuditEntry(
                at=NOW,
                event=event,
                actor_kind="staff",
                actor_id="1",
                actor_label="old@example.com",
                records=records,
                changes=list(changes),
                facts=facts,
                request_id="0" * 32,
                prev_hash=b"",
                hash=f"{number}-{len(facts)}".encode(),
            )
            ctx.session.add(entry)


def opens(client: Any, addresses: Iterable[str]) -> list[str]:
    """Those that do not answer as they should."""
    answers = ((address, client.get(address).status_code) for address in addresses)
    return [f"{address}: {status}" for address, status in answers if status != 200]


def test_every_page_with_history_shows_entries_without_their_facts(
    db: Database, client_for: Callable[[Role], Any]
) -> None:
    with db.unit_of_work(Job("tests")) as ctx:
        keys = one_of_everything(ctx.session)
    records = [f"{kind}:{keys[section]}" for section, kind in AUDITED.items()]
    wrote(db, records, {}, [{"field": "membership"}, {}, {"record": records[0], "before": 1}])
    wrote(db, records, {"a_fact_of_yore": "kept", "email": None, "state": ["a", "list"]}, [])
    client = client_for(Role.ADMIN)
    places = ["/admin/", "/admin/audit-entries/", "/admin/audit-entries/?sort=at"]
    assert opens(client, [*places, *(f"/admin/{section}/{keys[section]}" for section in AUDITED)]) == []
    with db.read_only() as session:
        ids = session.scalars(text("SELECT id FROM audit_entries WHERE actor_label = 'old@example.com'")).all()
    assert opens(client, [f"/admin/audit-entries/{entry}" for entry in ids[:: max(1, len(ids) // 25)]]) == []


def test_what_an_entry_lacks_is_a_dash() -> None:
    for name in EVENTS:
        said = audit.sentence(name, "Ada", {})
        assert said.startswith("Ada ")
        assert "{" not in said
    assert audit.sentence("purchase.updated", "Ada", {}) == f"Ada updated the purchase of {audit.NOT_KEPT}"
    (change,) = audit.changes_of([{"field": "membership"}, {"before": "free"}])
    assert (change.label, change.before, change.after) == ("Membership", None, None)


def test_the_small_print_of_a_history_says_in_words_which_task_it_was(client_for: Any, db: Database) -> None:
    add_profile(db, "user_task", email="task@example.com")
    for name in ("renew_credits", "flask reconcile"):
        with db.unit_of_work(Job(name)) as ctx:
            facts = {"user_id": "user_task"}
            audit.record(ctx, "profile.account_back", records=["profile:user_task"], facts=facts)
    support = client_for(Role.SUPPORT)
    page = support.get("/admin/profiles/user_task").text
    assert "task “renew credits”, <time" in page
    assert "command “flask reconcile”, <time" in page
    assert "renew_credits" not in page
    with db.read_only() as session:
        number = session.query(AuditEntry.id).filter_by(actor_label="renew_credits").scalar()
    assert "task “renew credits”" in support.get(f"/admin/audit-entries/{number}").text
