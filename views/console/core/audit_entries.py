"""The audit: who did what to which records, and why."""

from typing import Any

from sqlalchemy import func, select

from admin_app.policies.permissions import Permission
from admin_app.services.core import audit
from models import AuditEntry
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Days, Exactly, Holds
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search
from views.reading import read_session

ACTOR_KINDS = ("staff", "customer", "guest", "provider", "job")
SENTENCE = Column(
    "What",
    func.jsonb_build_array(AuditEntry.event, AuditEntry.actor_kind, AuditEntry.actor_label, AuditEntry.facts),
    text=lambda parts: audit.sentence(parts[0], audit.actor_name(parts[1], parts[2]), parts[3]),
)
BY = Column(
    "By",
    func.jsonb_build_array(AuditEntry.actor_kind, AuditEntry.actor_label),
    text=lambda parts: audit.by_whom(parts[0], parts[1]),
)


class AuditEntriesView(ConsoleModelView):
    in_menu = Menu("Oversight", "Audit", "history", 470)
    permissions = reads(Permission.AUDIT_READ)
    record_template = "console/core/audit_entry.html"
    listing = ListSpec(
        section="audit-entries",
        title="Audit",
        one="audit entry",
        many="audit entries",
        model=AuditEntry,
        columns=(
            Column("Number", AuditEntry.id, link=("audit-entries", AuditEntry.id)),
            SENTENCE,
            Column("Reason", AuditEntry.reason),
            Column("Records", AuditEntry.records, "records"),
            Column("When", AuditEntry.at, "time", sort="when"),
        ),
        sorts={"when": Sort("When", AuditEntry.at, descending=True)},
        filters=(
            Choice("by", "By", AuditEntry.actor_kind, ACTOR_KINDS),
            Days("when", "When", AuditEntry.at),
            Exactly("event", "Event", AuditEntry.event),
            Exactly("actor", "Staff member", AuditEntry.actor_id, within=AuditEntry.actor_kind == "staff"),
            Holds("record", "Record", AuditEntry.records),
        ),
        search=Search(hint="Number of an entry; the page of a record shows what was done to it", key=AuditEntry.id),
        empty="Nothing was done in the console yet.",
    )
    record = RecordSpec(
        title=SENTENCE,
        groups=(
            Group(
                "Who and when",
                (
                    Column("When", AuditEntry.at, "time"),
                    BY,
                    Column("Kind", AuditEntry.actor_kind),
                    Column("Request", AuditEntry.request_id, "code"),
                ),
            ),
            Group(
                "What",
                (
                    Column("Event", AuditEntry.event, "code"),
                    Column("Records", AuditEntry.records, "records"),
                    Column("Reason", AuditEntry.reason),
                    Column("Facts", AuditEntry.facts, "fields"),
                ),
            ),
        ),
    )

    def more(self, record_id: str) -> dict[str, Any]:
        found = select(AuditEntry).where(AuditEntry.id == self.listing.parse_key(record_id))
        return {"entry": audit.as_history(read_session().scalars(found).one())}
