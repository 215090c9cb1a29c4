"""Everything that happened to a booking or meeting, as one story: acts, money, mails, deliveries and calls.

One query reads it all: every part is found by an index, and the record's page waits for a single answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, bindparam, func, literal_column, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY, psycopg
from sqlalchemy.orm import Session

from admin_app.services.appointments.subjects import Kind
from admin_app.services.core import audit, records
from admin_app.services.core.amounts import money_text
from admin_app.services.core.audit import HistoryChange
from admin_app.services.core.timeline_words import (
    ASKED_WORDS,
    CALL_WORDS,
    MAIL_WORDS,
    SAID_BY_OTHERS,
    SHOWN_CHANGES,
    provider_name,
    why,
    words_for,
)
from models import AuditEntry, Payment, ProviderCall, Refund, SentEmail, WebhookEvent

MOST = 300


@dataclass(frozen=True)
class Moment:
    """One thing that happened. `record` names what there is more to see of; `quiet` is how it came about.

    `attention` says that it failed, or may have, and waits for a person to settle it.
    """

    at: datetime
    kind: str  # act, mail, event or call
    title: str
    who: str = ""
    record: str = ""
    state: str = ""
    reason: str | None = None
    quiet: bool = False
    attention: bool = False
    changes: tuple[HistoryChange, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """The story, newest first, with the payments and refunds it tells of as they are now, oldest first."""

    moments: list[Moment]
    payments: Sequence[Mapping[str, Any]] = ()
    refunds: Sequence[Mapping[str, Any]] = ()
    cut: bool = False


def read(session: Session, kind: Kind, number: int, *, made_at: datetime) -> Timeline:
    """The whole story of this booking or meeting."""
    subject = f"{kind}:{number}"
    parameters = {"subject": subject, "subjects": [subject], "number": number}
    # By the connection: plain rows are read here, and the record's page waits for them.
    rows = session.connection().exec_driver_sql(_sql(kind), parameters).all()
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    payments = [_kept(row) for row in reversed(found.get("payment", ()))]
    refunds = [_kept(row) for row in reversed(found.get("refund", ()))]
    acts = found.get("act", [])
    # What happened at one moment stands in the order of cause and effect, the effect first.
    moments = [
        *map(_mail, found.get("mail", ())),
        *_acts(acts, {payment["id"]: payment for payment in payments}),
        *_unrecorded(acts, payments, refunds, made_at),
        *_calls(found.get("call", ())),
        *map(_event, found.get("event", ())),
    ]
    return Timeline(sorted(moments, key=_when, reverse=True), payments, refunds, cut=len(rows) == MOST)


def _when(moment: Moment) -> datetime:
    return moment.at


# -- the query -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _sql(kind: Kind) -> str:
    """Written out once: finding so long a statement in the cache can be felt on a page that people wait for."""
    dialect = psycopg.dialect()  # type: ignore[no-untyped-call]
    return str(_statement(kind).compile(dialect=dialect))


def _statement(kind: Kind) -> Select[*tuple[Any, ...]]:
    number, subject = bindparam("number", type_=BigInteger), bindparam("subject", type_=Text)
    subjects = bindparam("subjects", type_=ARRAY(Text))
    a, m, e, c, p, r = AuditEntry, SentEmail, WebhookEvent, ProviderCall, Payment, Refund
    mine = f"{kind}_id"
    parts = (
        _part(
            "act",
            a,
            a.at,
            a.records.contains(subjects),
            "event actor_kind actor_label records reason changes facts",
        ),
        _part("mail", m, m.created_at, getattr(m, mine) == number, "subject state to_email template"),
        _part("event", e, e.received_at, getattr(e, mine) == number, "provider type state"),
        _part("call", c, c.created_at, c.subject == subject, "provider operation state error_code attention_since"),
        _part(
            "payment",
            p,
            p.created_at,
            getattr(p, mine) == number,
            "state amount currency captured_amount reserved_amount fee_amount paid_at dispute_status dispute_due_by "
            "dispute_amount",
        ),
        _part(
            "refund",
            r,
            r.created_at,
            getattr(p, mine) == number,
            "payment_id state amount currency requested_by settled_at failure_code returned_at made_good_how",
        ).join(p, p.id == r.payment_id),
    )
    story = union_all(*parts).subquery("story")
    return select(story).order_by(story.c.at.desc(), story.c.id.desc()).limit(literal_column(str(MOST)))


def _part(source: str, model: Any, at: Any, condition: ColumnElement[bool], names: str) -> Select[*tuple[Any, ...]]:
    # The names are written out: as parameters, there would be some forty of them to carry each time.
    pairs = [part for name in names.split() for part in (_word(name), getattr(model, name))]
    kept = func.jsonb_build_object(*pairs).label("kept")
    source_column = _word(source).label("source")
    return select(source_column, model.id.label("id"), at.label("at"), kept).select_from(model).where(condition)


def _word(name: str) -> ColumnElement[str]:
    return literal_column(f"'{name}'", Text)


def _kept(row: Any) -> dict[str, Any]:
    return {**row.kept, "id": row.id, "at": row.at}


# -- the story -----------------------------------------------------------------------------------------------------


def _acts(rows: Iterable[Any], payments: Mapping[int, Mapping[str, Any]]) -> Iterator[Moment]:
    for row in rows:
        kept = row.kept
        event = kept["event"]
        if event in SAID_BY_OTHERS:
            continue
        who = audit.actor_name(kept["actor_kind"], kept["actor_label"])
        about = _main_record(kept["records"])
        payment = payments.get(int(about.partition(":")[2])) if about.startswith("payment:") else None
        amount = _captured(payment) if payment else ""
        yield Moment(
            at=row.at,
            kind="act",
            title=words_for(event, {"amount": amount, **kept["facts"]}, who),
            who=_who(event, kept["actor_kind"], who),
            record=about,
            reason=kept["reason"],
            changes=audit.changes_of(change for change in kept["changes"] if change.get("field") in SHOWN_CHANGES),
        )


def _who(event: str, kind: str, name: str) -> str:
    """By whom, as the page says it. A visitor who is not the client only stood where it came to light."""
    if kind != "guest":
        return name
    return "the client" if event == "booking.held" else ""


def _main_record(names: list[str]) -> str:
    """The refund or payment that an entry is about, where it is about one."""
    for kind in ("refund:", "payment:"):
        for name in names:
            if name.startswith(kind):
                return name
    return ""


def _captured(payment: Mapping[str, Any]) -> str:
    return money_text(payment["captured_amount"] or payment["amount"], payment["currency"])


def _unrecorded(
    acts: Iterable[Any], payments: Iterable[Mapping[str, Any]], refunds: Iterable[Mapping[str, Any]], made_at: datetime
) -> Iterator[Moment]:
    """What the rows tell and the audit does not, because it was before the audit or came from elsewhere."""
    told: dict[str, set[str]] = {}
    for row in acts:
        told.setdefault(row.kept["event"], set()).update(row.kept["records"])
    for refund in refunds:
        key = records.refund_key(refund["id"])
        if not any(key in told.get(event, ()) for event in ("refund.requested", "refund.found")):
            title = words_for("refund.requested", {"amount": money_text(refund["amount"], refund["currency"])}, "")
            yield Moment(refund["at"], "act", title, refund["requested_by"], key)
    for payment in payments:
        key = records.payment_key(payment["id"])
        if payment["paid_at"] and key not in told.get("payment.paid", ()):
            at = datetime.fromisoformat(payment["paid_at"])
            yield Moment(at, "act", words_for("payment.paid", {"amount": _captured(payment)}, ""), record=key)
    if not told.keys() & {"booking.held", "booking.brought_in"}:
        yield Moment(made_at, "act", words_for("booking.made", {}, ""))


def _mail(row: Any) -> Moment:
    kept = row.kept
    words = MAIL_WORDS.get(kept["state"], "went to")
    return Moment(
        at=row.at,
        kind="mail",
        title=f"The mail “{kept['subject']}” {words} {kept['to_email']}",
        record=f"sent_email:{row.id}",
        state=kept["state"] if kept["state"] != "sent" else "",
        attention=kept["state"] in ("failed", "unknown"),
    )


def _event(row: Any) -> Moment:
    kept = row.kept
    return Moment(
        at=row.at,
        kind="event",
        title=f"{provider_name(kept['provider'])} told about {kept['type']}",
        record=records.event_key(row.id),
        state=kept["state"] if kept["state"] != "processed" else "",
        quiet=True,
    )


def _calls(rows: Iterable[Any]) -> Iterator[Moment]:
    for row in rows:
        kept = row.kept
        words = CALL_WORDS.get(kept["operation"])
        went_well = kept["state"] == "succeeded"
        if went_well and words is None:
            continue  # an act tells of it
        provider = provider_name(kept["provider"])
        done = words or f"{provider} was asked to {ASKED_WORDS.get(kept['operation'], kept['operation'])}"
        ends = {
            "unknown": "; no answer came",
            "failed": f"; it refused: {why(kept['error_code'])}",
            "intended": "; under way",
        }
        yield Moment(
            at=row.at,
            kind="call",
            title=done + ends.get(kept["state"], ""),
            record=f"provider_call:{row.id}",
            state="" if went_well else kept["state"],
            quiet=went_well,
            attention=kept["attention_since"] is not None,
        )
