"""Why clients of the crowd are switched off, and what was switched before: a period behind every boolean but one."""

from datetime import timedelta
from random import Random
from typing import Any

from sqlalchemy import select

from admin_app.demo.clock import Stage
from admin_app.services.clients.flag_periods import BY_THE_CLOCK
from models import CLIENT_FLAGS, Client, FlagChange, FlagName, OnExpiry

OPS = "ops@demo.test"
ADMIN = "admin@demo.test"
REASONS = {
    FlagName.OUTBOUND_PAUSED: (
        "Asked by mail not to be called for now.",
        "Their list of numbers has duplicates, waiting for a new one.",
        "Calls went out at night: their time zone is wrong in the campaign.",
        "Under water damage repair, nobody answers.",
        "Two of their customers complained about calls.",
    ),
    FlagName.AI_DISABLED: (
        "Wants a person to answer until the new menu of services is in.",
        "The agent mispronounces the owner’s name. Being corrected.",
        "Gave a wrong address twice, texts are being reviewed.",
        "Asked for it by phone, will say when it can go on.",
    ),
}
LIFTED = ("Back to normal.", "They asked us to go on.", "Corrected and tried out.")
EARLIER = 45


def fill(stage: Stage) -> None:
    """Write a period for each client flag that is on, one of them unexplained, and some that were lifted earlier."""
    random = stage.invention("switched").random
    clients = stage.ctx.session.execute(
        select(Client.id, Client.created_at, Client.outbound_paused, Client.ai_disabled).order_by(Client.id)
    ).all()
    rows = []
    for client in clients:
        for flag in CLIENT_FLAGS:
            if getattr(client, flag.value):
                since = max(client.created_at, stage.ago(days=random.uniform(0.5, 50)))
                rows.append(_row(random, client.id, flag, since))
    # The last one was switched by another program, which gives no reason.
    rows = rows[:-1]
    for _ in range(min(EARLIER, len(clients))):
        client, flag = random.choice(clients), random.choice(CLIENT_FLAGS)
        since = stage.ago(days=random.uniform(90, 480))
        if client.created_at < since:
            rows.append(_over(random, client.id, flag, since))
    stage.put(FlagChange, sorted(rows, key=lambda row: row["since"]))


def _row(random: Random, client_id: int, flag: FlagName, since: Any) -> dict[str, Any]:
    none = dict.fromkeys(("until", "tell_email", "tell_at", "told_at", "lifted_at", "lifted_by", "lift_reason"))
    return none | {
        "client_id": client_id,
        "flag": flag,
        "value": True,
        "reason": random.choice(REASONS[flag]),
        "by": random.choice((OPS, OPS, OPS, ADMIN)),
        "since": since,
        "on_expiry": OnExpiry.LIFT,
        "created_at": since,
    }


def _over(random: Random, client_id: int, flag: FlagName, since: Any) -> dict[str, Any]:
    """By its end date or by somebody, within weeks."""
    ended = since + timedelta(days=random.uniform(0.2, 30))
    row = _row(random, client_id, flag, since)
    if random.random() < 0.5:
        return row | {"until": ended, "lifted_at": ended, "lifted_by": BY_THE_CLOCK}
    return row | {"lifted_at": ended, "lifted_by": OPS, "lift_reason": random.choice(LIFTED)}
