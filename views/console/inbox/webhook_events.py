"""The inbox: every provider event as it came."""

import json
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import array

from admin_app.policies.permissions import Permission
from admin_app.services import inbox
from models import EventState, WebhookEvent
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column, named_records
from views.console.framework.filters import Choice, Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Command, Group, RecordSpec, Related
from views.console.framework.searching import Search
from views.reading import read_session

PROVIDERS = ("whop", "clerk", "stripe", "calendly", "calcom")
LONGEST_SHOWN = 64 * 1024
ABOUT = Column(
    "Appointment", named_records(booking=WebhookEvent.booking_id, meeting=WebhookEvent.meeting_id), "records"
)
# The record whose change may end the wait; what waits for a provider's answer waits for no record of ours.
WAITED_FOR = case((WebhookEvent.waits_for.startswith("practitioner:"), array([WebhookEvent.waits_for])))
STATE = Column("State", WebhookEvent.state, "badge")


class WebhookEventsView(ConsoleModelView):
    in_menu = Menu("Traffic", "Provider events", "inbox", 420)
    permissions = reads(Permission.INBOX_READ)
    record_template = "console/inbox/webhook_event.html"
    listing = ListSpec(
        section="webhook-events",
        title="Provider events",
        one="provider event",
        model=WebhookEvent,
        columns=(
            Column("Number", WebhookEvent.id, link=("webhook-events", WebhookEvent.id)),
            Column("Provider", WebhookEvent.provider),
            Column("Type", WebhookEvent.type, "code"),
            Column("About", WebhookEvent.subject, "code"),
            ABOUT,
            STATE,
            Column("Parked because", WebhookEvent.parked_because, "badge"),
            Column("Tries", WebhookEvent.attempts, "number"),
            Column("Received", WebhookEvent.received_at, "time", sort="received"),
        ),
        sorts={"received": Sort("Received", WebhookEvent.received_at, descending=True)},
        filters=(
            Choice.of("state", "State", WebhookEvent.state, EventState),
            Choice("provider", "Provider", WebhookEvent.provider, PROVIDERS),
            Days("received", "Received", WebhookEvent.received_at),
            Exactly("subject", "About", WebhookEvent.subject, within=WebhookEvent.provider.in_(PROVIDERS)),
            Exactly("booking", "Booking", WebhookEvent.booking_id),
            Exactly("meeting", "Meeting", WebhookEvent.meeting_id),
        ),
        search=Search(
            hint="The provider's event id, the membership or person it is about, number",
            exact=(WebhookEvent.external_id, WebhookEvent.subject),
            within=WebhookEvent.provider.in_(PROVIDERS),
            key=WebhookEvent.id,
        ),
        empty="No provider has delivered anything yet.",
    )
    record = RecordSpec(
        title=WebhookEvent.type,
        badge=STATE,
        groups=(
            Group(
                "Delivery",
                (
                    Column("Provider", WebhookEvent.provider),
                    Column("Event id", WebhookEvent.external_id, "code"),
                    Column("About", WebhookEvent.subject, "code"),
                    Column("Happened", WebhookEvent.occurred_at, "time"),
                    Column("Received", WebhookEvent.received_at, "time"),
                ),
            ),
            Group(
                "What became of it",
                (
                    STATE,
                    ABOUT,
                    Column("Outcome", WebhookEvent.outcome),
                    Column("Parked because", WebhookEvent.parked_because, "badge"),
                    Column("Waits for", WAITED_FOR, "records"),
                    Column("Attached e-mail", WebhookEvent.attached_email),
                    Column("Tries", WebhookEvent.attempts, "number"),
                    Column("Last error", WebhookEvent.last_error),
                    Column("Worked off", WebhookEvent.processed_at, "time"),
                ),
            ),
        ),
        related=(Related("Events about the same", "webhook-events", "subject", WebhookEvent.subject),),
        commands=(
            Command(
                label="Attach an e-mail",
                permission=Permission.INBOX_RELEASE,
                address=lambda key: f"/admin/webhook-events/{key}/attach-email",
                when=lambda values: values["parked_because"] == "email_missing",
                tone="primary",
            ),
            Command(
                label="Release",
                permission=Permission.INBOX_RELEASE,
                address=lambda key: f"/admin/webhook-events/{key}/release",
                when=lambda values: values["state"] in (EventState.PARKED, EventState.FAILED),
            ),
        ),
        audited_as="webhook_event",
    )

    def more(self, record_id: str) -> dict[str, Any]:
        event = WebhookEvent
        wanted = select(func.substr(event.body, 1, LONGEST_SHOWN), func.length(event.body), event.parked_because)
        found = read_session().execute(wanted.where(event.id == self.listing.parse_key(record_id)))
        shown, size, parked_because = found.one()
        return {
            "body": readable(bytes(shown)),
            "body_size": size,
            "body_cut": size > LONGEST_SHOWN,
            "because": inbox.PARKED_SENTENCES.get(parked_because or "", ""),
        }


def readable(body: bytes) -> str:
    """The body as indented JSON where it is JSON, else as it is."""
    text = body.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
