"""Every period in which a flag was on, is on or will be: who, why, from when until when."""

from dataclasses import replace

from sqlalchemy import and_, case, func, or_

from admin_app.policies.permissions import Permission
from admin_app.services.clients.flag_words import ON_EXPIRY, WORDS
from models import Client, FlagChange, FlagName, OnExpiry
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, OneOf
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec
from views.console.framework.searching import Search

SWITCH = Column("Flag", FlagChange.flag, text=lambda flag: WORDS[flag].name)
# The way from the list to the period.
PERIOD = replace(SWITCH, link=("flag-changes", FlagChange.id))
CLIENT = Column("Client", Client.name, through=FlagChange.client_id, link=("clients", FlagChange.client_id))
UNTIL = Column("Until", FlagChange.until, "time")
ENDED = Column("Ended", FlagChange.lifted_at, "time")

# By the database's clock, as the product itself asks.
NOW = func.now()
OPEN = and_(FlagChange.lifted_at.is_(None), FlagChange.value)
OVER = and_(FlagChange.on_expiry == OnExpiry.LIFT, FlagChange.until.is_not(None), FlagChange.until <= NOW)
STATES = {
    "in_force": ("in force", and_(OPEN, FlagChange.since <= NOW, ~func.coalesce(OVER, False))),
    "waiting": (
        "past its end date, waits for a decision",
        and_(OPEN, FlagChange.on_expiry == OnExpiry.STAY, FlagChange.until <= NOW),
    ),
    "scheduled": ("scheduled", and_(OPEN, FlagChange.since > NOW)),
    "over": ("over", or_(FlagChange.lifted_at.is_not(None), ~FlagChange.value, func.coalesce(OVER, False))),
}


# Each period by the first of these that it is.
STATE = Column(
    "State",
    case(
        (~FlagChange.value, "note"),
        (STATES["over"][1], "over"),
        (STATES["waiting"][1], "waits"),
        (STATES["scheduled"][1], "scheduled"),
        else_="in force",
    ).label("state"),
    "badge",
)


class FlagChangesView(ConsoleModelView):
    in_menu = Menu("Customers", "Flags", "contrast-2", 170)
    permissions = reads(Permission.CLIENTS_READ)
    listing = ListSpec(
        section="flag-changes",
        title="Flags",
        one="period",
        model=FlagChange,
        columns=(
            PERIOD,
            CLIENT,
            STATE,
            Column("Why", FlagChange.reason),
            Column("By", FlagChange.by),
            Column("Since", FlagChange.since, "time", sort="since"),
            UNTIL,
            ENDED,
        ),
        sorts={
            "since": Sort("Since", FlagChange.since, descending=True),
            "id": Sort("Order of arrival", FlagChange.id, descending=True),
        },
        filters=(
            Choice.of("flag", "Flag", FlagChange.flag, FlagName),
            OneOf("state", "State", STATES),
            Days("since", "Since", FlagChange.since),
            Exactly("client", "Client", FlagChange.client_id),
            Exactly("by", "By", FlagChange.by),
            Exactly("run", "Run", FlagChange.bulk_run_id),
        ),
        search=Search(hint="Number, or who did it by their e-mail", exact=(FlagChange.by,), key=FlagChange.id),
        empty="Nobody has switched anything off or on yet.",
    )
    record = RecordSpec(
        title=SWITCH,
        badge=STATE,
        groups=(
            Group(
                "Period",
                (
                    CLIENT,
                    SWITCH,
                    Column("On", FlagChange.value, "yes_no"),
                    Column("Why", FlagChange.reason),
                    Column("By", FlagChange.by),
                    Column("Since", FlagChange.since, "time"),
                    UNTIL,
                    Column("At the end date", FlagChange.on_expiry, text=lambda at_end: ON_EXPIRY[at_end]),
                ),
            ),
            Group(
                "End",
                (
                    ENDED,
                    Column("Ended by", FlagChange.lifted_by),
                    Column("Ended because", FlagChange.lift_reason),
                    Column("Told before it ends", FlagChange.tell_email),
                    Column("To be told at", FlagChange.tell_at, "time"),
                    Column("Told", FlagChange.told_at, "time"),
                ),
            ),
            Group("Record", (Column("Made", FlagChange.created_at, "time"),)),
        ),
        commands=(
            Command(
                label="Cancel what is scheduled",
                permission=Permission.CLIENTS_SWITCH,
                address=lambda key: f"/admin/flag-changes/{key}/cancel",
                when=lambda values: values["state"] == "scheduled",
                tone="danger",
            ),
        ),
        audited_as="flag_change",
    )
