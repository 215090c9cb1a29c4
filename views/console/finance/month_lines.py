"""The lines of closed months, as they were kept."""

from admin_app.policies.permissions import Permission
from admin_app.services.finance.month_lines import KINDS
from models import MonthClosing, MonthLine
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec

MONTH = Column("Month", MonthClosing.month, through=MonthLine.closing_id, text=lambda month: f"{month:%Y-%m}")
LINE = Column("From", MonthLine.line_key, "records", text=lambda key: (key,))
ABOUT = Column("About", MonthLine.about, "records", text=lambda key: (key,))
KIND = Column("Kind", MonthLine.kind, "badge")
AMOUNT = Column("Amount", MonthLine.amount, "money", currency=MonthLine.currency)


class MonthLinesView(ConsoleModelView):
    in_menu = Menu("Money", "Closed-month lines", "database", 310)
    permissions = reads(Permission.BILLING_READ)
    listing = ListSpec(
        section="month-lines",
        title="Closed-month lines",
        one="line",
        many="lines",
        lead="What closed months are made of. Nobody can change a line.",
        model=MonthLine,
        columns=(
            Column("Number", MonthLine.id, link=("month-lines", MonthLine.id)),
            MONTH,
            Column("At", MonthLine.at, "time"),
            KIND,
            AMOUNT,
            LINE,
            ABOUT,
        ),
        sorts={"id": Sort("Order in the books", MonthLine.id)},
        filters=(
            Choice("kind", "Kind", MonthLine.kind, KINDS),
            Exactly("currency", "Currency", MonthLine.currency),
            Exactly("closing", "Closing", MonthLine.closing_id),
        ),
        empty="Lines appear here when a month is closed.",
    )
    record = RecordSpec(
        title=Column("Line", MonthLine.line_key),
        badge=KIND,
        groups=(
            Group("Line", (MONTH, KIND, AMOUNT, Column("At", MonthLine.at, "time"))),
            Group("Where it comes from", (LINE, ABOUT)),
        ),
    )
