"""The move of `temp_` rows: every fact of a purchase arrives, once, and what cannot move stays where it is read."""

import threading
import time
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.migrations.journey import Journey

FACTS = (
    "whop_user_id, whop_membership_id, plan_duration, billing_cycle_start, billing_cycle_end, next_credit_renewal, "
    "usage_credits, used_credits, status, payment_provider, membership, created_at, updated_at"
)


def waiting(journey: Journey, *purchases: str) -> None:
    """Bring the database to the revision before, with `temp_` rows of (user_id, email, membership id, created_at)."""
    journey.up("0004")
    for purchase in purchases:
        journey.run(f"INSERT INTO profiles (user_id, email, whop_membership_id, created_at) VALUES ({purchase})")


def owners(journey: Journey, table: str, column: str) -> list[str]:
    return [row["who"] for row in journey.rows(f"SELECT {column} AS who FROM {table} ORDER BY 1")]


def test_every_fact_arrives(journey: Journey) -> None:
    journey.up("0004")
    journey.run(
        """INSERT INTO profiles (user_id, email, membership, payment_provider, whop_user_id, whop_membership_id,
               plan_duration, billing_cycle_start, billing_cycle_end, next_credit_renewal, usage_credits, used_credits,
               status, created_at, updated_at)
           VALUES ('temp_1', ' Nora@Example.org ', 'pro', 'whop', 'user_w', 'mem_1', 'monthly', '2025-01-01+00',
               '2025-02-01+00', '2025-01-29+00', 700, 12, 'inactive', '2025-01-01+00', '2025-01-02+00')"""
    )
    (before,) = journey.rows(f"SELECT {FACTS} FROM profiles")
    journey.up("0005")
    (after,) = journey.rows(f"SELECT {FACTS} FROM pending_profiles")
    assert after == before
    assert (
        journey.value("SELECT email || legacy_user_id || claimed FROM pending_profiles")
        == "Nora@Example.orgtemp_1false"
    )
    assert journey.value("SELECT count(*) FROM profiles") == 0


def test_what_a_purchase_leaves_out_is_what_the_claim_assumes(journey: Journey) -> None:
    journey.up("0004")
    journey.run(
        "INSERT INTO profiles (user_id, email, membership, status) VALUES ('temp_1', 'a@example.org', NULL, NULL)"
    )
    journey.up("0005")
    (moved,) = journey.rows("SELECT membership, payment_provider, status, usage_credits FROM pending_profiles")
    assert moved == {"membership": "pro", "payment_provider": "whop", "status": "active", "usage_credits": None}


def test_the_newest_of_an_address_moves_and_the_rest_stay(journey: Journey) -> None:
    waiting(
        journey,
        "'temp_old', 'nora@example.org', 'mem_1', '2025-01-01+00'",
        "'temp_new', 'NORA@example.org', 'mem_2', '2025-02-01+00'",
        "'temp_undated', 'Nora@example.org', 'mem_3', NULL",
        "'user_2abc', 'nora@example.org', 'mem_4', '2025-03-01+00'",
    )
    journey.up("0005")
    assert owners(journey, "pending_profiles", "legacy_user_id") == ["temp_new"]
    assert owners(journey, "profiles", "user_id") == ["temp_old", "temp_undated", "user_2abc"]


def test_a_membership_moves_once_and_ids_alone_are_no_address(journey: Journey) -> None:
    waiting(
        journey,
        "'temp_1', 'a@example.org', 'mem_1', '2025-01-01+00'",
        "'temp_2', 'b@example.org', 'mem_1', '2025-02-01+00'",
        "'temp_3', NULL, 'mem_3', '2025-02-01+00'",
        "'temp_4', '  ', 'mem_4', '2025-02-01+00'",
        "'tempo', 'c@example.org', 'mem_5', '2025-02-01+00'",
    )
    journey.up("0005")
    assert owners(journey, "pending_profiles", "legacy_user_id") == ["temp_2"]
    assert owners(journey, "profiles", "user_id") == ["temp_1", "temp_3", "temp_4", "tempo"]


def test_what_the_new_table_has_no_place_for_stays(journey: Journey) -> None:
    waiting(
        journey,
        "'temp_1', 'a@example.org', NULL, '2025-01-01+00'",
        "'temp_2', 'b@example.org', NULL, '2025-01-01+00'",
        "'temp_3', 'c@example.org', NULL, '2025-01-01+00'",
    )
    journey.run("UPDATE profiles SET stripe_customer_id = 'cus_1' WHERE user_id = 'temp_1'")
    journey.run("UPDATE profiles SET plan_duration = 'weekly' WHERE user_id = 'temp_2'")
    journey.up("0005")
    assert owners(journey, "profiles", "user_id") == ["temp_1", "temp_2"]


def test_one_that_is_pending_already_is_not_taken_over(journey: Journey) -> None:
    waiting(journey, "'temp_1', 'nora@example.org', 'mem_1', '2025-01-01+00'")
    journey.run("CREATE TABLE pending_profiles (id bigserial PRIMARY KEY, email text UNIQUE NOT NULL)")
    journey.run("INSERT INTO pending_profiles (email) VALUES ('Nora@Example.org')")
    journey.up("0005")
    assert owners(journey, "pending_profiles", "legacy_user_id") == [None]
    assert owners(journey, "profiles", "user_id") == ["temp_1"]


def test_a_claim_by_earlier_code_that_is_under_way_wins(journey: Journey) -> None:
    """The move waits for it, then counts the row as the claim left it: gone."""
    waiting(
        journey,
        "'temp_1', 'nora@example.org', 'mem_1', '2025-01-01+00'",
        "'temp_2', 'per@example.org', 'mem_2', '2025-01-01+00'",
    )
    with journey.connection() as claim:
        claim.execute("UPDATE profiles SET user_id = 'user_2abc' WHERE user_id = 'temp_1'")
        migration = threading.Thread(target=journey.up, args=["0005"])
        migration.start()
        wait_until_giving_way(journey, claim)
        claim.commit()
    migration.join()
    assert owners(journey, "pending_profiles", "legacy_user_id") == ["temp_2"]
    assert owners(journey, "profiles", "user_id") == ["user_2abc"]


def wait_until_giving_way(journey: Journey, holder: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + 60
    with journey.connection(autocommit=True) as watcher:
        while time.monotonic() < deadline:
            blocked = watcher.execute(
                "SELECT FROM pg_stat_activity "
                "WHERE application_name = 'backdesk-migrate' AND %s = ANY (pg_blocking_pids(pid))",
                [holder.info.backend_pid],
            ).fetchall()
            if blocked:
                return
            time.sleep(0.01)
    raise AssertionError("the migration never waited for the claim")


def test_claimed_by_earlier_code_while_downgraded(journey: Journey) -> None:
    """Going up again must not offer a second time what was claimed in between."""
    waiting(
        journey,
        "'temp_1', 'nora@example.org', 'mem_1', '2025-01-01+00'",
        "'temp_2', 'per@example.org', 'mem_2', '2025-01-01+00'",
    )
    journey.up("0005")
    journey.run(
        "INSERT INTO pending_profiles (email, whop_membership_id, token) VALUES ('late@example.org', 'mem_3', 'h')"
    )
    number = journey.value("SELECT id FROM pending_profiles WHERE token = 'h'")
    journey.down("0004")
    assert owners(journey, "profiles", "user_id") == ["temp_1", "temp_2", f"temp_pending_{number}"]
    journey.run("UPDATE profiles SET user_id = 'user_2abc' WHERE user_id = 'temp_1'")
    journey.run("UPDATE profiles SET used_credits = 5 WHERE user_id = 'temp_2'")
    journey.up("0005")
    rows = journey.rows("SELECT email, claimed_by_user_id, used_credits, token FROM pending_profiles ORDER BY email")
    assert [tuple(row.values()) for row in rows] == [
        ("late@example.org", None, None, "h"),
        ("nora@example.org", "user_2abc", None, None),
        ("per@example.org", None, 5, None),
    ]
    assert owners(journey, "profiles", "user_id") == ["user_2abc"]


def test_waiting_rows_keep_the_credits_a_claim_would_give(journey: Journey) -> None:
    journey.up("0007")
    journey.run("INSERT INTO profiles (user_id, membership) VALUES ('temp_1', NULL), ('user_2abc', NULL)")
    journey.up("0008")
    rows = journey.rows("SELECT membership, usage_credits, used_credits FROM profiles ORDER BY user_id")
    assert [tuple(row.values()) for row in rows] == [("pro", 1000, 0), ("free", 0, 0)]


ADDRESSES = st.sampled_from([None, "", "nora@example.org", "NORA@example.org", "per@example.org", "Per@Example.org "])
PURCHASES = st.lists(
    st.tuples(
        ADDRESSES,
        st.sampled_from([None, "mem_1", "mem_2", "mem_3"]),
        st.sampled_from([None, "2025-01-01+00", "2025-02-01+00"]),
        st.sampled_from([None, 0, 1000]),
        st.booleans(),
    ),
    max_size=8,
)


@pytest.mark.parametrize("server", ["embedded"])
def test_purchases_are_conserved_whatever_waits(journey: Journey) -> None:
    journey.up("0004")

    @settings(max_examples=25, deadline=None)
    @given(PURCHASES)
    def check(purchases: list[tuple[Any, ...]]) -> None:
        journey.run("DELETE FROM profiles; DROP SCHEMA IF EXISTS retired CASCADE")
        with journey.connection() as connection:
            for number, (email, membership_id, created_at, credits, stripe) in enumerate(purchases):
                connection.execute(
                    "INSERT INTO profiles (user_id, email, whop_membership_id, created_at, usage_credits, "
                    "stripe_customer_id) VALUES (%s, %s, %s, %s, %s, %s)",
                    [f"temp_{number}", email, membership_id, created_at, credits, "cus_1" if stripe else None],
                )
        facts = "whop_membership_id, usage_credits"
        before = journey.rows(f"SELECT user_id AS who, {facts} FROM profiles ORDER BY 1")
        journey.up("0005")
        assert before == journey.rows(
            f"SELECT user_id AS who, {facts} FROM profiles "
            f"UNION ALL SELECT legacy_user_id, {facts} FROM pending_profiles ORDER BY 1"
        )
        movable = {email.strip().lower() for email, *_, stripe in purchases if email and not stripe}
        moved = {row["email"].lower() for row in journey.rows("SELECT email FROM pending_profiles")}
        assert moved <= movable
        assert bool(moved) == bool(movable)
        journey.down("0004")
        assert before == journey.rows(f"SELECT user_id AS who, {facts} FROM profiles ORDER BY 1")

    check()
