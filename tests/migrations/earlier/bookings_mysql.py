"""The bookings system on MySQL or MariaDB, as Drizzle made it and hands have changed it since.

`users` (people who signed in), `practitioners` (Cal.com's by their number: `CALCOM_USER_ID_<id>`), `bookings`.
Nothing refers to anything by a foreign key. `startTime` and `endTime` are DATETIME in the clinic's local time;
`createdAt`, `updatedAt` and `lastSignedIn` are TIMESTAMP, which the server keeps in UTC and shows in the zone of
whoever asks.
"""

from __future__ import annotations

from typing import Any, Literal

from pymysql.connections import Connection as MySQL

from tests.migrations.earlier import booking_rows, made
from tests.migrations.earlier.booking_rows import BookingRows, Money, Times
from tests.migrations.earlier.made import FIRST_DAY, MINUTES, SLOTS_A_DAY, Blemishes, Made, Ugly

Ids = Literal["int", "int unsigned", "bigint unsigned"]

KINDS = booking_rows.KINDS | {"zero_dates", "empty_labels", "ids_out_of_range", "nul_in_text"}
ZERO = "0000-00-00 00:00:00"
# The greatest of an unsigned bigint but one, so that AUTO_INCREMENT has somewhere to go.
GREATEST = 18_446_744_073_709_551_614


def make(
    address: str,
    *,
    rows: int,
    ugly: Ugly = True,
    money: Money = "minor",
    times: Times = "range",
    ids: Ids = "bigint unsigned",
    zone: str = "Europe/Berlin",
    completes: bool = True,
) -> Made:
    """Fill an empty database with `rows` regular bookings and the single ones.

    `money`: `amount` and `hourlyRate` as whole cents, or as decimal(10,2) euros. `times`: start and end, or only
    `bookingTime`, each an hour's. `completes`: whether the system ever marked a past booking as completed.
    """
    blemishes = Blemishes(ugly, KINDS)
    single = BookingRows(rows, zone, money, times, blemishes)
    records: dict[str, dict[str, Any]] = dict(single.named())
    single.uglify()
    _mysql_only(single, ids)
    with made.mysql(address) as connection:
        _tables(connection, money, times, ids, blemishes)
        people = _people(connection, rows, money, blemishes)
        users = _users(connection, rows)
        _bookings(connection, rows, money, times, completes)
        for row in single.made:
            _insert(connection, "bookings", row)
    return Made(
        system="bookings", address=address, zone=zone,
        counts={"users": users, "practitioners": people, "bookings": rows + len(single.made)},
        sums={"bookings.amount": single.amount()},
        records=records | booking_rows.known_people(), ugly=blemishes.all(),
    )  # fmt: skip


def _mysql_only(single: BookingRows, ids: Ids) -> None:
    blemishes = single.blemishes
    start = "startTime" if single.times == "range" else "bookingTime"
    if "zero_dates" in blemishes:
        written = [single.add("2022-03-12", hour, createdAt=ZERO) for hour in (9, 11)]
        blemishes.note("zero_dates", "bookings", "createdAt", *written)
        when = single.add("2022-03-13", 9)
        single.made[-1] |= {start: ZERO} | ({"endTime": ZERO} if single.times == "range" else {})
        blemishes.note("zero_dates", "bookings", start, when)
    if "empty_labels" in blemishes:
        empty = [single.add("2022-03-14", hour, status="") for hour in (9, 11)]
        blemishes.note("empty_labels", "bookings", "status", *empty)
    if "nul_in_text" in blemishes:
        blemishes.note("nul_in_text", "bookings", "clientName", single.add("2022-03-16", 9, clientName="Nul\0Here"))
    if "ids_out_of_range" in blemishes and ids == "bigint unsigned":
        blemishes.note("ids_out_of_range", "bookings", "id", single.add("2022-03-15", 9, id=GREATEST))


def _tables(connection: MySQL, money: Money, times: Times, ids: Ids, blemishes: Blemishes) -> None:
    amount = "decimal(10,2)" if money == "major" else "int"
    labels = [*booking_rows.LABELS, *(["cancelled"] if "unknown_labels" in blemishes else [])]
    listed = ", ".join(f"'{label}'" for label in labels)
    when = ", ".join(f"`{name}` datetime NOT NULL" for name in booking_rows.TIME_COLUMNS[times])
    nullable = "NULL" if "missing_created_at" in blemishes else "NOT NULL"
    stamps = (
        f"`createdAt` timestamp {nullable} DEFAULT current_timestamp(), "
        "`updatedAt` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
    )
    extra = "`referralCode` varchar(32)," if "unknown_columns" in blemishes else ""
    _run(
        connection,
        "CREATE TABLE `__drizzle_migrations` (`id` serial PRIMARY KEY, `hash` text NOT NULL, `created_at` bigint)",
        "INSERT INTO `__drizzle_migrations` (`hash`, `created_at`) VALUES (repeat(md5('0000_init'), 2), 1672531200000)",
        f"""CREATE TABLE `users` (
            `id` {ids} AUTO_INCREMENT NOT NULL, `openId` varchar(64) NOT NULL, `name` text, `email` varchar(320),
            `loginMethod` varchar(64), `role` enum('user','admin') NOT NULL DEFAULT 'user', {stamps},
            `lastSignedIn` timestamp NOT NULL DEFAULT current_timestamp(), CONSTRAINT `users_id` PRIMARY KEY (`id`),
            CONSTRAINT `users_openId_unique` UNIQUE (`openId`), CONSTRAINT `users_email_unique` UNIQUE (`email`))""",
        f"""CREATE TABLE `practitioners` (
            `id` {ids} AUTO_INCREMENT NOT NULL, `name` varchar(255) NOT NULL, `email` varchar(320) NOT NULL,
            `description` text, `hourlyRate` {amount} NOT NULL, `active` tinyint(1) NOT NULL DEFAULT 1, {stamps},
            CONSTRAINT `practitioners_id` PRIMARY KEY (`id`))""",
        f"""CREATE TABLE `bookings` (
            `id` {ids} AUTO_INCREMENT NOT NULL, `practitionerId` {ids} NOT NULL, `clientName` varchar(255) NOT NULL,
            `clientEmail` varchar(320) NOT NULL, `clientPhone` varchar(20) NOT NULL, {when},
            `status` enum({listed}) NOT NULL DEFAULT 'pending', `stripeSessionId` varchar(255),
            `stripePaymentIntentId` varchar(255), `amount` {amount} NOT NULL, {extra} {stamps},
            CONSTRAINT `bookings_id` PRIMARY KEY (`id`))""",
    )


def _people(connection: MySQL, rows: int, money: Money, blemishes: Blemishes) -> int:
    people = booking_rows.people(rows, money, blemishes)
    for person in people:
        _insert(connection, "practitioners", person)
    return len(people)


def _users(connection: MySQL, rows: int) -> int:
    count = booking_rows.users_for(rows)
    _run(
        connection,
        f"""INSERT INTO `users` (`id`, `openId`, `name`, `email`, `loginMethod`, `role`, `createdAt`, `updatedAt`,
                `lastSignedIn`)
            SELECT seq, concat('google-oauth2|', seq), concat('Client ', seq), concat('client', seq, '@example.com'),
                'google', IF(seq = 1, 'admin', 'user'), '2022-05-01 07:00:00' + INTERVAL seq MINUTE,
                '2022-05-01 07:00:00' + INTERVAL seq MINUTE, '2024-05-01 07:00:00' + INTERVAL seq MINUTE
              FROM seq_1_to_{count}""",
    )
    return count


def _bookings(connection: MySQL, rows: int, money: Money, times: Times, completes: bool) -> None:
    """No two of one practitioner at the same time."""
    people, users = booking_rows.practitioners_for(rows), booking_rows.users_for(rows)
    slot = f"(seq - 1) DIV {people}"
    start = f"'{FIRST_DAY}' + INTERVAL {slot} DIV {SLOTS_A_DAY} DAY + INTERVAL 9 + {slot} % {SLOTS_A_DAY} HOUR"
    when = booking_rows.TIME_COLUMNS[times]
    values = (start, f"{start} + INTERVAL {MINUTES} MINUTE")[: len(when)]
    _run(
        connection,
        f"""INSERT INTO `bookings` (`id`, `practitionerId`, `clientName`, `clientEmail`, `clientPhone`,
                {", ".join(f"`{name}`" for name in when)}, `status`, `stripeSessionId`, `stripePaymentIntentId`,
                `amount`, `createdAt`, `updatedAt`)
            SELECT seq, 3 + 2 * ((seq - 1) % {people}), concat('Client ', 1 + seq % {users}),
                concat('client', 1 + seq % {users}, '@example.com'), '+49 30 901820',
                {", ".join(values)}, {booking_rows.regular_status("seq", completes=completes)}, concat('cs_', seq),
                concat('pi_', seq), {booking_rows.regular_amount("seq", money)}, {start} - INTERVAL 3 DAY,
                {start} - INTERVAL 2 DAY
              FROM seq_1_to_{rows}""",
    )


def _run(connection: MySQL, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _insert(connection: MySQL, table: str, row: dict[str, Any]) -> None:
    columns = ", ".join(f"`{name}`" for name in row)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO `{table}` ({columns}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))
