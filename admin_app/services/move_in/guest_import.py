"""Clerk's people as guests at WorkOS: by their verified primary address, with all verified addresses kept here.

Their addresses are taken in as a sign-in does it, and no purchase that waits is claimed: that is for them to do. What a
file says is old: it takes no address from anybody, and changes nothing of whom something newer is known. Nobody is
written to, and what is done is told by the guests themselves, so that a run may end anywhere and begin again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.addresses import is_one_of
from admin_app.errors import Conflict, DomainError, NotSignedIn
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.integrations.ports import ClerkPort, ClerkUser
from admin_app.services import guests
from admin_app.services.core.email_fields import clean_email
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.move_in.guest_asking import Asking, Stopped
from admin_app.services.move_in.guest_backfill import Read
from admin_app.services.people import person_addresses, users
from admin_app.services.purchases import account_deletion, claims
from models.guests import Guest
from models.purchases import Profile

ANOTHERS = "Another account has this person's primary address by now."


@dataclass
class Tally:
    """What a run has done so far, or would do in a dry run."""

    people: int = 0
    made: int = 0
    found: int = 0
    known: int = 0
    unverified: int = 0
    barred: int = 0
    failed: int = 0


@dataclass
class Run:
    """One run over Clerk's people: its means, whether it only looks, and whom it tells what.

    `failed` hears the person's id at Clerk and a sentence.
    """

    work: Work
    read: Read
    workos: WorkosPort
    dry_run: bool = False
    limit: int | None = None
    failed: Callable[[str, str], None] = lambda user_id, sentence: None
    seen: Callable[[Tally], None] = lambda tally: None
    asking: Asking = field(default_factory=Asking)
    tally: Tally = field(default_factory=Tally)

    def everybody(self, clerk: ClerkPort) -> Iterator[ClerkUser]:
        """All whom Clerk has, page by page. Raises what the port raises once it stays away."""
        after: str | None = None
        while page := self.asking.about(partial(clerk.people, after=after)):
            yield from page
            after = page[-1].id

    def take(self, people: Iterable[ClerkUser]) -> None:
        """Bring these over. Raises Stopped when WorkOS cannot be asked about anybody, and what `people` raises."""
        for person in people:
            if self.limit is not None and self.tally.made + self.tally.found + self.tally.failed >= self.limit:
                return
            self.tally.people += 1
            try:
                self._take_one(person)
            except Stopped:
                raise
            except DomainError as refused:
                self.tally.failed += 1
                self.failed(person.id, refused.sentence)
            self.seen(self.tally)

    def _take_one(self, person: ClerkUser) -> None:
        primary = next((each.address for each in person.emails if each.primary and each.verified), None)
        if person.banned:
            self.tally.barred += 1
        elif primary is None:
            self.tally.unverified += 1
        elif self.dry_run:
            self._look(person, clean_email(primary))
        else:
            self._bring_over(person, clean_email(primary))

    def _look(self, person: ClerkUser, address: str) -> None:
        with self.read() as session:
            deleted = _is_deleted(session, person)
        if deleted:
            self.tally.barred += 1
        elif self._is_registered(address):
            self.tally.known += 1
        elif self.asking.about(lambda: self.workos.find_user(address)) is None:
            self.tally.made += 1
        else:
            self.tally.found += 1

    def _bring_over(self, person: ClerkUser, address: str) -> None:
        try:
            self._keep_addresses(person, address)
        except NotSignedIn:
            self.tally.barred += 1
            return
        if self._is_registered(address):
            self.tally.known += 1
            return
        name = person.name or ""
        registered = self.asking.about(
            lambda: guests.register_existing(self.work, self.workos, email=address, name=name, verified=True)
        )
        if registered.outcome == "created":
            self.tally.made += 1
        else:
            self.tally.found += 1

    def _keep_addresses(self, person: ClerkUser, address: str) -> None:
        """Raises NotSignedIn for an account that was deleted, Conflict when another account has the address by now."""
        told_at = None if person.asked_at else person.updated_at
        with self.work() as ctx:
            if _is_deleted(ctx.session, person):
                raise NotSignedIn
            if told_at is None or not person_addresses.is_older(ctx.session, person.id, told_at):
                claims.told_by_provider(
                    ctx,
                    users.customer_of(person),
                    email=None,
                    since=person.created_at or person.updated_at or ctx.now,
                    told_at=told_at,
                    takes_over=told_at is None,
                )
            if person_addresses.account_of(ctx.session, address) not in (None, person.id):
                raise Conflict(ANOTHERS)

    def _is_registered(self, address: str) -> bool:
        known = select(Guest.id).where(
            is_one_of(Guest.email, address), Guest.workos_user_id.is_not(None), Guest.workos_org_id.is_not(None)
        )
        with self.read() as session:
            return session.scalar(known.limit(1)) is not None


def _is_deleted(session: Session, person: ClerkUser) -> bool:
    """A deletion that is known here is final for whatever a file says; whom Clerk itself shows now is there."""
    if person.asked_at is not None:
        return False
    profile = session.get(Profile, person.id)
    gone = profile is not None and profile.account_deleted_at is not None
    return gone or account_deletion.told_deleted(session, person.id)
