"""Every invariant holds in a healthy database, and finds the row that breaks it."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services import invariants
from tests.house import House
from tests.services import factories
from tests.services.money import add_paid, add_payment
from tests.services.schedule_rows import add_booking, add_meeting, add_practitioner, add_session_type

# By name: how it is broken. Rows are put in by hand, where the product would never put them; what the database itself
# refuses is allowed for the test's transaction.
EVENT = "INSERT INTO webhook_events (provider, external_id, type, body, state, received_at, processed_at, outcome) "
JOB = "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status) "
CALL = "INSERT INTO provider_calls (provider, operation, idempotency_key, subject, state, created_at) "
MAIL = "INSERT INTO sent_emails (template, to_email, subject, text_body, html_body, state, created_at, booking_id) "
OLD = "now() - interval '2 hours'"
SUBSCRIPTION = (
    "INSERT INTO subscriptions (stripe_subscription_id, stripe_customer_id, status, fetched_at, created_at, updated_at)"
)
MEMBER_PAID = (
    "INSERT INTO membership_payments (membership_id, provider, external_id, provider_status, amount, captured_amount, "
    "currency, paid_at, asked_at, reserved_amount) SELECT id, 'whop', 'pay_1', 'paid', 100, 100, 'usd', now(), now()"
)
BREAKS = {
    "settled-event-has-outcome": f"{EVENT} VALUES ('whop', 'm', 't', '', 'processed', {OLD}, {OLD}, NULL)",
    "settled-event-has-no-job": f"""
        WITH e AS ({EVENT} VALUES ('whop', 'm', 't', '', 'processed', {OLD}, {OLD}, 'done') RETURNING id)
        {JOB} SELECT 'default', 'process_event', jsonb_build_object('event_id', id), 'todo' FROM e""",
    "received-event-has-job": f"{EVENT} VALUES ('whop', 'm', 't', '', 'received', {OLD}, NULL, NULL)",
    "parked-event-says-why": f"{EVENT} VALUES ('whop', 'm', 't', '', 'parked', {OLD}, NULL, NULL)",
    "running-job-has-living-worker": f"""
        WITH w AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '2 minutes')
          RETURNING id),
        j AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id)
          SELECT 'default', 'x', 'doing', id FROM w RETURNING id)
        INSERT INTO procrastinate_events (job_id, type, at) SELECT id, 'started', {OLD} FROM j""",
    "one-mail-per-occasion": f"{MAIL} SELECT 'reminder', 'a@b.example', 's', '', '', 'sent', now(), id FROM bookings",
    "queued-mail-has-job": f"{MAIL} VALUES ('claim', 'a@b.example', 's', '', '', 'queued', {OLD}, NULL)",
    "unanswered-call-has-job": f"{CALL} VALUES ('workos', 'code.send', 'k', 'guest:1', 'intended', {OLD})",
    "unknown-call-is-on-a-list": f"{CALL} VALUES ('stripe', 'trial.extend', 'k', 'client:1', 'unknown', {OLD})",
    "audit-chain-unbroken": """
        ALTER TABLE audit_entries DISABLE TRIGGER USER; UPDATE audit_entries SET event = 'other.event'""",
    "one-purchase-per-address": """
        ALTER TABLE pending_profiles DROP CONSTRAINT uq_pending_profiles_email;
        INSERT INTO pending_profiles (email) VALUES ('BUYER@example.com')""",
    "claimed-purchase-has-record": """
        UPDATE pending_profiles SET claimed = true, claimed_by_user_id = 'user_a'""",
    "claimed-by-existing-profile": """
        INSERT INTO merges (kind, user_id, after, made_by) VALUES ('created', 'user_gone', '{}', 'test')""",
    "credits-once-per-period": """
        INSERT INTO credit_periods (membership_id, starts_at, granted_at, credits, used_before)
        SELECT membership_id, starts_at + interval '5 days', now(), 1000, 0 FROM credit_periods""",
    "paid-period-has-credits": f"""
        INSERT INTO profiles (user_id, membership, status, payment_provider, next_credit_renewal, whop_membership_id)
        VALUES ('user_due', 'pro', 'active', 'whop', {OLD}, 'mem_due');
        INSERT INTO memberships (provider, external_id, next_credits_at, profile_user_id)
        VALUES ('whop', 'mem_due', {OLD}, 'user_due')""",
    "complimentary-ends-on-time": """
        INSERT INTO profiles (user_id, membership, billing_cycle_end) VALUES ('user_given', 'pro', '2026-01-01');
        INSERT INTO memberships (profile_user_id, period_end) VALUES ('user_given', '2026-01-01')""",
    "early-renewal-is-a-period": """
        INSERT INTO adjustments (user_id, kind, membership_id, credits, usage_before, used_before, usage_after,
            used_after, date_before, reason, made_by, made_at)
        VALUES ('user_a', 'renewed_early', 1, 0, 0, 0, 0, 0, '2030-01-01', 'r', 'test', now())""",
    "live-membership-has-holder": "INSERT INTO memberships (provider, external_id) VALUES ('whop', 'mem_lost')",
    "no-membership-with-claimed-purchase": """
        INSERT INTO profiles (user_id) VALUES ('user_late');
        WITH w AS (INSERT INTO pending_profiles (email, membership, status, whop_membership_id, claimed,
            claimed_by_user_id, updated_at) VALUES ('late@example.com', 'free', 'inactive', 'mem_late', true,
            'user_late', '2026-01-01') RETURNING id),
        claim AS (INSERT INTO merges (kind, pending_profile_id, user_id, after, made_by)
            SELECT 'created', id, 'user_late', '{}', 'test' FROM w)
        INSERT INTO memberships (provider, external_id, status, pending_profile_id)
        SELECT 'whop', 'mem_late', 'inactive', id FROM w""",
    "member-has-membership": """
        INSERT INTO profiles (user_id, membership, updated_at) VALUES ('user_bare', 'pro', '2026-01-01')""",
    "columns-follow-memberships": "UPDATE pending_profiles SET billing_cycle_end = now()",
    "extra-purchases-listed": """
        INSERT INTO extra_purchases (user_id, replaced_membership_id) VALUES ('user_a', 'mem_gone')""",
    "address-verified-for-one-person": """
        DROP INDEX uq_person_addresses_verified;
        INSERT INTO person_addresses (user_id, email, verified_at)
        SELECT 'user_' || n, 'Shared@example.com', now() FROM generate_series(1, 2) n""",
    "profile-shows-no-address-of-others": """
        INSERT INTO users (open_id, provider_asked_at) VALUES ('user_b', now() + interval '1 hour');
        INSERT INTO profiles (user_id, email) VALUES ('user_b', 'theirs@example.com');
        INSERT INTO person_addresses (user_id, email, verified_at) VALUES ('user_c', 'theirs@example.com', now())""",
    "deleted-account-holds-nothing": """
        INSERT INTO profiles (user_id, membership, account_deleted_at) VALUES ('user_b', 'pro', now())""",
    "never-refunded-more-than-captured": """
        INSERT INTO refunds (payment_id, amount, currency, reason, requested_by, state)
        SELECT id, 1, 'eur', 'other', 'test', 'succeeded' FROM payments WHERE state = 'paid'""",
    "member-refunds-are-reserved": f"""
        UPDATE memberships SET paid_amount = 100, paid_currency = 'usd';
        {MEMBER_PAID}, 50 FROM memberships""",
    "membership-says-what-was-paid": f"{MEMBER_PAID}, 0 FROM memberships",
    "dispute-columns-are-derived": """
        INSERT INTO disputes (payment_id, stripe_dispute_id, status, reason, amount, currency)
        SELECT id, 'du_lost', 'needs_response', 'general', 1, 'eur' FROM payments WHERE state = 'paid'""",
    "refunded-means-given-back": f"""
        UPDATE bookings SET status = 'refunded', updated_at = {OLD}
        WHERE id = (SELECT booking_id FROM payments WHERE state = 'paid' LIMIT 1)""",
    "requested-refund-has-job": f"""
        WITH r AS (INSERT INTO refunds (payment_id, amount, currency, reason, requested_by, state, updated_at)
          SELECT id, 1, 'eur', 'other', 'test', 'requested', {OLD} FROM payments WHERE state = 'paid' RETURNING 1)
        UPDATE payments SET reserved_amount = 1 WHERE state = 'paid'""",
    "paid-too-late-goes-back": f"""
        UPDATE bookings SET status = 'canceled', canceled_because = 'never_paid'
        WHERE id = (SELECT booking_id FROM payments WHERE state = 'paid' LIMIT 1);
        UPDATE payments SET paid_at = {OLD} WHERE state = 'paid'""",
    "canceled-holds-no-money": f"""
        UPDATE bookings SET status = 'canceled', canceled_because = 'by_client'
        WHERE id = (SELECT booking_id FROM payments WHERE state = 'paid' LIMIT 1);
        UPDATE payments SET updated_at = {OLD} WHERE state = 'paid'""",
    "decision-is-about-what-is-off": "UPDATE payments SET undecided_since = now() WHERE state = 'paid'",
    "closed-month-is-its-lines": """
        INSERT INTO month_closings (month, closed_at, closed_by, lines, totals, digest)
        VALUES ('2026-01-01', now(), 'test', 1, '{"eur": {"payment": {"lines": 1, "amount": 5}}}', 'other')""",
    "client-shows-own-customer": f"""
        INSERT INTO clients (name, stripe_customer_id, updated_at) VALUES ('A', 'cus_1', {OLD});
        INSERT INTO client_customers (stripe_customer_id, updated_at) VALUES ('cus_1', {OLD})""",
    "customer-has-row": f"""
        {SUBSCRIPTION} VALUES ('sub_1', 'cus_1', 'canceled', now(), {OLD}, {OLD})""",
    "nobodys-subscription-is-on-a-list": f"""
        {SUBSCRIPTION} VALUES ('sub_1', 'cus_1', 'active', now(), {OLD}, {OLD});
        INSERT INTO client_customers (stripe_customer_id) VALUES ('cus_1')""",
    "paying-client-has-access": f"""
        INSERT INTO clients (name, updated_at) VALUES ('A', {OLD});
        {SUBSCRIPTION} VALUES ('sub_1', 'cus_1', 'active', now(), {OLD}, {OLD});
        UPDATE subscriptions SET client_id = (SELECT max(id) FROM clients);
        INSERT INTO client_customers (stripe_customer_id) VALUES ('cus_1')""",
    "paid-means-captured": "UPDATE payments SET paid_at = NULL WHERE state = 'paid'",
    "no-overlap": """
        INSERT INTO meetings (practitioner_id, starts_at, ends_at, status)
        SELECT practitioner_id, starts_at + interval '1 minute', ends_at, 'confirmed' FROM bookings
        WHERE client_email = 'bea@example.com'""",
    "somebody-comes": """
        UPDATE bookings SET source = 'calcom' WHERE client_email = 'bea@example.com';
        INSERT INTO booking_attendees (booking_id, provider, external_id, name, gone_at)
        SELECT id, 'calcom', 'bea', 'Bea', now() FROM bookings WHERE client_email = 'bea@example.com'""",
    "host-is-the-practitioner": """
        WITH p AS (INSERT INTO practitioners (name, email) VALUES ('Other', 'o@practice.example') RETURNING id)
        INSERT INTO booking_hosts (booking_id, practitioner_id, provider)
        SELECT b.id, p.id, 'calcom' FROM bookings b, p WHERE b.client_email = 'bea@example.com'""",
    "lapsed-hold-is-ended": f"""
        UPDATE meetings SET status = 'pending', hold_expires_at = {OLD}""",
    "price-can-be-charged": "UPDATE session_types SET price_amount = 5001, price_currency = 'ugx'",
    "running-bulk-run-has-job": f"""
        WITH s AS (INSERT INTO staff (email, name, role, password_hash)
          VALUES ('o@b.example', 'O', 'ops', '-') RETURNING id)
        INSERT INTO bulk_runs (flag, turns_on, wish, chosen_by, state, by, by_id, started_at)
        SELECT 'outbound_paused', true, '{{}}', 'all', 'running', 'o', id, {OLD} FROM s""",
    "waiting-export-has-job": f"""
        WITH s AS (INSERT INTO staff (email, name, role, password_hash)
          VALUES ('o@b.example', 'O', 'ops', '-') RETURNING id)
        INSERT INTO exports (section, arguments, filter_words, format, time_zone, by_id, created_at)
        SELECT 'clients', '[]', '', 'csv', 'UTC', id, {OLD} FROM s""",
}


@pytest.fixture
def healthy(db: Database) -> Database:
    """A purchase that waits, money that was paid, an appointment to come, and what nobody needs to look at."""
    factories.buy(db)
    add_paid(db)
    add_payment(db)
    practitioner = add_practitioner(db)
    kind = add_session_type(db, practitioner)
    starts = db.clock() + timedelta(days=3)
    add_booking(db, kind, starts)
    add_meeting(db, practitioner, starts + timedelta(hours=2))
    with db.unit_of_work(Job("test")) as ctx:
        # The factories hold times without an end, as no door does.
        ctx.session.execute(text("UPDATE bookings SET hold_expires_at = now() WHERE status = 'pending'"))
    return db


def broken(db: Database) -> dict[str, tuple[str, ...]]:
    with db.read_only() as session:
        return {found.invariant.name: found.records for found in invariants.broken(session, now=db.clock())}


def test_a_healthy_database_breaks_none(healthy: Database) -> None:
    assert broken(healthy) == {}


def test_the_demo_breaks_none(demo: Database) -> None:
    assert broken(demo) == {}


def test_every_invariant_is_shown_to_find_something() -> None:
    assert {invariant.name for invariant in invariants.INVARIANTS} == BREAKS.keys()


@pytest.mark.parametrize("name", BREAKS)
def test_it_finds_what_breaks_it(healthy: Database, name: str) -> None:
    with healthy.unit_of_work(Job("test")) as ctx:
        for statement in BREAKS[name].split(";"):
            ctx.session.execute(text(statement))
    found = broken(healthy)
    assert name in found
    assert all(":" in record for record in found[name])
    assert found.keys() == {name}


def test_what_is_under_way_is_given_time(healthy: Database) -> None:
    with healthy.unit_of_work(Job("test")) as ctx:
        ctx.session.execute(text(BREAKS["received-event-has-job"]))
    with healthy.read_only() as session:
        now = healthy.clock()
        assert invariants.broken(session, now=now, patience=timedelta(hours=3)) == []


@pytest.mark.parametrize(("ago", "holds"), [("8 minutes", True), ("11 minutes", False)])
def test_a_mail_whose_worker_died_is_given_the_time_in_which_it_is_noted(
    healthy: Database, ago: str, holds: bool
) -> None:
    with healthy.unit_of_work(Job("test")) as ctx:
        ctx.session.execute(text(f"{MAIL} VALUES ('claim', 'a@b.example', 's', '', '', 'sending', {OLD}, NULL)"))
        ctx.session.execute(text(f"UPDATE sent_emails SET handed_over_at = now() - interval '{ago}'"))
    with healthy.read_only() as session:
        found = invariants.broken(session, now=healthy.clock(), patience=timedelta(seconds=90))
    assert [one.invariant.name for one in found] == ([] if holds else ["queued-mail-has-job"])


def test_the_command_says_each_rule_and_ends_badly_when_one_is_broken(house: House) -> None:
    run = house.app.test_cli_runner().invoke
    whole = run(args=["verify"])
    assert whole.exit_code == 0, whole.output
    assert f"All {len(invariants.INVARIANTS)} rules hold." in whole.output
    with house.db.unit_of_work(Job("test")) as ctx:
        ctx.session.execute(text(BREAKS["parked-event-says-why"]))
    told = run(args=["verify"])
    assert told.exit_code == 1
    (line,) = [" ".join(line.split()) for line in told.output.splitlines() if "BROKEN" in line]
    assert line == "parked-event-says-why BROKEN 1 A delivery that waits for a person says what it waits for."
    assert "parked-event-says-why: 1. Look at:\n  webhook_event:" in told.output
    assert " ".join(told.output.splitlines()[0].split()) == "Rule Holds How many What must be true"


def test_other_rules_of_time_zones_are_told_and_nothing_is_broken_by_them(house: House) -> None:
    add_practitioner(house.db, time_zone="Mars/Phobos")
    told = house.app.test_cli_runner().invoke(args=["verify"])
    assert told.exit_code == 0
    assert "Nothing broken." in told.output
    assert "The database's rules for time zones differ" in told.output
    assert "  Mars/Phobos is unknown here" in told.output


def test_more_than_a_few_records_are_counted_and_the_first_are_named(house: House) -> None:
    with house.db.unit_of_work(Job("test")) as ctx:
        ctx.session.execute(
            text(
                "INSERT INTO webhook_events (provider, external_id, type, body, state)"
                " SELECT 'whop', 'm' || n, 't', '', 'parked' FROM generate_series(1, 1200) n"
            )
        )
    told = house.app.test_cli_runner().invoke(args=["verify"])
    assert "parked-event-says-why: more than 1,000. Look at:" in told.output
    assert told.output.count("  webhook_event:") == invariants.SHOWN
