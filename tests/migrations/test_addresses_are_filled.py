"""What 0039 makes of the addresses that were known before: one person each, and nothing twice when it is run again."""

from tests.migrations.journey import Journey

PEOPLE = """
INSERT INTO users (open_id, email, created_at, last_signed_in) VALUES
    ('user_former', 'Shared@example.org', '2024-01-01+00', '2024-01-02+00'),
    ('user_latest', 'shared@example.org', '2024-02-01+00', '2025-01-01+00'),
    ('user_two:one', 'two@example.org', '2024-03-01+00', '2025-01-01+00'),
    ('user_o''neil', 'o''neil@example.org', '2024-04-01+00', '2025-01-01+00'),
    ('user_none', NULL, '2024-05-01+00', '2025-01-01+00');
INSERT INTO profiles (user_id, email, membership, created_at) VALUES
    ('user_former', 'shared@example.org', 'pro', '2024-01-01+00'),
    ('user_two:one', 'second@example.org', 'free', '2024-03-01+00'),
    ('user_legacy', 'alone@example.org', 'free', '2023-01-01+00'),
    ('user_alone', 'ALONE@example.org', 'pro', '2023-02-01+00'),
    ('temp_9', 'waits@example.org', 'pro', '2023-03-01+00');
INSERT INTO pending_profiles (email, token, token_expires_at) VALUES ('p@example.org', 'hash_1', '2026-01-01+00');
"""
ROWS = (
    "SELECT email::text, user_id, is_primary, verified_at::date::text FROM person_addresses ORDER BY lower(email::text)"
)
FILLED = [
    ("ALONE@example.org", "user_alone", True, "2023-02-01"),
    ("o'neil@example.org", "user_o'neil", True, "2024-04-01"),
    ("second@example.org", "user_two:one", False, "2024-03-01"),
    ("shared@example.org", "user_latest", True, "2024-02-01"),
    ("two@example.org", "user_two:one", True, "2024-03-01"),
]


def test_each_address_is_the_one_persons_who_signed_in_last(journey: Journey) -> None:
    journey.up("0038")
    journey.run(PEOPLE)
    journey.up("0039")
    assert [tuple(row.values()) for row in journey.rows(ROWS)] == FILLED
    assert journey.value("SELECT digest FROM claim_tokens") == "hash_1"
    journey.run("UPDATE person_addresses SET given_up_at = now(), is_primary = false WHERE user_id = 'user_alone'")
    before = journey.data()
    journey.claim_to_be_at("0038")
    journey.up("0039")
    assert journey.data() == before


def test_many_people_are_filled_in_batches(journey: Journey) -> None:
    journey.up("0038")
    journey.run(
        "INSERT INTO users (open_id, email) SELECT 'user_' || n, 'u' || n || '@example.org'"
        " FROM generate_series(1, 12000) n;"
        "INSERT INTO profiles (user_id, email) SELECT 'only_' || n, 'o' || n || '@example.org'"
        " FROM generate_series(1, 11000) n"
    )
    journey.up("0039")
    assert journey.value("SELECT count(*) FROM person_addresses WHERE is_primary") == 23_000
