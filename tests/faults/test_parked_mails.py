"""No mail goes out twice or after a newer one, and none waits without being seen, whatever dies on the way."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, ProviderUnavailable
from admin_app.jobs import mails
from admin_app.services import appointments, bookings
from admin_app.services.attention import mail_states
from admin_app.services.bookings import appointment_mails
from admin_app.services.core import audit
from admin_app.services.inbox.outbox import MailUnderWay
from admin_app.services.purchases import claim_mails, claims
from models import BookingStatus, CanceledBecause, MailState, SentEmail, SessionType
from tests.house import House, build, free_port
from tests.jobs.running import RunningWorker, bench_of, execute, wait_until
from tests.jobs.test_claim_mails import MailServer, mail_server
from tests.services.diary import Clock, held, jobs, offered, tomorrow
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT, buy, customer

__all__ = ["mail_server"]


def with_mail(house: House, server: MailServer | None) -> House:
    """The same house with this mail server, or with one that is away."""
    port = server.server_address[1] if server else free_port()
    return build(house.simulator, house.db, smtp_url=f"smtp://127.0.0.1:{port}")


@pytest.fixture
def clock(house: House) -> Clock:
    return Clock(house.db)


@pytest.fixture
def kind(house: House) -> SessionType:
    return offered(house.db, price=0)


@pytest.fixture
def away(house: House) -> House:
    return with_mail(house, None)


@pytest.fixture
def back(house: House, mail_server: MailServer) -> House:
    return with_mail(house, mail_server)


def move(db: Database, subject: str, by: timedelta) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        appointment = appointments.locked(ctx, subject)
        row = appointment.row
        bookings.move(ctx, appointment, row.starts_at + by, row.ends_at + by)


def change(db: Database, subject: str, what: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        appointment = appointments.locked(ctx, subject)
        match what:
            case "confirm":
                bookings.confirm(ctx, appointment)
            case "fail":
                appointment.row.status = BookingStatus.PENDING
                bookings.cancel_unpaid(ctx, appointment, CanceledBecause.PAYMENT_FAILED)
            case "refund":
                bookings.carry_out(ctx, appointment, bookings.refunding())


def tries(house: House, asked: list[dict[str, str]]) -> None:
    """Each of these jobs once, as a worker whose mail server may be away."""
    for arguments in asked:
        try:
            mails.send_appointment_mail(house.bench, **arguments)
        except ProviderUnavailable:
            continue


def asked(house: House) -> list[dict[str, str]]:
    return jobs(house.db, "send_appointment_mail")


def states(house: House) -> list[tuple[str, str]]:
    return [(mail.template, mail.state) for mail in house.rows(select(SentEmail).order_by(SentEmail.id))]


def subjects(server: MailServer) -> list[str]:
    return [str(mail["Subject"]).strip().split(":")[0] for mail in server.received]


class TestOrder:
    def test_a_confirmation_that_waited_does_not_come_after_the_move(self, away, back, clock, kind, mail_server):
        subject = held(away.db, kind, tomorrow(clock.now))
        tries(away, asked(away))
        assert states(away) == [("confirmation", "failed")]
        move(away.db, subject, timedelta(hours=4))
        confirmation, moved = asked(away)
        tries(back, [moved, confirmation, moved])
        assert subjects(mail_server) == ["Moved"]
        assert states(back) == [("confirmation", "superseded"), ("rescheduled", "sent")]

    def test_whichever_job_is_first_what_is_old_is_not_sent(self, back, clock, kind, mail_server):
        subject = held(back.db, kind, tomorrow(clock.now))
        move(back.db, subject, timedelta(hours=4))
        tries(back, asked(back))
        assert subjects(mail_server) == ["Moved"]

    def test_there_and_back_again_is_told_once_and_last(self, away, back, clock, kind, mail_server):
        subject = held(away.db, kind, tomorrow(clock.now))
        tries(back, asked(back))
        move(away.db, subject, timedelta(hours=4))
        tries(away, asked(away)[1:])
        move(away.db, subject, -timedelta(hours=4))
        tries(back, [*asked(away)[1:], *asked(away)[1:]])
        assert subjects(mail_server) == ["Confirmed", "Moved"]
        starts = tomorrow(clock.now)
        assert f"{starts:%H:%M}" in mail_server.received[-1]["Subject"]

    def test_each_move_to_the_same_time_is_told(self, back, clock, kind, mail_server):
        subject = held(back.db, kind, tomorrow(clock.now))
        for by in (4, -4, 4):
            move(back.db, subject, timedelta(hours=by))
            tries(back, asked(back)[-1:])
        assert subjects(mail_server) == ["Moved"] * 3

    def test_the_second_cancellation_and_the_second_confirmation_are_told(self, back, clock, kind, mail_server):
        """Not paid, then paid after all, then given back."""
        subject = held(back.db, kind, tomorrow(clock.now))
        for what in ("fail", "confirm", "refund"):
            tries(back, asked(back)[-1:])
            change(back.db, subject, what)
        tries(back, asked(back)[-1:])
        assert subjects(mail_server) == ["Confirmed", "Canceled", "Confirmed", "Canceled"]

    def test_a_mail_that_waited_says_what_holds_now(self, away, back, clock, kind, mail_server):
        """It goes to the address that was corrected since."""
        subject = held(away.db, kind, tomorrow(clock.now))
        tries(away, asked(away))
        with away.db.unit_of_work(OPERATOR) as ctx:
            bookings.correct_email(ctx, appointments.locked(ctx, subject), "right@example.com")
        tries(back, asked(away))
        assert [mail["To"] for mail in mail_server.received] == ["right@example.com"]

    def test_a_reminder_overtakes_nothing(self, back, clock, kind, mail_server):
        held(back.db, kind, clock.now + timedelta(days=2))
        clock.forward(hours=30)
        mails.send_reminders(back.bench)
        confirmation, reminder = asked(back)
        tries(back, [reminder, confirmation, reminder])
        assert subjects(mail_server) == ["Reminder", "Confirmed"]

    def test_the_next_waits_while_one_is_being_handed_over(self, back, clock, kind, mail_server):
        subject = held(back.db, kind, tomorrow(clock.now))
        under_way(back, asked(back)[0])
        move(back.db, subject, timedelta(hours=4))
        with pytest.raises(MailUnderWay):
            mails.send_appointment_mail(back.bench, **asked(back)[1])
        clock.forward(minutes=6)
        mails.send_appointment_mail(back.bench, **asked(back)[1])
        assert subjects(mail_server) == ["Moved"]


def under_way(house: House, arguments: dict[str, str]) -> None:
    """A process that dies after noting that it hands this mail over."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        assert appointment_mails.prepare(ctx, settings=house.bench.settings, **arguments)


@pytest.fixture
def worker_house(real_house: House, mail_server: MailServer) -> House:
    return with_mail(real_house, mail_server)


def killed(house: House, which: int, words: str) -> None:
    """A worker's process that ends as by kill -9 when it is about to say this to the database."""
    settings = bench_of(house).settings
    given = {name.upper(): str(value) for name, value in settings.model_dump().items() if isinstance(value, str)}
    command = [sys.executable, "-m", "tests.jobs.killed_worker", str(which), words]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, timeout=60, check=False)
    assert done.returncode == -9
    execute(house, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")


def pass_by(house: House) -> None:
    """Let minutes pass for what was being handed over."""
    execute(house, "UPDATE sent_emails SET handed_over_at = handed_over_at - interval '10 minutes'")


BEFORE = ("INSERT INTO sent_emails", 1)
# Of a confirmation: the second update notes that it went out; of a claim mail it is the third.
CONFIRMED, CLAIMED = ("UPDATE sent_emails", 2), ("UPDATE sent_emails", 3)


class TestKilled:
    @pytest.mark.parametrize(("words", "which"), [BEFORE, CONFIRMED])
    def test_a_confirmation_leaves_once(self, worker_house: House, mail_server: MailServer, words: str, which: int):
        held(worker_house.db, offered(worker_house.db, price=0), tomorrow(Clock(worker_house.db).now))
        self.ends_well(worker_house, mail_server, words, which)

    @pytest.mark.parametrize(("words", "which"), [BEFORE, CLAIMED])
    def test_a_claim_mail_leaves_once(self, worker_house: House, mail_server: MailServer, words: str, which: int):
        buy(worker_house.db, "once@example.com")
        self.ends_well(worker_house, mail_server, words, which)

    def ends_well(self, house: House, server: MailServer, words: str, which: int) -> None:
        killed(house, which, words)
        left = words.startswith("UPDATE")
        assert len(server.received) == (1 if left else 0)
        pass_by(house)
        with RunningWorker(house):
            wait_until(
                lambda: [mail.state for mail in house.rows(select(SentEmail))] == ["unknown" if left else "sent"]
            )
        assert len(server.received) == 1


class TestUnknown:
    @pytest.fixture
    def lost(self, back: House, clock: Clock, kind: SessionType) -> SentEmail:
        held(back.db, kind, tomorrow(clock.now))
        under_way(back, asked(back)[0])
        assert settled(back) == ["sending"]
        clock.forward(minutes=6)
        assert settled(back) == ["unknown"]
        (mail,) = back.rows(select(SentEmail))
        return mail

    def test_what_may_have_gone_out_is_not_sent_by_itself(self, back, lost, mail_server):
        tries(back, asked(back) * 3)
        settled(back)
        assert mail_server.received == []

    def test_a_person_sends_it_again_and_says_why(self, back, lost, mail_server):
        shown = plan(back, lost.id)
        with back.db.unit_of_work(SUPPORT) as ctx:
            mail_states.resend(ctx, sent_email_id=lost.id, reason="not in her mailbox", shown=shown)
        tries(back, asked(back)[-1:])
        assert subjects(mail_server) == ["Confirmed"]
        assert settled(back) == ["sent"]
        with back.db.read_only() as session:
            said = [item.sentence for item in audit.history(session, f"sent_email:{lost.id}")]
        assert any("had the confirmation mail to cleo@example.com sent again" in sentence for sentence in said)
        with pytest.raises(Conflict), back.db.unit_of_work(SUPPORT) as ctx:
            mail_states.resend(ctx, sent_email_id=lost.id, reason="once more", shown=shown)

    def test_a_person_says_that_it_is_dealt_with(self, back, lost, mail_server):
        shown = plan(back, lost.id)
        with pytest.raises(InvalidInput), back.db.unit_of_work(SUPPORT) as ctx:
            mail_states.settle(ctx, sent_email_id=lost.id, reason=" ", shown=shown)
        with pytest.raises(Forbidden), back.db.unit_of_work(AUDITOR) as ctx:
            mail_states.settle(ctx, sent_email_id=lost.id, reason="told by phone", shown=shown)
        with back.db.unit_of_work(SUPPORT) as ctx:
            mail_states.settle(ctx, sent_email_id=lost.id, reason="told by phone", shown=shown)
        tries(back, asked(back))
        assert settled(back) == ["settled"]
        assert mail_server.received == []

    def test_what_does_not_hold_any_more_is_not_sent_again(self, back, lost, mail_server):
        shown = plan(back, lost.id)
        change(back.db, f"booking:{lost.booking_id}", "fail")
        with back.db.unit_of_work(SUPPORT) as ctx:
            mail_states.resend(ctx, sent_email_id=lost.id, reason="not in her mailbox", shown=shown)
        tries(back, asked(back)[-1:])
        assert settled(back) == ["superseded"]

    def test_a_server_that_had_it_and_hung_up_is_not_given_it_twice(self, house, clock, kind, mail_server):
        mail_server.hangs_up = True
        house = with_mail(house, mail_server)
        held(house.db, kind, tomorrow(clock.now))
        for _ in range(3):
            mails.send_appointment_mail(house.bench, **asked(house)[0])
        assert len(mail_server.received) == 1
        assert states(house) == [("confirmation", "unknown")]


def settled(house: House) -> list[str]:
    mails.settle(house.bench)
    return [mail.state for mail in house.rows(select(SentEmail).order_by(SentEmail.id))]


def plan(house: House, sent_email_id: int) -> str:
    with house.db.unit_of_work(SUPPORT) as ctx:
        found = mail_states.plan_resend(ctx, sent_email_id=sent_email_id, base_url="http://127.0.0.1:8000")
        assert found.refusal is None
        assert found.fingerprint == mail_states.plan_settle(ctx, sent_email_id=sent_email_id).fingerprint
        return found.fingerprint


class TestClaims:
    def test_a_mail_asked_for_whose_job_is_lost_is_queued_again(self, back, clock, mail_server):
        pending = buy(back.db)
        mails.send_claim_mail(back.bench, pending.id)
        with back.db.unit_of_work(SUPPORT) as ctx:
            claim_mails.resend(ctx, pending_profile_id=pending.id, reason="lost it")
            ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
        assert settled(back) == ["sent", "queued"]
        assert jobs(back.db, "send_claim_mail") == []
        clock.forward(minutes=11)
        settled(back)
        settled(back)
        assert jobs(back.db, "send_claim_mail") == [{"pending_profile_id": pending.id}]
        mails.send_claim_mail(back.bench, pending.id)
        assert settled(back) == ["sent", "sent"]
        assert len(mail_server.received) == 2

    def test_two_jobs_for_one_request_send_one_mail(self, back, clock, mail_server):
        pending = buy(back.db)
        for _ in range(3):
            mails.send_claim_mail(back.bench, pending.id)
        assert len(mail_server.received) == 1

    def test_what_was_claimed_meanwhile_gets_none_and_waits_on_no_list(self, away, back, clock, mail_server):
        pending = buy(away.db)
        with pytest.raises(ProviderUnavailable):
            mails.send_claim_mail(away.bench, pending.id)
        with away.db.unit_of_work(customer("user_a", pending.email)) as ctx:
            claims.claim(ctx, email=pending.email)
        clock.forward(minutes=3)
        assert settled(back) == ["superseded"]
        mails.send_claim_mail(back.bench, pending.id)
        assert settled(back) == ["superseded"]
        assert mail_server.received == []

    def test_a_mail_that_failed_before_is_not_on_the_list_once_a_newer_one_went_out(self, away, back, clock):
        pending = buy(away.db)
        with pytest.raises(ProviderUnavailable):
            mails.send_claim_mail(away.bench, pending.id)
        with away.db.unit_of_work(SUPPORT) as ctx:
            claim_mails.resend(ctx, pending_profile_id=pending.id, reason="lost it")
        mails.send_claim_mail(back.bench, pending.id)
        assert settled(back) == ["superseded", "sent"]


def test_mails_that_can_never_leave_keep_nobody_waiting(house: House, clock: Clock) -> None:
    pending = buy(house.db)
    with house.db.unit_of_work(OPERATOR) as ctx:
        shared = {"to_email": "a@example.com", "subject": "S", "text_body": "t", "html_body": "h"}
        for _ in range(5):
            ctx.session.add(SentEmail(template="claim", created_at=ctx.now, **shared))
            ctx.session.flush()
        good = SentEmail(template="claim", pending_profile_id=pending.id, created_at=ctx.now, **shared)
        ctx.session.add(good)
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
    clock.forward(minutes=11)
    for _ in range(3):
        with house.db.unit_of_work(OPERATOR) as ctx:
            mail_states.queue_waiting(ctx, limit=2)
    assert jobs(house.db, "send_claim_mail") == [{"pending_profile_id": pending.id}]
    assert [mail.state for mail in house.rows(select(SentEmail))].count(MailState.SUPERSEDED) == 5
