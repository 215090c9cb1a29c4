"""Signing in, being recognised, being rate limited, being ended from afar."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, func, select

from admin_app.context import Ctx, Guest, Job, Staff
from admin_app.db import Database
from admin_app.errors import NotFound
from admin_app.services import staff
from admin_app.services.staff import passwords, sign_in_limits, staff_sessions
from admin_app.services.staff.staff_sessions import Limits, SignedIn, SignInRefused
from models import AuditEntry, Role, SignInBrake, StaffMember, StaffSession

OPERATOR = Job("flask staff")
EMAIL = "mara@example.com"
PASSWORD = "glass-kettle-orbit-29"
LIMITS = Limits(idle=timedelta(minutes=60), absolute=timedelta(hours=12))


def _add(ctx: Ctx, email: str = EMAIL, role: Role = Role.SUPPORT) -> StaffMember:
    operator = replace(ctx, actor=OPERATOR)
    return staff.create_staff(operator, email=email, name="Mara", role=role, password=PASSWORD)[0]


def _try(
    ctx: Ctx,
    password: str = PASSWORD,
    *,
    email: str = EMAIL,
    ip: str | None = None,
    user_agent: str = "Firefox",
) -> SignedIn | SignInRefused:
    return staff_sessions.sign_in(ctx, email=email, password=password, ip=ip, user_agent=user_agent, limits=LIMITS)


def _enter(ctx: Ctx, email: str = EMAIL) -> SignedIn:
    outcome = _try(ctx, email=email)
    assert isinstance(outcome, SignedIn)
    return outcome


def _refusal(outcome: SignedIn | SignInRefused) -> str:
    assert isinstance(outcome, SignInRefused)
    return outcome.error.code


def _later(ctx: Ctx, **passed: int) -> Ctx:
    return replace(ctx, now=ctx.now + timedelta(**passed))


def _who(ctx: Ctx, token: str) -> Staff | None:
    found = staff_sessions.authenticate(ctx.session, token, now=ctx.now, limits=LIMITS)
    return found.actor if found else None


@pytest.fixture
def guest(db: Database) -> Iterator[Ctx]:
    with db.unit_of_work(Guest()) as ctx:
        _add(ctx)
        yield ctx


def test_signing_in_opens_a_session_whose_token_is_kept_only_as_a_hash(guest: Ctx) -> None:
    entered = _enter(guest)
    assert _who(guest, entered.token) == Staff(entered.actor.id, EMAIL, Role.SUPPORT)
    assert len(entered.token) >= 43
    assert entered.token.encode() not in entered.session.token_hash
    assert len(entered.session.token_hash) == 32
    entry = guest.session.scalars(select(AuditEntry).where(AuditEntry.event == "staff.signed_in")).one()
    keys = [f"staff:{entered.actor.id}", f"staff_session:{entered.session.id}"]
    assert (entry.actor_label, entry.records) == (EMAIL, keys)


def test_every_sign_in_has_a_token_of_its_own(guest: Ctx) -> None:
    assert len({_enter(guest).token for _ in range(3)}) == 3


def test_unknown_wrong_and_disabled_read_the_same(guest: Ctx) -> None:
    gone = _add(guest, "gone@example.com")
    staff.disable_staff(replace(guest, actor=OPERATOR), staff_id=gone.id)
    outcomes = [
        _try(guest, "wrong-password-here"),
        _try(guest, email="nobody@example.com"),
        _try(guest, email="gone@example.com"),
    ]
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, SignInRefused)]
    assert [(error.code, error.sentence, error.status) for error in errors] == [
        ("wrong_credentials", "E-mail or password is not right.", 401)
    ] * 3
    assert guest.session.scalar(select(func.count()).select_from(StaffSession)) == 0


@pytest.mark.parametrize("email", ["", "a\0b@example.com", "x" * 5000, "\ud800@example.com", "' OR 1=1 --"])
def test_an_odd_address_is_just_nobody(guest: Ctx, email: str) -> None:
    assert _refusal(_try(guest, email=email)) == "wrong_credentials"


def test_the_audit_tells_the_cause_but_never_what_a_stranger_typed(guest: Ctx) -> None:
    _try(guest, "wrong-password-here")
    _try(guest, "hunter2", email="my-secret-typed-in-the-wrong-field")
    query = select(AuditEntry).where(AuditEntry.event == "staff.sign_in_refused").order_by(AuditEntry.id)
    entries = guest.session.scalars(query).all()
    assert [entry.facts for entry in entries] == [
        {"account": EMAIL, "because": "the password was wrong"},
        {"account": "an unknown address", "because": "nobody has this e-mail"},
    ]
    told = " ".join(f"{entry.facts}{entry.changes}{entry.records}{entry.actor_label}" for entry in entries)
    assert "secret" not in told
    assert "hunter2" not in told


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_five_failures_make_known_and_unknown_wait_alike_and_longer_each_time(guest: Ctx, email: str) -> None:
    assert [_refusal(_try(guest, "wrong", email=email)) for _ in range(5)] == ["wrong_credentials"] * 5
    now = guest
    for minutes in (1, 2, 4, 8, 15, 15):
        assert _refusal(_try(_later(now, seconds=minutes * 60 - 1), email=email)) == "too_many_attempts"
        now = _later(now, seconds=minutes * 60)
        assert _refusal(_try(now, "wrong", email=email)) == "wrong_credentials"
        assert _refusal(_try(now, email=email)) == "too_many_attempts"


def test_the_right_password_after_the_wait_clears_the_count(guest: Ctx) -> None:
    for _ in range(5):
        _try(guest, "wrong")
    after = _later(guest, minutes=1)
    assert isinstance(_try(after), SignedIn)
    assert [_refusal(_try(after, "wrong")) for _ in range(4)] == ["wrong_credentials"] * 4
    assert isinstance(_try(after), SignedIn)


def test_an_administrator_lifts_the_wait_by_enabling_or_a_new_password(guest: Ctx) -> None:
    admin = replace(guest, actor=OPERATOR)
    member = staff.find_by_email(admin, email=EMAIL)
    for lift in (staff.enable_staff, staff.reset_password):
        for _ in range(5):
            _try(guest, "wrong")
        assert _refusal(_try(guest)) == "too_many_attempts"
        lift(admin, staff_id=member.id)
        assert member.failed_sign_ins == 0
        assert member.locked_until is None
    assert _refusal(_try(guest)) == "wrong_credentials"


def test_one_network_that_tries_many_accounts_is_braked_and_others_are_not(guest: Ctx) -> None:
    codes = Counter(
        _refusal(_try(guest, "wrong", email=f"n{number}@example.com", ip="192.0.2.7")) for number in range(33)
    )
    assert codes == {"wrong_credentials": 31, "too_many_attempts": 2}
    assert _refusal(_try(guest, ip="192.0.2.7")) == "too_many_attempts"
    assert isinstance(_try(guest, ip="192.0.2.8"), SignedIn)
    assert isinstance(_try(_later(guest, minutes=1), ip="192.0.2.7"), SignedIn)


def test_the_slips_of_an_office_do_not_add_up_over_the_days(guest: Ctx) -> None:
    now = guest
    for number in range(40):
        now = _later(now, minutes=30)
        assert _refusal(_try(now, "wrong", email=f"n{number}@example.com", ip="192.0.2.7")) == "wrong_credentials"
    assert isinstance(_try(now, ip="192.0.2.7"), SignedIn)


def test_a_network_is_an_ipv4_address_or_an_ipv6_customer() -> None:
    key = sign_in_limits.of_network
    assert key("2001:db8:1:2::1") == key("2001:db8:1:2:ffff::9")
    assert key("2001:db8:1:3::1") != key("2001:db8:1:2::1")
    assert key("::ffff:192.0.2.7") == key("192.0.2.7") != key("192.0.2.8")
    assert key("::1") != key("0.0.0.1")
    assert key(None) is None
    assert key("unix:") is None


def test_what_belongs_to_no_account_is_forgotten_after_a_day(guest: Ctx) -> None:
    for number in range(3):
        _try(guest, email=f"n{number}@example.com", ip="192.0.2.7")
    count = select(func.count()).select_from(SignInBrake)
    assert guest.session.scalar(count) == 4
    _try(_later(guest, days=1, seconds=1), email="n0@example.com", ip="192.0.2.7")
    guest.session.expire_all()
    assert guest.session.scalar(count) == 2
    assert set(guest.session.scalars(select(SignInBrake.failed_sign_ins))) == {1}


def test_parallel_guesses_are_counted_one_by_one(real_db: Database) -> None:
    with real_db.unit_of_work(Guest()) as ctx:
        _add(ctx)
    start = threading.Barrier(16)

    def guess(number: int) -> str:
        start.wait()
        with real_db.unit_of_work(Guest()) as ctx:
            return _refusal(_try(ctx, f"wrong-{number}", ip=f"198.51.100.{number}"))

    with ThreadPoolExecutor(16) as pool:
        codes = Counter(pool.map(guess, range(16)))
    assert codes == {"wrong_credentials": 5, "too_many_attempts": 11}
    with real_db.unit_of_work(OPERATOR) as ctx:
        member = staff.find_by_email(ctx, email=EMAIL)
        assert member.failed_sign_ins == 5
        assert member.locked_until is not None
        events = Counter(ctx.session.scalars(select(AuditEntry.event)))
        assert (events["staff.sign_in_refused"], events["staff.locked"]) == (5, 1)


def test_parallel_guesses_at_an_unknown_address_are_counted_one_by_one(real_db: Database) -> None:
    start = threading.Barrier(12)

    def guess(number: int) -> str:
        start.wait()
        with real_db.unit_of_work(Guest()) as ctx:
            return _refusal(_try(ctx, "wrong", email="nobody@example.com", ip="198.51.100.1"))

    with ThreadPoolExecutor(12) as pool:
        codes = Counter(pool.map(guess, range(12)))
    assert codes == {"wrong_credentials": 5, "too_many_attempts": 7}


def test_a_failure_that_is_rolled_back_would_not_count_so_it_is_returned(real_db: Database) -> None:
    with real_db.unit_of_work(Guest()) as ctx:
        _add(ctx)
    for _ in range(3):
        with real_db.unit_of_work(Guest()) as ctx:
            assert _refusal(_try(ctx, "wrong")) == "wrong_credentials"
    with real_db.unit_of_work(OPERATOR) as ctx:
        assert staff.find_by_email(ctx, email=EMAIL).failed_sign_ins == 3


def test_a_hash_with_old_parameters_is_renewed_at_sign_in(guest: Ctx) -> None:
    member = staff.find_by_email(replace(guest, actor=OPERATOR), email=EMAIL)
    member.password_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    _enter(guest)
    assert not passwords.needs_rehash(member.password_hash)
    _enter(guest)


def test_recognising_a_token_takes_one_query(guest: Ctx) -> None:
    token = _enter(guest).token
    guest.session.expunge_all()
    statements: list[str] = []
    connection = guest.session.connection()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    assert _who(guest, token)
    event.remove(connection, "before_cursor_execute", note)
    assert len(statements) == 1


@pytest.mark.parametrize("token", ["", "nonsense", "\ud800", "x" * 100_000, "a\0b"])
def test_a_token_of_nobody_is_nobody(guest: Ctx, token: str) -> None:
    assert _who(guest, token) is None


def test_a_session_ends_after_silence_and_after_its_whole_time(guest: Ctx) -> None:
    entered = _enter(guest)
    assert _who(_later(guest, minutes=59), entered.token)
    assert _who(_later(guest, minutes=60), entered.token) is None
    now = guest
    while now.now < guest.now + LIMITS.absolute - timedelta(minutes=50):
        now = _later(now, minutes=50)
        staff_sessions.touch(now, session_id=entered.session.id)
        assert _who(now, entered.token)
    assert _who(_later(guest, hours=11, minutes=59), entered.token)
    assert _who(_later(guest, hours=12), entered.token) is None


def test_use_is_noted_at_most_once_a_minute(guest: Ctx) -> None:
    entered = _enter(guest)

    def due(ctx: Ctx) -> bool:
        found = staff_sessions.authenticate(ctx.session, entered.token, now=ctx.now, limits=LIMITS)
        assert found is not None
        return found.touch_due

    assert not due(_later(guest, seconds=59))
    after = _later(guest, seconds=60)
    assert due(after)
    staff_sessions.touch(after, session_id=entered.session.id)
    assert not due(after)


def test_signing_out_ends_this_session_only_and_twice_is_no_error(guest: Ctx) -> None:
    here, elsewhere = _enter(guest), _enter(guest)
    for _ in range(2):
        staff_sessions.sign_out(guest, token=here.token)
    assert _who(guest, here.token) is None
    assert _who(guest, elsewhere.token)
    events = list(guest.session.scalars(select(AuditEntry.event)))
    assert events.count("staff.signed_out") == 1


def test_a_session_that_was_ended_is_not_revived_by_a_request_under_way(real_db: Database) -> None:
    with real_db.unit_of_work(Guest()) as ctx:
        _add(ctx)
        entered = _enter(ctx)
    with real_db.read_only() as session:
        now = real_db.clock() + timedelta(minutes=5)
        recognised = staff_sessions.authenticate(session, entered.token, now=now, limits=LIMITS)
        assert recognised is not None
        assert recognised.touch_due
        with real_db.unit_of_work(entered.actor) as ctx:
            staff_sessions.revoke_session(ctx, staff_id=entered.actor.id, session_id=entered.session.id)
        with real_db.unit_of_work(recognised.actor) as ctx:
            staff_sessions.touch(replace(ctx, now=now), session_id=recognised.session_id)
        assert staff_sessions.authenticate(session, entered.token, now=now, limits=LIMITS) is None


def test_one_sees_and_ends_ones_own_sessions(guest: Ctx) -> None:
    sessions = [_enter(guest) for _ in range(3)]
    own = replace(guest, actor=sessions[0].actor)
    listed = staff_sessions.list_open(own, staff_id=own.actor.id, limits=LIMITS)
    assert {row.id for row in listed} == {entered.session.id for entered in sessions}
    staff_sessions.revoke_session(own, staff_id=own.actor.id, session_id=sessions[1].session.id)
    assert staff_sessions.revoke_all(own, staff_id=own.actor.id, except_id=sessions[0].session.id) == 1
    assert [bool(_who(guest, entered.token)) for entered in sessions] == [True, False, False]
    assert staff_sessions.revoke_all(own, staff_id=own.actor.id, except_id=sessions[0].session.id) == 0


def test_someone_elses_session_is_not_found_but_for_administrators(guest: Ctx) -> None:
    entered = _enter(guest)
    other = Staff(_add(guest, "other@example.com").id, "other@example.com", Role.OPS)
    as_other = replace(guest, actor=other)
    for owner, number in ((entered.actor.id, entered.session.id), (other.id, entered.session.id), (other.id, 10**12)):
        with pytest.raises(NotFound):
            staff_sessions.revoke_session(as_other, staff_id=owner, session_id=number)
    assert _who(guest, entered.token)
    admin = Staff(_add(guest, "admin@example.com", Role.ADMIN).id, "admin@example.com", Role.ADMIN)
    staff_sessions.revoke_session(
        replace(guest, actor=admin),
        staff_id=entered.actor.id,
        session_id=entered.session.id,
        reason="Lost laptop",
    )
    assert _who(guest, entered.token) is None
    entry = guest.session.scalars(select(AuditEntry).where(AuditEntry.event == "staff.session_revoked")).one()
    assert (entry.reason, entry.facts) == ("Lost laptop", {"email": EMAIL, "sessions_ended": 1})


def test_the_name_of_a_browser_is_kept_short_and_clean(guest: Ctx) -> None:
    outcome = _try(guest, user_agent="Fire\0fox" + "x" * 1000)
    assert isinstance(outcome, SignedIn)
    assert outcome.session.user_agent == ("Firefox" + "x" * 1000)[:300]
