"""Who is told before a flag goes off: once, in good time, and only if it still does."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.jobs import client_flags as flag_jobs
from admin_app.jobs import mails
from admin_app.jobs.bench import Bench
from admin_app.services import staff
from models import AuditEntry, FlagChange, OnExpiry, Role, SentEmail
from tests.services.clients.flags import NOW, OPS, add_client, at, changes, off, on, turn
from tests.services.factories import OPERATOR

HOUR = timedelta(hours=1)
TOLD = {"until": NOW + 3 * HOUR, "tell_email": "desk@example.com", "tell_at": NOW + 2 * HOUR}


@pytest.fixture
def bench(db: Database) -> Bench:
    settings = Settings(
        _env_file=None, database_url="postgresql://unused", secret_key="s" * 32, base_url="https://desk.example.com"
    )
    return Bench(at(db, NOW), settings, registry.from_settings(settings))


def sent(db: Database) -> list[SentEmail]:
    with db.read_only() as session:
        return list(session.scalars(select(SentEmail).order_by(SentEmail.id)))


def jobs(db: Database) -> list[tuple[object, ...]]:
    with db.read_only() as session:
        query = text("SELECT scheduled_at, args FROM procrastinate_jobs WHERE task_name = 'send_switch_mail'")
        return [tuple(row) for row in session.execute(query)]


def test_told_once_however_often_it_is_tried(bench):
    db = bench.db
    with db.unit_of_work(OPERATOR) as ctx:
        member, _ = staff.create_staff(ctx, email=OPS.email, name="Kim", role=Role.OPS, password="glass-kettle-29-x")
        member.time_zone = "Asia/Kolkata"
    client = add_client(db)
    period = turn(db, client, on("Line is being moved", **TOLD))
    assert jobs(db) == [(NOW + 2 * HOUR, {"change_id": period.id})]
    mails.send_switch_mail(bench, period.id)  # too early
    assert sent(db) == []
    at(db, NOW + 2 * HOUR)
    for _ in range(3):
        mails.send_switch_mail(bench, period.id)
        flag_jobs.follow_all(bench)
    (mail,) = sent(db)
    assert (mail.to_email, mail.state) == ("desk@example.com", "kept")
    assert "20:30 (Asia/Kolkata)" in mail.subject  # as the one who set it reads clocks
    assert "Line is being moved" in mail.text_body
    assert f"https://desk.example.com/admin/clients/{client}" in mail.html_body
    with db.read_only() as session:
        assert session.get_one(FlagChange, period.id).told_at == NOW + 2 * HOUR
        told = session.scalars(select(AuditEntry).where(AuditEntry.event == "client.switch_told")).one()
    assert f"client:{client}" in told.records


@pytest.mark.parametrize("later", ["off", "replaced", "over"])
def test_nobody_is_told_what_does_not_hold_any_more(bench, later):
    db = bench.db
    client = add_client(db)
    period = turn(db, client, on(**TOLD))
    if later == "off":
        turn(db, client, off())
    elif later == "replaced":
        turn(db, client, on())
    at(db, NOW + (3 if later == "over" else 2) * HOUR)
    mails.send_switch_mail(bench, period.id)
    assert sent(db) == []


def test_a_lost_job_is_made_up_for(bench):
    db = bench.db
    period = turn(db, add_client(db), on(on_expiry=OnExpiry.STAY, **TOLD))
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
    at(db, NOW + 2 * HOUR)
    flag_jobs.follow_all(bench)
    assert jobs(db) == [(None, {"change_id": period.id})]
    mails.send_switch_mail(bench, period.id)
    assert "stays on and waits for a decision" in sent(db)[0].text_body


def test_a_period_that_is_shortened_tells_nobody(bench):
    db = bench.db
    client = add_client(db)
    turn(db, client, on(**TOLD))
    turn(db, client, on("Longer", since=NOW + HOUR))
    assert next((each.tell_email, each.until) for each in changes(db, client)) == (None, NOW + HOUR)


def test_a_mail_that_is_being_handed_over_is_not_queued_again(bench):
    """The moment of the mail and the sweep come on the same minute."""
    db = bench.db
    turn(db, add_client(db), on(**TOLD))
    at(db, NOW + 2 * HOUR)
    with db.unit_of_work(OPERATOR) as ctx:
        at_work = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker WHERE task_name = :task"
        worker = ctx.session.scalar(text("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id"))
        ctx.session.execute(text(at_work), {"worker": worker, "task": "send_switch_mail"})
    flag_jobs.follow_all(bench)
    assert len(jobs(db)) == 1


def test_nobody_is_told_of_the_end_of_what_has_not_begun(bench):
    db = bench.db
    starts = NOW + 2.5 * HOUR
    assert turn(db, add_client(db), on(since=starts, **TOLD)).tell_at == starts
