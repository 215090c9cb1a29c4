"""Correcting a person's address and unlinking one, at Clerk: by the address's page or its account's."""

from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from flask import redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Text, cast, literal, select

from admin_app.context import Ctx
from admin_app.errors import InvalidInput, NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.attention import unanswered
from admin_app.services.people import users
from admin_app.services.purchases import address_actions, address_changes
from admin_app.services.purchases.address_actions import OPERATIONS, AddressAction, Change, Snapshot
from models import PersonAddress, Profile
from views.backdesk import backdesk
from views.console.framework.base import KEY, ConsoleView, command, page
from views.console.framework.columns import Column, record_address
from views.console.framework.plan_pages import CommandPage, confirmed
from views.console.framework.records import Command
from views.reading import close_read_session, read_session

PERMISSION = Permission.ADDRESSES_CHANGE
ROOT = "/admin/person-addresses"
CORRECT, UNLINK, PRIMARY, ADD = "correct", "unlink", "make-primary", "add"
LABELS = MappingProxyType(
    {
        CORRECT: "Correct this address",
        PRIMARY: "Make it the primary one",
        UNLINK: "Unlink this address",
        ADD: "Add an address",
    }
)
VERIFIED = [
    ("", "Choose…"),
    ("no", "No: they verify it themselves, in their account"),
    ("yes", "Yes: I verified that it is this person’s"),
]


def asked_of_clerk(user_id: Any) -> Column:
    """The last change of this person's addresses that has no good answer."""
    subject = literal("profile:", Text) + cast(user_id, Text)
    last = unanswered.of(subject, OPERATIONS).label("unanswered")
    return Column("Asked of Clerk", last, text=unanswered.in_words)


def _of_address(word: str, **more: Any) -> Command:
    return Command(label=LABELS[word], permission=PERMISSION, address=lambda key: f"{ROOT}/{key}/{word}", **more)


COMMANDS = (
    _of_address(CORRECT, when=lambda values: values["given_up_at"] is None),
    _of_address(PRIMARY, when=lambda values: values["given_up_at"] is None and not values["is_primary"]),
    _of_address(UNLINK, when=lambda values: values["given_up_at"] is None, tone="danger"),
)


def _of_profile(label: str, word: str) -> Command:
    return Command(
        label=label,
        permission=PERMISSION,
        address=lambda key: f"{ROOT}/of-account/{quote(str(key), safe='')}/{word}",
    )


OF_PROFILE = (
    _of_profile("Correct an address", CORRECT),
    _of_profile("Add an address", ADD),
    _of_profile("Unlink an address", UNLINK),
)


class AddressCommandsView(ConsoleView):
    """Has an address corrected, made the primary one, or unlinked at Clerk."""

    permissions = MappingProxyType(
        dict.fromkeys(("correct", "make_primary", "unlink", "add", "of_account"), PERMISSION)
    )

    def __init__(self) -> None:
        super().__init__(name="Address commands", endpoint="address-commands", url=ROOT)

    @command(f"/{KEY}/{UNLINK}")
    def unlink(self, key: int) -> ResponseReturnValue:
        return self._of_row(key, AddressAction.UNLINK, UNLINK, "Unlink it", danger=True)

    @command(f"/{KEY}/{PRIMARY}")
    def make_primary(self, key: int) -> ResponseReturnValue:
        return self._of_row(key, AddressAction.PRIMARY, PRIMARY, "Make it the primary one")

    @command(f"/{KEY}/{CORRECT}")
    def correct(self, key: int) -> ResponseReturnValue:
        wrong = address_changes.of_row(read_session(), key, AddressAction.UNLINK)
        address = record_address("person-addresses", key)
        return self._right_one(
            wrong.user_id, wrong.email, address, wrong_id=key, title=LABELS[CORRECT], button="Correct the address"
        )

    @command(f"/of-account/<user_id>/{ADD}")
    def add(self, user_id: str) -> ResponseReturnValue:
        owner = users.known_owner(read_session(), user_id)
        address = record_address("profiles", user_id)
        return self._right_one(user_id, owner.email or user_id, address, title=LABELS[ADD], button="Add the address")

    @page("/of-account/<user_id>/<word>")
    def of_account(self, user_id: str, word: str) -> ResponseReturnValue:
        """To the account's address that this is about; to all of them where it may be about several."""
        if word not in (CORRECT, UNLINK):
            raise NotFound
        mine = (PersonAddress.user_id == user_id, PersonAddress.given_up_at.is_(None))
        found = read_session().scalars(select(PersonAddress.id).where(*mine).limit(2)).all()
        if not found and read_session().get(Profile, user_id) is None:
            raise NotFound("There is no such account.")
        if len(found) == 1:
            return redirect(f"{record_address('person-addresses', found[0])}/{word}")
        return redirect(f"{ROOT}/?{urlencode({'account': user_id})}")

    def _of_row(self, key: int, action: AddressAction, word: str, button: str, **parts: Any) -> ResponseReturnValue:
        change = address_changes.of_row(read_session(), key, action)
        snapshot = _snapshot(change.user_id)
        return self._page(
            record_address("person-addresses", key),
            subtitle=change.email,
            plan=lambda ctx: address_changes.plan(ctx, change=change, snapshot=snapshot),
            act=lambda ctx: _begin(ctx, change, snapshot),
            title=LABELS[word],
            button=button,
            **parts,
        )

    def _right_one(
        self, user_id: str, subtitle: str, address: str, *, wrong_id: int | None = None, **parts: Any
    ) -> ResponseReturnValue:
        entered = {name: request.values.get(name, "").strip() for name in ("email", "verified")}
        snapshot = _snapshot(user_id) if "email" in request.values else None

        def change(ctx: Ctx, snapshot: Snapshot) -> Change:
            if entered["verified"] not in ("yes", "no"):
                raise InvalidInput(fields={"verified": "Choose whether you verified whose it is."})
            return address_changes.right_one(
                ctx.session,
                snapshot,
                user_id=user_id,
                email=entered["email"],
                verified=entered["verified"] == "yes",
                wrong_id=wrong_id,
            )

        def act(ctx: Ctx) -> str:
            known = snapshot or _snapshot(user_id)
            return _begin(ctx, change(ctx, known), known)

        return self._page(
            address,
            subtitle=subtitle,
            plan=lambda ctx: (
                address_changes.plan(ctx, change=change(ctx, snapshot), snapshot=snapshot)
                if snapshot is not None
                else None
            ),
            act=act,
            template="console/people/right_address.html",
            hidden=entered,
            more={"entered": entered, "choices": VERIFIED},
            **parts,
        )

    def _page(self, address: str, **parts: Any) -> ResponseReturnValue:
        return CommandPage(view=self, cancel=address, **parts).respond()


def _snapshot(user_id: str) -> Snapshot:
    close_read_session()  # no transaction is open while Clerk is asked
    return address_actions.ask_for_plan(backdesk().providers, user_id)


def _begin(ctx: Ctx, change: Change, snapshot: Snapshot) -> str:
    address_changes.begin(ctx, change=change, snapshot=snapshot, **confirmed())
    return f"Clerk is being asked to {address_actions.WORDS[change.action]}. Its answer is shown here in a moment."
