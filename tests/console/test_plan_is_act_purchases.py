"""Plan = act, for every command on purchases, memberships, credits and addresses: what its page promised is exactly
what changed in the database, was sent as mail, and was called at the providers, after all the jobs that it leaves.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.services.memberships import held, moving, serving
from admin_app.services.people import person_addresses
from admin_app.services.purchases import claim_mails, claims, merge_fields
from admin_app.services.refunds import membership_refunds
from admin_app.simulator import control
from models import Adjustment, ExtraPurchase, Merge, Profile
from tests.applications import Applications
from tests.console.appointment_scene import somebody_of_finance
from tests.console.page_checks import CheckedClient
from tests.console.people_scene import People
from tests.console.plan_walk import Case, Rules, walk
from tests.house import House, house, lent, simulator
from tests.services.factories import SUPPORT

__all__ = ["house", "simulator"]

Setup = Callable[[People], Case]
CASES: dict[str, Setup] = {}
NO_PLAN = {
    "membership-payment-commands.ask": "the provider is asked and its answer taken in: nobody has that before",
    **dict.fromkeys(
        ("inbox.attach_email", "inbox.release"),
        "an event is applied again by a job that asks the provider first: nobody knows before what it says",
    ),
    "purchase.settle": "an item of the worklist is marked with the words that its form asks for; nothing follows",
}
LIMIT = 4000


def verified_addresses(house: House, profile: Profile) -> str:
    """As the account's plan shows them: the primary one first."""
    with house.db.read_only() as session:
        return ", ".join(row.email for row in person_addresses.verified(session, profile.user_id))


def counting(house: House, profile: Profile) -> str:
    """The membership that counts, as the plan of a merge names it."""
    with house.db.read_only() as session:
        best = serving(held(session, session.get_one(Profile, profile.user_id)))
        assert best is not None
        return merge_fields.in_words(best)


RULES = Rules(
    stamps=frozenset(
        # Who undid, settled, claimed, moved or let go of it, and when: the command itself, and its line says what.
        {"undone_at", "undone_by", "undo_reason", "resolved_at", "resolved_by", "decided_about", "noted_at"}
        | {"claimed", "claimed_at", "moved_at", "moved_from", "moved_to", "ignored_at"}
        # The link's secret, of which only the digest is kept: the plan's sentence says that it stops working.
        | {"token", "token_expires_at"}
        # When a provider was asked, and its own words for what the lines say.
        | {"asked_at", "payments_asked_at", "provider_event_at", "provider_status", "refunded_amount"}
        # Looked up again in the background.
        | {"likely_owners", "owners_checked_at"}
    ),
    apart=frozenset(
        {
            # Which period's credits were given: what an account has of them, and from when on, stands in its lines.
            "credit_periods",
            # The digests of links.
            "claim_tokens",
            # Compared as one line: all verified addresses of the person.
            "person_addresses",
            # Who signed in, with a copy of the primary address.
            "users",
        }
    ),
    looked_up={"verified_addresses": verified_addresses, "counts": counting},
)
CLAIM, MOVE, UNDO = "purchase.claim", "membership-commands.move", "purchase.undo"


def case(name: str) -> Callable[[Setup], Setup]:
    def note(setup: Setup) -> Setup:
        CASES[name] = setup
        return setup

    return note


# -- purchases -----------------------------------------------------------------------------------------------------


def _claim(scene: People, waiting: int | None, user_id: str, **chosen: str) -> Case:
    return Case(CLAIM, f"/admin/purchases/{waiting}/claim", {"user_id": user_id}, chosen)


CASES[f"{CLAIM}: for somebody without a profile"] = lambda s: _claim(s, s.bought().pending_profile_id, s.known())
CASES[f"{CLAIM}: into a free profile"] = lambda s: _claim(s, s.bought().pending_profile_id, s.account())
CASES[f"{CLAIM}: beside a membership that is paid"] = lambda s: _claim(s, s.bought().pending_profile_id, s.member()[0])
CASES[f"{CLAIM}: what has ended"] = lambda s: _claim(s, s.ended(s.bought()).pending_profile_id, s.account())


@case(f"{CLAIM}: beside what staff gave")
def _beside_given(scene: People) -> Case:
    user_id = scene.account()
    scene.given(user_id)
    return _claim(scene, scene.bought().pending_profile_id, user_id)


@case(f"{CLAIM}: with a link on its way")
def _with_a_link(scene: People) -> Case:
    return _claim(scene, _mailed(scene), scene.account())


@case(f"{CLAIM}: what is on the worklist")
def _on_the_worklist(scene: People) -> Case:
    user_id, waiting = _extra(scene)
    return _claim(scene, waiting, user_id)


def _mailed(scene: People) -> int:
    """A purchase whose claim mail went."""
    waiting = scene.bought().pending_profile_id
    assert waiting is not None
    with scene.house.db.unit_of_work(SUPPORT) as ctx:
        claim_mails.resend(ctx, pending_profile_id=waiting, reason="asked")
    scene.house.work()
    return waiting


def _extra(scene: People) -> tuple[str, int]:
    """A member, and a purchase of the same person that waits, on the worklist."""
    user_id, row = scene.member()
    address = str(row.email)
    waiting = scene.bought(address.replace("@", "+two@")).pending_profile_id
    assert waiting is not None
    control.add_address(scene.house.simulator, user_id, address.replace("@", "+two@"))
    token = control.token(scene.house.simulator, user_id)
    assert scene.house.post("/api/profiles/sign-in", token=token).status_code == 200
    scene.house.work()
    assert scene.house.rows(select(ExtraPurchase).where(ExtraPurchase.pending_profile_id == waiting))
    return user_id, waiting


def _claimed(scene: People, waiting: int | None, user_id: str) -> Case:
    """It was claimed by support, and that is to be undone."""
    scene.by_hand(claims.plan_for_user, claims.claim_for_user, pending_profile_id=waiting, user_id=user_id)
    return Case(UNDO, f"/admin/purchases/undo/{scene.newest(Merge)}")


CASES[f"{UNDO}: and the profile goes"] = lambda s: _claimed(s, s.bought().pending_profile_id, s.known())
CASES[f"{UNDO}: of a merge"] = lambda s: _claimed(s, s.bought().pending_profile_id, s.account())
CASES[f"{UNDO}: beside a membership that is paid"] = lambda s: _claimed(s, s.bought().pending_profile_id, s.member()[0])
CASES[f"{UNDO}: of what was on the worklist"] = lambda s: _claimed(s, *reversed(_extra(s)))
CASES[f"{UNDO}: of what has ended"] = lambda s: _claimed(s, s.ended(s.bought()).pending_profile_id, s.account())
CASES[f"{UNDO}: of what a link claimed"] = lambda s: _claimed(s, _mailed(s), s.account())


@case(f"{UNDO}: of what was canceled since")
def _canceled_since(scene: People) -> Case:
    row = scene.bought()
    found = _claimed(scene, row.pending_profile_id, scene.account())
    control.cancel_at_period_end(scene.house.simulator, str(row.external_id), deliver=False)
    scene.compared(row)
    return found


def _email(scene: People, waiting: int | None) -> Case:
    return Case("purchase.email", f"/admin/purchases/{waiting}/email", {"email": scene.email("right")})


CASES["purchase.email: of what waits"] = lambda s: _email(s, s.bought().pending_profile_id)
CASES["purchase.email: with a link on its way"] = lambda s: _email(s, _mailed(s))
CASES["purchase.delete: what lives"] = lambda s: Case(
    "purchase.delete", f"/admin/purchases/{s.bought().pending_profile_id}/delete"
)
CASES["purchase.delete: what has ended"] = lambda s: Case(
    "purchase.delete", f"/admin/purchases/{s.ended(s.bought()).pending_profile_id}/delete"
)
CASES["purchase.delete: what is on the worklist"] = lambda s: Case(
    "purchase.delete", f"/admin/purchases/{_extra(s)[1]}/delete"
)
CASES["purchase.mail: the first"] = lambda s: Case(
    "purchase.mail", f"/admin/purchases/{s.bought().pending_profile_id}/mail"
)
CASES["purchase.mail: another one"] = lambda s: Case("purchase.mail", f"/admin/purchases/{_mailed(s)}/mail")


# -- memberships ---------------------------------------------------------------------------------------------------


def _move(scene: People, number: int, user_id: str) -> Case:
    return Case(MOVE, f"/admin/memberships/{number}/move", {"user_id": user_id})


CASES[f"{MOVE}: to a free account"] = lambda s: _move(s, s.member()[1].id, s.account())
CASES[f"{MOVE}: to somebody without a profile"] = lambda s: _move(s, s.member()[1].id, s.known())
CASES[f"{MOVE}: to one who pays"] = lambda s: _move(s, s.member()[1].id, s.member()[0])
CASES[f"{MOVE}: what waits"] = lambda s: _move(s, s.bought().id, s.account())
CASES[f"{MOVE}: what has ended"] = lambda s: _move(s, s.ended(s.member()[1]).id, s.account())
CASES[f"{MOVE}: what staff gave"] = lambda s: _move(s, s.given(s.account()).id, s.account())


def _moved(scene: People, number: int, user_id: str) -> Case:
    scene.by_hand(moving.plan_move, moving.move, membership_id=number, user_id=user_id)
    return Case("membership-commands.move_back", f"/admin/memberships/{number}/move-back")


CASES["membership-commands.move_back: to the account"] = lambda s: _moved(s, s.member()[1].id, s.account())
CASES["membership-commands.move_back: from one who pays"] = lambda s: _moved(s, s.member()[1].id, s.member()[0])
CASES["membership-commands.move_back: to the purchase"] = lambda s: _moved(s, s.bought().id, s.account())


def _cancel(number: int, word: str, endpoint: str) -> Case:
    return Case(f"membership-canceling.{endpoint}", f"/admin/memberships/{number}/{word}")


CASES["membership-canceling.at_end: of an account"] = lambda s: _cancel(
    s.member()[1].id, "cancel-at-period-end", "at_end"
)
CASES["membership-canceling.at_end: of a purchase"] = lambda s: _cancel(s.bought().id, "cancel-at-period-end", "at_end")
CASES["membership-canceling.now: of an account"] = lambda s: _cancel(s.member()[1].id, "cancel-now", "now")
CASES["membership-canceling.now: of a purchase"] = lambda s: _cancel(s.bought().id, "cancel-now", "now")


@case("membership-canceling.back: before its end")
def _taken_back(scene: People) -> Case:
    _, row = scene.member()
    control.cancel_at_period_end(scene.house.simulator, str(row.external_id), deliver=False)
    scene.compared(row)
    return _cancel(row.id, "take-back", "back")


@case("membership-canceling.now: beside another that is paid")
def _beside(scene: People) -> Case:
    user_id, row = scene.member()
    scene.by_hand(
        claims.plan_for_user,
        claims.claim_for_user,
        pending_profile_id=scene.bought().pending_profile_id,
        user_id=user_id,
    )
    return _cancel(row.id, "cancel-now", "now")


@case("membership-canceling.now: of Stripe")
def _of_stripe(scene: People) -> Case:
    return _cancel(scene.subscribed().id, "cancel-now", "now")


@case("membership-canceling.at_end: of Stripe")
def _of_stripe_at_end(scene: People) -> Case:
    return _cancel(scene.subscribed().id, "cancel-at-period-end", "at_end")


# -- what staff give -----------------------------------------------------------------------------------------------


UNTIL = {"runs": "until", "until": "2036-01-01T09:00", "zone": "UTC"}
EVER = {"runs": "ever", "zone": "UTC"}


def _give(user_id: str, **typed: str) -> Case:
    return Case("account-commands.give", f"/admin/profiles/{user_id}/give", typed)


CASES["account-commands.give: for ever"] = lambda s: _give(s.account(), **EVER)
CASES["account-commands.give: until a day"] = lambda s: _give(s.account(), **UNTIL)
CASES["account-commands.give: to somebody without a profile"] = lambda s: _give(s.known(), **UNTIL)
CASES["account-commands.give: beside what is paid"] = lambda s: _give(s.member()[0], **EVER)


def _credits(user_id: str, way: str) -> Case:
    return Case("account-commands.credits", f"/admin/profiles/{user_id}/credits", {"way": way, "amount": "100"})


CASES["account-commands.credits: added"] = lambda s: _credits(s.account(), "add")
CASES["account-commands.credits: added for somebody without a profile"] = lambda s: _credits(s.known(), "add")
CASES["account-commands.credits: taken"] = lambda s: _credits(s.member()[0], "take")
CASES["account-commands.credits: renewed early"] = lambda s: _credits(s.member()[0], "renew")


def _of_given(number: int, word: str, endpoint: str, **typed: str) -> Case:
    return Case(f"given-membership-commands.{endpoint}", f"/admin/memberships/{number}/{word}", typed)


CASES["given-membership-commands.change_end: to a day"] = lambda s: _of_given(
    s.given(s.account()).id, "change-end", "change_end", **UNTIL
)
CASES["given-membership-commands.end: of all that it has"] = lambda s: _of_given(s.given(s.account()).id, "end", "end")
CASES["given-membership-commands.end: beside what is paid"] = lambda s: _of_given(
    s.given(s.member()[0]).id, "end", "end"
)


def _undone(scene: People, done: Any) -> Case:
    return Case("adjustment-commands.undo", f"/admin/adjustments/{scene.newest(Adjustment)}/undo")


CASES["adjustment-commands.undo: a membership given"] = lambda s: _undone(s, s.given(s.account()))
CASES["adjustment-commands.undo: a membership given beside what is paid"] = lambda s: _undone(s, s.given(s.member()[0]))
CASES["adjustment-commands.undo: credits added"] = lambda s: _undone(s, s.adjusted(s.account(), "add"))
CASES["adjustment-commands.undo: credits taken"] = lambda s: _undone(s, s.adjusted(s.member()[0], "take"))
CASES["adjustment-commands.undo: an early renewal"] = lambda s: _undone(s, s.adjusted(s.member()[0], "renew"))
CASES["adjustment-commands.undo: an end"] = lambda s: _undone(s, s.given_ended(s.account()))


# -- money ---------------------------------------------------------------------------------------------------------


def _refund(scene: People, amount: str) -> Case:
    payment = scene.payment(scene.member()[1])
    given = {"reason_code": "requested_by_customer", "note": ""}
    endpoint, address = "membership-payment-commands.refund", f"/admin/membership-payments/{payment.id}/refund"
    return Case(endpoint, address, {"amount": amount}, given)


CASES["membership-payment-commands.refund: a part"] = lambda s: _refund(s, "10.00")
CASES["membership-payment-commands.refund: all of it waits"] = lambda s: _refund(s, "49.00")


@case("refund-commands.approve: of a membership")
def _approved(scene: People) -> Case:
    payment = scene.payment(scene.member()[1])
    given = {"payment_id": payment.id, "amount": 4900, "approval_above": LIMIT}
    with scene.house.db.unit_of_work(somebody_of_finance(scene.house.db)) as ctx:
        shown = membership_refunds.plan_request(ctx, **given).fingerprint
        made = membership_refunds.request(ctx, **given, reason_code="requested_by_customer", note="", shown=shown)
        number = made.id
    # "Access may end at once": Whop ends it, and says so when it is asked.
    ended = frozenset({"status", "membership", "refundable"})
    return Case("refund-commands.approve", f"/admin/refunds/{number}/approve", answered=ended)


# -- addresses -----------------------------------------------------------------------------------------------------


def _address(number: int, word: str, **typed: str) -> Case:
    return Case(f"address-commands.{word.replace('-', '_')}", f"/admin/person-addresses/{number}/{word}", typed)


CASES["address-commands.unlink: another one"] = lambda s: _address(s.addresses()[2].id, "unlink")
CASES["address-commands.make_primary: another one"] = lambda s: _address(s.addresses()[2].id, "make-primary")
CASES["address-commands.correct: verified"] = lambda s: _address(
    s.addresses()[1].id, "correct", email=s.email("right"), verified="yes"
)
CASES["address-commands.correct: not verified"] = lambda s: _address(
    s.addresses()[1].id, "correct", email=s.email("right"), verified="no"
)
CASES["address-commands.correct: under which a purchase waits"] = lambda s: _address(
    s.addresses()[1].id, "correct", email=s.waiting_under(), verified="yes"
)


def _add(scene: People, email: str, verified: str) -> Case:
    user_id = scene.addresses()[0]
    address = f"/admin/person-addresses/of-account/{user_id}/add"
    return Case("address-commands.add", address, {"email": email, "verified": verified})


CASES["address-commands.add: verified"] = lambda s: _add(s, s.email("more"), "yes")
CASES["address-commands.add: not verified"] = lambda s: _add(s, s.email("more"), "no")
CASES["address-commands.add: under which a purchase waits"] = lambda s: _add(s, s.waiting_under(), "yes")


@case("address-commands.make_primary: under which a purchase waits")
def _primary_with_a_purchase(scene: People) -> Case:
    return _address(scene.addresses(scene.waiting_under())[2].id, "make-primary")


@case("address-commands.correct: under which one too many waits")
def _one_too_many(scene: People) -> Case:
    _, main, _ = scene.addresses()
    scene.bought(main.email)
    return _address(main.id, "correct", email=scene.waiting_under(), verified="yes")


@pytest.fixture
def scene(simulator: str, db: Any, applications: Applications) -> People:
    made = lent(applications, simulator, db, refund_approval_above=LIMIT)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    return People(made)


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: People, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name](scene)
    # What a plan says of now holds for the act a moment later.
    now = datetime.now(UTC)
    scene.house.db.clock = lambda: now
    walk(scene.house, name, case, monkeypatch, RULES)
