"""Practitioners and session types: forms, their version check, and what each field takes."""

import threading
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.context import Ctx, Staff
from admin_app.db import Database
from admin_app.errors import Conflict, DomainError, Forbidden, InvalidInput, NotFound
from admin_app.services import schedule
from admin_app.services.schedule import StaleForm
from models import AuditEntry, Practitioner, Role, SessionType
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT

OPS = Staff(3, "ops@demo.test", Role.OPS)
PERSON = {"name": "Dr. Ana Ruiz", "email": "ana@practice.example", "time_zone": "Europe/Madrid", "hours_mon": "9-12"}
KIND = {"title": "First consultation", "minutes": "60", "price": "95.00", "price_currency": "EUR"}
CALENDLY = "https://api.calendly.com/event_types/AAAA1111"


@pytest.fixture
def ana(db: Database) -> Practitioner:
    with db.unit_of_work(OPS) as ctx:
        return schedule.create_practitioner(ctx, values=PERSON, reason="Starts in May")


@pytest.fixture
def kind(db: Database, ana: Practitioner) -> SessionType:
    with db.unit_of_work(OPS) as ctx:
        return schedule.create_session_type(ctx, practitioner_id=ana.id, values=KIND)


def _change(db: Database, ana: Practitioner, version: int, **values: str) -> Practitioner:
    with db.unit_of_work(OPS) as ctx:
        return schedule.change_practitioner(ctx, practitioner_id=ana.id, values=values, version=version)


def _last_entry(ctx: Ctx) -> AuditEntry:
    return ctx.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()


def test_adding_keeps_what_the_form_says_and_tells_the_audit(db: Database, ana: Practitioner) -> None:
    assert (ana.name, ana.time_zone, ana.working_hours) == (
        "Dr. Ana Ruiz",
        "Europe/Madrid",
        {"mon": [["09:00", "12:00"]]},
    )
    with db.unit_of_work(OPS) as ctx:
        entry = _last_entry(ctx)
        assert (entry.event, entry.reason, entry.records) == (
            "practitioner.created",
            "Starts in May",
            [f"practitioner:{ana.id}"],
        )
        assert {"hours_mon", "name"} <= {change["field"] for change in entry.changes}


def test_a_field_that_the_form_does_not_carry_stays(db: Database, ana: Practitioner, kind: SessionType) -> None:
    changed = _change(db, ana, 1, hours_tue="10-11")
    assert changed.working_hours == {"mon": [["09:00", "12:00"]], "tue": [["10:00", "11:00"]]}
    assert (changed.name, changed.email, changed.version) == (ana.name, ana.email, 2)
    with db.unit_of_work(OPS) as ctx:
        entry = _last_entry(ctx)
        assert [(c["field"], c["before"], c["after"]) for c in entry.changes] == [("hours_tue", None, "10:00-11:00")]
        after = schedule.change_session_type(ctx, session_type_id=kind.id, values={"minutes": "45"}, version=1)
        assert (after.minutes, after.price_amount, after.price_currency) == (45, 9500, "eur")


def test_an_emptied_day_is_off(db: Database, ana: Practitioner) -> None:
    assert _change(db, ana, 1, hours_mon=" ").working_hours == {}


def test_a_form_that_changes_nothing_leaves_no_trace(db: Database, ana: Practitioner) -> None:
    assert _change(db, ana, 1, name=" Dr.  Ana Ruiz ", hours_mon="09:00 - 12:00").version == 1
    with db.unit_of_work(OPS) as ctx:
        assert _last_entry(ctx).event == "practitioner.created"


def test_a_stale_form_changes_nothing_and_says_what_differs(db: Database, ana: Practitioner) -> None:
    _change(db, ana, 1, name="Dr. Ana Ruiz Gil")
    with pytest.raises(StaleForm) as refused:
        _change(db, ana, 1, name="Dr. A. Ruiz", hours_mon="09:00-12:00", hours_tue="10-11")
    assert refused.value.status == 409
    assert "ops@demo.test saved this practitioner" in refused.value.sentence
    assert refused.value.fields == {"name": "Kept now: Dr. Ana Ruiz Gil.", "hours_tue": "Kept now: nothing."}
    with pytest.raises(StaleForm) as refused:
        _change(db, ana, 1, hours_mon="never")
    assert refused.value.fields == {"hours_mon": "Kept now: 09:00-12:00."}


def test_the_same_form_sent_twice_is_done_once(db: Database, ana: Practitioner) -> None:
    assert _change(db, ana, 1, name="Dr. Ana Ruiz Gil").version == 2
    assert _change(db, ana, 1, name="Dr. Ana Ruiz Gil").version == 2


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("name", " ", "Give the practitioner’s name"),
        ("name", "x" * 121, "at most 120"),
        ("name", "A\x07B", "Give the practitioner’s name"),
        ("email", "ana", "not an e-mail address"),
        ("time_zone", "Europe/Atlantis", "not known"),
        ("time_zone", "../etc/passwd", "not known"),
        ("hours_mon", "8-12, 11-13", "Monday: 08:00-12:00 and 11:00-13:00 overlap."),
        ("hours_sun", "17-9", "Sunday: 17:00-09:00 ends before it begins; past midnight it may be at most 12 hours."),
        ("calcom_user_id", "four", "is a number"),
        ("calcom_event_type_id", "٤", "is a number"),
    ],
)
def test_each_field_of_a_practitioner_says_what_is_wrong(
    db: Database, ana: Practitioner, field: str, text: str, sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        _change(db, ana, 1, **{field: text})
    assert list(refused.value.fields) == [field]
    assert sentence in refused.value.fields[field]


def test_hours_to_the_end_of_the_day_and_past_midnight_are_kept_and_saved_again(
    db: Database, ana: Practitioner
) -> None:
    kept = _change(db, ana, 1, hours_fri="18:00-24:00", hours_sat="22:00-02:00")
    assert (kept.working_hours["fri"], kept.working_hours["sat"]) == ([["18:00", "24:00"]], [["22:00", "02:00"]])
    again = _change(db, ana, kept.version, **schedule.practitioner_form(kept))
    assert (again.version, again.working_hours) == (kept.version, kept.working_hours)


def test_free_meetings_are_a_setting_that_the_audit_knows(db: Database, ana: Practitioner) -> None:
    assert (ana.free_meetings, schedule.practitioner_form(ana)["free_meetings"]) == (True, "yes")
    kept = _change(db, ana, 1, free_meetings="no")
    assert kept.free_meetings is False
    with db.read_only() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.event == "practitioner.changed"))
    assert [change["field"] for change in entry.changes] == ["free_meetings"]
    with pytest.raises(InvalidInput) as refused:
        _change(db, ana, kept.version, free_meetings="perhaps")
    assert refused.value.fields == {"free_meetings": "Choose yes or no."}


def test_hours_past_midnight_may_not_go_on_into_those_of_the_next_day(db: Database, ana: Practitioner) -> None:
    with pytest.raises(InvalidInput) as refused:
        _change(db, ana, 1, hours_sun="22:00-06:00", hours_mon="05:00-12:00")
    assert refused.value.fields == {
        "hours_sun": "Sunday: the hours past midnight go on into those of Monday.",
        "hours_mon": "Monday: the hours of Sunday go on into these past midnight.",
    }


@pytest.mark.parametrize(
    "by_hand",
    [{"mon": [["08:00", "24:00"]]}, {"mon": 7}, {"mon": [["08:00", "25:00"]], "tue": [["09:00", "12:00"]]}],
    ids=repr,
)
def test_whatever_stands_in_the_table_the_form_can_be_saved(
    db: Database, ana: Practitioner, by_hand: dict[str, Any]
) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(Practitioner, ana.id)
        row.working_hours = by_hand
        form = schedule.practitioner_form(row)
    kept = _change(db, ana, 1, **form | {"name": "Ana Another"})
    assert kept.name == "Ana Another"
    assert kept.working_hours.get("mon") == ([["08:00", "24:00"]] if by_hand["mon"] == [["08:00", "24:00"]] else None)


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("title", "", "Say what is sold"),
        ("minutes", "4", "from 5 to 480"),
        ("minutes", "481", "from 5 to 480"),
        ("minutes", "1e2", "from 5 to 480"),
        ("price", "9.999", "not an amount in EUR. Write it like 25.00, or 0 when it is free."),
        ("price", "-1", "not an amount"),
        ("price", "9" * 11, "not an amount"),
        ("price_currency", "xyz", "cannot be charged"),
        ("calendly_event_type_uri", "javascript:alert(1)", "Write the event type’s address"),
        ("calendly_event_type_uri", "https://api.calendly.com/users/A", "Write the event type’s address"),
        ("calendly_event_type_uri", "https://[/event_types/A", "Write the event type’s address"),
    ],
)
def test_each_field_of_a_session_type_says_what_is_wrong(
    db: Database, kind: SessionType, field: str, text: str, sentence: str
) -> None:
    with db.unit_of_work(OPS) as ctx, pytest.raises(InvalidInput) as refused:
        schedule.change_session_type(ctx, session_type_id=kind.id, values={field: text}, version=1)
    assert sentence in refused.value.fields[field]


@pytest.mark.parametrize(
    ("values", "amount"),
    [
        ({"price": "0"}, 0),
        ({"price": "0,00"}, 0),
        ({"price": "120,5"}, 12050),
        ({"price": "12000", "price_currency": "JPY"}, 12000),
        ({"price_currency": "kwd"}, 95000),
    ],
)
def test_a_price_is_written_in_whole_units(
    db: Database, kind: SessionType, values: dict[str, str], amount: int
) -> None:
    with db.unit_of_work(OPS) as ctx:
        changed = schedule.change_session_type(ctx, session_type_id=kind.id, values=values, version=1)
        assert changed.price_amount == amount


def test_another_currency_without_cents_wants_a_new_price(db: Database, kind: SessionType) -> None:
    with db.unit_of_work(OPS) as ctx, pytest.raises(InvalidInput) as refused:
        schedule.change_session_type(ctx, session_type_id=kind.id, values={"price_currency": "jpy"}, version=1)
    assert list(refused.value.fields) == ["price"]


def test_an_address_and_an_event_type_belong_to_one_alone(db: Database, ana: Practitioner, kind: SessionType) -> None:
    with db.unit_of_work(OPS) as ctx:
        first = schedule.change_session_type(
            ctx, session_type_id=kind.id, values={"calendly_event_type_uri": CALENDLY}, version=1
        )
        assert first.calendly_event_type_id == "AAAA1111"
    for values in (KIND | {"calendly_event_type_uri": CALENDLY}, KIND | {"calendly_event_type_uri": f"{CALENDLY}"}):
        with db.unit_of_work(OPS) as ctx, pytest.raises(Conflict) as refused:
            schedule.create_session_type(ctx, practitioner_id=ana.id, values=values)
        assert "First consultation" in refused.value.fields["calendly_event_type_uri"]
    with db.unit_of_work(OPS) as ctx, pytest.raises(Conflict, match="practitioner_exists"):
        schedule.create_practitioner(ctx, values=PERSON | {"email": "ANA@practice.example"})
    with db.unit_of_work(OPS) as ctx:
        freed = schedule.change_session_type(
            ctx, session_type_id=kind.id, values={"calendly_event_type_uri": ""}, version=2
        )
        assert (freed.calendly_event_type_id, freed.calendly_event_type_uri) == (None, None)


def test_a_session_type_needs_a_practitioner(db: Database) -> None:
    with db.unit_of_work(OPS) as ctx, pytest.raises(InvalidInput) as refused:
        schedule.create_session_type(ctx, practitioner_id=999_999, values=KIND)
    assert "practitioner_id" in refused.value.fields


def test_out_of_use_and_back(db: Database, ana: Practitioner, kind: SessionType) -> None:
    with db.unit_of_work(OPS) as ctx:
        plan = schedule.plan_practitioner_use(ctx, practitioner_id=ana.id, active=False)
        assert plan.consequences[1] == "Appointments that lie ahead and stay as they are: 0."
        row = schedule.set_practitioner_use(
            ctx, practitioner_id=ana.id, active=False, reason="On leave", shown=plan.fingerprint
        )
        assert not row.active
        assert _last_entry(ctx).event == "practitioner.deactivated"
        again = schedule.plan_practitioner_use(ctx, practitioner_id=ana.id, active=False)
        assert again.refusal == "Dr. Ana Ruiz is out of use already."
        with pytest.raises(Conflict):
            schedule.set_practitioner_use(
                ctx, practitioner_id=ana.id, active=False, reason="Again", shown=plan.fingerprint
            )
        off = schedule.plan_session_type_use(ctx, session_type_id=kind.id, active=False).fingerprint
        schedule.set_session_type_use(ctx, session_type_id=kind.id, active=False, reason="Not now", shown=off)
        on = schedule.plan_session_type_use(ctx, session_type_id=kind.id, active=True).fingerprint
        assert schedule.set_session_type_use(ctx, session_type_id=kind.id, active=True, reason="Now", shown=on).active


@pytest.mark.parametrize("actor", [SUPPORT, AUDITOR, Staff(9, "finance@demo.test", Role.FINANCE)])
def test_only_ops_and_administrators_change_the_schedule(
    db: Database, ana: Practitioner, kind: SessionType, actor: Staff
) -> None:
    acts: list[Any] = [
        lambda ctx: schedule.create_practitioner(ctx, values=PERSON),
        lambda ctx: schedule.change_practitioner(ctx, practitioner_id=ana.id, values={}, version=1),
        lambda ctx: schedule.create_session_type(ctx, practitioner_id=ana.id, values=KIND),
        lambda ctx: schedule.change_session_type(ctx, session_type_id=kind.id, values={}, version=1),
        lambda ctx: schedule.plan_practitioner_use(ctx, practitioner_id=ana.id, active=False),
        lambda ctx: schedule.set_session_type_use(ctx, session_type_id=kind.id, active=False, reason="x", shown="x"),
    ]
    for act in acts:
        with db.unit_of_work(actor) as ctx, pytest.raises(Forbidden):
            act(ctx)


def test_what_is_not_there_is_not_found(db: Database) -> None:
    with db.unit_of_work(OPS) as ctx, pytest.raises(NotFound):
        schedule.change_practitioner(ctx, practitioner_id=999_999, values={}, version=1)
    with db.unit_of_work(OPS) as ctx, pytest.raises(NotFound):
        schedule.plan_session_type_use(ctx, session_type_id=999_999, active=True)


def test_two_who_save_at_once_do_not_overwrite_each_other(real_db: Database) -> None:
    with real_db.unit_of_work(OPS) as ctx:
        key = schedule.create_practitioner(ctx, values=PERSON).id
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def save(number: int) -> None:
        together.wait()
        try:
            with real_db.unit_of_work(OPS) as ctx:
                schedule.change_practitioner(ctx, practitioner_id=key, values={"name": f"Ana {number}"}, version=1)
            outcomes.append("saved")
        except DomainError as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["saved", "stale_form", "stale_form", "stale_form"]
