"""Months: which are closed, what each is made of, what changed since, and taking a closed one away as a file."""

from collections.abc import Iterable, Iterator
from datetime import date
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from flask import Response, request, stream_with_context
from flask.typing import ResponseReturnValue

from admin_app.context import Ctx
from admin_app.db_limits import Limits
from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.core import audit
from admin_app.services.core.amounts import money_text
from admin_app.services.core.records import month_key
from admin_app.services.core.table_files import csv_bytes, xlsx_bytes
from admin_app.services.core.utc_months import following, month_text, month_words, read_month
from admin_app.services.finance import month_adjustments, months
from admin_app.services.finance.month_lines import DISPUTE, KIND_WORDS, MONEY, PAYMENT, REFUND, REGAINED, Total
from admin_app.services.finance.months import MonthState
from models import MonthClosing
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, command, console_unit_of_work, page
from views.console.framework.columns import audited
from views.console.framework.current_staff import viewer
from views.console.framework.navigation import Menu
from views.console.framework.plan_pages import CommandPage
from views.reading import read_session

PAGE = 12
SHOWN_ADJUSTMENTS = 200
HISTORY = 20
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class MonthsView(ConsoleView):
    in_menu = Menu("Money", "Months", "lock", 300)
    permissions = MappingProxyType(
        {
            "index": Permission.BILLING_READ,
            "show": Permission.BILLING_READ,
            "close": Permission.MONTHS_CLOSE,
            "export": Permission.EXPORTS_MAKE,
        }
    )

    def __init__(self) -> None:
        super().__init__(name="Months", endpoint="months", url="/admin/months")

    @page("/")
    def index(self) -> ResponseReturnValue:
        now, last = backdesk().db.clock(), read_month(request.args.get("last", ""))
        found = months.months(read_session(), now, last=last, size=PAGE)
        earlier = following(found[-1].month, -1) if len(found) == PAGE else None
        rendered: str = self.render(
            "console/finance/months.html",
            rows=[_row(state) for state in found],
            newest=None if last is None else "/admin/months/",
            earlier=f"/admin/months/?last={month_text(earlier)}" if earlier else None,
            zone=viewer().zone.key,
        )
        return rendered

    @page("/<month>")
    def show(self, month: str) -> ResponseReturnValue:
        session, now, wanted = read_session(), backdesk().db.clock(), _read(month)
        state = months.month_state(session, wanted, now)
        if wanted > now.date():
            raise NotFound("This month has not begun.")
        closing = state.closing
        rendered: str = self.render(
            "console/finance/month.html",
            title=month_words(wanted),
            state=_state_words(state),
            closing=closing,
            totals=_totals(state, month_adjustments.adjusted_totals(session, closing) if closing else ()),
            lines_href=f"/admin/month-lines/?closing={closing.id}" if closing else None,
            adjustments=_adjustments(closing),
            most=SHOWN_ADJUSTMENTS,
            moving=months.moving(session, wanted).sentences() if state.is_over and not closing else (),
            actions=_actions(state),
            export=f"/admin/months/{month}/export",
            formats=[(name, name.upper()) for name in months.FORMATS],
            history=audit.history(session, month_key(wanted), limit=HISTORY),
            zone=viewer().zone.key,
        )
        return rendered

    @command("/<month>/close")
    def close(self, month: str) -> ResponseReturnValue:
        wanted, address = _read(month), f"/admin/months/{month}"

        def act(ctx: Ctx) -> str:
            form = request.form
            made = months.close(ctx, month=wanted, note=form.get("reason"), shown=form.get("fingerprint", ""))
            return f"{month_words(wanted)} is closed with {made.lines:,} {'line' if made.lines == 1 else 'lines'}."

        return CommandPage(
            view=self,
            plan=lambda ctx: months.plan_close(ctx, month=wanted),
            act=act,
            button=f"Close {month_words(wanted)}",
            title="Close the month",
            subtitle=f"{month_words(wanted)}, in UTC",
            cancel=address,
            template="console/finance/close.html",
            more={"asks_reason": False},
        ).respond()

    @page("/<month>/export", methods=("POST",))
    def export(self, month: str) -> ResponseReturnValue:
        wanted, file_format = _read(month), request.form.get("format", "")
        with console_unit_of_work() as ctx:
            closing = months.export(ctx, month=wanted, file_format=file_format)
            key, closed_at = closing.id, closing.closed_at
        rows = _rows(key)
        header = months.EXPORT_HEADER
        blocks = csv_bytes(header, rows) if file_format == "csv" else xlsx_bytes(header, rows, created=closed_at)
        name = f"backdesk-month-{month_text(wanted)}.{file_format}"
        return Response(
            stream_with_context(blocks),
            content_type=TYPES[file_format],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def _rows(closing_id: int) -> Iterator[tuple[Any, ...]]:
    """The kept lines, read while the file is sent."""
    with backdesk().db.stream(Limits.of_worker(backdesk().settings)) as session:
        yield from months.export_rows(session, closing_id)


def _read(text: str) -> date:
    month = read_month(text)
    if month is None:
        raise NotFound("There is no such month. Months are written like 2026-05.")
    return month


def _state_words(state: MonthState) -> tuple[str, str]:
    """The state in a word and its tone."""
    if state.closing:
        return "closed", "good"
    return ("open", "warn") if state.is_over else ("running", "plain")


def _row(state: MonthState) -> dict[str, Any]:
    money = [total for total in state.totals if total.kind in MONEY]
    moved = [total for total in state.totals if total.kind not in MONEY]
    return {
        "words": month_words(state.month),
        "href": f"/admin/months/{month_text(state.month)}",
        "state": _state_words(state),
        "closing": state.closing,
        "money": _net(money),
        "moved": _net(moved),
        "lines": sum(total.lines for total in state.totals),
        "adjustments": state.adjustments,
    }


def _net(totals: Iterable[Total]) -> list[str]:
    """Sums per currency."""
    sums: dict[str, int] = {}
    for total in totals:
        sums[total.currency] = sums.get(total.currency, 0) + total.amount
    return [money_text(amount, currency) for currency, amount in sums.items()]


def _totals(state: MonthState, adjusted: tuple[tuple[str, str, int, int], ...]) -> list[dict[str, Any]]:
    """Per kind and currency: what is kept, by how much it is adjusted, and what it is now."""
    changes = {(kind, currency): (count, amount) for kind, currency, count, amount in adjusted}
    known = {(total.kind, total.currency): total for total in state.totals}
    missing = [Total(kind, currency, 0, 0) for kind, currency in changes if (kind, currency) not in known]
    rows = []
    for total in (*state.totals, *missing):
        count, amount = changes.get((total.kind, total.currency), (0, 0))
        rows.append(
            {
                "kind": KIND_WORDS[total.kind],
                "currency": total.currency.upper(),
                "lines": total.lines,
                "href": _lines_address(state, total),
                "amount": money_text(total.amount, total.currency),
                "adjusted": money_text(amount, total.currency) if count else "",
                "now": money_text(total.amount + amount, total.currency),
            }
        )
    return rows


def _lines_address(state: MonthState, total: Total) -> str:
    """The list of exactly the lines of a sum: the kept ones, or while the month is open the records themselves."""
    if state.closing:
        return _list("month-lines", closing=state.closing.id, kind=total.kind, currency=total.currency)
    month, currency = month_text(state.month), total.currency
    if total.kind == PAYMENT:
        return _list("payments", state="paid", paid_in=month, currency=currency)
    if total.kind == REFUND:
        return _list("refunds", state="succeeded", of="appointments", settled_in=month, currency=currency)
    if total.kind == DISPUTE:
        return _list("disputes", lost_in=month, currency=currency)
    if total.kind == REGAINED:
        return _list("disputes", won_back_in=month, currency=currency)
    return _list("billing-changes", movement=total.kind, month=month, currency=currency)


def _list(section: str, **arguments: object) -> str:
    return f"/admin/{section}/?{urlencode(arguments)}"


def _adjustments(closing: MonthClosing | None) -> list[dict[str, Any]]:
    if closing is None:
        return []
    found = month_adjustments.adjustments(read_session(), closing, limit=SHOWN_ADJUSTMENTS)
    return [
        {
            "name": audited(each.line_key),
            "about": audited(each.about),
            "what": each.what,
            "kind": KIND_WORDS[each.kind],
            "kept": None if each.kept is None else money_text(each.kept, each.currency),
            "now": None if each.now is None else money_text(each.now, each.currency),
            "difference": money_text(each.difference, each.currency),
            "changed_at": each.changed_at,
        }
        for each in found
    ]


def _actions(state: MonthState) -> list[tuple[str, str, str]]:
    may = viewer().may(Permission.MONTHS_CLOSE) and state.is_over and not state.closing
    return [("Close the month", f"/admin/months/{month_text(state.month)}/close", "primary")] if may else []
