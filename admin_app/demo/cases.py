"""Every case that support meets, at least twice, among many ordinary purchases."""

from datetime import datetime, timedelta

from admin_app.demo import names
from admin_app.demo.acts import Acts
from admin_app.demo.clock import Stage
from admin_app.demo.crowd import Crowd
from admin_app.demo.names import Person
from admin_app.demo.purchases import OLDEST_DAYS, Purchase, Script
from admin_app.demo.whop import Delivered, bought, delivery

CREATED_BY_SUPPORT, MERGED_BY_SUPPORT = 7, 10
UNDONE, REDONE = 3, 1
ENDED, CANCELED = 12, 10
WAITING_EXTRAS, REPLACED = 5, 3
EMAIL_MISSING, MEMBERSHIP_UNKNOWN = 7, 5
SHOWCASE = Person("Marisol Tveit-Okafor", "marisol.tveit7031@gmail.com", "user_2demoShowcaseMarisolTveit")
SHOWCASE_TYPED = "marisol.tveit7031@gmial.com"

CLAIM_REASONS = (
    "Customer wrote from the account's address and sent the Whop receipt.",
    "Same person by phone: confirmed the purchase date and the last four digits.",
    "Typed the address wrong at checkout, confirmed by mail.",
    "Bought with the work address, uses the private one here.",
)
UNDO_REASONS = (
    "Wrong person: two customers with the same name.",
    "Customer says this purchase is their partner's.",
    "Merged into the old account by mistake, the customer uses the new one.",
)


class Cases:
    """Notes every case down in the script; `regulars` must book under the addresses they name."""

    def __init__(self, stage: Stage, script: Script, crowd: Crowd) -> None:
        self.stage = stage
        self.script = script
        self.acts: Acts = script.acts
        self.invention = script.invention
        self.random = script.invention.random
        self.free = list(crowd.by_kind["free"])
        self.pro = list(crowd.by_kind["whop"])
        self.regulars: list[Person] = []
        self.owners_came_later: list[str] = []

    def note_all(self) -> None:
        self._showcase()
        for kind in (
            self._misspelt_domain,
            self._dropped_letter,
            self._plus_tag,
            self._dots,
            self._other_case,
            self._same_whop_user,
            self._same_name,
            self._booked,
            self._made_minutes_later,
        ):
            for _ in range(2):
                kind()
        self._claimed()
        self._by_support()
        self._waiting()
        self._extras()
        self._parked()

    # -- near misses -------------------------------------------------------------------------------------------

    def _showcase(self) -> None:
        """The oldest one that waits: misspelt, and every other piece of evidence as well."""
        typed = SHOWCASE._replace(email=SHOWCASE_TYPED)
        purchase = self.script.buy(OLDEST_DAYS, typed, plan="yearly", form="v1")
        self._account(purchase, SHOWCASE, minutes_later=6)
        self.regulars += [SHOWCASE, typed]

    def _near(self, owner: Person, typed: str, *, plan: str | None = None) -> Purchase:
        """An account of long ago, and a purchase under an address that is nearly its own."""
        made = self._long_ago()
        self.script.note(made, lambda: self.acts.open_account(made, owner))
        return self.script.buy(self._age(), owner._replace(email=typed), plan=plan, form="v1")

    def _misspelt_domain(self) -> None:
        owner = self.invention.person(well_known=True)
        self._near(owner, names.with_swapped_domain(owner.email))

    def _dropped_letter(self) -> None:
        owner = self.invention.person(well_known=True)
        self._near(owner, names.with_dropped_letter(owner.email))

    def _plus_tag(self) -> None:
        owner = self.invention.person(well_known=True)
        self._near(owner, names.with_tag(owner.email, "whop"))

    def _dots(self) -> None:
        owner = self.invention.person(well_known=True)
        self._near(owner, names.without_dots(owner.email))

    def _other_case(self) -> None:
        """The account came after the purchase with the address unverified, so that signing in claimed nothing."""
        owner = self.invention.person(well_known=True)
        purchase = self.script.buy(self._age(), owner._replace(email=names.in_other_case(owner.email)), form="v1")
        self._account(purchase, owner, minutes_later=60 * 20)

    def _same_whop_user(self) -> None:
        """Bought before under this account, now again with another address."""
        owner, whop_user = self.invention.person(), self.invention.whop_id("user")
        days = OLDEST_DAYS + 40
        made = self.stage.ago(days=days + 1)
        self.script.note(made, lambda: self.acts.open_account(made, owner))
        first = self.script.buy(days, owner, plan="monthly", whop_user_id=whop_user, renews=False)
        self.script.end(first, first.at + timedelta(days=30))
        other = self.invention.person(well_known=False)
        self.script.buy(self._age(), other, whop_user_id=whop_user)

    def _same_name(self) -> None:
        owner, other = self.invention.person(), self.invention.person(well_known=False)
        self._near(owner, other.email)

    def _booked(self) -> None:
        """Booked under the address that the purchase has, with an account under another one."""
        owner, other = self.invention.person(), self.invention.person(well_known=False)
        self._near(owner, other.email)
        self.regulars.append(owner._replace(email=other.email))

    def _made_minutes_later(self) -> None:
        owner, buyer = self.invention.person(), self.invention.person()
        purchase = self.script.buy(self._age(), buyer)
        self._account(purchase, owner, minutes_later=4)

    def _account(self, purchase: Purchase, owner: Person, *, minutes_later: float) -> None:
        moment = purchase.at + timedelta(minutes=minutes_later)
        self.script.note(moment, lambda: self.acts.open_account(moment, owner))
        self.owners_came_later.append(purchase.record.id)

    # -- claimed -----------------------------------------------------------------------------------------------

    def _claimed(self) -> None:
        """Customers who signed in after the purchase, minutes to weeks later."""
        amounts = self.stage.amounts
        for number in range(amounts.claimed_by_customer + amounts.merged_by_customer):
            buyer = self.invention.person()
            purchase = self.script.buy(self.random.uniform(2, 118), buyer)
            moment = purchase.at + timedelta(minutes=min(5 + self.random.expovariate(1 / 2600), 60 * 24 * 40))
            if number < amounts.merged_by_customer:
                # An account of long ago, to which the address of the purchase was added.
                owner = self.free.pop()
                self._sign_in(min(moment, self.stage.today), owner, owner.email, buyer.email)
            else:
                self._sign_in(min(moment, self.stage.today), buyer, buyer.email)
            if number % 16 == 5:
                self.script.cancel(purchase, purchase.at + timedelta(days=9))

    def _sign_in(self, moment: datetime, person: Person, *verified: str) -> None:
        self.script.note(moment, lambda: self.acts.sign_in(moment, person, verified))

    def _by_support(self) -> None:
        for number in range(CREATED_BY_SUPPORT + MERGED_BY_SUPPORT):
            buyer = self.invention.person()
            purchase = self.script.buy(self.random.uniform(8, 100), buyer, plan="yearly")
            asked = purchase.at + timedelta(days=self.random.uniform(0.2, 6))
            if number < CREATED_BY_SUPPORT:
                owner = self.invention.person()
                self._open_without_profile(purchase, owner)
            else:
                owner = self.free.pop()
            self._support_claims(purchase, owner, asked, number)

    def _open_without_profile(self, purchase: Purchase, owner: Person) -> None:
        moment = purchase.at - timedelta(days=2)
        self.script.note(moment, lambda: self.acts.open_account(moment, owner, profile=False))

    def _support_claims(self, purchase: Purchase, owner: Person, asked: datetime, number: int) -> None:
        membership, reason = purchase.record.id, CLAIM_REASONS[number % len(CLAIM_REASONS)]
        self.script.note(asked, lambda: self.acts.claim_for(asked, membership, owner.user_id, reason))
        if number >= UNDONE:
            return
        back = asked + timedelta(hours=5)
        self.script.note(back, lambda: self.acts.undo_claim(back, membership, UNDO_REASONS[number]))
        if number < REDONE:
            again, right = back + timedelta(minutes=12), self.free.pop()
            reason_again = "The right account this time, confirmed by mail."
            self.script.note(again, lambda: self.acts.claim_for(again, membership, right.user_id, reason_again))

    # -- waiting -----------------------------------------------------------------------------------------------

    def _waiting(self) -> None:
        """Nobody in sight yet: most of them new, some canceled or ended, some that support has touched."""
        for number in range(self.stage.amounts.waiting):
            over, canceled = number < ENDED, ENDED <= number < ENDED + CANCELED
            age = self.random.uniform(31, 70) if over else self._age()
            plan = "monthly" if over else "yearly" if canceled else None
            purchase = self.script.buy(age, self.invention.person(), plan=plan, renews=not over)
            if over:
                self.script.end(purchase, purchase.at + timedelta(days=30))
            elif canceled:
                self.script.cancel(purchase, purchase.at + (self.stage.today - purchase.at) / 2)
            elif number < ENDED + CANCELED + 7:
                self._touched(purchase, number % 7)
        deleted = self.script.buy(44, self.invention.person(), plan="yearly")
        moment, membership = deleted.at + timedelta(days=3), deleted.record.id
        reason = "Test purchase of our own shop, refunded at Whop."
        self.script.note(moment, lambda: self.acts.delete(moment, membership, reason))

    def _touched(self, purchase: Purchase, kind: int) -> None:
        moment, membership = purchase.at + (self.stage.today - purchase.at) / 3, purchase.record.id
        if kind < 3:
            email = self.invention.person(well_known=False).email
            reason = "Customer sent the right address by mail."
            self.script.note(moment, lambda: self.acts.correct_email(moment, membership, email, reason))
        else:
            reason = "Customer did not find the first mail."
            self.script.note(moment, lambda: self.acts.resend(moment, membership, reason))

    def _extras(self) -> None:
        """People who are pro already: a purchase that waits, or one that took the former one's place."""
        for number in range(WAITING_EXTRAS + 1):
            owner, other = self.pro.pop(), self.invention.person(well_known=False)
            purchase = self.script.buy(self.random.uniform(3, 50), owner._replace(email=other.email), plan="yearly")
            self._sign_in(purchase.at + timedelta(hours=3), owner, owner.email, other.email)
            if number == 0:
                self._settle_extra(purchase, owner)
        for _ in range(REPLACED):
            owner = self.pro.pop()
            self.script.buy(self.random.uniform(2, 25), owner, plan="yearly")

    def _settle_extra(self, purchase: Purchase, owner: Person) -> None:
        moment, said = purchase.at + timedelta(days=1), "Refunded at Whop"
        reason = "Bought twice by mistake, wants the money back."
        self.script.note(moment, lambda: self.acts.settle_extra(moment, owner.user_id, said, reason))

    def _parked(self) -> None:
        """Deliveries without an address that Whop does not tell either, and news of memberships nobody knows."""
        for number in range(EMAIL_MISSING + MEMBERSHIP_UNKNOWN):
            missing = number < EMAIL_MISSING
            at, buyer = self.stage.ago(days=self.random.uniform(0.1, 19)), self.invention.person()
            email = None if missing else buyer.email
            record = bought(self.invention, at=at, plan="monthly", email=email, name=buyer.name)
            form = ("pinned", "v5")[number % 2] if missing else "v1"
            events = ("membership.deactivated", "membership.cancel_at_period_end_changed")
            event = "membership.activated" if missing else events[number % 2]
            self._come_in(at, delivery(self.invention, form, event, at, record))

    def _come_in(self, at: datetime, delivered: Delivered) -> None:
        self.script.note(at, lambda: self.acts.deliver(at, delivered))

    # ----------------------------------------------------------------------------------------------------------

    def _age(self) -> float:
        """Days that a purchase waits: most are young, none is older than the showcase."""
        return min(0.02 + self.random.expovariate(1 / 21), self.random.uniform(80, 117))

    def _long_ago(self) -> datetime:
        return self.stage.ago(days=self.random.uniform(150, 600))
