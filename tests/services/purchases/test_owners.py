"""Likely owners: each kind of evidence, how they rank, how well they tell typos from other people, and at what cost."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from admin_app.db import Database
from admin_app.services.people.address_likeness import compare
from admin_app.services.purchases import owners
from admin_app.services.purchases.owners import LIKELY_SCORE, LikelyOwner
from models import Booking, Meeting, PendingProfile, Practitioner, SessionType
from tests.services.factories import LATER, NOON, OPERATOR, add_profile, add_user, buy, pending_of

FAR = NOON - 30 * LATER


def found(db: Database, pending: PendingProfile) -> list[LikelyOwner]:
    with db.read_only() as session:
        return owners.likely_owners(session, session.get_one(PendingProfile, pending.id))


def codes(db: Database, pending: PendingProfile, user_id: str = "user_x") -> set[str]:
    return {piece.code for owner in found(db, pending) if owner.user_id == user_id for piece in owner.evidence}


def person(db: Database, user_id: str = "user_x", **values: Any) -> None:
    add_user(db, user_id, **({"created_at": FAR} | values))


def booked(db: Database, email: str, name: str, *, meeting: bool = False) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        practitioner = Practitioner(name="Dr. P", email="p@example.com")
        ctx.session.add(practitioner)
        ctx.session.flush()
        times = {"practitioner_id": practitioner.id, "starts_at": NOON, "ends_at": NOON + timedelta(hours=1)}
        if meeting:
            ctx.session.add(Meeting(guest_email=email, guest_name=name, **times))
            return
        sold = SessionType(practitioner_id=practitioner.id, title="Talk", minutes=60)
        ctx.session.add(sold)
        ctx.session.flush()
        ctx.session.add(Booking(session_type_id=sold.id, client_email=email, client_name=name, **times))


@pytest.mark.parametrize(
    ("owned", "code"),
    [
        ("Jane.Doe@Example.com", "same_email"),
        ("jane.doe+shop@example.com", "same_mailbox"),
        ("janedoe@example.com", "same_mailbox"),
        ("jnae.doe@example.com", "local_typo"),
        ("jane.doe@exmaple.com", "domain_typo"),
        ("jane.doee@exmple.com", "both_typo"),
        ("jane.doe@example.org", "same_local"),
    ],
)
@pytest.mark.parametrize("kept_on", ["user", "profile"])
def test_evidence_of_the_address(db: Database, owned: str, code: str, kept_on: str) -> None:
    pending = buy(db, "jane.doe@example.com")
    if kept_on == "user":
        person(db, email=owned)
    else:
        add_profile(db, "user_x", email=owned, created_at=FAR)
    assert codes(db, pending) == {code}


def test_evidence_of_the_whop_user(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_x", email="else@where.org", whop_user_id="user_whop1", created_at=FAR)
    assert codes(db, pending) == {"whop_user"}


def test_evidence_of_the_name(db: Database) -> None:
    pending = buy(db, name="Bea Buyer")
    person(db, email="else@where.org", name=" bea buyer")
    person(db, "user_y", email="other@where.org", name="Bea")
    assert codes(db, pending) == set()  # kept with a space in front: not the same to an index
    person(db, "user_z", email="third@where.org", name="BEA BUYER")
    assert codes(db, pending, "user_z") == {"name"}
    assert codes(db, pending, "user_y") == set()


@pytest.mark.parametrize("meeting", [False, True])
def test_evidence_of_a_booking_or_meeting_under_the_address(db: Database, meeting: bool) -> None:
    booked(db, "Buyer@example.com", "Bea Buyer", meeting=meeting)
    person(db, email="bea@where.org", name="Bea Buyer")
    assert codes(db, buy(db)) == {"booking"}


@pytest.mark.parametrize(("minutes", "near"), [(14, True), (-14, True), (16, False), (-16, False)])
def test_evidence_of_an_account_made_within_minutes(db: Database, minutes: int, near: bool) -> None:
    person(db, email="else@where.org", created_at=NOON + timedelta(minutes=minutes))
    pending = buy(db)
    assert codes(db, pending) == ({"made_near"} if near else set())
    if near:
        assert f"14 min {'after' if minutes > 0 else 'before'}" in found(db, pending)[0].evidence[0].sentence


def test_the_strongest_come_first_and_pieces_add_up(db: Database) -> None:
    booked(db, "jane.doe@example.com", "Jane Doe")
    pending = buy(db, "jane.doe@example.com", name="Jane Doe")
    person(db, "user_typo", email="jnae.doe@example.com", name="Jane Doe")
    person(db, "user_case", email="JANE.DOE@example.com")
    person(db, "user_near", email="x@y.org", created_at=NOON)
    ranked = found(db, pending)
    assert [owner.user_id for owner in ranked] == ["user_typo", "user_case", "user_near"]
    assert [owner.score for owner in ranked] == [100, 90, 20]
    assert [piece.code for piece in ranked[0].evidence] == ["local_typo", "booking", "name"]


def test_nothing_is_ever_matched_silently(db: Database) -> None:
    person(db, email="buyer@example.com", name="Bea")
    pending = buy(db, whop_user_id="u1", name="Bea")
    with db.unit_of_work(OPERATOR) as ctx:
        assert owners.refresh_one(ctx, pending_profile_id=pending.id)
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.claimed, row.likely_owners) == (False, 1)


def test_only_stale_looks_are_taken_again(db: Database) -> None:
    buy(db)
    with db.unit_of_work(OPERATOR) as ctx:
        assert owners.stale(ctx.session, ctx.now, limit=10) == []  # looked at when it came in
        ctx.session.execute(text("UPDATE pending_profiles SET owners_checked_at = owners_checked_at - interval '1 h'"))
        (stale,) = owners.stale(ctx.session, ctx.now, limit=10)
        assert owners.refresh_one(ctx, pending_profile_id=stale)
        assert owners.stale(ctx.session, ctx.now, limit=10) == []


def test_a_legacy_row_is_never_offered(db: Database) -> None:
    pending = buy(db, "jane@example.com")
    add_profile(db, "temp_1", email="jane@exmaple.com", whop_user_id="user_whop1", created_at=NOON)
    add_profile(db, "temple", email="jane@exampel.com", created_at=FAR)
    assert [owner.user_id for owner in found(db, pending)] == ["temple"]


# Typos, and people who look alike

TYPOS = [
    line.split()
    for line in """
    jnae.doe@gmail.com jane.doe@gmail.com
    jane.deo@gmail.com jane.doe@gmail.com
    jane.doe@gmial.com jane.doe@gmail.com
    jane.doe@gmai.com jane.doe@gmail.com
    jane.doe@gmail.co jane.doe@gmail.com
    jane.doe@gmail.con jane.doe@gmail.com
    jane.doe@gnail.com jane.doe@gmail.com
    jane.doe@gmaill.com jane.doe@gmail.com
    jane.doe@hotmial.com jane.doe@hotmail.com
    jane.doe@hotmai.com jane.doe@hotmail.com
    jane.doe@outlok.com jane.doe@outlook.com
    jane.doe@yaho.com jane.doe@yahoo.com
    jane.doe@yahooo.com jane.doe@yahoo.com
    jane.doe@iclod.com jane.doe@icloud.com
    jane.doe@gmx.dee jane.doe@gmx.de
    jane.doe@wev.de jane.doe@web.de
    jane.doe@googlemail.com jane.doe@gmail.com
    jane.doe+whop@gmail.com jane.doe@gmail.com
    janedoe@gmail.com jane.doe@gmail.com
    schmiddt@example.com schmidt@example.com
    shcmidt@example.com schmidt@example.com
    schmdit@example.com schmidt@example.com
    schmidt@exmaple.com schmidt@example.com
    schimdt.peter@example.com schmidt.peter@example.com
    katharina.lang@gmail.com kathrina.lang@gmail.com
    kahtarina.lang@gmail.com katharina.lang@gmail.com
    oliver.wright@gmail.com olivr.wright@gmail.com
    oliver.wirght@gmail.com oliver.wright@gmail.com
    oliver.wroght@gmail.com oliver.wright@gmail.com
    oliver.wrighht@gmail.com oliver.wright@gmail.com
    fernando.gomez@gmail.com fernanod.gomez@gmail.com
    ferrnando.gomezz@gmail.com fernando.gomez@gmail.com
    thomas1984@gmail.com thoams1984@gmail.com
    the.big.lebowski@gmail.com the.big.lebowksi@gmail.com
    mcdonald@gmail.com mcdonlad@gmail.com
    coffeelover@gmail.com coffelover@gmail.com
    williamson@acme.io wiliamson@acme.io
    benjamin.k@gmail.com bejnamin.k@gmail.com
    sunflower@gmial.com sunflwoer@gmail.com
    rebecca.stone@gmail.com rebeca.stone@gmail.com
    """.strip().splitlines()
]
LOOK_ALIKES = [
    line.split()
    for line in """
    anna.k@gmail.com anna.m@gmail.com
    j.smith@gmail.com m.smith@gmail.com
    jsmith@gmail.com msmith@gmail.com
    john.smith1@gmail.com john.smith2@gmail.com
    thomas1984@gmail.com thomas1985@gmail.com
    thomas84@gmail.com thomas48@gmail.com
    thomas@gmail.com thomas1@gmail.com
    max.mustermann@gmx.de max.mustermann@gmx.net
    max.mustermann@gmx.de max.mustermann@gmx.at
    max.mustermann@gmx.de max.mustermann@web.de
    max.mustermann@yahoo.de max.mustermann@yahoo.fr
    max.mustermann@outlook.de max.mustermann@outlook.com
    anna.schmidt@gmail.com anne.schmidt@gmail.com
    annaschmidt@gmail.com anneschmidt@gmail.com
    anna.schmidt@gmail.com hanna.schmidt@gmail.com
    julia.weber@gmail.com julian.weber@gmail.com
    daniel.koch@gmail.com daniela.koch@gmail.com
    martin.koch@gmail.com martina.koch@gmail.com
    michael.koch@gmail.com michaela.koch@gmail.com
    christian.koch@gmail.com christina.koch@gmail.com
    maria.rossi@gmail.com mario.rossi@gmail.com
    marco.rossi@gmail.com mario.rossi@gmail.com
    eric.berg@gmail.com erik.berg@gmail.com
    john.berg@gmail.com jon.berg@gmail.com
    carl.berg@gmail.com karl.berg@gmail.com
    stefan.berg@gmail.com stephan.berg@gmail.com
    sara.berg@gmail.com sarah.berg@gmail.com
    lena.berg@gmail.com lina.berg@gmail.com
    paul.berg@gmail.com paula.berg@gmail.com
    tim.berg@gmail.com tom.berg@gmail.com
    info@acme.com info@acne.org
    sales@northwind.com sales@southwind.com
    peter.m.lang@gmail.com peter.n.lang@gmail.com
    a.lang@gmail.com b.lang@gmail.com
    lang.p@gmail.com lang.t@gmail.com
    alice@gmail.com alicia@gmail.com
    simon.g@gmail.com simone.g@gmail.com
    nina.park@gmail.com tina.park@gmail.com
    kim.park@gmail.com kim.bark@gmail.com
    roberto.diaz@gmail.com roberta.diaz@gmail.com
    """.strip().splitlines()
]


def likely(bought: str, owned: str) -> bool:
    likeness = compare(bought, owned)
    return likeness is not None and likeness.weight >= LIKELY_SCORE


def test_the_tables_are_large_and_even() -> None:
    assert (len(TYPOS), len(LOOK_ALIKES)) == (40, 40)


def test_every_typo_finds_its_owner_among_everybody(db: Database) -> None:
    """The search itself, which looks only at what an index calls similar, loses none of them."""
    for n, owned in enumerate(sorted({owned for _, owned in TYPOS})):
        person(db, f"user_{n}", email=owned)
    missed = []
    for n, (bought, owned) in enumerate(TYPOS):
        pending = buy(db, bought, membership_id=f"mem_{n}", whop_user_id=None)
        if owned not in {owner.email for owner in found(db, pending) if owner.score >= LIKELY_SCORE}:
            missed.append((bought, owned))
    assert not missed


@pytest.mark.parametrize("pair", TYPOS, ids=" ".join)
def test_a_typo_is_likely(pair: list[str]) -> None:
    assert likely(*pair)
    assert likely(*reversed(pair))


@pytest.mark.parametrize("pair", LOOK_ALIKES, ids=" ".join)
def test_another_person_is_not(pair: list[str]) -> None:
    assert not likely(*pair)
    assert not likely(*reversed(pair))


# Cost

MANY = 20_000
FILL = f"""
    INSERT INTO users (open_id, email, name, created_at)
    SELECT 'user_' || n, 'person' || md5(n::text) || '@mail' || n % 50 || '.example', 'Person ' || n,
           timestamptz '2025-01-01' + n * interval '20 minutes' FROM generate_series(1, {MANY}) n;
    INSERT INTO profiles (user_id, email, whop_user_id)
    SELECT 'user_' || n, 'person' || md5(n::text) || '@mail' || n % 50 || '.example', 'whop_' || n
    FROM generate_series(1, {MANY}) n;
    INSERT INTO practitioners (name, email) VALUES ('Dr. P', 'p@example.com');
    INSERT INTO session_types (practitioner_id, title, minutes) SELECT id, 'Talk', 60 FROM practitioners;
    INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status)
    SELECT s.practitioner_id, s.id, 'Person ' || n, 'person' || n || '@mail.example',
           timestamptz '2025-01-01' + n * interval '1 hour', timestamptz '2025-01-01' + (n + 1) * interval '1 hour',
           'completed' FROM session_types s, generate_series(1, {MANY}) n;
    INSERT INTO meetings (practitioner_id, guest_name, guest_email, starts_at, ends_at)
    SELECT p.id, 'Person ' || n, 'person' || n || '@mail.example', now(), now() + interval '1 hour'
    FROM practitioners p, generate_series(1, {MANY}) n;
    ANALYZE users; ANALYZE profiles; ANALYZE bookings; ANALYZE meetings;
"""


def test_a_look_reads_through_indexes_only_in_a_few_queries(real_db: Database) -> None:
    with real_db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text(FILL))
    pending = buy(real_db, "person@example.com", name="Person 77", whop_user_id="whop_99")
    plans, queries = [], []

    def explained(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        queries.append(statement)
        if statement.startswith("SELECT"):
            with connection.connection.cursor() as side:
                side.execute(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(row[0] for row in side.fetchall()))

    event.listen(real_db.engine, "before_cursor_execute", explained)
    with real_db.read_only() as session:
        row = session.get_one(PendingProfile, pending.id)
        queries.clear()
        people = owners.likely_owners(session, row)
    event.remove(real_db.engine, "before_cursor_execute", explained)
    assert {owner.user_id for owner in people} >= {"user_77", "user_99"}
    assert len(queries) <= 11, queries
    scans = [plan for plan in plans if re.search(r"Seq Scan on (users|profiles|bookings|meetings)\b", plan)]
    assert not scans, "\n\n".join(scans)
