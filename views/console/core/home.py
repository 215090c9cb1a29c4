"""The first page after sign-in: what waits for someone, and the way to everything this person may read."""

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from flask.typing import ResponseReturnValue

from admin_app.policies.permissions import Permission
from admin_app.services import invariants
from admin_app.services.attention import worklists
from admin_app.services.attention.worklists import MoneyWaiting, Waiting
from admin_app.services.core import failed_jobs
from admin_app.services.invariants import Standing
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, page
from views.console.framework.columns import age_text, audited, time_text
from views.console.framework.current_staff import Viewer, viewer
from views.console.framework.navigation import Menu
from views.reading import read_session

# How the label reads where there is one.
ONE = {
    "purchases wait for their owner": "purchase waits for its owner",
    "events are parked until what they need is there": "event is parked until what it needs is there",
    "extra purchases of people already pro": "extra purchase of somebody already pro",
    "events could not be processed": "event could not be processed",
    "mails could not be sent": "mail could not be sent",
    "mails may or may not have gone out": "mail may or may not have gone out",
    "calls at providers need attention": "call at a provider needs attention",
    "background jobs failed for good": "background job failed for good",
    "differences with providers": "difference with a provider",
    "flags past their end date wait for a decision": "flag past its end date waits for a decision",
    "refunds wait for a second person": "refund waits for a second person",
    "payments of canceled appointments wait for a decision": "payment of a canceled appointment waits for a decision",
    "subscriptions are past due": "subscription is past due",
    "refunds without an answer": "refund without an answer",
    "refunds came back": "refund came back",
    "disputes wait for an answer": "dispute waits for an answer",
    "late payments refunded this week": "late payment refunded this week",
}


@dataclass(frozen=True)
class Tile:
    """One kind of open work: how much, what it is, where it is done."""

    count: int
    label: str
    href: str
    detail: str = ""
    tone: str = "plain"

    @property
    def words(self) -> str:
        return ONE.get(self.label, self.label) if self.count == 1 else self.label


class HomeView(ConsoleView):
    in_menu = Menu("", "Home", "home", 10)
    permissions = MappingProxyType({"index": Permission.HOME_READ})

    def __init__(self) -> None:
        super().__init__(name="Home", endpoint="admin", url="/admin")

    @page("/")
    def index(self) -> ResponseReturnValue:
        session, now, person = read_session(), backdesk().db.clock(), viewer()
        tiles = _tiles(worklists.waiting(session), now) + _job_tiles(failed_jobs.waiting(session))
        if person.may(Permission.PAYMENTS_READ):
            money = _money_tiles(worklists.money_waiting(session, now), now, person)
            # Whoever decides about money finds it first.
            tiles = money + tiles if person.may(Permission.REFUNDS_APPROVE) else tiles + money
        if person.may(Permission.DRIFT_READ):
            tiles += _difference_tiles(*worklists.differences_waiting(session), now)
        if person.may(Permission.CLIENTS_READ):
            tiles += _switch_tiles(worklists.switches_waiting(session, now))
        rendered: str = self.render(
            "console/core/home.html",
            shortcuts=[("Finance", "/admin/finance/", "plain")] if person.may(Permission.MONTHS_CLOSE) else [],
            tiles=tiles,
            next_purchases=[(each, age_text(now - each.created_at)) for each in worklists.next_purchases(session)],
            recent=worklists.recent_commands(session),
            rules=_rules(invariants.standing(session), now, person),
        )
        return rendered


def _tiles(work: Waiting, now: datetime) -> list[Tile]:
    oldest = f"the oldest for {age_text(now - work.oldest_purchase)}" if work.oldest_purchase else ""
    tiles = [
        Tile(work.unclaimed, "purchases wait for their owner", "/admin/purchases/", oldest),
        Tile(
            work.with_likely_owner,
            "of them with a likely owner",
            "/admin/purchases/?owner=yes",
            "a look and a click each",
            "good",
        ),
        Tile(
            work.parked_events,
            "events are parked until what they need is there",
            "/admin/webhook-events/?state=parked",
        ),
        Tile(work.extra_purchases, "extra purchases of people already pro", "/admin/extra-purchases/?open=yes"),
    ]
    broken = [
        Tile(work.failed_events, "events could not be processed", "/admin/webhook-events/?state=failed", tone="bad"),
        Tile(work.failed_mails, "mails could not be sent", "/admin/sent-emails/?state=failed", tone="bad"),
        Tile(
            work.unknown_mails,
            "mails may or may not have gone out",
            "/admin/sent-emails/?state=unknown",
            tone="bad",
        ),
        Tile(
            work.calls,
            "calls at providers need attention",
            "/admin/provider-calls/?attention=yes",
            f"the oldest for {age_text(now - work.oldest_call)}" if work.oldest_call else "",
            "bad",
        ),
    ]
    return tiles + [tile for tile in broken if tile.count]


def _rules(standing: Standing, now: datetime, person: Viewer) -> dict[str, Any]:
    """What is broken of what must always be true, for whom can do something about it, and when that was looked at."""
    known = [(invariants.BY_NAME.get(each.name), each) for each in standing.findings]
    broken = [
        {
            "sentence": rule.sentence,
            "since": time_text(each.first_found_at, person.zone),
            "count": f"{each.count:,}" if each.count <= invariants.COUNTED else f"more than {invariants.COUNTED:,}",
            "records": [_record(record) for record in each.records],
            "more": each.count > len(each.records),
        }
        for rule, each in known
        if rule is not None and person.may(rule.permission)
    ]
    return {
        "broken": broken,
        "others": len(known) - len(broken),
        "checked": f"{age_text(now - standing.checked_at)} ago" if standing.checked_at else "",
        "unanswered": [rule.sentence for name in standing.unanswered if (rule := invariants.BY_NAME.get(name))],
    }


def _record(told: str) -> tuple[str, str]:
    """A record that breaks a rule, which may be followed by what is said of it: its words, and its page."""
    record, _, more = told.partition(" ")
    words, href = audited(record)
    return f"{words} {more}".strip(), href


def _job_tiles(failed: int) -> list[Tile]:
    return [Tile(failed, "background jobs failed for good", "/admin/failed-jobs/", tone="bad")] if failed else []


def _difference_tiles(count: int, oldest: datetime | None, now: datetime) -> list[Tile]:
    detail = f"the oldest for {age_text(now - oldest)}" if oldest else ""
    return [Tile(count, "differences with providers", "/admin/drift-findings/?state=open", detail)] if count else []


def _switch_tiles(past_their_end: int) -> list[Tile]:
    label = "flags past their end date wait for a decision"
    return [Tile(past_their_end, label, "/admin/flag-changes/?state=waiting", tone="bad")] if past_their_end else []


def _money_tiles(work: MoneyWaiting, now: datetime, person: Viewer) -> list[Tile]:
    until = f"evidence until {time_text(work.evidence_until, person.zone)}" if work.evidence_until else ""
    decide = Tile(work.to_decide, "refunds wait for a second person", "/admin/approvals/?open=yes", tone="good")
    oldest = f"the oldest for {age_text(now - work.past_due_since)}" if work.past_due_since else ""
    week_ago = (now - worklists.LATE_PAYMENTS_SHOWN).astimezone(person.zone).date()
    kept_for = f"the oldest for {age_text(now - work.undecided_since)}" if work.undecided_since else ""
    rare = [
        Tile(
            work.undecided,
            "payments of canceled appointments wait for a decision",
            "/admin/payments/?decision=waits",
            kept_for,
            "bad",
        ),
        Tile(work.past_due, "subscriptions are past due", "/admin/past-due/", oldest, "bad"),
        Tile(work.unknown_refunds, "refunds without an answer", "/admin/refunds/?state=unknown", tone="bad"),
        Tile(work.returned_refunds, "refunds came back", "/admin/refunds/?returned=open", tone="bad"),
        Tile(work.disputes, "disputes wait for an answer", "/admin/disputes/?state=unanswered", until, "bad"),
        Tile(
            work.late_payments,
            "late payments refunded this week",
            f"/admin/refunds/?origin=backdesk&created_from={week_ago}",
        ),
    ]
    always = [decide] if person.may(Permission.REFUNDS_APPROVE) or work.to_decide else []
    return always + [tile for tile in rare if tile.count]
