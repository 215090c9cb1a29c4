"""A provider's delivery is stored raw, with the job that will apply it; nothing of it is applied here."""

from datetime import datetime

from admin_app.context import Ctx, Statement
from admin_app.integrations import job_queue

_QUEUE, _JOB = job_queue.insert_from("stored", "process_event", "jsonb_build_object('event_id', id)")
# Event and job stand or fall together, because they are one statement; no row comes back for what was known before.
_RECEIVE = f"""
WITH stored AS (
    INSERT INTO webhook_events (provider, external_id, type, body, received_at, occurred_at, subject)
    VALUES (%(provider)s, %(external_id)s, %(type)s, %(body)b, %(received_at)s, %(occurred_at)s, %(subject)s)
    ON CONFLICT DO NOTHING RETURNING id
), queued AS ({_QUEUE})
SELECT id FROM stored
"""  # noqa: S608 - constants only


def receipt(
    *,
    provider: str,
    external_id: str,
    type: str,
    body: bytes,
    received_at: datetime,
    occurred_at: datetime | None,
    subject: str | None,
) -> Statement:
    """What stores a verified delivery and queues its processing; answers the event's id, or no row when it is known."""
    values = {
        "provider": provider,
        "external_id": external_id,
        "type": type,
        "body": body,
        "received_at": received_at,
        "occurred_at": occurred_at,
        "subject": subject,
    }
    return Statement(_RECEIVE, {**values, **_JOB})


def receive(
    ctx: Ctx,
    *,
    provider: str,
    external_id: str,
    type: str,
    body: bytes,
    occurred_at: datetime | None,
    subject: str | None,
) -> int | None:
    """Store a delivery within a greater change and queue its processing; None when it was stored before."""
    statement = receipt(
        provider=provider,
        external_id=external_id,
        type=type,
        body=body,
        received_at=ctx.now,
        occurred_at=occurred_at,
        subject=subject,
    )
    stored = ctx.session.connection().exec_driver_sql(statement.sql, dict(statement.values)).first()
    return None if stored is None else stored.id
