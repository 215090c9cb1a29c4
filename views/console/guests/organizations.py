"""The guests' organizations, as WorkOS has them."""

from admin_app.policies.permissions import Permission
from models import Organization, OrganizationKind
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Choice, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.console.framework.searching import Search

KIND = Column("Kind", Organization.kind, "badge")


class OrganizationsView(ConsoleModelView):
    in_menu = Menu("Calendar", "Organizations", "building", 250)
    permissions = reads(Permission.MEETINGS_READ)
    listing = ListSpec(
        section="organizations",
        title="Organizations",
        one="organization",
        model=Organization,
        columns=(
            Column("Name", Organization.name, link=("organizations", Organization.id)),
            KIND,
            Column("WorkOS id", Organization.workos_id, "code"),
            Column("Since", Organization.created_at, "time"),
        ),
        sorts={"id": Sort("Newest", Organization.id, descending=True)},
        filters=(
            Choice.of("kind", "Kind", Organization.kind, OrganizationKind),
            Exactly("workos_id", "WorkOS id", Organization.workos_id),
        ),
        search=Search(hint="WorkOS id, number", exact=(Organization.workos_id,), key=Organization.id),
        empty="An organization appears when a guest registers.",
    )
    record = RecordSpec(
        title=Organization.name,
        badge=KIND,
        groups=(
            Group(
                "Organization",
                (
                    Column("Name", Organization.name),
                    KIND,
                    Column("WorkOS id", Organization.workos_id, "code"),
                    Column("Since", Organization.created_at, "time"),
                ),
            ),
        ),
        related=(Related("Meetings", "meetings", "organization", Organization.workos_id),),
    )
