"""The staff list: who is added, changed, refused, and what ends with it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from admin_app.context import Ctx, Customer, Job, Staff
from admin_app.db import Database
from admin_app.errors import Conflict, DomainError, Forbidden, InvalidInput, NotSignedIn, PlanMoved
from admin_app.services import staff
from admin_app.services.staff import passwords, staff_plans, staff_sessions
from admin_app.services.staff.staff_sessions import Limits, SignedIn
from models import AuditEntry, Role, StaffMember

OPERATOR = Job("flask staff")
PASSWORD = "glass-kettle-orbit-29"
LIMITS = Limits(idle=timedelta(minutes=60), absolute=timedelta(hours=12))


def _add(ctx: Ctx, email: str, role: Role = Role.SUPPORT, password: str = PASSWORD) -> StaffMember:
    member, generated = staff.create_staff(ctx, email=email, name="Someone", role=role, password=password)
    assert generated is None
    return member


def _open_session(ctx: Ctx, email: str, password: str = PASSWORD) -> SignedIn:
    outcome = staff_sessions.sign_in(
        ctx, email=email, password=password, ip="192.0.2.1", user_agent="Firefox", limits=LIMITS
    )
    assert isinstance(outcome, SignedIn)
    return outcome


def _recognised(ctx: Ctx, token: str) -> bool:
    return staff_sessions.authenticate(ctx.session, token, now=ctx.now, limits=LIMITS) is not None


def _events(ctx: Ctx, member: StaffMember) -> list[str]:
    rows = select(AuditEntry).where(AuditEntry.records.contains([f"staff:{member.id}"])).order_by(AuditEntry.id)
    return [entry.event for entry in ctx.session.scalars(rows)]


def test_a_person_is_created_with_a_given_password(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member = _add(ctx, "  Mara.Lind@Example.com ")
        assert member.email == "mara.lind@example.com"
        assert member.password_hash.startswith("$argon2id$")
        assert _events(ctx, member) == ["staff.created"]
        _open_session(ctx, "MARA.LIND@example.com")


def test_a_made_up_password_is_returned_once_and_kept_only_as_a_hash(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member, generated = staff.create_staff(ctx, email="a@example.com", name="A", role=Role.OPS)
        assert generated is not None
        assert len(generated) >= passwords.SHORTEST
        assert generated not in member.password_hash
        _open_session(ctx, "a@example.com", generated)


def test_an_e_mail_is_on_the_staff_once_whatever_its_case(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        _add(ctx, "a@example.com")
        with pytest.raises(Conflict) as refused:
            _add(ctx, "A@EXAMPLE.com")
    assert refused.value.code == "staff_exists"


@pytest.mark.parametrize("email", ["", "nobody", "a@b", "a b@example.com", "a@example.com\0", "a@@example.com"])
def test_what_is_no_e_mail_is_refused(db: Database, email: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx, pytest.raises(InvalidInput) as refused:
        _add(ctx, email)
    assert set(refused.value.fields) == {"email"}


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "a\0b"])
def test_what_is_no_name_is_refused(db: Database, name: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx, pytest.raises(InvalidInput) as refused:
        staff.create_staff(ctx, email="a@example.com", name=name, role=Role.OPS, password=PASSWORD)
    assert set(refused.value.fields) == {"name"}


def test_a_weak_password_is_refused_and_nobody_is_added(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx, pytest.raises(InvalidInput) as refused:
        _add(ctx, "a@example.com", password="short")
    assert refused.value.code == "weak_password"
    with db.unit_of_work(OPERATOR) as ctx:
        assert staff.list_staff(ctx) == []


def _change_by(verb: str, ctx: Ctx, staff_id: int) -> None:
    match verb:
        case "disable":
            staff.disable_staff(ctx, staff_id=staff_id, reason="Left the company")
        case "set_role":
            staff.set_role(ctx, staff_id=staff_id, role=Role.FINANCE, reason="Moved team")
        case "reset_password":
            staff.reset_password(ctx, staff_id=staff_id, reason="Forgot it")


@pytest.mark.parametrize(
    ("verb", "event"),
    [
        ("disable", "staff.disabled"),
        ("set_role", "staff.role_changed"),
        ("reset_password", "staff.password_reset"),
    ],
)
def test_what_takes_trust_away_ends_every_session(db: Database, verb: str, event: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member = _add(ctx, "a@example.com")
        tokens = [_open_session(ctx, "a@example.com").token for _ in range(2)]
        assert all(_recognised(ctx, token) for token in tokens)
        version = member.version
        _change_by(verb, ctx, member.id)
        assert not any(_recognised(ctx, token) for token in tokens)
        assert member.version == version + 1
        entry = ctx.session.scalars(select(AuditEntry).where(AuditEntry.event == event)).one()
        assert entry.facts["sessions_ended"] == 2
        assert entry.reason


def test_disabling_twice_is_one_event_and_enabling_opens_the_account(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member = _add(ctx, "a@example.com")
        staff.disable_staff(ctx, staff_id=member.id)
        staff.disable_staff(ctx, staff_id=member.id)
        staff.enable_staff(ctx, staff_id=member.id)
        staff.enable_staff(ctx, staff_id=member.id)
        assert _events(ctx, member) == ["staff.created", "staff.disabled", "staff.enabled"]
        _open_session(ctx, "a@example.com")


def test_the_same_role_again_changes_nothing(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member = _add(ctx, "a@example.com")
        token = _open_session(ctx, "a@example.com").token
        staff.set_role(ctx, staff_id=member.id, role=Role.SUPPORT)
        assert _recognised(ctx, token)


def test_the_last_active_administrator_stays(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        first, second = (_add(ctx, email, Role.ADMIN) for email in ("a@example.com", "b@example.com"))
        staff.disable_staff(ctx, staff_id=first.id)
        for refused_change in (
            lambda: staff.disable_staff(ctx, staff_id=second.id),
            lambda: staff.set_role(ctx, staff_id=second.id, role=Role.AUDITOR),
        ):
            with pytest.raises(staff.LastAdmin):
                refused_change()
        staff.enable_staff(ctx, staff_id=first.id)
        staff.set_role(ctx, staff_id=second.id, role=Role.AUDITOR)
        assert second.role is Role.AUDITOR


def test_two_administrators_who_disable_each_other_at_once_leave_one(real_db: Database) -> None:
    with real_db.unit_of_work(OPERATOR) as ctx:
        ids = [_add(ctx, f"{name}@example.com", Role.ADMIN).id for name in "ab"]
    start = threading.Barrier(2)

    def disable(actor_id: int, other_id: int) -> str:
        start.wait()
        try:
            with real_db.unit_of_work(Staff(actor_id, "x@example.com", Role.ADMIN)) as ctx:
                staff.disable_staff(ctx, staff_id=other_id, reason="A quarrel")
        except DomainError as refused:
            return refused.code
        return "disabled"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(disable, ids, reversed(ids)))
    assert outcomes == ["disabled", "last_admin"]
    with real_db.unit_of_work(OPERATOR) as ctx:
        assert len([m for m in staff.list_staff(ctx) if m.disabled_at is None]) == 1


def test_demoting_and_disabling_at_once_leave_an_administrator(real_db: Database) -> None:
    with real_db.unit_of_work(OPERATOR) as ctx:
        ids = [_add(ctx, f"{name}@example.com", Role.ADMIN).id for name in "abcd"]
    start = threading.Barrier(len(ids))

    def take_away(position: int) -> str:
        start.wait()
        try:
            with real_db.unit_of_work(OPERATOR) as ctx:
                if position % 2:
                    staff.disable_staff(ctx, staff_id=ids[position])
                else:
                    staff.set_role(ctx, staff_id=ids[position], role=Role.OPS)
        except DomainError as refused:
            return refused.code
        return "taken"

    with ThreadPoolExecutor(len(ids)) as pool:
        outcomes = sorted(pool.map(take_away, range(len(ids))))
    assert outcomes == ["last_admin", "taken", "taken", "taken"]


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.OPS, Role.FINANCE, Role.AUDITOR])
def test_only_administrators_change_staff(db: Database, role: Role) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        target = _add(ctx, "a@example.com")
    with db.unit_of_work(Staff(999, "x@example.com", role)) as ctx:
        for refused_call in (
            lambda: _add(ctx, "b@example.com"),
            lambda: staff.disable_staff(ctx, staff_id=target.id),
            lambda: staff.enable_staff(ctx, staff_id=target.id),
            lambda: staff.set_role(ctx, staff_id=target.id, role=Role.ADMIN),
            lambda: staff.reset_password(ctx, staff_id=target.id),
        ):
            with pytest.raises(Forbidden):
                refused_call()


def test_a_customer_reaches_no_staff_function(db: Database) -> None:
    with db.unit_of_work(Customer("user_1")) as ctx:
        with pytest.raises(NotSignedIn):
            staff.list_staff(ctx)
        with pytest.raises(Forbidden):
            staff.change_own_password(ctx, current=PASSWORD, new="another-glass-kettle")


def test_one_changes_ones_own_password_and_keeps_this_browser(db: Database) -> None:
    new = "marble-quill-harbour-8"
    with db.unit_of_work(OPERATOR) as ctx:
        _add(ctx, "a@example.com")
        here, elsewhere = (_open_session(ctx, "a@example.com") for _ in range(2))
    with db.unit_of_work(here.actor) as ctx:
        changed = staff.change_own_password(ctx, current=PASSWORD, new=new, keep_session_id=here.session.id)
        assert isinstance(changed, StaffMember)
        assert _recognised(ctx, here.token)
        assert not _recognised(ctx, elsewhere.token)
        assert _events(ctx, changed)[-1] == "staff.password_changed"
        _open_session(ctx, "a@example.com", new)


def test_a_wrong_current_password_counts_like_a_failed_sign_in(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member = _add(ctx, "a@example.com")
        actor = _open_session(ctx, "a@example.com").actor
    codes = []
    for _ in range(6):
        with db.unit_of_work(actor) as ctx:
            outcome = staff.change_own_password(ctx, current="not-it-at-all", new="marble-quill-harbour-8")
            assert isinstance(outcome, staff.Refused)
            codes.append(outcome.error.code)
    assert codes == ["wrong_password"] * 5 + ["too_many_attempts"]
    with db.unit_of_work(OPERATOR) as ctx:
        assert staff.get_staff(ctx, staff_id=member.id).failed_sign_ins == 5
        assert _events(ctx, member)[-1] == "staff.locked"


@pytest.mark.parametrize("new", ["short", PASSWORD, "a@example.com99"])
def test_a_poor_new_password_is_refused_at_its_own_field(db: Database, new: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        _add(ctx, "a@example.com")
        actor = _open_session(ctx, "a@example.com").actor
    with db.unit_of_work(actor) as ctx, pytest.raises(InvalidInput) as refused:
        staff.change_own_password(ctx, current=PASSWORD, new=new)
    assert set(refused.value.fields) == {"new_password"}


def test_the_password_stands_nowhere_in_the_audit(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member = _add(ctx, "a@example.com")
        _, generated = staff.reset_password(ctx, staff_id=member.id)
        entries = ctx.session.scalars(select(AuditEntry)).all()
        told = " ".join(f"{entry.changes} {entry.facts} {entry.reason}" for entry in entries)
        assert PASSWORD not in told
        assert generated not in told
        assert "argon2" not in told


def test_a_person_says_why_and_an_operator_may(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        target = _add(ctx, "a@example.com")
        admin = Staff(_add(ctx, "b@example.com", Role.ADMIN).id, "b@example.com", Role.ADMIN)
    for reason in (None, "", "   ", "x" * 1001):
        with db.unit_of_work(admin) as ctx, pytest.raises(InvalidInput) as refused:
            staff.disable_staff(ctx, staff_id=target.id, reason=reason)
        assert set(refused.value.fields) == {"reason"}
    with db.unit_of_work(admin) as ctx:
        staff.disable_staff(ctx, staff_id=target.id, reason="  Left the company ")
        entry = ctx.session.scalars(select(AuditEntry).where(AuditEntry.event == "staff.disabled")).one()
        assert (entry.actor_label, entry.reason) == ("b@example.com", "Left the company")


def test_what_moved_since_the_plan_was_shown_is_not_done(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        member = _add(ctx, "a@example.com")
        shown = staff_plans.plan_role(ctx, staff_id=member.id, role=Role.OPS).fingerprint
        with pytest.raises(PlanMoved):
            staff.set_role(ctx, staff_id=member.id, role=Role.ADMIN, shown=shown)
        staff.reset_password(ctx, staff_id=member.id)
        with pytest.raises(PlanMoved):
            staff.set_role(ctx, staff_id=member.id, role=Role.OPS, shown=shown)
        shown = staff_plans.plan_role(ctx, staff_id=member.id, role=Role.OPS).fingerprint
        assert staff.set_role(ctx, staff_id=member.id, role=Role.OPS, shown=shown).role is Role.OPS


def test_a_plan_says_what_the_act_would_refuse(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        admin = _add(ctx, "a@example.com", Role.ADMIN)
        _open_session(ctx, "a@example.com")
        refused = [
            staff_plans.plan_disable(ctx, staff_id=admin.id).refusal,
            staff_plans.plan_role(ctx, staff_id=admin.id, role=Role.OPS).refusal,
        ]
        assert refused == [staff.LastAdmin.sentence] * 2
        other = _add(ctx, "b@example.com")
        plan = staff_plans.plan_disable(ctx, staff_id=admin.id)
        assert plan.refusal == staff.LastAdmin.sentence
        assert "Open sessions that end at once: 1." in plan.consequences
        assert staff_plans.plan_role(ctx, staff_id=other.id, role=Role.SUPPORT).refusal
        assert staff_plans.plan_enable(ctx, staff_id=other.id).refusal
        assert staff_plans.plan_sign_out(ctx, staff_id=other.id).refusal
        assert staff_plans.plan_sign_out(ctx, staff_id=admin.id).refusal is None
        staff.disable_staff(ctx, staff_id=other.id)
        assert staff_plans.plan_disable(ctx, staff_id=other.id).refusal
        assert staff_plans.plan_enable(ctx, staff_id=other.id).refusal is None
