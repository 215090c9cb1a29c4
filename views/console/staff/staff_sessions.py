"""Where the staff is signed in. The cookie's hash is never shown."""

from admin_app.policies.permissions import Permission
from models import StaffMember, StaffSession
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Exactly, YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec
from views.console.framework.searching import Search

PERSON = Column("Person", StaffMember.name, through=StaffSession.staff_id, link=("staff", StaffSession.staff_id))
TIMES = (
    Column("Signed in", StaffSession.created_at, "time"),
    Column("Last used", StaffSession.last_seen_at, "time"),
    Column("Ends at the latest", StaffSession.expires_at, "time"),
    Column("Ended", StaffSession.revoked_at, "time"),
)


class StaffSessionsView(ConsoleModelView):
    in_menu = Menu("Oversight", "Staff sessions", "key", 500)
    permissions = reads(Permission.STAFF_READ)
    listing = ListSpec(
        section="staff-sessions",
        title="Staff sessions",
        one="staff session",
        model=StaffSession,
        columns=(Column("Number", StaffSession.id, link=("staff-sessions", StaffSession.id)), PERSON, *TIMES),
        sorts={"id": Sort("Newest", StaffSession.id, descending=True)},
        filters=(
            YesNo("ended", "Ended", StaffSession.revoked_at.is_not(None)),
            Exactly("staff", "Staff member", StaffSession.staff_id),
        ),
        search=Search(hint="Number", key=StaffSession.id),
    )
    record = RecordSpec(
        title=PERSON,
        groups=(
            Group("Session", (PERSON, *TIMES)),
            Group("Browser", (Column("Address", StaffSession.ip), Column("Browser", StaffSession.user_agent))),
        ),
        audited_as="staff_session",
    )
