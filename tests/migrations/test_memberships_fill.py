"""What was there before each membership had a row: who holds it, and what the audit alone remembered."""

from tests.migrations.journey import Journey

BEFORE = """
INSERT INTO profiles (user_id, email, membership, payment_provider, whop_membership_id, stripe_subscription_id,
        plan_duration, billing_cycle_end, next_credit_renewal, usage_credits, used_credits, status) VALUES
    ('user_a', 'a@x.example', 'pro', 'whop', 'mem_a', NULL, 'yearly', '2027-01-01+00', '2026-02-01+00', 1000, 10,
        'active'),
    ('user_b', 'b@x.example', 'pro', 'whop', 'mem_b', 'sub_b', 'monthly', '2027-01-01+00', NULL, 1000, 0, 'active'),
    ('user_c', 'c@x.example', 'free', 'whop', 'mem_c', NULL, NULL, '2025-01-01+00', NULL, 0, 0, 'inactive'),
    ('user_d', 'd@x.example', 'free', NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 'active'),
    ('user_e', 'e@x.example', 'pro', NULL, NULL, NULL, NULL, NULL, NULL, 1000, 0, 'active'),
    ('temp_1', 't@x.example', 'pro', 'whop', 'mem_t', NULL, NULL, NULL, NULL, 1000, 0, 'active');
INSERT INTO extra_purchases (user_id, replaced_membership_id, resolved_at, resolved_by, resolution) VALUES
    ('user_b', 'sub_b', NULL, NULL, NULL),
    ('user_a', 'mem_over', now(), 'whop', 'the provider ended it'),
    ('user_a', 'mem_wanted', now(), 'sue@backdesk.example', 'both wanted');
INSERT INTO pending_profiles (id, email, whop_membership_id, claimed, claimed_by_user_id, usage_credits) VALUES
    (1, 'w@x.example', 'mem_w', false, NULL, 1000),
    (2, 'lost@x.example', 'mem_lost', true, 'user_a', 1000);
INSERT INTO audit_entries (at, event, actor_kind, actor_id, actor_label, records, request_id, facts, prev_hash, hash)
VALUES
    (now(), 'purchase.put_aside', 'provider', 'whop', 'Whop', '{pending_profile:1,whop_membership:mem_aside}', 'r',
        '{"email": "w@x.example", "membership_id": "mem_aside"}', '\\x00', '\\x01'),
    (now(), 'purchase.deleted', 'staff', '1', 'Sue', '{pending_profile:9,whop_membership:mem_gone}', 'r',
        '{"email": "g@x.example", "membership_id": "mem_gone"}', '\\x01', '\\x02');
INSERT INTO credit_renewals (user_id, due_at, renewed_at, credits, used_before)
    VALUES ('user_a', '2026-01-04+00', '2026-01-04+00', 1000, 7);
"""
HELD = """
SELECT json_object_agg(coalesce(external_id, 'without'), coalesce(profile_user_id, 'purchase ' || pending_profile_id,
    ignored_because) || ' ' || provider || ' ' || status) FROM memberships
"""


def test_everything_that_was_held_or_remembered_has_a_row(journey: Journey) -> None:
    journey.up("0035")
    journey.run(BEFORE)
    journey.up("0036")
    assert journey.value(HELD) == {
        "mem_a": "user_a whop active",
        "mem_b": "user_b whop active",
        "sub_b": "user_b stripe active",  # on support's list: it may still be charged
        "mem_c": "user_c whop inactive",
        "without": "user_e whop active",
        "mem_over": "user_a whop inactive",
        "mem_wanted": "user_a whop active",
        "mem_w": "purchase 1 whop active",
        "mem_aside": "purchase 1 whop inactive",  # a comparison says whether it is paid
        "mem_lost": "user_a whop active",  # support had kept the account's own: it belonged to nobody
        "mem_gone": "deleted by staff whop inactive",
    }
    assert journey.value("SELECT count(*) FROM credit_periods p JOIN memberships m ON m.id = membership_id "
                         "WHERE m.external_id = 'mem_a' AND credits = 1000") == 1  # fmt: skip
    listed = "SELECT json_object_agg(replaced_membership_id, resolution) FROM extra_purchases"
    # what was decided is asked again, because there is one more that nobody knew of
    everything = {"mem_over": "the provider ended it", "mem_wanted": None, "mem_lost": None, "sub_b": None}
    assert journey.value(listed) == everything


def test_a_purchase_that_was_claimed_long_ago_brings_nothing_to_life(journey: Journey) -> None:
    """A claimed purchase shows what it was when it was claimed; the account bought again since, and that ended too."""
    frozen = "'pro', 'active', 'returns@x.example', 'mem_first', '2024-02-01+00', true"
    of_a_payer = frozen.replace("returns", "stays").replace("mem_first", "mem_old")
    journey.up("0035")
    journey.run(BEFORE + f"""
        INSERT INTO pending_profiles (id, membership, status, email, whop_membership_id, billing_cycle_end, claimed,
            claimed_by_user_id) VALUES (11, {frozen}, 'user_c');
        INSERT INTO pending_profiles (id, membership, status, email, whop_membership_id, billing_cycle_end, claimed,
            claimed_by_user_id) VALUES (12, {of_a_payer}, 'user_a');
    """)  # fmt: skip
    journey.up("0036")
    held = journey.value(HELD)
    assert (held["mem_first"], held["mem_old"]) == ("user_c whop inactive", "user_a whop inactive")


def test_a_claim_of_earlier_code_takes_its_membership_along(journey: Journey) -> None:
    journey.up("0035")
    journey.run(BEFORE)
    journey.up("0036")
    journey.down("0035")
    journey.run("""
        UPDATE pending_profiles SET claimed = true, claimed_by_user_id = 'user_d', updated_at = now() WHERE id = 1;
        UPDATE profiles SET membership = 'pro', payment_provider = 'whop', whop_membership_id = 'mem_w',
            updated_at = now() + interval '1 day' WHERE user_id = 'user_d'""")
    journey.up("0036")
    assert journey.value(HELD)["mem_w"] == "user_d whop active"


def test_a_decision_that_is_still_true_stands(journey: Journey) -> None:
    journey.up("0035")
    journey.run(BEFORE + "DELETE FROM pending_profiles WHERE id = 2;")
    journey.up("0036")
    decided = "SELECT resolution FROM extra_purchases WHERE replaced_membership_id = 'mem_wanted'"
    assert journey.value(decided) == "both wanted"


def test_what_earlier_code_wrote_while_it_was_taken_back_counts(journey: Journey) -> None:
    journey.up("0035")
    journey.run(BEFORE)
    journey.up("0036")
    journey.down("0035")
    journey.run("UPDATE profiles SET membership = 'free', status = 'inactive', provider_event_at = now(), "
                "updated_at = now() + interval '1 day' WHERE user_id = 'user_a'")  # fmt: skip
    journey.up("0036")
    assert journey.value("SELECT status FROM memberships WHERE external_id = 'mem_a'") == "inactive"
    assert journey.value("SELECT status FROM memberships WHERE external_id = 'mem_b'") == "active"
