"""The claim mail: asked for with a reason, its link fresh each time and kept nowhere."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, InvalidToken, NotFound
from admin_app.services.core import audit
from admin_app.services.inbox import outbox
from admin_app.services.purchases import claim_mails, claims
from models import PendingProfile, SentEmail
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT, buy, customer


def link_of(db: Database, pending_id: int) -> str:
    with db.unit_of_work(OPERATOR) as ctx:
        mail = claim_mails.prepare(ctx, pending_profile_id=pending_id, base_url="https://b.test")
        assert mail is not None
        return mail.text.split("token=")[1].split()[0]


def test_a_purchase_has_its_mail_sent_and_support_may_send_another(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(SUPPORT) as ctx:
        assert "buyer@example.com" in claim_mails.plan_resend(ctx, pending_profile_id=pending.id).consequences[0]
        claim_mails.resend(ctx, pending_profile_id=pending.id, reason="lost it")
        jobs = ctx.session.execute(text("SELECT task_name, args FROM procrastinate_jobs ORDER BY id")).all()
        assert jobs == [("send_claim_mail", {"pending_profile_id": pending.id})] * 2
        assert audit.history(ctx.session, f"pending_profile:{pending.id}")[0].reason == "lost it"


def test_a_claimed_or_deleted_purchase_sends_nothing(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    with db.unit_of_work(OPERATOR) as ctx:
        assert claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url="https://b.test") is None
        assert claim_mails.prepare(ctx, pending_profile_id=pending.id + 1, base_url="https://b.test") is None
        assert ctx.session.query(SentEmail).count() == 0
    with pytest.raises(Conflict), db.unit_of_work(SUPPORT) as ctx:
        claim_mails.resend(ctx, pending_profile_id=pending.id, reason="x")


def test_refusals(db: Database) -> None:
    pending = buy(db)
    for actor, number, reason, refusal in (
        (AUDITOR, pending.id, "x", Forbidden),
        (SUPPORT, pending.id, "", InvalidInput),
        (SUPPORT, pending.id + 1, "x", NotFound),
    ):
        with pytest.raises(refusal), db.unit_of_work(actor) as ctx:
            claim_mails.resend(ctx, pending_profile_id=number, reason=reason)


def test_a_link_ends_with_its_time(db: Database) -> None:
    pending = buy(db)
    token = link_of(db, pending.id)
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(PendingProfile, pending.id)
        assert row.token_expires_at is not None
        assert abs(row.token_expires_at - ctx.now - claim_mails.VALID_FOR) < timedelta(minutes=1)
        row.token_expires_at = ctx.now
    with pytest.raises(InvalidToken), db.unit_of_work(customer("user_a")) as ctx:
        claims.claim_by_token(ctx, token=token)


def test_the_link_is_in_no_table(db: Database) -> None:
    token = link_of(db, buy(db).id)
    with db.read_only() as session:
        for table in ("pending_profiles", "sent_emails", "audit_entries", "procrastinate_jobs"):
            found = session.scalar(text(f"SELECT count(*) FROM {table} t WHERE t::text LIKE :t"), {"t": f"%{token}%"})
            assert found == 0, table


def test_the_outcome_is_kept(db: Database) -> None:
    pending = buy(db)
    for kept, state in ((True, "kept"), (False, "sent")):
        with db.unit_of_work(OPERATOR) as ctx:
            mail = claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url="https://b.test")
            assert mail is not None
            claim_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, kept=kept)
            assert ctx.session.get_one(SentEmail, mail.sent_email_id).state == state
            assert claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url="https://b.test") is None
            claim_mails.resend(ctx, pending_profile_id=pending.id, reason="lost it")
    with db.unit_of_work(OPERATOR) as ctx:
        outbox.mark_failed(ctx, sent_email_id=mail.sent_email_id, error_code="refused")
        assert ctx.session.get_one(SentEmail, mail.sent_email_id).last_error == "refused"
