"""The keys by which the business's own programs call the public endpoints."""

from admin_app.policies.permissions import Permission
from models import ServiceKey
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import YesNo
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec
from views.console.framework.searching import Search

SCOPES = Column("May", ServiceKey.scopes, text=lambda scopes: ", ".join(scopes))
HINT = Column("Begins with", ServiceKey.hint, "code")


class ServiceKeysView(ConsoleModelView):
    in_menu = Menu("Oversight", "Service keys", "lock", 520)
    permissions = reads(Permission.SERVICE_KEYS_READ)
    listing = ListSpec(
        section="service-keys",
        title="Service keys",
        one="service key",
        model=ServiceKey,
        columns=(
            Column("Name", ServiceKey.name, link=("service-keys", ServiceKey.id)),
            HINT,
            SCOPES,
            Column("Last used", ServiceKey.last_used_at, "time"),
            Column("Expires", ServiceKey.expires_at, "time"),
            Column("Revoked", ServiceKey.revoked_at, "time"),
            Column("Made", ServiceKey.created_at, "time", sort="made"),
        ),
        sorts={
            "made": Sort("Made", ServiceKey.created_at, descending=True),
            "id": Sort("Number", ServiceKey.id),
        },
        filters=(YesNo("revoked", "Revoked", ServiceKey.revoked_at.is_not(None)),),
        search=Search(hint="Whole name, number", exact=(ServiceKey.name,), key=ServiceKey.id),
        empty="No program has a key of its own. The one of the settings works beside those made here.",
        add=("Make a key", "/admin/service-keys/new", Permission.SERVICE_KEYS_MANAGE),
    )
    record = RecordSpec(
        title=ServiceKey.name,
        groups=(
            Group("What it may", (SCOPES, HINT, Column("Expires", ServiceKey.expires_at, "time"))),
            Group(
                "Record",
                (
                    Column("Made", ServiceKey.created_at, "time"),
                    Column("Made by", ServiceKey.created_by),
                    Column("Last used", ServiceKey.last_used_at, "time"),
                    Column("Revoked", ServiceKey.revoked_at, "time"),
                    Column("Revoked by", ServiceKey.revoked_by),
                ),
            ),
        ),
        audited_as="service_key",
        commands=(
            Command(
                label="Revoke",
                permission=Permission.SERVICE_KEYS_MANAGE,
                address=lambda key: f"/admin/service-keys/{key}/revoke",
                when=lambda values: values["revoked_at"] is None,
                tone="danger",
            ),
        ),
    )
