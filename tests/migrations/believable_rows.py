"""Rows that a business might have: at the legacy schema, and what each revision makes room for."""

LEGACY = """
INSERT INTO users (open_id, name, email, role, created_at, last_signed_in) VALUES
    ('google|101', 'Maja Lindqvist', 'Maja.Lindqvist@example.com', 'user', '2024-01-05 09:00+00', '2025-06-01+00'),
    ('google|102', NULL, NULL, 'admin', '2024-02-05 09:00+00', '2025-06-02 08:30+00');
INSERT INTO profiles (user_id, email, membership, payment_provider, whop_user_id, whop_membership_id,
        stripe_customer_id, stripe_subscription_id, plan_duration, billing_cycle_start, billing_cycle_end,
        next_credit_renewal, usage_credits, used_credits, status, created_at, updated_at) VALUES
    ('user_2abc', 'maja.lindqvist@example.com', 'pro', 'whop', 'user_w1', 'mem_1', NULL, NULL, 'yearly',
        '2025-01-01+00', '2026-01-01+00', '2025-01-29+00', 1000, 120, 'active', '2024-01-05+00', '2025-01-01+00'),
    ('user_2def', 'tom@example.net', 'pro', 'stripe', NULL, NULL, 'cus_1', 'sub_1', 'monthly',
        '2025-05-01+00', '2025-06-01+00', '2025-05-29+00', 500, 0, 'inactive', '2024-03-05+00', '2025-05-01+00'),
    ('user_2ghi', NULL, 'free', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 'active',
        '2024-04-05+00', '2024-04-05+00'),
    ('temp_17', 'Nora@Example.org', 'pro', 'whop', 'user_w7', 'mem_7', NULL, NULL, 'yearly', '2025-02-01+00',
        '2026-02-01+00', '2025-03-01+00', 1000, 0, 'active', '2025-02-01+00', '2025-02-02+00'),
    ('temp_18', 'per@example.org', 'pro', 'whop', 'user_w8', NULL, NULL, NULL, 'monthly', '2025-03-01+00',
        '2025-04-01+00', NULL, 700, 12, 'inactive', '2025-03-01+00', '2025-03-01+00'),
    ('temp_19', NULL, 'pro', 'whop', 'user_w9', 'mem_9', NULL, NULL, 'yearly', '2025-03-02+00', NULL, NULL, 1000, 0,
        'active', '2025-03-02+00', '2025-03-02+00');
INSERT INTO clients (name, email, phone, created_at, updated_at) VALUES
    ('Harbour Dental', 'Office@harbour.example', '+44 20 7946 0001', '2024-05-01+00', '2024-05-01+00'),
    ('Oak & Sons', NULL, NULL, '2024-06-01+00', '2024-06-01+00');
INSERT INTO onboarding_states
        (customer_id, forwarding_enabled, test_call_detected, current_step, created_at, updated_at)
    SELECT id, id = 1, false, 'forwarding', '2024-06-01+00', '2024-06-02+00' FROM clients;
INSERT INTO practitioners (name, email, time_zone, calcom_user_id, calcom_event_type_id, active, created_at) VALUES
    ('Dr Ada Brandt', 'Ada@clinic.example', 'Europe/Berlin', '77', '501', true, '2024-01-01+00'),
    ('Ben Ode', 'ben@clinic.example', 'UTC', NULL, NULL, false, '2024-01-01+00');
INSERT INTO session_types (practitioner_id, title, minutes, price_amount, price_currency, created_at) VALUES
    (1, 'First talk', 30, 0, 'eur', '2024-01-01+00'), (1, 'Session', 50, 12000, 'eur', '2024-01-01+00');
INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status,
        price_amount, price_currency, stripe_checkout_session_id, stripe_payment_intent_id, calcom_booking_uid,
        created_at, updated_at) VALUES
    (1, 2, 'Nora Dahl', 'Nora@example.org', '2025-07-01 09:00+00', '2025-07-01 09:50+00', 'confirmed', 12000, 'eur',
        'cs_1', 'pi_1', 'uid_1', '2025-06-01+00', '2025-06-01+00'),
    (1, 2, 'Per Holm', 'per@example.org', '2025-07-01 09:50+00', '2025-07-01 10:40+00', 'pending', 12000, 'eur',
        'cs_2', NULL, NULL, '2025-06-02+00', '2025-06-02+00'),
    (1, 2, 'Per Holm', 'per@example.org', '2025-07-01 09:00+00', '2025-07-01 09:50+00', 'canceled', 12000, 'eur',
        NULL, NULL, NULL, '2025-06-03+00', '2025-06-03+00');
INSERT INTO meetings (practitioner_id, starts_at, ends_at, status, price_amount, price_currency, created_at, updated_at)
    VALUES (2, '2025-08-01 12:00+00', '2025-08-01 12:30+00', 'completed', 0, 'usd', '2025-07-01+00', '2025-07-01+00');
"""

ADDED = {
    "0002": """
UPDATE meetings SET guest_email = 'Guest@example.com', guest_name = 'Gus', guest_workos_user_id = 'user_01H',
       guest_org_id = 'org_01H';
""",
    "0003": """
UPDATE clients SET onboarding_complete = true, outbound_paused = true, billing_status = 'past_due',
       payment_active = true, trial_used_at = '2025-01-01+00', pending_cancellation = true,
       cancellation_requested_at = '2025-02-01+00', stripe_customer_id = 'cus_9', stripe_subscription_id = 'sub_9'
 WHERE id = 1;
""",
    "0004": """
UPDATE session_types SET calendly_event_type_id = 'et_' || id,
       calendly_event_type_uri = 'https://calendly.example/' || id;
UPDATE bookings SET calendly_event_id = 'ev_1', calendly_event_uri = 'https://calendly.example/ev_1',
       calendly_invitee_uri = 'https://calendly.example/inv_1' WHERE id = 1;
""",
    "0005": """
INSERT INTO pending_profiles (email, token, whop_user_id, whop_membership_id, plan_duration, usage_credits,
        used_credits, claimed, claimed_by_user_id, claimed_at, created_at, updated_at) VALUES
    ('Owned@example.org', 'hash_1', 'user_w20', 'mem_20', 'yearly', 1000, 0, true, 'user_2abc', '2025-09-02+00',
        '2025-09-01+00', '2025-09-02+00'),
    ('Waits@example.org', 'hash_2', 'user_w21', 'mem_21', 'monthly', 900, 3, false, NULL, NULL,
        '2025-09-03+00', '2025-09-03+00');
""",
    "0009": """
UPDATE profiles SET name = 'Maja', cancel_at_period_end = true, provider_event_at = '2025-01-01+00', version = 4
 WHERE user_id = 'user_2abc';
UPDATE pending_profiles SET name = 'W.', token_expires_at = '2025-10-01+00', likely_owners = 2, version = 3
 WHERE NOT claimed;
UPDATE practitioners SET working_hours = '{"mon": [["09:00", "17:00"]]}', version = 2 WHERE id = 1;
UPDATE bookings SET hold_expires_at = '2025-06-02 10:00+00', version = 5 WHERE status = 'pending';
UPDATE meetings SET session_type_id = 1;
""",
    "0010": "INSERT INTO organizations (workos_id, name, kind) VALUES ('org_01H', 'user-user_01H', 'personal');",
    "0012": """
INSERT INTO staff (email, name, role, password_hash) VALUES ('sue@backdesk.example', 'Sue', 'support', 'argon2'),
    ('fay@backdesk.example', 'Fay', 'finance', 'argon2');
INSERT INTO staff_sessions (staff_id, token_hash, expires_at) VALUES (1, '\\x01', '2025-12-01+00');
INSERT INTO sign_in_brakes (key_hash, failed_sign_ins) VALUES ('\\x02', 3);
""",
    "0013": """
INSERT INTO audit_entries (at, event, actor_kind, actor_id, actor_label, records, request_id, prev_hash, hash)
    VALUES ('2025-09-02+00', 'purchase.claimed', 'staff', '1', 'Sue', '{pending_profile:1}', 'r1', '\\x00', '\\x01');
""",
    "0014": """
INSERT INTO webhook_events (provider, external_id, type, body) VALUES ('whop', 'msg_1', 'payment.succeeded', '\\x7b7d');
INSERT INTO sent_emails (template, to_email, subject, text_body, html_body, pending_profile_id)
    SELECT 'claim', email, 'Your purchase', 'text', '<p>html</p>', id FROM pending_profiles WHERE token = 'hash_2';
""",
    "0015": """
INSERT INTO merges (kind, pending_profile_id, user_id, after, made_by)
    SELECT 'created', id, 'user_2abc', '{"membership": "pro"}', 'staff:1' FROM pending_profiles WHERE claimed;
INSERT INTO extra_purchases (pending_profile_id, user_id)
    SELECT id, 'user_2abc' FROM pending_profiles WHERE token = 'hash_2';
""",
    "0018": "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('inbox', 'process', '{}');",
    "0019": """
UPDATE pending_profiles SET stripe_customer_id = 'cus_9', stripe_subscription_id = 'sub_' || id WHERE NOT claimed;
""",
    "0021": """
INSERT INTO payments (booking_id, state, amount, currency, captured_amount, reserved_amount,
        stripe_checkout_session_id, stripe_payment_intent_id, dispute_id, dispute_due_by)
    VALUES (1, 'paid', 12000, 'eur', 12000, 4000, 'cs_1', 'pi_1', 'du_1', '2025-12-01+00');
INSERT INTO refunds (payment_id, amount, currency, state, reason, requested_by)
    VALUES (1, 4000, 'eur', 'awaiting_approval', 'other', 'sue@backdesk.example');
INSERT INTO approvals (refund_id, requested_by_id, decided_by_id, decided_at, decision)
    VALUES (1, 1, 2, now(), 'approved');
INSERT INTO provider_calls (provider, operation, idempotency_key, subject)
    VALUES ('stripe', 'refund.create', 'r1', 'refund:1');
""",
    "0022": """
INSERT INTO guests (email, name, workos_user_id, workos_org_id)
    VALUES ('Guest@example.com', 'Gus', 'user_01H', 'org_01H');
INSERT INTO booking_links (booking_id, provider, external_id) VALUES (1, 'calendly', 'https://calendly.example/inv_1');
""",
    "0023": """
UPDATE bookings SET source = 'calendly', canceled_because = 'by_client', canceled_at = '2025-06-04+00',
       client_time_zone = 'Europe/Oslo' WHERE status = 'canceled';
UPDATE meetings SET hold_expires_at = '2025-07-01 10:00+00', reminded_at = '2025-07-31+00';
UPDATE webhook_events SET booking_id = 1;
UPDATE sent_emails SET booking_id = 1, calendar_body = 'BEGIN:VCALENDAR', once_key = 'confirmation:booking:1';
""",
    "0024": "INSERT INTO guests (email, name) VALUES ('half@example.com', 'Hal Half');",
    "0027": """
UPDATE clients SET trial_ends_at = '2025-01-15+00', trial_granted_until = '2025-01-15+00' WHERE id = 1;
UPDATE onboarding_states SET forwarding_enabled_at = '2024-06-02+00', completed_at = '2024-06-03+00',
       overridden_by = 'sue@backdesk.example', overridden_because = 'Tested by hand' WHERE client_id = 1;
""",
    "0028": """
INSERT INTO bulk_runs (flag, turns_on, wish, chosen_by, by, by_id, size)
    VALUES ('outbound_paused', true, '{"reason": "Holiday"}', '1 client chosen', 'sue@backdesk.example', 1, 1);
INSERT INTO flag_changes (client_id, flag, reason, by, since, until, bulk_run_id) VALUES
    (1, 'outbound_paused', 'Holiday', 'sue@backdesk.example', '2025-01-01+00', '2025-02-01+00', 1),
    (1, 'outbound_paused', 'Holiday', 'sue@backdesk.example', '2025-02-01+00', NULL, NULL),
    (NULL, 'emergency_stop', 'Wrong numbers called', 'sue@backdesk.example', '2025-02-01+00', '2025-02-02+00', NULL);
INSERT INTO bulk_items (run_id, client_id, seen, outcome, former, flag_change_id)
    VALUES (1, 1, 'abc', 'changed', '{"reason": "On leave"}', 1);
""",
    "0029": """
INSERT INTO subscriptions (client_id, stripe_subscription_id, stripe_customer_id, status, currency, monthly_amount,
        fetched_at) VALUES (1, 'sub_9', 'cus_9', 'past_due', 'eur', 9900, '2025-02-01+00');
INSERT INTO billing_overrides (client_id, status, reason, by, since, until, status_without)
    VALUES (1, 'active', 'Pays by transfer', 'sue@backdesk.example', '2025-02-01+00', '2025-03-01+00', 'past_due');
INSERT INTO billing_changes (client_id, at, status_before, status_after, currency, monthly_after, movement, cause)
    VALUES (1, '2025-01-01+00', 'none', 'active', 'eur', 9900, 'new', 'stripe');
INSERT INTO credit_renewals (user_id, due_at, renewed_at, credits, used_before)
    VALUES ('user_2abc', '2025-01-29+00', '2025-01-29+00', 1000, 120);
INSERT INTO month_closings (month, closed_at, closed_by, lines, totals, digest)
    VALUES ('2025-01-01', '2025-02-03+00', 'sue@backdesk.example', 1, '{"eur": 9900}', 'abc');
INSERT INTO month_lines (closing_id, line_key, kind, at, currency, amount, about)
    VALUES (1, 'billing_change:1', 'new', '2025-01-01+00', 'eur', 9900, 'client:1');
UPDATE payments SET dispute_lost_at = '2025-12-02+00';
""",
    "0030": """
INSERT INTO drift_runs (provider, by, compared) VALUES ('stripe', 'compare_stripe', 12);
INSERT INTO drift_findings (run_id, provider, external_id, subject, field, ours, theirs, owner_id)
    VALUES (1, 'stripe', 'sub_9', 'client:1', 'billing_status', 'active', 'past_due', 1);
INSERT INTO exports (section, arguments, filter_words, format, time_zone, by_id)
    VALUES ('clients', '[["billing", "past_due"]]', 'Billing: past due', 'csv', 'Europe/Berlin', 1);
INSERT INTO export_chunks (export_id, number, body) VALUES (1, 0, '\\x61');
INSERT INTO service_keys (name, hint, key_hash, scopes, created_by)
    VALUES ('Phone agent', 'bdk_ab12', '\\x01', '{gate:ask}', 'sue@backdesk.example');
""",
    "0035": """
INSERT INTO moved_lines (month, line_key) VALUES ('2025-01-01', 'payment:77');
""",
    "0036": """
INSERT INTO memberships (provider, external_id, profile_user_id, rhythm, status, paid_amount, paid_currency, moved_from,
        moved_at)
    VALUES ('whop', 'mem_beside', 'user_2abc', 'lifetime', 'inactive', 5000000000, 'eur', 'profile:user_2ghi',
        '2025-03-01+00');
UPDATE extra_purchases SET decided_about = '1,2';
UPDATE merges SET memberships = '[1]';
""",
    "0038": """
INSERT INTO client_customers (client_id, stripe_customer_id, since, email, name, last_seen_at)
    VALUES (1, 'cus_10', '2025-03-01+00', 'Office@harbour.example', 'Harbour Dental', '2025-03-02+00');
UPDATE subscriptions SET named_client_id = 1;
INSERT INTO invariant_findings (name, first_found_at, last_found_at, count, records)
    VALUES ('no-overlap', '2025-03-01+00', '2025-03-02+00', 1, '{booking:1}');
INSERT INTO invariant_checks (started_at, finished_at, checked, broken) VALUES
    ('2025-03-02+00', '2025-03-02+00', 24, 1);
""",
    "0039": """
UPDATE users SET provider_asked_at = '2025-06-02+00', provider_told_at = '2025-06-01+00' WHERE open_id = 'google|101';
UPDATE profiles SET account_deleted_at = '2025-06-03+00' WHERE user_id = 'user_2ghi';
INSERT INTO person_addresses (user_id, email, verified_at, given_up_at)
    VALUES ('user_2ghi', 'Gone@example.org', '2025-06-01+00', '2025-06-03+00');
INSERT INTO claim_tokens (digest, pending_profile_id, sent_at, expires_at, replaced_at)
    SELECT 'hash_0', id, '2025-09-01+00', '2025-09-15+00', '2025-09-03+00' FROM pending_profiles WHERE token = 'hash_2';
""",
    "0040": """
INSERT INTO memberships (profile_user_id, status, period_start, period_end)
    VALUES ('user_2ghi', 'inactive', '2025-03-01+00', '2025-04-01+00');
INSERT INTO credit_periods (membership_id, user_id, starts_at, credits, used_before, granted_at)
    SELECT id, 'user_2ghi', '2025-03-01+00', 1000, 0, '2025-03-01+00' FROM memberships WHERE provider IS NULL;
INSERT INTO adjustments (user_id, kind, membership_id, credits, usage_before, used_before, usage_after, used_after,
        date_after, reason, made_by, made_at)
    SELECT 'user_2ghi', 'given', id, 1000, 0, 0, 1000, 0, '2025-04-01+00', 'A prize', 'sue@backdesk.example',
        '2025-03-01+00' FROM memberships WHERE provider IS NULL;
""",
    "0041": """
UPDATE memberships SET payments_asked_at = '2025-03-01+00';
INSERT INTO membership_payments (membership_id, provider, external_id, provider_status, amount, captured_amount,
        refunded_amount, reserved_amount, currency, refundable, paid_at, asked_at)
    SELECT id, 'whop', 'pay_1', 'paid', 5000000000, 5000000000, 0, 4900, 'usd', true, '2025-03-01+00', '2025-03-01+00'
      FROM memberships ORDER BY id LIMIT 1;
INSERT INTO refunds (membership_payment_id, amount, currency, state, reason, requested_by, whop_refund_id)
    SELECT id, 4900, 'usd', 'awaiting_approval', 'other', 'sue@backdesk.example', 'rf_1' FROM membership_payments;
INSERT INTO approvals (refund_id, requested_by_id) SELECT id, 1 FROM refunds WHERE membership_payment_id IS NOT NULL;
""",
    "0042": """
UPDATE memberships SET moved_to = 'profile:user_2abc', came_credits = 840, came_withheld = 0
    WHERE external_id = 'mem_beside';
""",
    "0044": "UPDATE practitioners SET free_meetings = false;",
    "0048": """
UPDATE refunds SET ends_appointment = false, tells_client = false WHERE id = (SELECT min(id) FROM refunds);
UPDATE payments SET kept_amount = 4900, kept_at = '2025-03-01+00', kept_by = 'sue@backdesk.example',
        kept_reason = 'Canceled an hour before' WHERE id = (SELECT min(id) FROM payments);
""",
    "0049": """
INSERT INTO booking_attendees (booking_id, provider, external_id, name, email, time_zone, since, gone_at, absent_at,
        paid_amount, paid_currency, paid_through)
    VALUES (1, 'calcom', 'second@example.org', 'Second', 'second@example.org', 'UTC', '2025-06-02+00', '2025-06-03+00',
        '2025-06-04+00', 123456, 'eur', 'stripe');
INSERT INTO booking_hosts (booking_id, practitioner_id, provider, external_id, email, since, gone_at)
    VALUES (1, 1, 'calcom', '77', 'ada@clinic.example', '2025-05-01+00', '2025-06-01+00');
UPDATE booking_links SET asked_at = '2025-06-02+00', starts_at = '2025-07-01 09:00+00';
""",
    "0050": """
UPDATE webhook_events SET waits_for = 'practitioner:1', again_at = '2025-07-01+00';
UPDATE bookings SET attendance_by = 'calcom' WHERE id = 1;
""",
    "0051": """
INSERT INTO move_runs (system, source, mapping, started_at, finished_at)
    VALUES ('bookings', 'mysql://db.example/bookings', 'system = "bookings"', '2025-07-01+00', '2025-07-01+00');
INSERT INTO moved_rows (source_key, table_name, system, source_table, record, told, kept, run_id)
    SELECT '1', 'bookings', 'bookings', 'bookings', '1', 'd41d8cd9-8f00-b204-e980-0998ecf8427e',
        'd41d8cd9-8f00-b204-e980-0998ecf8427e', id FROM move_runs;
INSERT INTO moved_rows (source_key, table_name, system, source_table, told, left_because, run_id)
    SELECT '2', 'bookings', 'bookings', 'bookings', 'd41d8cd9-8f00-b204-e980-0998ecf8427e', 'orphan:practitioner_id', id
      FROM move_runs;
""",
}
