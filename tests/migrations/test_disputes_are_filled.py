"""What 0046 makes of the one dispute that a payment had, and of what was heard while it was taken back."""

from tests.migrations.journey import Journey

PAID = """
INSERT INTO practitioners (id, name, email) VALUES (901, 'A', 'a@x.example');
INSERT INTO session_types (id, practitioner_id, title, minutes) VALUES (901, 901, 'S', 50);
INSERT INTO bookings (id, practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status)
    SELECT n, 901, 901, 'C', 'c@x.example', timestamptz '2026-01-01+00' + n * interval '1 day',
        timestamptz '2026-01-01 01:00+00' + n * interval '1 day', 'confirmed' FROM generate_series(901, 904) n;
INSERT INTO payments (id, booking_id, state, amount, currency, captured_amount, dispute_id, dispute_status,
        dispute_reason, dispute_amount, dispute_due_by, dispute_lost_at) VALUES
    (901, 901, 'paid', 500, 'eur', 500, 'du_lost', 'lost', 'fraudulent', 400, '2026-02-01+00', '2026-01-20+00'),
    (902, 902, 'paid', 500, 'jpy', 500, 'du_half', NULL, NULL, NULL, NULL, NULL),
    (903, 903, 'paid', 500, 'eur', 500, NULL, NULL, NULL, NULL, NULL, NULL),
    (904, 904, 'paid', 500, 'eur', 500, 'du_open', 'under_review', 'general', 500, NULL, NULL);
"""
ROWS = """SELECT id, payment_id, stripe_dispute_id, status, amount, currency, lost_at::date::text AS lost
FROM disputes ORDER BY id"""
FILLED = [
    (901, 901, "du_lost", "lost", 400, "eur", "2026-01-20"),
    (902, 902, "du_half", "needs_response", 500, "jpy", None),
    (904, 904, "du_open", "under_review", 500, "eur", None),
]


def found(journey: Journey) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in journey.rows(ROWS)]


def test_rows_are_filled_once_and_follow_what_was_heard_meanwhile(journey: Journey) -> None:
    journey.up("0045")
    journey.run(PAID)
    journey.up("0046")
    assert found(journey) == FILLED
    for again in (journey.claim_to_be_at, journey.down):
        again("0045")
        journey.up("0046")
        assert found(journey) == FILLED
    journey.run(
        "INSERT INTO disputes (payment_id, stripe_dispute_id, status, reason, amount, currency)"
        " VALUES (901, 'du_second', 'needs_response', 'general', 100, 'eur')"
    )
    journey.down("0045")
    journey.run(
        "UPDATE payments SET dispute_status = 'lost', dispute_lost_at = '2026-02-03+00' WHERE id = 904;"
        "UPDATE payments SET dispute_id = 'du_new', dispute_status = 'won' WHERE id = 903"
    )
    journey.up("0046")
    assert found(journey) == [
        *FILLED[:2],
        (903, 903, "du_new", "won", 500, "eur", None),
        (904, 904, "du_open", "lost", 500, "eur", "2026-02-03"),
        (905, 901, "du_second", "needs_response", 100, "eur", None),
    ]
    journey.up("head")
    journey.check_drift()


def test_a_line_of_a_closed_month_keeps_its_name(journey: Journey) -> None:
    journey.up("0045")
    journey.run(PAID)
    journey.up("0046")
    journey.run("DELETE FROM moved_lines; UPDATE disputes SET amount = 1 WHERE id = 901")
    assert journey.value("SELECT line_key FROM moved_lines") == "dispute:901"


def test_what_came_back_of_a_refunded_booking_waits_for_a_person(journey: Journey) -> None:
    journey.up("0045")
    journey.run(PAID)
    journey.run(
        "UPDATE bookings SET status = 'refunded' WHERE id IN (903, 904);"
        "INSERT INTO refunds (id, payment_id, amount, currency, state, reason, requested_by, stripe_refund_id)"
        " SELECT n, n, 500, 'eur', 'failed', 'other', 'sue', 're_' || n FROM generate_series(902, 903) n;"
        "INSERT INTO refunds (id, payment_id, amount, currency, state, reason, requested_by) VALUES"
        " (904, 904, 500, 'eur', 'failed', 'other', 'sue')"
    )
    journey.up("0046")
    open_items = "SELECT json_agg(id) FROM refunds WHERE returned_at IS NOT NULL AND made_good_at IS NULL"
    assert journey.value(open_items) == [903]
    journey.run("UPDATE refunds SET made_good_at = now(), made_good_how = 'again' WHERE id = 903")
    for again in (journey.claim_to_be_at, journey.down):
        again("0045")
        journey.up("0046")
        assert journey.value(open_items) is None
