"""The audit: append only, chained, read as sentences."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from admin_app.db import Database
from admin_app.services.core import audit
from admin_app.services.core.audit import Change, UnknownEvent
from admin_app.services.core.audit_events import EVENTS
from models import AuditEntry, Membership
from tests.services.factories import NOON, SUPPORT, add_profile, buy


def test_an_entry_says_who_did_what_to_which_records(db: Database) -> None:
    with db.unit_of_work(SUPPORT) as ctx:
        changes = [Change("membership", Membership.FREE, Membership.PRO), Change("name", "Ada", "Ada")]
        changes.append(Change("billing_cycle_end", None, NOON, "profile:user_a"))
        audit.record(
            ctx,
            "purchase.updated",
            records=["pending_profile:1", "profile:user_a", "pending_profile:1"],
            reason="because",
            changes=changes,
            facts={"email": "a@example.com"},
        )
        (item,) = audit.history(ctx.session, "profile:user_a")
        assert item == audit.history(ctx.session, "pending_profile:1")[0]
    assert item.sentence == "support@demo.test updated the purchase of a@example.com"
    assert (item.actor_kind, item.reason, item.request_id) == ("staff", "because", ctx.request_id)
    assert [(change.label, change.before, change.after) for change in item.changes] == [
        ("Membership", "free", "pro"),
        ("Billing cycle ends", None, NOON),
    ]


@pytest.mark.parametrize(
    ("event", "facts"),
    [("purchase.made_up", {}), ("purchase.updated", {}), ("purchase.updated", {"email": "a", "more": "b"})],
)
def test_an_undeclared_event_or_fact_fails_loudly(db: Database, event: str, facts: dict[str, str]) -> None:
    with pytest.raises(UnknownEvent), db.unit_of_work(SUPPORT) as ctx:
        audit.record(ctx, event, records=["x:1"], facts=facts)


def test_every_event_reads_as_a_sentence_even_without_its_facts() -> None:
    for name, kind in EVENTS.items():
        said = audit.sentence(name, "Ada", dict.fromkeys(kind.facts))
        assert said.startswith("Ada ")
        assert "{" not in said
    assert audit.sentence("event.of.yore", "Ada", {}) == "Ada: event.of.yore"
    assert audit.actor_name("job", "process_event") == "Backdesk"


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET reason = 'x'", "DELETE FROM audit_entries"])
def test_the_database_itself_refuses_to_change_an_entry(db: Database, statement: str) -> None:
    buy(db)
    with pytest.raises(DBAPIError, match="append-only"), db.unit_of_work(SUPPORT) as ctx:
        ctx.session.execute(text(statement))


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_entries SET actor_label = 'somebody' WHERE id = :id",
        "UPDATE audit_entries SET changes = '[]' WHERE id = :id",
        "UPDATE audit_entries SET at = at + interval '1 s' WHERE id = :id",
        "DELETE FROM audit_entries WHERE id = :id",
    ],
)
def test_a_change_past_the_trigger_breaks_the_chain(db: Database, tampering: str) -> None:
    for number in range(3):
        buy(db, f"{number}@example.com", membership_id=f"mem_{number}")
    with db.unit_of_work(SUPPORT) as ctx:
        assert audit.first_broken_link(ctx.session) is None
        ids = ctx.session.scalars(text("SELECT id FROM audit_entries ORDER BY id")).all()
        ctx.session.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER USER"))
        ctx.session.execute(text(tampering), {"id": ids[1]})
        ctx.session.expire_all()
        broken = audit.first_broken_link(ctx.session)
        assert broken == (ids[2] if tampering.startswith("DELETE") else ids[1])


def test_what_is_refused_leaves_no_entry(db: Database) -> None:
    add_profile(db, "user_a")

    def refused() -> None:
        with db.unit_of_work(SUPPORT) as ctx:
            audit.record(ctx, "profile.created", records=["profile:user_a"], facts={"user_id": "user_a"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        refused()
    with db.read_only() as session:
        assert session.query(AuditEntry).count() == 0
