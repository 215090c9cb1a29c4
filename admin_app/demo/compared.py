"""The nightly comparisons with the providers, and what they left for a person: true of what the simulator holds."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from admin_app.context import Ctx, Staff
from admin_app.demo.clock import Stage
from admin_app.demo.lives import Price
from admin_app.demo.purchases import Script
from admin_app.services import drift
from admin_app.services.core.plans import Plan
from admin_app.services.core.records import subscription_key
from admin_app.services.drift import drift_resolving, drift_subscriptions
from models import BillingStatus, Client, ClientCustomer, DriftFinding, DriftRun, DriftState, Role, Subscription

NIGHTS = 5
# Of how many objects each comparison looks at, in a month's reach.
COMPARED = {"stripe": 940, "whop": 980, "calendly": 310, "calcom": 270}
# Subscriptions of customers whom nobody here knows: since how many days, and the price.
STRANGERS = ((12, Price(9_900, "eur", "month")), (4, Price(4_900, "usd", "month")), (3, Price(4_900, "eur", "month")))
GONE_SINCE = 2


class Comparisons:
    """Puts the runs and findings in, and notes in the script what people decided about them."""

    def __init__(self, stage: Stage, script: Script, staff: dict[Role, Staff]) -> None:
        self.stage = stage
        self.script = script
        self.staff = staff
        self.session = stage.ctx.session
        self._invention = stage.invention("compared")
        self._random = self._invention.random
        self._runs: dict[int, int] = {}

    def note_all(self) -> None:
        self._put_runs()
        strangers = [self._stranger(*each) for each in STRANGERS]
        gone = self._gone()
        self._repaired()
        self._assign(self.stage.ago(days=9.2), strangers[0], "Their accountant may know who this is.")
        self._ignore(self.stage.ago(days=1.6), strangers[2], "Our own account for trying out new prices.")
        if gone is not None:
            self._assign(self.stage.ago(days=0.7), gone, "Asked Stripe whether it was deleted by hand.")

    def _put_runs(self) -> None:
        rows = []
        for night in range(max(days for days, _ in STRANGERS) + 1, -1, -1):
            if night > NIGHTS and night not in {days for days, _ in STRANGERS}:
                continue
            for minutes, (provider, compared) in enumerate(COMPARED.items()):
                # In the night before that day's findings were seen.
                began = self.stage.ago(days=night, minutes=130 - 9 * minutes)
                rows.append(self._run(provider, began, compared, night))
        inserted = insert(DriftRun).returning(DriftRun.id, sort_by_parameter_order=True)
        ids = self.session.scalars(inserted, [row for _, row in rows]).all()
        for (night, row), number in zip(rows, ids, strict=True):
            if row["provider"] == "stripe":
                self._runs[night] = number

    def _run(self, provider: str, began: datetime, compared: int, night: int) -> tuple[int, dict[str, Any]]:
        waiting = sum(days >= night for days, _ in STRANGERS) if provider == "stripe" else 0
        ended = began + timedelta(seconds=self._random.randrange(40, 300))
        row = {
            "provider": provider,
            "by": f"compare_with_{provider}",
            "started_at": began,
            "finished_at": ended,
            "heartbeat_at": ended,
            "compared": compared + self._random.randrange(40),
            "repaired": 3 if provider == "stripe" and night == GONE_SINCE else 0,
            "found": waiting,
        }
        return night, row

    def _stranger(self, days: int, price: Price) -> int:
        """Somebody subscribed at Stripe by a payment link; nobody told Backdesk."""
        found_at = self._seen(days)
        began = found_at - timedelta(hours=self._random.randrange(3, 20))
        letters = self._invention.letters(14)
        row = Subscription(
            stripe_subscription_id=f"sub_{days}{letters}",
            stripe_customer_id=f"cus_{days}{letters}",
            status="active",
            collection_paused=False,
            currency=price.currency,
            monthly_amount=price.monthly,
            price_id=price.id,
            current_period_start=began,
            current_period_end=began + price.period,
            cancel_at_period_end=False,
            started_at=began,
            amount_due=0,
            fetched_at=self._seen(0),
            created_at=found_at,
            updated_at=found_at,
        )
        known = ClientCustomer(
            stripe_customer_id=row.stripe_customer_id,
            email=f"{row.stripe_customer_id[4:].lower()}@elsewhere.example",
            last_seen_at=row.fetched_at,
            created_at=found_at,
            updated_at=found_at,
        )
        self.session.add_all((row, known))
        self.session.flush()
        return self._finding(days, row, drift_subscriptions.CLIENT, None, None, "customer_unknown")

    def _gone(self) -> int | None:
        """One that we hold and that Stripe does not know any more."""
        row = self.session.scalars(
            select(Subscription)
            .join(Client, Client.id == Subscription.client_id)
            .where(
                Client.billing_status == BillingStatus.ACTIVE,
                ~Client.pending_cancellation,
                Subscription.started_at < self.stage.ago(days=60),
            )
            .order_by(Subscription.id)
        ).first()
        if row is None:
            return None
        ours = drift_subscriptions.ours(self.session, row.stripe_subscription_id)
        if ours is None:
            raise RuntimeError("a subscription of the demo is not there")
        return self._finding(GONE_SINCE, row, drift.RECORD, drift.in_short(ours.values), None, "gone_there")

    def _repaired(self) -> None:
        """What a run took in by itself after deliveries were lost."""
        late = self.session.scalars(
            select(Subscription).where(Subscription.past_due_since < self._seen(GONE_SINCE)).order_by(Subscription.id)
        ).all()[:3]
        for row in late:
            finding = self._finding(GONE_SINCE, row, "status", "active", row.status, None)
            repaired = self.session.get_one(DriftFinding, finding)
            repaired.state, repaired.resolved_at = DriftState.REPAIRED, repaired.found_at
            repaired.resolved_by, repaired.last_seen_at = "compare_with_stripe", repaired.found_at
        self.session.flush()

    def _finding(
        self, days: int, row: Subscription, field: str, ours: str | None, theirs: str | None, because: str | None
    ) -> int:
        made = DriftFinding(
            run_id=self._runs[days],
            provider="stripe",
            external_id=row.stripe_subscription_id,
            subject=subscription_key(row.id),
            field=field,
            ours=ours,
            theirs=theirs,
            because=because,
            found_at=self._seen(days),
            last_seen_at=self._seen(0),
        )
        self.session.add(made)
        self.session.flush()
        return made.id

    def _seen(self, days: int) -> datetime:
        return self.stage.ago(days=days, minutes=129)

    def _assign(self, moment: datetime, finding_id: int, reason: str) -> None:
        finance = self.staff[Role.FINANCE]

        def plan(ctx: Ctx) -> Plan:
            return drift_resolving.plan_assign(ctx, finding_id=finding_id, email=finance.email)

        def act(ctx: Ctx, shown: str) -> None:
            drift_resolving.assign(ctx, finding_id=finding_id, email=finance.email, reason=reason, shown=shown)

        self._note(moment, plan, act)

    def _ignore(self, moment: datetime, finding_id: int, reason: str) -> None:
        def plan(ctx: Ctx) -> Plan:
            return drift_resolving.plan_ignore(ctx, finding_id=finding_id)

        def act(ctx: Ctx, shown: str) -> None:
            drift_resolving.ignore(ctx, finding_id=finding_id, reason=reason, shown=shown)

        self._note(moment, plan, act)

    def _note(self, moment: datetime, plan: Callable[[Ctx], Plan], act: Callable[[Ctx, str], None]) -> None:
        request_id = f"{self._random.getrandbits(128):032x}"

        def decided() -> None:
            ctx = self.stage.at(moment, self.staff[Role.FINANCE], request_id)
            act(ctx, plan(ctx).fingerprint)

        self.script.note(moment, decided)
