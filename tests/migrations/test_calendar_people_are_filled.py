"""What 0049 makes of the bookings that calendars have, and what 0050 lets go on."""

from tests.migrations.journey import Journey

BOOKINGS = """
INSERT INTO practitioners (id, name, email) VALUES (71, 'Ada', 'ada71@practice.example');
INSERT INTO session_types (id, practitioner_id, title, minutes) VALUES (71, 71, 'Talk', 60);
INSERT INTO bookings (id, practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status,
        source, calcom_booking_uid, calendly_invitee_uri, canceled_at, created_at) VALUES
    (71, 71, 71, 'Bea', 'Bea@example.com', '2027-01-01 09:00+00', '2027-01-01 10:00+00', 'confirmed', 'calcom', 'u1',
        NULL, NULL, '2026-01-01+00'),
    (72, 71, 71, 'Cleo', 'cleo@example.com', '2027-01-02 09:00+00', '2027-01-02 10:00+00', 'canceled', 'calendly',
        NULL, 'https://c/i1', '2026-02-02+00', '2026-01-01+00'),
    (73, 71, 71, 'Dora', 'dora@example.com', '2027-01-03 09:00+00', '2027-01-03 10:00+00', 'confirmed', 'website',
        NULL, NULL, NULL, '2026-01-01+00');
INSERT INTO webhook_events (provider, external_id, type, body, state, parked_because) VALUES
    ('calendly', 'shared', 'invitee.created', '', 'parked', 'event_shared'),
    ('calendly', 'other', 'invitee.created', '', 'parked', 'event_type_unknown');
"""
ATTENDEES = """SELECT string_agg(concat_ws(' ', booking_id, provider, external_id, email, gone_at IS NULL), ', '
    ORDER BY booking_id) FROM booking_attendees WHERE booking_id > 70"""
HOSTS = """SELECT string_agg(concat_ws(' ', booking_id, provider, practitioner_id), ', ' ORDER BY booking_id)
    FROM booking_hosts WHERE booking_id > 70"""
STATES = (
    "SELECT string_agg(state, ', ' ORDER BY external_id) FROM webhook_events WHERE external_id IN ('other', 'shared')"
)


def test_who_comes_and_whose_it_is(journey: Journey) -> None:
    journey.up("0042")
    journey.run(BOOKINGS)
    journey.up("0049")
    for _ in range(2):
        assert journey.value(ATTENDEES) == (
            "71 calcom bea@example.com Bea@example.com t, 72 calendly https://c/i1 cleo@example.com f"
        )
        assert journey.value(HOSTS) == "71 calcom 71, 72 calendly 71"
        journey.claim_to_be_at("0042")
        journey.up("0049")  # run twice, it adds nothing
    journey.up("0050")
    assert journey.value(STATES) == "parked, received"


def test_a_client_without_an_address_survives_the_way_down(journey: Journey) -> None:
    journey.up("0050")
    journey.run(BOOKINGS.partition("INSERT INTO webhook_events")[0])
    journey.run("UPDATE bookings SET client_email = NULL WHERE id = 71")
    journey.down("0049")
    assert journey.value("SELECT client_email = '' FROM bookings WHERE id = 71") is True
    journey.up("0050")
    assert journey.value("SELECT client_email IS NULL FROM bookings WHERE id = 71") is True
