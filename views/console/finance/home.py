"""The page that finance opens every morning: what is due, who leaves, where money hangs, and revenue over time.

Every number leads to a list that holds exactly what it counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services import finance
from admin_app.services.core.amounts import decimals, money_text
from admin_app.services.core.utc_months import following, month_text, month_words
from admin_app.services.finance import Bucket, Sum, revenue_history
from admin_app.services.finance.revenue_history import History, Moved, RevenueMonth
from models import BillingStatus, Movement, RefundState
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, page
from views.console.framework.charts import Bar, Chart, Part, StackedChart, bar_chart, stacked_chart
from views.console.framework.columns import age_text, record_address
from views.console.framework.current_staff import viewer
from views.console.framework.navigation import Menu
from views.reading import read_session

STEPS = "/admin/billing-changes/"
DISPUTES = "/admin/disputes/"
# From the ground up, as bars are stacked and tables read.
SERIES = (
    (BillingStatus.ACTIVE, "active"),
    (BillingStatus.TRIAL, "on trial"),
    (BillingStatus.PAST_DUE, "past due"),
    (BillingStatus.CANCELED, "canceled"),
)
MOVEMENTS = (Movement.NEW, Movement.EXPANSION, Movement.CONTRACTION, Movement.CHURN)


@dataclass(frozen=True)
class Figure:
    """A headline number, what it counts, the list of exactly that, and what else is worth saying."""

    number: str
    label: str
    href: str
    detail: str = ""
    tone: str = "plain"


@dataclass(frozen=True)
class Linked:
    """A number and the list of exactly what it counts; `more` is said beside it."""

    label: str
    count: int
    href: str
    more: str = ""


class FinanceView(ConsoleView):
    in_menu = Menu("Money", "Finance", "chart-bar", 260)
    permissions = MappingProxyType({"index": Permission.BILLING_READ})

    def __init__(self) -> None:
        super().__init__(name="Finance", endpoint="finance", url="/admin/finance")

    @page("/")
    def index(self) -> ResponseReturnValue:
        session, now, zone = read_session(), backdesk().db.clock(), viewer().zone
        today = now.astimezone(zone).date()
        past_due = finance.past_due(session, today, zone)
        disputes = finance.disputes(session, today, zone)
        trials = finance.trials_ending(session, today, zone)
        leaving = finance.pending_cancellations(session)
        refunds = finance.refunds_by_state(session, today, zone)
        history = revenue_history.history(session, now)
        rendered: str = self.render(
            "console/finance/home.html",
            figures=[
                *_revenue_figures(history),
                *_waiting_figures(past_due.sum, trials, leaving.count, disputes.sum, refunds),
            ],
            statuses=_status_chart(history),
            revenue_charts=[_revenue_chart(currency, months) for currency, months in history.revenue.items()],
            ledgers=[(currency.upper(), _ledger(currency, months)) for currency, months in history.revenue.items()],
            movements=[kind.value for kind in MOVEMENTS],
            past_due=past_due,
            past_due_ages=[_linked(bucket, "/admin/past-due/", "since") for bucket in past_due.buckets],
            age=lambda moment: age_text(now - moment),
            trials=trials,
            trials_href=_trials(trials),
            leaving=leaving,
            disputes=disputes,
            deadlines=_deadlines(disputes),
            refunds=_refunds(refunds, today),
            refund_days=finance.REFUND_DAYS,
            zone=zone.key,
            record=record_address,
        )
        return rendered


def amounts_text(sums: Mapping[str, int]) -> str:
    """Amounts of each currency beside each other."""
    return " · ".join(money_text(amount, currency) for currency, amount in sorted(sums.items()))


def signed(amount: int, currency: str) -> str:
    return f"+{money_text(amount, currency)}" if amount > 0 else money_text(amount, currency)


def _address(section: str, **arguments: object) -> str:
    return f"{section}?{urlencode({name: value for name, value in arguments.items() if value is not None})}"


def _revenue_figures(history: History) -> list[Figure]:
    figures = []
    for currency, months in history.revenue.items():
        now = months[-1]
        figures.append(
            Figure(
                money_text(now.recurring, currency),
                f"recur a month, from {now.paying:,} {'client' if now.paying == 1 else 'clients'}",
                _recurring(currency, now.month),
                f"{signed(now.net, currency)} since the end of {month_words(following(now.month, -1))}",
            )
        )
    return figures


def _recurring(currency: str, month: date) -> str:
    return _address(STEPS, revenue_at=month_text(month), currency=currency)


def _waiting_figures(
    past_due: Sum, trials: finance.Trials, leaving: int, disputes: Sum, refunds: Mapping[RefundState, Sum]
) -> list[Figure]:
    unknown = refunds[RefundState.UNKNOWN].count
    figures = [
        Figure(
            f"{past_due.count:,}",
            "subscriptions are past due",
            "/admin/past-due/",
            amounts_text(past_due.amounts),
            "bad" if past_due.count else "plain",
        ),
        Figure(f"{trials.count:,}", f"trials end by {trials.last.day} {trials.last:%B}", _trials(trials)),
        Figure(f"{leaving:,}", "cancellations are pending", "/admin/cancellations/"),
        Figure(
            f"{disputes.count:,}",
            "disputes wait for our answer",
            _address(DISPUTES, state="unanswered"),
            amounts_text(disputes.amounts),
            "bad" if disputes.count else "plain",
        ),
    ]
    rare = Figure(f"{unknown:,}", "refunds without an answer", "/admin/refunds/?state=unknown", tone="bad")
    return [*figures, rare] if unknown else figures


def _trials(trials: finance.Trials) -> str:
    bounds = {"trial_ends_from": trials.first, "trial_ends_to": trials.last}
    return _address("/admin/clients/", billing="trial", **bounds, sort="trial_ends")


def _linked(bucket: Bucket, section: str, argument: str, **also: str) -> Linked:
    bounds = {f"{argument}_from": bucket.first, f"{argument}_to": bucket.last}
    href = _address(section, **also, **bounds)
    return Linked(bucket.label, bucket.sum.count, href, amounts_text(bucket.sum.amounts))


def _deadlines(disputes: finance.Disputes) -> list[Linked]:
    links = [_linked(bucket, DISPUTES, "evidence", state="unanswered") for bucket in disputes.buckets]
    if disputes.without_deadline:
        links.append(Linked("no deadline told", disputes.without_deadline, _address(DISPUTES, state="no_deadline")))
    return links


def _refunds(refunds: Mapping[RefundState, Sum], today: date) -> list[Linked]:
    since = finance.settled_since(today)
    return [
        Linked(
            state.value.replace("_", " "),
            found.count,
            _address(
                "/admin/refunds/",
                state=state.value,
                created_from=since if state in finance.SETTLED_REFUNDS else None,
            ),
            amounts_text(found.amounts),
        )
        for state, found in refunds.items()
    ]


def _status_chart(history: History) -> StackedChart:
    def parts(place: int, month: date) -> list[Part]:
        return [
            Part(
                status.value,
                history.statuses.get(status, (0,) * len(history.months))[place],
                _address(STEPS, status_at=month_text(month), status=status.value),
            )
            for status, _ in SERIES
        ]

    stacks = [(_label(month), parts(place, month)) for place, month in enumerate(history.months)]
    series = [(status.value, words) for status, words in SERIES]
    return stacked_chart(
        "Clients by billing status at the end of each month", "clients", series, stacks if history.statuses else []
    )


def _label(month: date) -> str:
    return f"{month:%b %Y}"


def _revenue_chart(currency: str, months: Sequence[RevenueMonth]) -> Chart:
    places = decimals(currency)
    bars = [
        Bar(_label(each.month), each.recurring / 10**places, _recurring(currency, each.month), _short(each, places))
        for each in months
    ]
    return bar_chart(f"Recurring revenue a month, {currency.upper()}", currency.upper(), bars)


def _short(each: RevenueMonth, places: int) -> str:
    """The amount in as few signs as fit above a bar; the ledger below has it exactly."""
    whole = each.recurring / 10**places
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if whole >= limit:
            return f"{whole / limit:.1f}{unit}"
    return f"{whole:.0f}"


def _ledger(currency: str, months: Sequence[RevenueMonth]) -> list[dict[str, Any]]:
    """Newest month first: each movement with its steps, their sum, and what recurred at the end."""
    return [
        {
            "month": _label(each.month),
            "running": each is months[-1],
            "moved": [_moved(currency, each, kind) for kind in MOVEMENTS],
            "net": signed(each.net, currency),
            "recurring": money_text(each.recurring, currency),
            "paying": Linked("", each.paying, _recurring(currency, each.month)),
        }
        for each in reversed(months)
    ]


def _moved(currency: str, month: RevenueMonth, kind: Movement) -> Linked:
    moved = month.moved.get(kind, Moved())
    href = _address(STEPS, movement=kind.value, month=month_text(month.month), currency=currency)
    return Linked(f"{kind.value} in {_label(month.month)}", moved.count, href, signed(moved.amount, currency))
