"""Down and up again with complimentary memberships in place: what earlier code makes of their columns gives way."""

from tests.migrations.journey import Journey

GIVEN = """
INSERT INTO profiles (user_id, membership, billing_cycle_end) VALUES
    ('user_a', 'pro', '2036-01-01+00'), ('user_gone', 'pro', '2036-01-01+00');
INSERT INTO memberships (profile_user_id, period_end) VALUES
    ('user_a', '2036-01-01+00'), ('user_gone', '2036-01-01+00');
INSERT INTO credit_periods (membership_id, user_id, starts_at, credits, used_before, granted_at)
    SELECT id, profile_user_id, now(), 1000, 0, now() FROM memberships;
"""
EARLIER_CODE = """
INSERT INTO memberships (provider, profile_user_id, period_end) VALUES ('whop', 'user_a', '2036-01-01+00');
INSERT INTO memberships (provider, external_id, profile_user_id) VALUES ('whop', 'mem_bought', 'user_a');
DELETE FROM profiles WHERE user_id = 'user_gone';
"""
HELD = """
SELECT json_agg(concat_ws(' ', coalesce(provider, 'given'), external_id, profile_user_id, ignored_because) ORDER BY id)
  FROM memberships
"""


def test_what_was_given_comes_back_and_what_was_made_of_it_gives_way(journey: Journey) -> None:
    journey.up("0040")
    journey.run(GIVEN)
    journey.down("0039")
    assert journey.value(HELD) is None
    journey.run(EARLIER_CODE)
    journey.up("0040")
    assert journey.value(HELD) == ["given user_a", "given its account is gone", "whop mem_bought user_a"]
    assert journey.value("SELECT count(*) FROM credit_periods") == 2


WAITING = """
INSERT INTO pending_profiles (id, email, membership, billing_cycle_end) VALUES
    (901, 'a@example.com', 'pro', '2036-01-01+00'), (902, 'gone@example.com', 'pro', '2036-01-01+00');
INSERT INTO memberships (pending_profile_id, period_end) VALUES (901, '2036-01-01+00'), (902, '2036-01-01+00');
"""
EARLIER_CODE_OF_WAITING = """
INSERT INTO memberships (provider, pending_profile_id, period_end) VALUES ('whop', 901, '2036-01-01+00');
DELETE FROM pending_profiles WHERE id = 902;
"""


def test_what_waits_of_a_deleted_account_comes_back_as_well(journey: Journey) -> None:
    journey.up("0040")
    journey.run(WAITING)
    journey.down("0039")
    journey.run(EARLIER_CODE_OF_WAITING)
    journey.up("0040")
    assert journey.value(HELD.replace("profile_user_id", "pending_profile_id")) == [
        "given 901",
        "given its purchase is gone",
    ]
