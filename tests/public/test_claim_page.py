"""The page behind the claim mail: it shows, and acts only when its button is pressed by someone signed in."""

import html5lib
import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import create_engine, select

from admin_app.db import Database
from admin_app.services.purchases import claim_mails
from admin_app.simulator import control
from models import PendingProfile, Profile
from tests.house import House, build
from tests.public.test_claims import claim_token
from tests.services.factories import OPERATOR, SUPPORT, buy


@pytest.fixture
def token(house: House) -> str:
    return claim_token(house, buy(house.db, "paid.for@example.com"))


def visitor(house: House, session: str | None = None) -> FlaskClient:
    client = house.app.test_client()
    if session is not None:
        client.set_cookie("__session", session, domain="localhost")
    return client


def read(page: str) -> BeautifulSoup:
    html5lib.HTMLParser(strict=True).parse(page)
    soup = BeautifulSoup(page, "html.parser")
    assert len(soup.find_all("h1")) == 1
    assert soup.title is not None
    assert soup.title.string.strip() == soup.h1.string
    assert not soup.find_all(["script", "style"])
    assert not soup.find_all(style=True)
    return soup


def press(client: FlaskClient, token: str, **changed: str) -> tuple[int, BeautifulSoup]:
    """Open the page and press its button."""
    form = read(client.get("/claim", query_string={"token": token}).text).form
    assert form is not None
    fields = {field["name"]: field["value"] for field in form.find_all("input")}
    answer = client.post("/claim", data=fields | changed)
    return answer.status_code, read(answer.text)


def test_a_visitor_sees_what_was_bought_and_where_to_sign_in(house: House, token: str) -> None:
    answer = visitor(house).get("/claim", query_string={"token": token})
    page = read(answer.text)
    assert answer.status_code == 200
    assert "p•••@e•••.com" in page.text
    assert "paid.for" not in answer.text
    assert "monthly" in page.text
    assert "1,000" in page.text
    assert page.form is None
    assert page.find("a", class_="button")["href"].startswith(f"{house.simulator}/clerk/sign-in?redirect_url=")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert [row.claimed for row in house.rows(select(PendingProfile))] == [False]


def test_the_signed_in_buyer_claims_by_the_button_and_may_press_twice(house: House, token: str) -> None:
    user_id, session = house.customer("another@example.com")
    client = visitor(house, session)
    status, page = press(client, token)
    assert (status, page.h1.text) == (200, "Done: the purchase is yours")
    (profile,) = house.rows(select(Profile))
    assert (profile.user_id, profile.membership.value, profile.email) == (user_id, "pro", "another@example.com")
    assert read(client.get("/claim", query_string={"token": token}).text).h1.text == "This purchase is on your account"


def test_looking_changes_nothing(house: House, token: str) -> None:
    _, session = house.customer("looking@example.com")
    for method in ("get", "head"):
        getattr(visitor(house, session), method)("/claim", query_string={"token": token})
    assert house.count(Profile) == 0


def test_a_form_from_elsewhere_or_too_old_does_nothing(house: House, token: str) -> None:
    _, session = house.customer("forged@example.com")
    client = visitor(house, session)
    forged = client.post("/claim", data={"token": token})
    assert forged.status_code == 400
    assert "press the button again" in read(forged.text).text
    status, _ = press(client, token, csrf_token="wrong")
    assert status == 400
    assert house.count(Profile) == 0


def test_a_session_that_ended_leads_back_to_sign_in(house: House, token: str) -> None:
    user_id, session = house.customer("ended@example.com")
    client = visitor(house, session)
    fields = read(client.get("/claim", query_string={"token": token}).text).form.find_all("input")
    client.set_cookie("__session", control.token(house.simulator, user_id, ttl=-60), domain="localhost")
    answer = client.post("/claim", data={field["name"]: field["value"] for field in fields})
    assert answer.status_code == 401
    assert read(answer.text).find("a", class_="button") is not None
    assert house.count(Profile) == 0


def test_another_account_is_told_that_it_was_claimed(house: House, token: str) -> None:
    _, first = house.customer("first@example.com")
    _, second = house.customer("second@example.com")
    late = visitor(house, second)
    fields = read(late.get("/claim", query_string={"token": token}).text).form.find_all("input")
    press(visitor(house, first), token)
    answer = late.post("/claim", data={field["name"]: field["value"] for field in fields})
    assert answer.status_code == 409
    assert read(answer.text).h1.text == "This purchase was already claimed"


def test_someone_already_pro_is_told_so(house: House, token: str) -> None:
    buy(house.db, "member@example.com", membership_id="mem_member")
    _, session = house.customer("member@example.com")
    house.post("/api/profiles/sign-in", token=session)
    status, page = press(visitor(house, session), token)
    assert (status, page.h1.text) == (200, "You already have a membership")


@pytest.mark.parametrize("wrong", ["", "wrong", "x" * 300, "\x00", "é", "\ud83d\ude00", "' OR 1=1 --", "%"])
def test_wrong_links_are_explained(house: House, token: str, wrong: str) -> None:
    _, session = house.customer("curious@example.com")
    query = {"token": wrong.encode("utf-16", "surrogatepass").decode("utf-16")}
    for answer in (
        visitor(house, session).get("/claim", query_string=query),
        visitor(house, session).post("/claim", data=query),
    ):
        assert answer.status_code == 403
        assert read(answer.text).h1.text == "This link does not work any more"
    assert house.count(Profile) == 0


def test_a_newer_link_and_time_end_a_link(house: House, token: str) -> None:
    (pending,) = house.rows(select(PendingProfile))
    newer = claim_token_again(house, pending)
    assert visitor(house).get("/claim", query_string={"token": token}).status_code == 403
    assert visitor(house).get("/claim", query_string={"token": newer}).status_code == 200
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(PendingProfile, pending.id).token_expires_at = ctx.now.replace(year=2020)
    assert visitor(house).get("/claim", query_string={"token": newer}).status_code == 403


def test_a_stale_link_leads_whoever_verified_the_address_to_the_purchase(house: House, token: str) -> None:
    (pending,) = house.rows(select(PendingProfile))
    newer = claim_token_again(house, pending)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(PendingProfile, pending.id).token_expires_at = ctx.now.replace(year=2020)
    _, stranger = house.customer("stranger@example.com")
    _, owner = house.customer("paid.for@example.com")
    for stale in (token, newer):
        assert visitor(house).get("/claim", query_string={"token": stale}).status_code == 403
        assert visitor(house, stranger).get("/claim", query_string={"token": stale}).status_code == 403
        assert visitor(house, owner).get("/claim", query_string={"token": stale}).status_code == 200
    status, page = press(visitor(house, owner), token)
    assert (status, page.h1.text) == (200, "Done: the purchase is yours")


def claim_token_again(house: House, pending: PendingProfile) -> str:
    with house.db.unit_of_work(SUPPORT) as ctx:
        claim_mails.resend(ctx, pending_profile_id=pending.id, reason="They asked for another one")
    return claim_token(house, pending)


def test_while_signing_in_is_not_possible_nothing_is_lost(house: House, token: str) -> None:
    _, session = house.customer("unlucky@example.com")
    client = visitor(house, session)
    fields = read(client.get("/claim", query_string={"token": token}).text).form.find_all("input")
    control.fault(house.simulator, "clerk", "500", times=20)
    answer = client.post("/claim", data={field["name"]: field["value"] for field in fields})
    control.fault(house.simulator, "clerk", "off")
    assert answer.status_code == 503
    assert "nothing was changed" in read(answer.text).text
    assert house.count(Profile) == 0


def test_on_https_the_button_works_without_a_referrer(simulator: str, db: Database) -> None:
    house = build(simulator, db, base_url="https://backdesk.example.com")
    token = claim_token(house, buy(db, "secure@example.com"))
    person = control.create_user(simulator, name="S", email="secure.owner@example.com")
    session = control.token(simulator, person["id"])
    client = house.app.test_client()
    client.set_cookie("__session", session, domain="backdesk.example.com", secure=True)
    at = {"base_url": "https://backdesk.example.com"}
    page = client.get("/claim", query_string={"token": token}, **at)
    assert page.headers["Referrer-Policy"] == "no-referrer"
    fields = {field["name"]: field["value"] for field in read(page.text).form.find_all("input")}
    assert client.post("/claim", data=fields, headers={"Origin": "null"}, **at).status_code == 200


def test_without_a_sign_in_provider_the_page_says_so(simulator: str, db: Database) -> None:
    house = build(simulator, db, clerk_issuer="")
    token = claim_token(house, buy(db, "closed@example.com"))
    assert visitor(house).get("/claim", query_string={"token": token}).status_code == 503


def test_without_the_database_the_page_asks_for_patience(simulator: str) -> None:
    house = build(simulator, Database(create_engine("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")))
    answer = visitor(house).get("/claim", query_string={"token": "t"})
    assert answer.status_code == 503
    assert "Your purchase is safe" in read(answer.text).text
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_token_is_in_no_log(house: House, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, session = house.customer("logged@example.com")
    press(visitor(house, session), token)
    told = capsys.readouterr()
    assert '"route": "/claim"' in told.out + told.err
    assert token not in told.out + told.err
    assert "example.com" not in told.out + told.err
