"""What 0042 makes of the moves that only the audit remembered, and of those that happened while it was taken back."""

from typing import Any

from tests.migrations.journey import Journey

MOVED = """
INSERT INTO profiles (user_id, membership) VALUES ('user_a', 'pro'), ('user_b', 'pro');
INSERT INTO pending_profiles (id, email) VALUES (901, 'waits@example.com');
INSERT INTO memberships (id, provider, external_id, profile_user_id, pending_profile_id, moved_at) VALUES
    (1, 'whop', 'mem_stays', 'user_b', NULL, '2026-01-01+00'),
    (2, 'whop', 'mem_waits', NULL, 901, '2026-01-01+00'),
    (3, 'whop', 'mem_went_on', 'user_a', NULL, '2026-01-01+00'),
    (4, 'whop', 'mem_twice', 'user_b', NULL, '2026-01-02+00'),
    (5, 'whop', 'mem_no_number', 'user_b', NULL, '2026-01-01+00'),
    (6, 'whop', 'mem_not_told', 'user_b', NULL, '2026-01-01+00'),
    (7, 'whop', 'mem_not_moved', 'user_b', NULL, NULL),
    (8, 'whop', NULL, 'user_b', NULL, '2026-01-01+00'),
    (9, 'stripe', 'sub_named_since', 'user_b', NULL, '2026-01-01+00'),
    (10, 'whop', 'mem_nobody', NULL, NULL, '2026-01-01+00');
"""
ROWS = "SELECT id, moved_to, came_credits, came_withheld FROM memberships ORDER BY id"
FILLED = {
    1: ("profile:user_b", 840, 0),
    2: ("pending_profile:901", 1000, 0),
    3: ("profile:user_b", None, None),
    4: ("profile:user_b", 260, 740),
    5: ("profile:user_b", None, None),
    6: (None, None, None),
    7: (None, None, None),
    8: ("profile:user_b", 5, 0),
    9: ("profile:user_b", 6, 0),
    10: ("profile:user_b", None, None),
}


def told(membership: str, target: str, numbers: str, *, day: int = 1) -> str:
    return (
        "INSERT INTO audit_entries (at, event, actor_kind, actor_id, actor_label, records, request_id, facts,"
        f" prev_hash, hash) SELECT '2026-01-0{day}+00', 'membership.moved', 'staff', '1', 'Sue',"
        f' \'{{"whop_membership:{membership}"}}\', \'r\', \'{{"membership": "{membership}", "target": "{target}"'
        f"{numbers}}}', '\\x00', decode(md5(random()::text), 'hex');"
    )


def numbers(credits: int, withheld: int = 0) -> str:
    return f', "credits": {credits}, "withheld": {withheld}'


AUDIT = "".join(
    (
        told("mem_stays", "profile:user_b", numbers(840)),
        told("mem_waits", "pending_profile:901", numbers(1000)),
        told("mem_went_on", "profile:user_b", numbers(3)),
        told("mem_twice", "profile:user_b", numbers(1000)),
        told("mem_twice", "profile:user_a", numbers(30), day=2),  # and back in the same moment
        told("mem_twice", "profile:user_b", numbers(260, 740), day=2),
        told("mem_no_number", "profile:user_b", ""),
        told("mem_not_told", "profile:user_b", numbers(9), day=3),
        told("membership 8", "profile:user_b", numbers(5)),
        told("membership 9", "profile:user_b", numbers(6)),
        told("mem_nobody", "profile:user_b", numbers(7)),
    )
)


def came(journey: Journey) -> dict[int, tuple[Any, ...]]:
    return {number: tuple(rest) for number, *rest in (row.values() for row in journey.rows(ROWS))}


def test_the_audit_is_read_once(journey: Journey) -> None:
    journey.up("0041")
    journey.run(MOVED + AUDIT)
    journey.up("0042")
    assert came(journey) == FILLED
    # cleared since: the audit is not asked again
    journey.run("UPDATE memberships SET came_credits = NULL, came_withheld = NULL WHERE id = 1")
    for again in (journey.claim_to_be_at, journey.down):
        again("0041")
        journey.up("0042")
        assert came(journey) == FILLED | {1: ("profile:user_b", None, None)}
    journey.up("head")
    journey.check_drift()


def test_what_earlier_code_did_meanwhile_counts(journey: Journey) -> None:
    journey.up("0041")
    journey.run(MOVED + AUDIT)
    journey.up("0042")
    journey.down("0041")
    journey.run(
        told("mem_stays", "profile:user_a", numbers(100), day=2)
        + told("mem_stays", "profile:user_b", numbers(60), day=3)
        + "UPDATE memberships SET moved_at = '2026-01-03+00' WHERE id = 1;"
        "UPDATE memberships SET profile_user_id = 'user_a', pending_profile_id = NULL WHERE id = 2;"
        "DELETE FROM memberships WHERE id = 3"
    )
    journey.up("0042")
    expected = FILLED | {1: ("profile:user_b", 60, 0), 2: ("pending_profile:901", None, None)}
    del expected[3]
    assert came(journey) == expected


def test_many_moves_are_filled_in_batches(journey: Journey) -> None:
    journey.up("0041")
    journey.run(
        "INSERT INTO profiles (user_id) VALUES ('user_b');"
        "INSERT INTO memberships (provider, external_id, profile_user_id, moved_at)"
        " SELECT 'whop', 'mem_' || n, 'user_b', timestamptz '2026-01-01+00' + n * interval '1 second'"
        " FROM generate_series(1, 11000) n;"
        "INSERT INTO audit_entries (at, event, actor_kind, actor_id, actor_label, records, request_id, facts,"
        " prev_hash, hash) SELECT moved_at, 'membership.moved', 'staff', '1', 'Sue', '{}', 'r', jsonb_build_object("
        " 'membership', external_id, 'target', 'profile:user_b', 'credits', id, 'withheld', 0), '\\x00',"
        " decode(md5(external_id), 'hex') FROM memberships"
    )
    journey.up("0042")
    assert journey.value("SELECT count(*) FROM memberships WHERE came_credits = id AND came_withheld = 0") == 11_000
