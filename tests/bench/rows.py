"""A million believable bookings, the same on every machine, made one line at a time.

Time runs forward slot by slot, as bookings do in a real table; no slot of a practitioner is given twice, so nothing
overlaps whatever the status.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

# The instant that divides past from future: results must not depend on the day they are measured.
REFERENCE = datetime(2026, 7, 1, tzinfo=UTC)
PRACTITIONERS = 200
TYPES_EACH = 3
SLOTS_A_DAY = 9
FIRST_HOUR = 8
SHARE_TAKEN = 0.8
BOOKINGS_PER_CLIENT = 6

BOOKING_COLUMNS = (
    *("practitioner_id", "session_type_id", "client_name", "client_email", "starts_at", "ends_at", "status"),
    *("price_amount", "stripe_checkout_session_id", "stripe_payment_intent_id", "created_at", "updated_at"),
)
NULL = r"\N"
SESSION_TYPES = (("First consultation", 60, 9000), ("Follow-up", 45, 6500), ("Short check-in", 30, 3500))
GIVEN = (
    *("Ana", "Bram", "Chidi", "Dalia", "Emre", "Freya", "Goran", "Hana", "Ines", "Jonas", "Kavya", "Luca", "Mei"),
    *("Noor", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tove", "Uma", "Viktor", "Wanda", "Ximena", "Yusuf", "Zoe"),
)
FAMILY = (
    *("Abara", "Bergman", "Castillo", "Dubois", "Eriksen", "Fischer", "Gupta", "Hartmann", "Ivanova", "Jansen"),
    *("Kowalski", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Quispe", "Rossi", "Schneider", "Tanaka"),
    *("Ueda", "Vasquez", "Weber", "Xu", "Yilmaz", "Zimmermann"),
)
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.org")
PAST = ("completed",) * 15 + ("canceled", "canceled", "no_show", "refunded", "confirmed")
FUTURE = ("confirmed",) * 16 + ("canceled", "canceled", "pending", "refunded")
PAID = frozenset({"completed", "confirmed", "no_show", "refunded"})


def practitioner_rows() -> Iterator[tuple[int, str, str]]:
    for number in range(1, PRACTITIONERS + 1):
        given, family = GIVEN[number % len(GIVEN)], FAMILY[number // len(GIVEN) % len(FAMILY)]
        yield number, f"{given} {family}", f"practitioner{number}@demo.example"


def session_type_rows() -> Iterator[tuple[int, int, str, int, int]]:
    number = 0
    for practitioner in range(1, PRACTITIONERS + 1):
        for title, minutes, price in SESSION_TYPES:
            number += 1
            yield number, practitioner, title, minutes, price


def client(number: int) -> tuple[str, str]:
    """Name and e-mail of a client; neighbours in number are not neighbours in the alphabet."""
    mixed = number * 2_654_435_761 % 4_294_967_296
    given, family = GIVEN[mixed % len(GIVEN)], FAMILY[mixed // 64 % len(FAMILY)]
    domain = DOMAINS[mixed // 4096 % len(DOMAINS)]
    return f"{given} {family}", f"{given}.{family}{number}@{domain}".lower()


def first_day(bookings: int) -> datetime:
    """Half of the bookings lie before the reference instant."""
    days = bookings / (PRACTITIONERS * SLOTS_A_DAY * SHARE_TAKEN)
    return REFERENCE - timedelta(days=int(days / 2))


def booking_lines(bookings: int, *, seed: int = 1) -> Iterator[str]:
    """The rows in PostgreSQL's COPY text format, columns as in BOOKING_COLUMNS."""
    random = Random(seed)
    clients = max(1, bookings // BOOKINGS_PER_CLIENT)
    made = 0
    for slot in _slots(first_day(bookings)):
        starts, past = f"{slot:%Y-%m-%d %H:%M}+00", slot < REFERENCE
        booked = f"{slot - timedelta(days=random.randrange(1, 28)):%Y-%m-%d %H:%M}+00"
        ends = tuple(f"{slot + timedelta(minutes=minutes):%Y-%m-%d %H:%M}+00" for _, minutes, _ in SESSION_TYPES)
        for practitioner in range(1, PRACTITIONERS + 1):
            if random.random() >= SHARE_TAKEN:
                continue
            if made == bookings:
                return
            made += 1
            kind = random.randrange(TYPES_EACH)
            status = (PAST if past else FUTURE)[random.randrange(20)]
            name, email = client(random.randrange(clients))
            checkout, intent = (f"cs_bench_{made:08}", f"pi_bench_{made:08}") if status in PAID else (NULL, NULL)
            session_type = (practitioner - 1) * TYPES_EACH + kind + 1
            yield (
                f"{practitioner}\t{session_type}\t{name}\t{email}\t{starts}\t{ends[kind]}\t{status}\t"
                f"{SESSION_TYPES[kind][2]}\t{checkout}\t{intent}\t{booked}\t{booked}\n"
            )


def _slots(day: datetime) -> Iterator[datetime]:
    while True:
        for slot in range(SLOTS_A_DAY):
            yield day + timedelta(hours=FIRST_HOUR + slot)
        day += timedelta(days=1)
