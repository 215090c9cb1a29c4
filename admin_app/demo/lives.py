"""How clients pay: the life of a subscription at Stripe up to today, and every step of it as our history has it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from admin_app.demo.clock import Stage
from admin_app.services.billing import billing_history
from admin_app.simulator.stripe.stripe_price_records import INTERVALS
from models import BillingStatus

TRIAL = timedelta(days=14)
# Per interval what a client may pay, in minor units.
PRICES = {"month": (4_900, 9_900, 14_900, 24_900), "year": (49_000, 99_000, 199_000)}
CURRENCIES = ("eur", "eur", "usd")
NONE, ON_TRIAL, ACTIVE, LATE, CANCELED = (
    BillingStatus.NONE,
    BillingStatus.TRIAL,
    BillingStatus.ACTIVE,
    BillingStatus.PAST_DUE,
    BillingStatus.CANCELED,
)


@dataclass(frozen=True)
class Price:
    """What a subscription costs per interval (`month` or `year`); `amount` is in minor units of `currency`."""

    amount: int
    currency: str
    interval: str

    @property
    def id(self) -> str:
        """Says all of it, so that the simulator can be told the price by the subscription alone."""
        return f"price_agent_{self.interval}_{self.amount}_{self.currency}"

    @property
    def monthly(self) -> int:
        return self.amount if self.interval == "month" else round(self.amount / 12)

    @property
    def period(self) -> timedelta:
        return timedelta(seconds=INTERVALS[self.interval])

    @classmethod
    def of(cls, price_id: str) -> "Price":
        interval, amount, currency = price_id.split("_")[2:]
        return cls(int(amount), currency, interval)


@dataclass
class Life:
    """One subscription: its columns as last fetched, and the changes that led there; `client_id` is not among them."""

    stage: Stage
    random: Random
    price: Price
    started_at: datetime
    trial_end: datetime | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    _status: BillingStatus = NONE
    _monthly: int = 0

    @property
    def paid_from(self) -> datetime:
        return self.trial_end or self.started_at

    def step(self, at: datetime, status: BillingStatus, monthly: int | None = None, cause: str = "stripe") -> None:
        becomes = self._monthly if monthly is None else monthly
        self.changes.append(
            {
                "at": at,
                "recorded_at": at + timedelta(seconds=self.random.randrange(2, 40)),
                "status_before": self._status,
                "status_after": status,
                "currency": self.price.currency if self._monthly or becomes else None,
                "monthly_before": self._monthly,
                "monthly_after": becomes,
                "movement": billing_history.movement(self._monthly, becomes),
                "cause": cause,
            }
        )
        self._status, self._monthly = status, becomes

    def end(self, at: datetime) -> None:
        self.step(at, CANCELED, 0)

    def keep(self, status: str, start: datetime, end: datetime, **known: Any) -> "Life":
        """As Stripe told it last."""
        given: dict[str, Any] = {
            "status": status,
            "collection_paused": False,
            "currency": self.price.currency,
            "monthly_amount": self.price.monthly,
            "price_id": self.price.id,
            "trial_end": self.trial_end,
            "current_period_start": start,
            "current_period_end": end,
            **dict.fromkeys(("cancel_at", "canceled_at", "ended_at", "past_due_since")),
            "cancel_at_period_end": False,
            "next_payment_attempt": None,
            "amount_due": 0,
            "started_at": self.started_at,
            "created_at": self.started_at,
        }
        changed = max([self.started_at, *(change["at"] for change in self.changes)])
        fetched = self.stage.ago(minutes=self.random.randrange(5, 600))
        self.columns = given | {"updated_at": changed, "fetched_at": max(fetched, changed)} | known
        return self


def live(
    stage: Stage, random: Random, made: datetime, billing: BillingStatus, *, canceling: bool, yearly_late_days: int = 0
) -> Life:
    """A life that has led to this status today; `made` is when the client came."""
    interval = "year" if yearly_late_days or (billing is not LATE and random.random() < 0.2) else "month"
    price = Price(random.choice(PRICES[interval]), random.choice(CURRENCIES), interval)
    started = _second(min(made + timedelta(hours=random.uniform(0.2, 20)), stage.ago(minutes=30)))
    if billing is ON_TRIAL:
        return _on_trial(stage, random, price, started, canceling=canceling)
    has_trial = started + TRIAL < stage.ago(days=1) and (bool(yearly_late_days) or random.random() < 0.75)
    life = Life(stage, random, price, started, started + TRIAL if has_trial else None)
    if yearly_late_days:
        life.started_at = stage.ago(days=yearly_late_days) - price.period - TRIAL
        life.trial_end = life.started_at + TRIAL
    if life.trial_end:
        life.step(life.started_at, ON_TRIAL)
    if billing is CANCELED:
        return _canceled(life)
    start, end = _period(life, stage.today)
    _history(life, until=start if billing is LATE else stage.ago(days=1))
    if billing is LATE:
        return _late(life, start, end)
    return _active(life, start, end, canceling=canceling)


def _on_trial(stage: Stage, random: Random, price: Price, started: datetime, *, canceling: bool) -> Life:
    life = Life(stage, random, price, started, started + TRIAL)
    life.step(started, ON_TRIAL)
    return life.keep("trialing", started, started + TRIAL, **_canceling(life, started, started + TRIAL, canceling))


def _active(life: Life, start: datetime, end: datetime, *, canceling: bool) -> Life:
    paused = not canceling and life.random.random() < 0.03
    return life.keep("active", start, end, collection_paused=paused, **_canceling(life, start, end, canceling))


def _late(life: Life, start: datetime, end: datetime) -> Life:
    """The card was refused when the period began; after two weeks some are given up."""
    life.step(start, LATE)
    given_up = start + timedelta(days=15)
    unpaid = given_up < life.stage.today and life.random.random() < 0.4
    if unpaid:
        life.step(given_up, LATE, 0)
    again = None if unpaid else _second(life.stage.today + timedelta(days=life.random.uniform(0.2, 3)))
    late = {"amount_due": life.price.amount, "past_due_since": start, "next_payment_attempt": again}
    return life.keep("unpaid" if unpaid else "past_due", start, end, **late)


def _canceled(life: Life) -> Life:
    """Some periods after the first payment it ends with one of them."""
    price, paid_from = life.price, life.paid_from
    most = int((life.stage.today - paid_from) / price.period)
    if most < 1:
        # Never paid: it ends with its trial, or at once.
        ended = life.trial_end or life.started_at + timedelta(days=1)
        life.end(ended)
        return life.keep("canceled", life.started_at, ended, canceled_at=ended, ended_at=ended)
    ended = paid_from + life.random.randint(1, most) * price.period
    _history(life, until=ended - timedelta(days=1))
    asked = _second(ended - timedelta(days=life.random.uniform(1, 25)))
    life.end(ended)
    asked_for = {"cancel_at_period_end": True, "cancel_at": ended, "canceled_at": asked, "ended_at": ended}
    return life.keep("canceled", ended - life.price.period, ended, **asked_for)


def _history(life: Life, *, until: datetime) -> None:
    """The first payment, then prices that change and cards that fail for a few days."""
    first = life.price
    span = (until - life.paid_from) / timedelta(days=1)
    times = life.random.choice((0, 0, 1, 1, 2)) if span > 25 else 0
    moments = sorted(life.random.uniform(12, span) for _ in range(times))
    prices = [Price(life.random.choice(PRICES[first.interval]), first.currency, first.interval) for _ in moments]
    # The price of today is the last one; before it came the others.
    paid = [*prices, first]
    life.step(life.paid_from, ACTIVE, paid[0].monthly)
    if span > 60 and life.random.random() < 0.25:
        failed = life.paid_from + timedelta(days=life.random.uniform(1, 9))
        life.step(_second(failed), LATE)
        life.step(_second(failed + timedelta(hours=life.random.uniform(20, 22))), ACTIVE)
    for days, price in zip(moments, paid[1:], strict=True):
        if price.monthly != life.changes[-1]["monthly_after"]:
            life.step(_second(life.paid_from + timedelta(days=days)), ACTIVE, price.monthly)


def _period(life: Life, now: datetime) -> tuple[datetime, datetime]:
    """The one that is running now, counted from the first payment."""
    start = life.paid_from + int((now - life.paid_from) / life.price.period) * life.price.period
    return start, start + life.price.period


def _canceling(life: Life, start: datetime, end: datetime, canceling: bool) -> dict[str, Any]:
    if not canceling:
        return {}
    asked = _second(max(start, life.stage.ago(days=life.random.uniform(0.3, 20))))
    return {"cancel_at_period_end": True, "cancel_at": end, "canceled_at": asked}


def _second(moment: datetime) -> datetime:
    """Stripe counts in whole seconds."""
    return moment.replace(microsecond=0)
