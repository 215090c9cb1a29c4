"""The purchases of the last four months, each with what became of it, told in the order in which it happened."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from admin_app.demo.acts import Acts
from admin_app.demo.clock import Stage
from admin_app.demo.names import Invention, Person
from admin_app.demo.whop import Delivered, bought, delivery
from admin_app.simulator.whop.whop_records import Membership

FORMS = ("v1", "v1", "v1", "pinned", "v2", "v5")
MONTH = timedelta(days=30)
OLDEST_DAYS = 119.4
# Since then a mail asks the buyer to claim.
MAILS_SINCE_DAYS = 45
Step = tuple[datetime, int, Callable[[], None]]


@dataclass(frozen=True)
class Purchase:
    """A membership bought by somebody under some address."""

    at: datetime
    buyer: Person
    record: Membership
    form: str


class Script:
    """Steps noted down in any order and acted in the order of time."""

    def __init__(self, stage: Stage, acts: Acts, invention: Invention) -> None:
        self.stage = stage
        self.acts = acts
        self.invention = invention
        self._steps: list[Step] = []

    def note(self, moment: datetime, act: Callable[[], None]) -> None:
        if moment <= self.stage.today:
            self._steps.append((moment, len(self._steps), act))

    def act(self, progress: Callable[[int, int], None]) -> None:
        for number, (_, _, act) in enumerate(sorted(self._steps, key=lambda step: step[:2]), 1):
            act()
            progress(number, len(self._steps))

    def buy(
        self,
        days_ago: float,
        buyer: Person,
        *,
        plan: str | None = None,
        form: str | None = None,
        whop_user_id: str | None = None,
        renews: bool = True,
    ) -> Purchase:
        """A purchase comes in, its mail goes out, and a monthly one is paid again each month."""
        random = self.invention.random
        at = self.stage.ago(days=days_ago)
        plan = plan or random.choice(("monthly", "monthly", "yearly"))
        record = bought(self.invention, at=at, plan=plan, email=buyer.email, name=buyer.name, whop_user_id=whop_user_id)
        purchase = Purchase(at, buyer, record, form or random.choice(FORMS))
        activated = self._delivery(purchase, "membership.activated", at)
        paid = self._delivery(purchase, "payment.succeeded", at + timedelta(seconds=1), paid=True)
        # Deliveries come in any order, and some endpoints were set up for one of the two only.
        come_in = random.choices(([activated], [activated, paid], [paid, activated]), (70, 25, 5))[0]
        for number, delivered in enumerate(come_in):
            moment = at + timedelta(seconds=number)
            self.note(moment, self._coming_in(purchase, moment, delivered))
        if days_ago < MAILS_SINCE_DAYS:
            self.note(at + timedelta(seconds=2), lambda: self.acts.mail(at, record.id))
        if renews and plan == "monthly":
            self._renew(purchase)
        return purchase

    def _renew(self, purchase: Purchase) -> None:
        record = purchase.record
        moment = purchase.at + MONTH
        while moment <= self.stage.today:
            record = record.renewed(int(moment.timestamp()))
            delivered = delivery(self.invention, "v1", "payment.succeeded", moment, record, paid=True, first=False)
            self.note(moment, self._coming_in(purchase, moment, delivered))
            moment += MONTH

    def end(self, purchase: Purchase, moment: datetime) -> None:
        """The membership is over."""
        ended = purchase.record.ended(int(moment.timestamp()))
        delivered = delivery(self.invention, "v1", "membership.deactivated", moment, ended)
        self.note(moment, self._coming_in(purchase, moment, delivered))

    def cancel(self, purchase: Purchase, moment: datetime) -> None:
        """The customer cancels at the end of the period."""
        record = replace(purchase.record, cancel_at_period_end=True, canceled_at=int(moment.timestamp()))
        delivered = delivery(self.invention, "v1", "membership.cancel_at_period_end_changed", moment, record)
        self.note(moment, self._coming_in(purchase, moment, delivered))

    def _delivery(self, purchase: Purchase, event: str, at: datetime, *, paid: bool = False) -> Delivered:
        return delivery(self.invention, purchase.form, event, at, purchase.record, paid=paid)

    def _coming_in(self, purchase: Purchase, moment: datetime, delivered: Delivered) -> Callable[[], None]:
        return lambda: self.acts.deliver(moment, delivered, buyer=purchase.buyer)
