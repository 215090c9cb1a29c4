"""The product's adapters against the simulated providers over HTTP.

Each test uses the adapters' ports only, so that the same expectations describe the real providers.
"""

import time
from datetime import UTC, datetime

import httpx
import pytest

from admin_app.errors import NotSignedIn, ProviderRefused, ProviderUnavailable
from admin_app.integrations.ports import ClerkSession
from admin_app.integrations.registry import from_settings
from admin_app.integrations.whop import parse_event
from admin_app.simulator import control

BOUGHT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)


class TestWhop:
    def test_a_purchase_is_a_membership_with_the_buyers_address(self, simulator, providers):
        made = control.purchase(simulator, email="ada@example.com", name="Ada Byron", plan="yearly", created_at=BOUGHT)
        found = providers.whop.membership(made["membership_id"])
        assert (found.id, found.user_id, found.member_id) == (
            made["membership_id"],
            made["user_id"],
            made["member_id"],
        )
        assert (found.email, found.name) == ("ada@example.com", "Ada Byron")
        assert (found.status, found.plan_duration, found.cancel_at_period_end) == ("active", "yearly", False)
        assert (found.period_start, found.period_end) == (BOUGHT, datetime(2027, 11, 3, 9, 30, tzinfo=UTC))
        assert found.created_at == BOUGHT

    def test_an_address_that_whop_does_not_tell_is_none(self, simulator, providers):
        made = control.purchase(simulator, email=None, deliver=False)
        assert providers.whop.membership(made["membership_id"]).email is None

    def test_endings_and_cancellations_are_seen(self, simulator, providers):
        made = control.purchase(simulator, email="ada@example.com", deliver=False)
        control.cancel_at_period_end(simulator, made["membership_id"], deliver=False)
        assert providers.whop.membership(made["membership_id"]).cancel_at_period_end
        control.deactivate(simulator, made["membership_id"], deliver=False)
        assert providers.whop.membership(made["membership_id"]).status == "inactive"

    def test_what_is_canceled_over_the_api_is_seen_told_and_taken_back(self, simulator, receiver, providers):
        made = control.purchase(simulator, email="ada@example.com", deliver=False)["membership_id"]
        whop = providers.whop
        assert whop.cancel(made, at_period_end=True, idempotency_key="a").cancel_at_period_end
        assert whop.cancel(made, at_period_end=True, idempotency_key="b").cancel_at_period_end
        assert not whop.uncancel(made).cancel_at_period_end
        assert whop.cancel(made, at_period_end=False, idempotency_key="c").status == "inactive"
        told = [parse_event(raw, headers, BOUGHT) for _, headers, raw in receiver.wait_for(3)]
        assert [(event.kind, event.cancel_at_period_end) for event in told] == [
            ("cancellation", True),
            ("cancellation", False),
            ("ended", False),
        ]
        assert len(receiver.received) == 3
        for change in (whop.uncancel, whop.reactivate):
            with pytest.raises(ProviderRefused):
                change(made)
        with pytest.raises(ProviderRefused) as refused:
            whop.cancel(made, at_period_end=True, idempotency_key="d")
        assert refused.value.reason == "conflict"
        with pytest.raises(ProviderRefused) as refused:
            whop.uncancel("mem_nobody")
        assert refused.value.reason == "not_found"

    def test_what_was_bought_once_has_no_end_and_can_be_given_back(self, simulator, receiver, providers):
        made = control.purchase(simulator, email="ada@example.com", plan="lifetime", deliver=False)["membership_id"]
        found = providers.whop.membership(made)
        assert (found.status, found.rhythm, found.period_end, found.interval) == ("active", "lifetime", None, None)
        providers.whop.cancel(made, at_period_end=False, idempotency_key="a")
        assert providers.whop.membership(made).status == "inactive"
        assert providers.whop.reactivate(made).provider_status == "completed"
        told = [parse_event(raw, headers, BOUGHT) for _, headers, raw in receiver.wait_for(2)]
        assert [event.kind for event in told] == ["ended", "purchase"]
        with pytest.raises(ProviderRefused):
            providers.whop.reactivate(made)

    def test_a_renewal_moves_the_period_on(self, simulator, providers):
        made = control.purchase(simulator, email="ada@example.com", created_at=BOUGHT, deliver=False)
        control.purchase(simulator, email=None, membership_id=made["membership_id"], deliver=False)
        found = providers.whop.membership(made["membership_id"])
        assert found.period_start == datetime(2026, 12, 3, 9, 30, tzinfo=UTC)
        assert found.email == "ada@example.com"

    def test_an_unknown_membership_is_none(self, providers):
        assert providers.whop.membership("mem_nobody") is None

    def test_every_membership_is_listed_once_over_all_pages(self, simulator, providers):
        wanted = [
            {"membership_id": f"mem_{number:04}", "email": f"c{number}@example.com", "plan": "monthly"}
            for number in range(250)
        ]
        assert control.seed_memberships(simulator, wanted) == 250
        assert control.seed_memberships(simulator, wanted) == 250
        listed = [found.id for found in providers.whop.memberships()]
        assert sorted(listed) == [item["membership_id"] for item in wanted]

    def test_a_wrong_key_is_a_trouble_and_not_an_empty_list(self, settings):
        wrong = from_settings(settings.model_copy(update={"whop_api_key": "apik_wrong"}))
        with pytest.raises(ProviderUnavailable):
            list(wrong.whop.memberships())

    @pytest.mark.parametrize("mode", ["429", "500"])
    def test_one_failure_is_overcome(self, simulator, providers, mode):
        made = control.purchase(simulator, email="ada@example.com", deliver=False)
        control.fault(simulator, "whop", mode)
        assert providers.whop.membership(made["membership_id"]).email == "ada@example.com"

    @pytest.mark.parametrize("mode", ["500", "apply-then-drop"])
    def test_lasting_failures_are_a_passing_trouble(self, simulator, providers, mode):
        made = control.purchase(simulator, email="ada@example.com", deliver=False)
        control.fault(simulator, "whop", mode, times=3)
        with pytest.raises(ProviderUnavailable):
            providers.whop.membership(made["membership_id"])


class TestClerk:
    def test_a_token_names_its_person(self, simulator, providers):
        person = control.create_user(simulator, name="Ada Byron", email="Ada@Example.com")
        session = providers.clerk.verify_session_token(control.token(simulator, person["id"]))
        assert isinstance(session, ClerkSession)
        assert session.user_id == person["id"]
        user = providers.clerk.user(session.user_id)
        assert (user.name, user.verified_emails) == ("Ada Byron", {"ada@example.com"})

    @pytest.mark.parametrize("wish", [{"ttl": -10}, {"azp": "https://evil.example"}, {"status": "pending"}], ids=str)
    def test_a_token_that_is_over_or_not_for_us_is_refused(self, simulator, providers, wish):
        person = control.create_user(simulator, name="Ada", email="ada@example.com")
        with pytest.raises(NotSignedIn):
            providers.clerk.verify_session_token(control.token(simulator, person["id"], **wish))

    def test_verification_is_seen_at_once_when_asked_afresh(self, simulator, providers):
        person = control.create_user(simulator, name="Ada", email="ada@example.com", verified=False)
        assert providers.clerk.user(person["id"]).verified_emails == set()
        control.verify_user(simulator, person["id"])
        assert providers.clerk.user(person["id"]).verified_emails == set()
        assert providers.clerk.user(person["id"], fresh=True).verified_emails == {"ada@example.com"}

    def test_a_person_who_is_gone_is_not_signed_in(self, simulator, providers):
        person = control.create_user(simulator, name="Ada", email="ada@example.com")
        control.delete_user(simulator, person["id"])
        with pytest.raises(NotSignedIn):
            providers.clerk.user(person["id"])

    def test_addresses_are_added_changed_and_removed_over_the_api(self, simulator, receiver, providers):
        ada = control.create_user(simulator, name="Ada", email="ada@example.com")["id"]
        control.create_user(simulator, name="Eve", email="eve@example.com")
        port = providers.clerk
        added = port.add_email(ada, "b@example.com", verified=False, primary=False)
        assert port.user(ada, fresh=True).verified_emails == {"ada@example.com"}
        assert port.change_email(added, verified=True, primary=True) == added
        emails = {email.address: email for email in port.user(ada, fresh=True).emails}
        assert (emails["b@example.com"].verified, emails["b@example.com"].primary) == (True, True)
        assert not emails["ada@example.com"].primary
        port.remove_email(str(emails["ada@example.com"].id))
        assert port.user(ada, fresh=True).verified_emails == {"b@example.com"}
        for taken in ("b@example.com", "EVE@example.com"):
            with pytest.raises(ProviderRefused) as refused:
                port.add_email(ada, taken, verified=True, primary=False)
            assert refused.value.reason == "form_identifier_exists"
        for change in (port.remove_email, port.change_email):
            with pytest.raises(ProviderRefused) as refused:
                change("idn_none")
            assert refused.value.reason == "resource_not_found"
        assert len(receiver.wait_for(3)) == 3

    @pytest.mark.parametrize("mode", ["500", "apply-then-drop"])
    def test_one_failure_is_overcome_and_two_are_a_passing_trouble(self, simulator, providers, mode):
        person = control.create_user(simulator, name="Ada", email="ada@example.com")
        control.fault(simulator, "clerk", mode)
        assert providers.clerk.user(person["id"])
        control.fault(simulator, "clerk", mode, times=2)
        with pytest.raises(ProviderUnavailable):
            providers.clerk.user(person["id"], fresh=True)

    def test_keys_that_cannot_be_fetched_are_a_passing_trouble(self, simulator, providers):
        token = control.token(simulator, "user_1")
        control.fault(simulator, "clerk", "500")
        with pytest.raises(ProviderUnavailable):
            providers.clerk.verify_session_token(token)

    def test_a_slow_provider_is_not_waited_for_longer_than_allowed(self, simulator, providers):
        token = control.token(simulator, "user_1")
        control.fault(simulator, "clerk", "slow", seconds=8)
        started = time.monotonic()
        with pytest.raises(ProviderUnavailable):
            providers.clerk.verify_session_token(token)
        assert time.monotonic() - started < 6


def test_the_simulators_address_is_found_in_the_settings(simulator, settings):
    assert control.address_from(settings.whop_api_base) == simulator
    assert control.address_from("https://api.whop.com/api/v1") is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("whop/purchases", {"plan": "weekly"}),
        ("whop/purchases", {"event": "v9"}),
        ("whop/purchases", {"created_at": "yesterday"}),
        ("whop/purchases", {"email": ["x"]}),
        ("whop/memberships", {"no": "list"}),
        ("whop/memberships", ["x"]),
        ("whop/memberships/mem_nobody/deactivate", {}),
        ("clerk/users", {}),
        ("clerk/users/user_nobody/verify", {}),
        ("clerk/tokens", {"ttl": "long"}),
        ("faults", {"provider": "nobody", "mode": "slow"}),
        ("faults", {"provider": "whop", "mode": "odd"}),
        ("faults", {"provider": "whop", "mode": "slow", "times": "x"}),
    ],
)
def test_a_control_that_makes_no_sense_is_refused_with_a_sentence(simulator, path, body):
    answer = httpx.post(f"{simulator}/_sim/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")
