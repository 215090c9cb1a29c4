"""The product's WorkOS adapter against the simulated WorkOS over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from admin_app.errors import NotSignedIn, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.registry import from_settings
from admin_app.integrations.workos.workos_api import SignsInOtherwise
from admin_app.simulator import control
from admin_app.simulator.workos import control_workos

EMAIL = "Gina.Guest@example.com"


@pytest.fixture
def workos(providers):
    return providers.workos


def made(workos, email=EMAIL):
    """A guest with a personal organization, as registration leaves them."""
    user = workos.create_user(email, "Gina van Guest", idempotency_key="k1")
    organization = workos.ensure_organization(user.id, idempotency_key="k2")
    workos.ensure_membership(user.id, organization, idempotency_key="k3")
    return user, organization


def counts(simulator):
    return {name: len(found) for name, found in control_workos.state(simulator).items()}


def test_who_is_created_is_found_whatever_the_case(workos):
    assert workos.find_user(EMAIL) is None
    user = workos.create_user(EMAIL, "Gina van Guest", idempotency_key="k1")
    assert (user.email, user.name) == (EMAIL.lower(), "Gina van Guest")
    assert workos.find_user(EMAIL.upper()) == user


def test_a_taken_address_and_everything_that_is_there_already_is_no_error(simulator, workos):
    user, organization = made(workos)
    assert made(workos) == (user, organization)
    assert workos.find_organization(user.id) == organization
    assert counts(simulator) == {"users": 1, "organizations": 1, "memberships": 1, "codes": 0}
    (found,) = control_workos.state(simulator)["organizations"]
    assert found["name"] == found["external_id"] == f"user-{user.id}"


def test_nobody_has_no_organization(workos):
    assert workos.find_organization("user_nobody") is None


def test_what_workos_does_not_know_is_refused_with_its_code(workos):
    with pytest.raises(ProviderRefused) as refused:
        workos.ensure_membership("user_nobody", "org_nobody", idempotency_key="k")
    assert refused.value.reason == "entity_not_found"


def test_a_wrong_key_is_a_refusal(settings):
    wrong = from_settings(settings.model_copy(update={"workos_api_key": "sk_wrong"})).workos
    with pytest.raises(ProviderRefused) as refused:
        wrong.find_user(EMAIL)
    assert refused.value.reason == "unauthorized"


def test_the_code_of_the_mail_opens_a_session_once(simulator, workos):
    user, organization = made(workos)
    workos.send_magic_code(EMAIL)
    (mail,) = control.mails(simulator)
    (code,) = control_workos.codes(simulator, EMAIL)
    assert (mail["to"], code in mail["text"]) == (EMAIL.lower(), True)
    with pytest.raises(NotSignedIn):
        workos.authenticate(EMAIL, "000000" if code != "000000" else "111111")
    session = workos.authenticate(EMAIL, code)
    assert (session.user, session.organization_id) == (user, organization)
    assert timedelta(0) < session.expires_at - datetime.now(UTC) <= timedelta(minutes=5)
    assert workos.verify_access_token(session.access_token) == user.id
    with pytest.raises(NotSignedIn):
        workos.authenticate(EMAIL, code)


def test_an_address_without_a_code_is_not_signed_in(workos):
    with pytest.raises(NotSignedIn):
        workos.authenticate("nobody@example.com", "123456")


def test_a_member_of_a_team_is_signed_in_to_the_personal_organization(simulator, workos):
    known = control_workos.create_user(simulator, email=EMAIL, team="Harbour Dental")
    workos.send_magic_code(EMAIL)
    session = workos.authenticate(EMAIL, control_workos.codes(simulator, EMAIL)[-1])
    organization = workos.ensure_organization(known["id"], idempotency_key="k1")
    workos.ensure_membership(known["id"], organization, idempotency_key="k2")
    workos.send_magic_code(EMAIL)
    again = workos.authenticate(EMAIL, control_workos.codes(simulator, EMAIL)[-1])
    assert session.organization_id != again.organization_id == organization


def test_a_member_of_teams_only_signs_in_otherwise(simulator, workos):
    known = control_workos.create_user(simulator, email=EMAIL, team="Harbour Dental")
    team = control_workos.create_user(simulator, email="boss@example.com", team="Shore Dental")
    organizations = {found["name"]: found["id"] for found in control_workos.state(simulator)["organizations"]}
    workos.ensure_membership(known["id"], organizations["Shore Dental"], idempotency_key="k")
    assert team["id"] != known["id"]
    workos.send_magic_code(EMAIL)
    with pytest.raises(SignsInOtherwise):
        workos.authenticate(EMAIL, control_workos.codes(simulator, EMAIL)[-1])


@pytest.mark.parametrize("wish", [{"ttl": -10}, {"issuer": "https://evil.example"}], ids=str)
def test_a_token_that_is_over_or_from_somebody_else_is_refused(simulator, workos, wish):
    with pytest.raises(NotSignedIn):
        workos.verify_access_token(control_workos.token(simulator, "user_1", **wish))


@pytest.mark.parametrize("issuer", ["https://api.workos.com", "https://api.workos.com/user_management/client_sim"])
def test_both_forms_of_the_documented_issuer_are_believed(simulator, workos, issuer):
    assert workos.verify_access_token(control_workos.token(simulator, "user_1", issuer=issuer)) == "user_1"


def test_an_issuer_of_ones_own_is_the_only_one(simulator, settings):
    own = from_settings(settings.model_copy(update={"workos_issuer": "https://auth.clinic.example"})).workos
    token = control_workos.token(simulator, "user_1", issuer="https://auth.clinic.example")
    assert own.verify_access_token(token) == "user_1"
    with pytest.raises(NotSignedIn):
        own.verify_access_token(control_workos.token(simulator, "user_1"))


class TestTrouble:
    @pytest.mark.parametrize("mode", ["429", "500", "apply-then-drop"])
    def test_one_failed_read_is_overcome(self, simulator, workos, mode):
        control.fault(simulator, "workos", mode)
        assert workos.find_user(EMAIL) is None

    @pytest.mark.parametrize("mode", ["429", "500", "apply-then-drop", "apply-then-500"])
    def test_a_read_that_fails_again_is_a_passing_trouble(self, simulator, workos, mode):
        control.fault(simulator, "workos", mode, times=2)
        with pytest.raises(ProviderUnavailable) as trouble:
            workos.find_user(EMAIL)
        assert not isinstance(trouble.value, OutcomeUnknown)

    def test_a_change_after_a_limit_is_tried_once_more(self, simulator, workos):
        control.fault(simulator, "workos", "429")
        workos.create_user(EMAIL, "Gina", idempotency_key="k")
        control.fault(simulator, "workos", "429", times=2)
        with pytest.raises(ProviderUnavailable) as trouble:
            workos.send_magic_code(EMAIL)
        assert not isinstance(trouble.value, OutcomeUnknown)
        assert control_workos.codes(simulator, EMAIL) == []

    @pytest.mark.parametrize("mode", ["500", "apply-then-drop", "apply-then-500"])
    def test_a_change_without_an_answer_is_never_repeated(self, simulator, workos, mode):
        control.fault(simulator, "workos", mode)
        with pytest.raises(OutcomeUnknown):
            workos.send_magic_code(EMAIL)
        assert len(control_workos.codes(simulator, EMAIL)) == (mode != "500")

    def test_nobody_listening_means_that_nothing_happened(self, settings):
        nowhere = from_settings(settings.model_copy(update={"workos_api_base": "http://127.0.0.1:1"})).workos
        with pytest.raises(ProviderUnavailable) as trouble:
            nowhere.create_user(EMAIL, "Gina", idempotency_key="k")
        assert not isinstance(trouble.value, OutcomeUnknown)

    def test_keys_that_cannot_be_fetched_are_a_passing_trouble(self, simulator, workos):
        token = control_workos.token(simulator, "user_1")
        control.fault(simulator, "workos", "500")
        with pytest.raises(ProviderUnavailable):
            workos.verify_access_token(token)
