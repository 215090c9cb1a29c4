"""From the purchase to the claim with every program running on its own, and nothing between them but HTTP."""

import httpx

from admin_app.simulator import control

PENDING = "SELECT * FROM pending_profiles WHERE whop_membership_id = %s"


def test_purchases_in_every_form_wait_and_are_claimed_by_their_buyers(programs):
    # The v5 and the pinned activation carry no e-mail: the worker asks Whop's API for it.
    for form in ("v1", "pinned", "v5", "v2"):
        email = f"Ada.{form}@Example.com"
        made = control.purchase(programs.simulator, email=email, name="Ada Byron", plan="yearly", event=form)
        # The payment, which comes in either order, does not tell the plan: the activation does.
        waiting = programs.wait_for(f"{PENDING} AND plan_duration = 'yearly'", made["membership_id"])
        assert waiting["email"].lower() == email.lower()
        assert (waiting["whop_user_id"], waiting["claimed"]) == (made["user_id"], False)
        person = control.create_user(programs.simulator, name="Ada Byron", email=email)
        answer = httpx.post(f"{programs.url}/api/profiles/sign-in", headers=programs.as_customer(person["id"]))
        assert answer.status_code == 200, answer.text
        profile = programs.row("SELECT * FROM profiles WHERE user_id = %s", person["id"])
        assert profile
        assert (profile["membership"], profile["whop_membership_id"]) == ("pro", made["membership_id"])
        claimed = programs.row(PENDING, made["membership_id"])
        assert claimed
        assert (claimed["claimed"], claimed["claimed_by_user_id"]) == (True, person["id"])

    # What happens later at Whop reaches the profile.
    control.deactivate(programs.simulator, made["membership_id"], event="v1")
    ended = "SELECT * FROM profiles WHERE user_id = %s AND membership = 'free'"
    assert programs.wait_for(ended, person["id"])["status"] == "inactive"


def test_the_providers_own_news_claim_only_a_verified_address(programs):
    made = control.purchase(programs.simulator, email="eve@example.com")
    programs.wait_for(PENDING, made["membership_id"])
    person = control.create_user(programs.simulator, name="Eve", email="eve@example.com", verified=False, webhook=True)
    programs.wait_for("SELECT 1 FROM webhook_events WHERE type = 'user.created' AND state IN ('processed', 'ignored')")
    answer = httpx.post(
        f"{programs.url}/api/pending-profiles/claim",
        headers=programs.as_customer(person["id"]),
        json={"email": "eve@example.com"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "email_not_verified")
    control.verify_user(programs.simulator, person["id"])
    claimed = programs.wait_for(f"{PENDING} AND claimed", made["membership_id"])
    assert claimed["claimed_by_user_id"] == person["id"]
