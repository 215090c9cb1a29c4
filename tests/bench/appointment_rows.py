"""Bookings and meetings around today for `tests.bench.appointments`, made within the database.

Each of two hundred practitioners has eight booked hours a day from eight o'clock and three with meetings before that,
as many days back and ahead as the number asks for; from five in the afternoon to half past ten all are free.
"""

from datetime import UTC, datetime, timedelta

import psycopg

from tests.bench import place

PRACTITIONERS = 200
# Those who are booked through Cal.com; the others are booked on the web site and through Calendly.
CALCOM_PRACTITIONERS = 100
BOOKED_HOURS, MEETING_HOURS = 8, 3

PEOPLE = f"""
    INSERT INTO practitioners (id, name, email, working_hours, calcom_event_type_id)
    SELECT n, 'Practitioner ' || n, 'practitioner' || n || '@demo.example',
           jsonb_object_agg(day, '[["07:00", "22:30"]]'::jsonb),
           CASE WHEN n <= {CALCOM_PRACTITIONERS} THEN n::text END
      FROM generate_series(1, {PRACTITIONERS}) n, unnest(ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']) day
     GROUP BY n;
    INSERT INTO session_types (id, practitioner_id, title, minutes, price_amount, calendly_event_type_uri)
    SELECT n, n, 'Consultation', 60, 9000, 'https://api.calendly.com/event_types/' || n
      FROM generate_series(1, {PRACTITIONERS}) n
"""
# The number of the day, from the first to the last with today in their middle, and of the hour within it.
WHEN = """
    (date_trunc('day', now(), 'UTC') + ((n / {people}) / {hours} - {days} / 2) * interval '1 day'
     + ({first} + (n / {people}) % {hours}) * interval '1 hour')
"""
STATE = "CASE WHEN n % 10 = 0 THEN 'canceled' WHEN n % 100 = 1 OR starts > now() THEN 'confirmed' ELSE 'completed' END"
BOOKINGS = f"""
    INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status,
        price_amount, source, stripe_checkout_session_id, stripe_payment_intent_id, calcom_booking_uid,
        calendly_event_id, calendly_event_uri, calendly_invitee_uri, created_at, updated_at)
    SELECT 1 + n % {PRACTITIONERS}, 1 + n % {PRACTITIONERS}, 'Client ' || n, 'client' || n / 6 || '@example.com',
           starts, starts + interval '50 minutes', {STATE}, 9000,
           CASE n % 3 WHEN 0 THEN 'website' WHEN 1 THEN 'calcom' ELSE 'calendly' END,
           CASE WHEN n % 3 = 0 THEN 'cs_' || n END, CASE WHEN n % 3 = 0 THEN 'pi_' || n END,
           CASE WHEN n % 3 < 2 THEN 'uid_' || n END, CASE WHEN n % 3 = 2 THEN 'ev_' || n END,
           CASE WHEN n % 3 = 2 THEN 'https://api.calendly.com/scheduled_events/' || n END,
           CASE WHEN n % 3 = 2 THEN 'https://api.calendly.com/scheduled_events/' || n || '/invitees/' || n END,
           starts - interval '9 days', starts - interval '9 days'
      FROM (SELECT n, {WHEN} AS starts FROM generate_series(0, {{count}} - 1) n) AS times;
    INSERT INTO booking_links (booking_id, provider, external_id, created_at)
    SELECT id, CASE WHEN calcom_booking_uid IS NULL THEN 'calendly' ELSE 'calcom' END,
           coalesce(calcom_booking_uid, calendly_invitee_uri), created_at
      FROM bookings
"""
MEETINGS = f"""
    INSERT INTO meetings (practitioner_id, guest_email, guest_name, starts_at, ends_at, status, created_at, updated_at)
    SELECT 1 + n % {PRACTITIONERS}, 'guest' || n / 3 || '@example.com', 'Guest ' || n, starts,
           starts + interval '50 minutes', {STATE}, starts - interval '9 days', starts - interval '9 days'
      FROM (SELECT n, {WHEN} AS starts FROM generate_series(0, {{count}} - 1) n) AS times
"""
# For search alone, which nobody measures here; they take as long to fill as all the rest.
NOT_NEEDED = ("ix_bookings_client_email_trgm", "ix_meetings_guest_email_trgm")


def meetings_of(bookings: int) -> int:
    return bookings * 3 // 10


def free_hour(hour: int) -> datetime:
    """An hour of tomorrow, at which all have time."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1, hours=hour)


def fresh_database(server_url: str, bookings: int) -> str:
    """A migrated database with so many bookings, of which an earlier run has left nothing."""
    name = f"backdesk_bench_appointments_{bookings}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    url = place.create(server_url, name)
    place.migrate(url)
    fill(url, bookings)
    return url


def fill(url: str, bookings: int) -> None:
    """Fill a migrated database, and have it counted and vacuumed as autovacuum does in the first minutes."""
    with psycopg.connect(url, autocommit=True) as connection:
        for index in NOT_NEEDED:
            connection.execute(f"DROP INDEX {index}".encode())
        connection.execute(PEOPLE.encode())
        connection.execute(_statement(BOOKINGS, bookings, BOOKED_HOURS, first=8))
        # In the early morning, before what is booked.
        connection.execute(_statement(MEETINGS, meetings_of(bookings), MEETING_HOURS, first=4))
        connection.execute(b"VACUUM (ANALYZE) practitioners, session_types, bookings, booking_links, meetings")


def _statement(text: str, count: int, hours: int, *, first: int) -> bytes:
    days = max(1, count // PRACTITIONERS // hours)
    return text.format(people=PRACTITIONERS, hours=hours, days=days, first=first, count=count).encode()
