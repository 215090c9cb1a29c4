"""The demo data: each case that support meets is there, everything is consistent, and a seed tells it all."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from admin_app.context import Job
from admin_app.db import Database
from admin_app.demo import fill
from admin_app.demo.cases import SHOWCASE, SHOWCASE_TYPED
from admin_app.demo.clock import Amounts
from admin_app.errors import DomainError
from admin_app.integrations import whop
from admin_app.services.core import audit
from admin_app.services.core.utc_months import following, month_of
from admin_app.services.purchases import owners
from models import (
    AuditEntry,
    Base,
    BillingStatus,
    Booking,
    BookingStatus,
    Client,
    EventState,
    ExtraPurchase,
    Meeting,
    Merge,
    MonthClosing,
    OnboardingState,
    Organization,
    PaymentProvider,
    PendingProfile,
    Practitioner,
    Profile,
    SentEmail,
    StaffMember,
    User,
    WebhookEvent,
)
from tests.demo.conftest import BASE_URL, NOW, PASSWORD, filled, migrated_database

FEW = Amounts(
    profiles=60, claimed_by_customer=4, merged_by_customer=2, waiting=23, clients=20, bookings=60, meetings=20
)
# Made anew by every fill: salts, tokens, and the columns that the server dates by itself.
NOT_TOLD_BY_SEED = {
    "staff": {"password_hash", "created_at"},
    "pending_profiles": {"token"},
    "claim_tokens": {"digest"},
    "onboarding_states": {"created_at", "updated_at"},
}


@pytest.fixture
def session(demo: Database) -> Iterator[Session]:
    with demo.read_only() as session:
        yield session


def test_there_is_enough_of_everything(session: Session) -> None:
    counted = {table: session.scalar(select(func.count()).select_from(table)) for table in Base.metadata.sorted_tables}
    found = {table.name: number for table, number in counted.items()}
    assert 1950 <= found["profiles"] <= 2050
    assert found["users"] > 1700
    assert found["pending_profiles"] == 300
    assert found["clients"] == 150
    assert found["practitioners"] == 8
    assert 5000 < found["bookings"] < 5060
    assert found["payments"] > 4000
    assert found["meetings"] == 400
    assert found["organizations"] == 40
    assert found["staff"] == 5
    assert found["sent_emails"] > 100


def test_a_third_of_the_purchases_is_claimed_and_journaled(session: Session) -> None:
    claimed = set(session.scalars(select(PendingProfile.id).where(PendingProfile.claimed)))
    journaled = set(session.scalars(select(Merge.pending_profile_id).where(Merge.undone_at.is_(None))))
    assert 100 <= len(claimed) <= 120
    assert claimed == journaled
    told = session.scalar(select(func.count()).where(AuditEntry.event == "purchase.claimed"))
    assert told == session.scalar(select(func.count()).select_from(Merge))
    assert session.scalar(select(func.count()).where(Merge.undone_at.is_not(None))) == 3


def test_the_oldest_unclaimed_purchase_is_the_misspelt_one(session: Session) -> None:
    oldest = session.scalars(
        select(PendingProfile).where(~PendingProfile.claimed).order_by(PendingProfile.created_at).limit(1)
    ).one()
    best = owners.likely_owners(session, oldest)[0]
    assert oldest.email == SHOWCASE_TYPED
    assert (best.user_id, best.email, best.score) == (SHOWCASE.user_id, SHOWCASE.email, 100)
    assert {piece.code for piece in best.evidence} == {"domain_typo", "name", "booking", "made_near"}
    assert oldest.likely_owners == 1


def test_every_kind_of_evidence_is_there_twice(session: Session) -> None:
    session.execute(text("SET LOCAL enable_seqscan = off"))  # nobody has analyzed these tables
    waiting = session.scalars(select(PendingProfile).where(~PendingProfile.claimed)).all()
    codes = Counter(
        piece.code
        for pending in waiting
        for owner in owners.likely_owners(session, pending)
        for piece in owner.evidence
    )
    wanted = ("domain_typo", "local_typo", "same_mailbox", "same_email", "whop_user", "name", "booking", "made_near")
    assert {code: codes[code] for code in wanted if codes[code] < 2} == {}


def test_unclaimed_purchases_have_ended_and_canceled_ones_among_them(session: Session) -> None:
    kinds = session.execute(
        select(PendingProfile.status, PendingProfile.cancel_at_period_end, func.count())
        .where(~PendingProfile.claimed)
        .group_by(PendingProfile.status, PendingProfile.cancel_at_period_end)
    ).all()
    found = {(status.value, cancels): number for status, cancels, number in kinds}
    assert found["inactive", False] >= 10
    assert found["active", True] >= 10


def test_parked_events_and_extra_purchases_wait_for_support(session: Session) -> None:
    parked = Counter(
        session.scalars(select(WebhookEvent.parked_because).where(WebhookEvent.state == EventState.PARKED))
    )
    assert parked == {"email_missing": 7, "membership_unknown": 5}
    waiting = session.scalars(select(ExtraPurchase).where(ExtraPurchase.resolved_at.is_(None))).all()
    assert Counter(extra.pending_profile_id is None for extra in waiting) == {False: 5, True: 3}


def test_legacy_rows_are_left_to_move(session: Session) -> None:
    legacy = session.scalars(select(Profile).where(Profile.user_id.startswith("temp_"))).all()
    assert len(legacy) == 30
    assert all(row.email and row.whop_membership_id for row in legacy)


def test_behind_every_whop_purchase_is_a_delivery_that_can_be_read(session: Session) -> None:
    events = session.scalars(select(WebhookEvent).where(WebhookEvent.provider == "whop")).all()
    subjects = {event.subject for event in events}
    held = session.scalars(
        select(Profile.whop_membership_id).where(Profile.payment_provider == PaymentProvider.WHOP)
    ).all()
    assert set(held) <= subjects
    assert set(session.scalars(select(PendingProfile.whop_membership_id))) <= subjects
    for event in events:
        assert whop.parse_event(event.body, {"webhook-id": event.external_id}, event.received_at).membership_id


def test_clients_are_in_every_state_of_billing_and_onboarding(session: Session) -> None:
    pairs = session.execute(
        select(Client.billing_status, OnboardingState.current_step).join(OnboardingState).distinct()
    ).all()
    assert len(pairs) == len(BillingStatus) * 4
    assert session.scalar(select(func.count()).where(~Client.id.in_(select(OnboardingState.client_id)))) == 2


def test_two_months_are_closed_and_the_last_one_is_left(session: Session) -> None:
    closed = session.scalars(select(MonthClosing).order_by(MonthClosing.month)).all()
    assert [closing.month for closing in closed] == [following(month_of(NOW), -3), following(month_of(NOW), -2)]
    assert all(closing.lines > 0 and closing.closed_by == "finance@demo.test" for closing in closed)


def test_no_appointment_of_a_practitioner_overlaps_another(session: Session) -> None:
    def taken(model: type[Booking] | type[Meeting]) -> Any:
        held = select(model.practitioner_id, model.starts_at, model.ends_at)
        return held.where(model.status != BookingStatus.CANCELED)

    booked, met = taken(Booking), taken(Meeting)
    appointments = sorted(tuple(row) for row in [*session.execute(booked), *session.execute(met)])
    assert not [(one, after) for one, after in pairwise(appointments) if one[0] == after[0] and after[1] < one[2]]


def test_nothing_was_made_after_the_fill(session: Session) -> None:
    for column in (
        AuditEntry.at,
        Booking.created_at,
        Client.created_at,
        Meeting.created_at,
        Merge.made_at,
        Organization.created_at,
        PendingProfile.updated_at,
        Practitioner.created_at,
        Profile.updated_at,
        SentEmail.created_at,
        User.last_signed_in,
        WebhookEvent.received_at,
    ):
        assert session.scalar(select(func.max(column))) <= NOW, column
    assert session.scalar(select(func.min(Booking.starts_at))) < NOW - timedelta(days=150)
    assert session.scalar(select(func.max(Booking.starts_at))) > NOW + timedelta(days=150)


def test_the_audit_holds_together_and_no_job_is_left(session: Session) -> None:
    assert audit.first_broken_link(session) is None
    assert session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0


def test_the_same_seed_tells_the_same_story(template_database: str) -> None:
    digests = []
    for _ in range(2):
        with migrated_database(template_database) as database:
            filled(database, FEW)
            digests.append(digest(database))
    assert digests[0] == digests[1]


def test_only_an_empty_database_is_filled(db: Database) -> None:
    with db.unit_of_work(Job("test")) as ctx:
        ctx.session.add(User(open_id="user_real", name="Somebody Real"))
    with db.unit_of_work(fill.ACTOR) as ctx, pytest.raises(fill.NotEmpty):
        fill.fill(ctx, password=PASSWORD, base_url=BASE_URL)
    with db.read_only() as session:
        assert session.scalars(select(User.open_id)).all() == ["user_real"]
        assert not fill.is_filled(session)


@pytest.mark.parametrize("password", ["", "short"])
def test_the_staff_need_a_password_that_may_be_used(db: Database, password: str) -> None:
    with pytest.raises(DomainError), db.unit_of_work(fill.ACTOR) as ctx:
        fill.fill(ctx, password=password, base_url=BASE_URL)
    with db.read_only() as session:
        assert session.scalars(select(StaffMember.id)).all() == []


def digest(database: Database) -> dict[str, str]:
    """Every table's rows in the order of their keys."""
    found = {}
    with database.read_only() as session:
        for table in Base.metadata.sorted_tables:
            columns = [column for column in table.columns if column.name not in NOT_TOLD_BY_SEED.get(table.name, ())]
            rows = session.execute(select(*columns).order_by(*table.primary_key.columns)).all()
            found[table.name] = hashlib.sha256("\n".join(map(repr, rows)).encode()).hexdigest()
    return found
