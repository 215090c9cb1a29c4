"""The walk of "plan = act": a command's page is opened, its plan taken, the form sent, and all jobs done.

Then exactly the plan's fields have other values, exactly its kinds of records are new or gone, its mails were sent and
its calls were made at the providers. Files of cases (`test_plan_is_act*.py`) say which scene and which page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pprint import pformat
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import inspect, select

from admin_app.services.core import plans
from admin_app.services.core.amounts import money_text
from admin_app.services.core.audit import plain
from admin_app.services.core.plans import REASON_TO_COME, Plan, PlanLine
from models import Base, MailState, ProviderCall, Role, SentEmail
from tests.changes import CHANGES
from tests.console.conftest import _sign_in
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient
from tests.house import House
from views.console.framework import plan_pages

# Written with every change of a row, and promised by none: when it was, how often, and which mail is the latest.
STAMPS = frozenset(
    {"version", "created_at", "updated_at", "canceled_at", "told_version", "reminded_at", "sent_at", "settled_at"}
    | {"undecided_since", "kept_at", "kept_by", "kept_reason", "made_good_at", "made_good_by"}
)
# The provider's own id of what a call made.
ANSWERED = frozenset({"calcom_booking_uid", "stripe_refund_id", "whop_refund_id"})
# The history, what is compared by itself, and what anybody's looking at pages writes.
APART = frozenset({"audit_entries", "sent_emails", "provider_calls", "staff_sessions", "staff", "booking_links"})
# Who asked for a decision and who made it: what it does stands in the refund.
APART |= {"approvals"}
# A plan shows money as people read it: where that lies.
DERIVED: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "given_back": lambda row: money_text(row.reserved_amount, row.currency),
        "left_to_give_back": lambda row: money_text(row.captured_amount - row.reserved_amount, row.currency),
        "kept": lambda row: money_text(row.kept_amount or 0, row.currency),
    }
)
LIES_IN: Mapping[str, str] = MappingProxyType({"given_back": "reserved_amount", "kept": "kept_amount"})
REASON = "They called"


@dataclass(frozen=True)
class Rules:
    """What a file of cases knows besides: fields that are stamps there, tables apart, and fields shown otherwise.

    A line's field of `derived` reads as that function of the row that it is of; `lies_in` names the column with it. One
    of `looked_up` lies in other rows: it reads as that function of the product and the row. `read` is for what lies in
    no row of the line's record, by kind and field: it reads as that function of the product and the record's key.
    `besides` are tables that are set apart elsewhere and belong to these commands.
    """

    stamps: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    besides: frozenset[str] = frozenset()
    read: Mapping[str, Callable[[House, str], Any]] = field(default_factory=dict)
    derived: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    lies_in: Mapping[str, str] = field(default_factory=dict)
    looked_up: Mapping[str, Callable[[House, Any], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A command's page with what is chosen on it, after a scene was set up.

    `answered` are fields that become what the provider answers to the call: a plan can only say so in a sentence.
    """

    endpoint: str
    address: str
    typed: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    role: Role = Role.ADMIN
    answered: frozenset[str] = frozenset()
    # What time brings, once the jobs are done that are due: a mail that goes later.
    afterwards: Callable[[], None] | None = None
    # What a page promises that asks for what is new, or is to be another way: what is typed is its plan.
    form: Plan | None = None
    # What the one new record of the kind holds then, by its columns.
    new: dict[str, Any] = field(default_factory=dict)
    answers: int = 303


def of_form(*lines: PlanLine, adds: tuple[str, ...] = ()) -> Plan:
    """The plan of a page that has none but what is typed into it."""
    return Plan("", "", lines, (), "", adds=adds)


def everything(house: House, rules: Rules = Rules()) -> dict[str, dict[str, Any]]:
    """Every row of every table that a command may change, by its record."""
    rows: dict[str, dict[str, Any]] = {}
    with house.db.read_only() as session:
        for mapper in Base.registry.mappers:
            model: Any = mapper.class_
            if model.__tablename__ in (APART | rules.apart) - rules.besides:
                continue
            one = record_kind(model)
            for row in session.scalars(select(model)):
                key = ",".join(str(part) for part in inspect(row).identity)
                rows[f"{one}:{key}"] = plans.snapshot(row)
    return rows


def record_kind(model: Any) -> str:
    """The word before the colon of a record of this table, as the audit and the plans name it."""
    return str(model.__tablename__).removesuffix("s")


def changed(before: dict[str, Any], after: dict[str, Any], rules: Rules = Rules()) -> dict[tuple[str, str], Any]:
    """What is another value than before, but for the stamps of a change."""
    return {
        (record, name): value
        for record, row in after.items()
        if record in before
        for name, value in row.items()
        if name not in STAMPS | ANSWERED | rules.stamps and before[record][name] != value
    }


def promised(house: House, plan: Plan, before: dict[str, Any], rules: Rules = Rules()) -> dict[tuple[str, str], Any]:
    """The fields of the plan's lines, where they lie and as they are kept; those that show money are looked at here."""
    found: dict[tuple[str, str], Any] = {}
    derived, lies_in = {**DERIVED, **rules.derived}, {**LIES_IN, **rules.lies_in}
    for line in plan.lines:
        if line.later or not line.changes or line.field in STAMPS | rules.stamps:
            continue
        if line.field in rules.looked_up:
            assert rules.looked_up[line.field](house, row_of(house, line.record)) == line.after, line.field
            continue
        kind, _, key = line.record.partition(":")
        if look_up := rules.read.get(f"{kind}.{line.field}"):
            assert plain(look_up(house, key)) == plain(line.after), line.field
            continue
        if line.field not in derived:
            found[line.record, line.field] = REASON if line.after == REASON_TO_COME else plain(line.after)
            continue
        row = row_of(house, line.record)
        assert derived[line.field](row) == line.after, line.field
        name = lies_in.get(line.field)
        # What was kept aside for a refund before is on its way with it: the same number.
        if name is not None and before[line.record][name] != plain(getattr(row, name)):
            found[line.record, name] = plain(getattr(row, name))
    return found


def row_of(house: House, record: str) -> Any:
    """The row that a line of a plan is of."""
    kind, _, key = record.partition(":")
    (model,) = [mapper.class_ for mapper in Base.registry.mappers if record_kind(mapper.class_) == kind]
    (column,) = inspect(model).primary_key
    (row,) = house.rows(select(model).where(column == column.type.python_type(key)))
    return row


def mails(house: House) -> list[tuple[str, str, str]]:
    """Those that left; one that is sent again is the same row."""
    left = SentEmail.state.in_((MailState.SENT, MailState.KEPT))
    sent = house.rows(select(SentEmail).where(left).order_by(SentEmail.sent_at, SentEmail.id))
    return [(mail.to_email, mail.subject, mail.text_body) for mail in sent]


def calls(house: House) -> list[tuple[str, str]]:
    """One for each time that a call left."""
    made = house.rows(select(ProviderCall).order_by(ProviderCall.id))
    return [(call.provider, call.operation) for call in made for _ in range(call.attempts)]


def shown_on(client: CheckedClient, case: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, str, dict[str, str]]:
    """The plan that the page is made from, the page, and what its form carries."""
    seen: list[Plan] = []
    monkeypatch.setattr(
        plan_pages, "carried", lambda plan, zone, carry=plan_pages.carried: seen.append(plan) or carry(plan, zone)
    )
    page = client.get(case.address, query_string=case.typed)
    assert page.status_code == 200, page.text
    form = form_on(client, case.address, **case.typed)
    assert seen, "the page is made from a plan"
    assert seen[0].refusal is None, seen[0].refusal
    return seen[-1], page.text, form


def walk(house: House, name: str, case: Case, monkeypatch: pytest.MonkeyPatch, rules: Rules = Rules()) -> None:
    """Open the case's page, act as its plan says, and compare what was promised with what happened."""
    assert case.endpoint == name.partition(":")[0]
    rules = replace(rules, stamps=rules.stamps | case.answered)
    client = _sign_in(house.app, house.db, case.role)
    if case.form is None:
        plan, page, form = shown_on(client, case, monkeypatch)
    else:
        plan, page, form = case.form, "", form_on(client, case.address)
    before, sent_before, called_before = everything(house, rules), mails(house), calls(house)
    CHANGES.taken()

    answer = client.post(case.address, data=case.typed | form | {"reason": REASON} | case.given)
    assert answer.status_code == case.answers, answer.text
    house.work()
    if case.afterwards is not None:
        case.afterwards()

    after = everything(house, rules)
    going = [
        (mail.to, mail.subject, mail.text.replace(REASON_TO_COME, REASON)) for mail in plan.mails if not mail.later
    ]
    called = [(call.provider, call.operation) for call in plan.calls if not call.later]
    amiss = _amiss_in_rows(house, plan, before, after, rules) | {
        "mails": _apart(mails(house)[len(sent_before) :], going),
        "calls": _apart(sorted(calls(house)[len(called_before) :]), sorted(called)),
        "calls as the providers saw them": _apart(
            sorted(provider for provider, _ in CHANGES.taken()), sorted(provider for provider, _ in called)
        ),
        "the new record": _amiss_in_new(case, before, after),
        "mails that cannot be read before": [mail.to for mail in plan.mails if mail.to not in page],
    }
    if any(amiss.values()):
        pytest.fail(pformat({what: apart for what, apart in amiss.items() if apart}, width=110))


def _apart(happened: object, promised: object) -> dict[str, object]:
    """Both, where they are not the same."""
    return {} if happened == promised else {"happened": happened, "promised": promised}


def _amiss_in_new(case: Case, before: dict[str, Any], after: dict[str, Any]) -> dict[str, object]:
    """What the one new record holds otherwise than it was typed."""
    if not case.new:
        return {}
    (made,) = [after[record] for record in after.keys() - before.keys()]
    return _apart({name: made[name] for name in case.new}, {name: plain(value) for name, value in case.new.items()})


def _amiss_in_rows(
    house: House, plan: Plan, before: dict[str, Any], after: dict[str, Any], rules: Rules
) -> dict[str, object]:
    now_promised, now_changed = promised(house, plan, before, rules), changed(before, after, rules)
    of_new = {key: after[key[0]][key[1]] for key in now_promised if key[0] in after and key[0] not in before}
    kept = {key: value for key, value in now_promised.items() if key[0] in after or value is not None}
    happened = now_changed | of_new
    return {
        "changed": {key: value for key, value in happened.items() if not _is_as(now_promised, key, value)},
        "promised": {key: value for key, value in kept.items() if not _is_as(happened, key, value)},
        "new": _apart(kinds(after.keys() - before.keys()), sorted(plan.adds)),
        "gone": _apart(kinds(before.keys() - after.keys()), sorted(plan.removes)),
    }


def _is_as(others: dict[tuple[str, str], Any], key: tuple[str, str], value: Any) -> bool:
    # A refund that is let go goes on to its end at the provider in the same breath: its values are others by then.
    return key in others and (key[0].startswith("refund:") or others[key] == value)


def kinds(records: set[str]) -> list[str]:
    return sorted(record.partition(":")[0] for record in records)
