"""What can be asked of Clerk about a person's addresses, what Clerk says of them now, and what is in the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from admin_app.addresses import comparable
from admin_app.errors import NotSignedIn, ProviderUnavailable
from admin_app.integrations.ports import ClerkEmail, ClerkUser
from admin_app.integrations.registry import Providers
from admin_app.services.core.plans import PlannedCall

PROVIDER = "clerk"


class AddressAction(StrEnum):
    """The operations of the journal of calls; the value is how a call is found again, too."""

    ADD = "address.add"
    PRIMARY = "address.make_primary"
    UNLINK = "address.unlink"


OPERATIONS = tuple(action.value for action in AddressAction)
WORDS: Mapping[AddressAction, str] = MappingProxyType(
    {
        AddressAction.ADD: "add an address",
        AddressAction.PRIMARY: "make an address the primary one",
        AddressAction.UNLINK: "unlink an address",
    }
)


@dataclass(frozen=True)
class Change:
    """One action on one address of one account.

    Of an address that is added: whether staff say that it is `verified`, and whether it becomes the `primary` one.
    `instead_of` is the address that is unlinked once this one is there, `beside` a wrong one that cannot be: it comes
    from a connected account.
    """

    action: AddressAction
    user_id: str
    email: str
    verified: bool = False
    primary: bool = False
    instead_of: str | None = None
    beside: str | None = None


class Obstacle(NamedTuple):
    """Why Clerk is not asked to do it: a code for the journal of calls, and a sentence."""

    code: str
    sentence: str


ACCOUNT_GONE = Obstacle(
    "account_gone", "Clerk does not know this account any more: it has no address that could be changed."
)


@dataclass(frozen=True)
class Snapshot:
    """The person as Clerk has them; nobody where Clerk does not know the account any more.

    `trouble`: why nobody knows.
    """

    person: ClerkUser | None = None
    trouble: str | None = None

    def entry(self, address: str) -> ClerkEmail | None:
        wanted = comparable(address)
        return next((email for email in self._emails if comparable(email.address) == wanted), None)

    def verified(self, *, but: str | None = None) -> list[str]:
        """The verified addresses, the primary one first, without one of them."""
        left = comparable(but) if but else None
        found = [email for email in self._emails if email.verified and comparable(email.address) != left]
        return [email.address for email in sorted(found, key=lambda email: not email.primary)]

    @property
    def primary(self) -> ClerkEmail | None:
        """The primary address, if it is verified."""
        return next((email for email in self._emails if email.primary and email.verified), None)

    @property
    def basis(self) -> list[Any]:
        """What of the answer a plan rests on."""
        stated = [(email.address, email.verified, email.primary, email.linked) for email in self._emails]
        return [self.person is None, self.trouble, *map(list, sorted(stated))]

    @property
    def _emails(self) -> tuple[ClerkEmail, ...]:
        return self.person.emails if self.person is not None else ()

    def is_so(self, change: Change) -> bool:
        """Whether nothing is left to do at Clerk."""
        found = self.entry(change.email)
        match change.action:
            case AddressAction.UNLINK:
                return self.person is not None and found is None
            case AddressAction.PRIMARY:
                return found is not None and found.primary and found.verified
            case AddressAction.ADD:
                is_verified = found is not None and (found.verified or not change.verified)
                return is_verified and (not change.primary or (found is not None and found.primary))

    def in_the_way(self, change: Change) -> Obstacle | None:
        """What forbids it as Clerk has the person now."""
        if self.person is None:
            return ACCOUNT_GONE
        found = self.entry(change.email)
        if change.action is AddressAction.ADD:
            return None
        if found is None or found.id is None:
            return Obstacle("address_gone", "This account does not have the address at Clerk any more.")
        return self._against_unlinking(found) if change.action is AddressAction.UNLINK else _against_primary(found)

    def _against_unlinking(self, found: ClerkEmail) -> Obstacle | None:
        others = self.verified(but=found.address)
        if not others:
            return Obstacle(
                "last_address",
                "It is the only verified address of this account: without it the person cannot sign in, and nobody "
                "knows whose the account is. Add the right address first, by “Correct this address”.",
            )
        if found.primary:
            return Obstacle(
                "address_is_primary",
                f"It is the primary address. Make another one the primary one first: {', '.join(others)}.",
            )
        if found.linked:
            return Obstacle(
                "address_is_linked",
                "It comes with an account that the person connected at Clerk, such as Google’s, and would come back "
                "with it at the next sign-in. Disconnect that at Clerk first.",
            )
        return None


def following(change: Change, snapshot: Snapshot) -> Change | None:
    """What Clerk is asked for once this is so: where the address stands in for another one, that is unlinked."""
    if change.instead_of is None or snapshot.person is None:
        return None
    unlinking = Change(AddressAction.UNLINK, change.user_id, change.instead_of)
    return None if snapshot.is_so(unlinking) else unlinking


def calls(change: Change, snapshot: Snapshot) -> tuple[PlannedCall, ...]:
    """What Clerk is asked to do; what is so already is not sent."""
    if snapshot.person is None:
        return ()
    wanted = (None if snapshot.is_so(change) else change, following(change, snapshot))
    actions = [one.action for one in wanted if one is not None]
    return tuple(PlannedCall(PROVIDER, action.value, f"Clerk is asked to {WORDS[action]}.") for action in actions)


def _against_primary(found: ClerkEmail) -> Obstacle | None:
    if found.verified:
        return None
    return Obstacle(
        "address_unverified",
        "Clerk does not call this address verified any more, and only a verified one can be the primary one.",
    )


def ask(providers: Providers, user_id: str) -> Snapshot:
    """The person at Clerk, outside of any transaction.

    Raises ProviderUnavailable when Clerk does not answer or nobody can be asked.
    """
    if providers.clerk is None or not providers.clerk.knows_people:
        raise ProviderUnavailable(PROVIDER, "Clerk is not configured here, so nothing can be asked of it.")
    try:
        return Snapshot(providers.clerk.user(user_id, fresh=True))
    except NotSignedIn:
        return Snapshot()


def ask_for_plan(providers: Providers, user_id: str) -> Snapshot:
    """The same for a page: what is in the way is told in a sentence, and not raised."""
    try:
        return ask(providers, user_id)
    except ProviderUnavailable as error:
        is_there = providers.clerk is not None and providers.clerk.knows_people
        silent = "Clerk does not answer, so nobody knows the person’s addresses now. Try again in a minute."
        return Snapshot(trouble=silent if is_there else error.sentence)
