"""The fill: one transaction that leaves an empty database full of a believable business, or as it was."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import delete, exists, func, select, table, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Job, Staff
from admin_app.demo import books, businesses, member_money, money, switched
from admin_app.demo.acts import Acts
from admin_app.demo.cases import Cases
from admin_app.demo.client_cases import ClientCases
from admin_app.demo.clock import Amounts, Stage
from admin_app.demo.compared import Comparisons
from admin_app.demo.crowd import Crowd
from admin_app.demo.desk import Desk
from admin_app.demo.diary import Diary
from admin_app.demo.purchases import Script
from admin_app.demo.stories import Stories
from admin_app.errors import Conflict, InvalidInput
from admin_app.services import invariants, staff
from admin_app.services.purchases import credit_renewals, owners
from models import Base, Booking, Client, PendingProfile, Profile, Role, StaffMember

SEED = 20
AMOUNTS = Amounts()
ACTOR = Job("flask demo fill")
STAFF = {
    "support@demo.test": ("Samira Aydin", Role.SUPPORT),
    "ops@demo.test": ("Oskar Lindholm", Role.OPS),
    "finance@demo.test": ("Fiona Gallagher", Role.FINANCE),
    "admin@demo.test": ("Adaeze Okonkwo", Role.ADMIN),
    "auditor@demo.test": ("Anton Meszaros", Role.AUDITOR),
}
STAFF_SINCE_DAYS = 640
Say = Callable[[str], None]


class NotEmpty(Conflict):
    """The database holds rows that no demo wrote: 409, raised before the first write."""

    code = "database_not_empty"
    sentence = "This database holds data that is not the demo's, so nothing was filled in. Use an empty one."


class NoPassword(InvalidInput):
    """DEMO_STAFF_PASSWORD is not set: 422, raised before the first write."""

    code = "demo_password_missing"
    sentence = "Set DEMO_STAFF_PASSWORD: the password that the demo's staff sign in with."


@dataclass(frozen=True)
class Filled:
    """How much there is now."""

    profiles: int
    purchases: int
    unclaimed: int
    clients: int
    bookings: int


def is_filled(session: Session) -> bool:
    """The fill is one transaction, so its staff are there exactly when everything is."""
    return bool(session.scalar(select(exists().where(StaffMember.email.in_(STAFF)))))


def refuse_unless_empty(session: Session) -> None:
    """Refuse a database in which anybody keeps anything."""
    for kept in Base.metadata.sorted_tables:
        if session.scalar(select(exists().select_from(kept))):
            raise NotEmpty


def fill(
    ctx: Ctx,
    *,
    password: str,
    base_url: str,
    seed: int = SEED,
    amounts: Amounts = AMOUNTS,
    say: Say = lambda line: None,
) -> Filled:
    """Make the staff, the crowd, the appointments and the purchases."""
    if not password:
        raise NoPassword
    refuse_unless_empty(ctx.session)
    stage = Stage.of(ctx, seed, amounts)
    staff_of = _staff(stage, password)
    say("Accounts, profiles and their Whop deliveries")
    crowd = Crowd(stage)
    crowd.fill()
    businesses.fill(stage)
    switched.fill(stage)
    invention = stage.invention("purchases")
    script = Script(stage, Acts(stage, invention, staff_of[Role.SUPPORT], base_url), invention)
    cases = Cases(stage, script, crowd)
    cases.note_all()
    say("Practitioners, bookings and meetings")
    diary = Diary(stage, crowd.people, cases.regulars)
    diary.fill()
    money.fill(stage)
    member_money.fill(stage)
    desk = Desk(stage, stage.invention("desk"), staff_of, base_url)
    stories = Stories(stage, script, diary, desk)
    stories.note_all()
    books.note_all(stage, script, desk)
    ClientCases(stage, script, staff_of).note_all()
    Comparisons(stage, script, staff_of).note_all()
    # Comparing an address with every other one is dearer than the planner thinks: make it use the indexes.
    ctx.session.execute(text("SET LOCAL enable_seqscan = off"))
    script.act(lambda done, of: _tell(say, done, of))
    stories.end_with_holds()
    _forget_jobs(ctx.session)
    _renew_credits(ctx)
    _look_for_owners_again(ctx, cases.owners_came_later)
    _look_whether_all_holds(ctx, say)
    return count(ctx.session)


def _look_whether_all_holds(ctx: Ctx, say: Say) -> None:
    """As every night: the first page says when, and that nothing is broken."""
    found = invariants.broken(ctx.session, now=ctx.now)
    names = [rule.name for rule in invariants.INVARIANTS]
    invariants.keep(ctx, found, started_at=ctx.now, checked=names, unanswered=())
    say(f"Broken: {', '.join(each.invariant.name for each in found)}" if found else "Nothing broken")


def _staff(stage: Stage, password: str) -> dict[Role, Staff]:
    """One person per role."""
    ctx = stage.at(stage.ago(days=STAFF_SINCE_DAYS), ACTOR, "0" * 32)
    members = {}
    for email, (name, role) in STAFF.items():
        members[role], _ = staff.create_staff(ctx, email=email, name=name, role=role, password=password)
    return {role: Staff(member.id, member.email, member.role) for role, member in members.items()}


def _tell(say: Say, done: int, of: int) -> None:
    if done % 200 == 0 or done == of:
        say(f"Purchases and what became of them: {done:,} of {of:,}")


def _forget_jobs(session: Session) -> None:
    """What the services queued was done long ago in the demo's story; a worker must not do it again."""
    session.execute(delete(table("procrastinate_jobs")))


def _renew_credits(ctx: Ctx) -> None:
    """As a worker does every few minutes."""
    for user_id in credit_renewals.due(ctx.session, ctx.now, limit=1000):
        credit_renewals.renew(replace(ctx, actor=Job("renew_credits"), request_id="0" * 32), user_id=user_id)


def _look_for_owners_again(ctx: Ctx, membership_ids: list[str]) -> None:
    query = select(PendingProfile).where(PendingProfile.whop_membership_id.in_(membership_ids), ~PendingProfile.claimed)
    for pending in ctx.session.scalars(query):
        owners.refresh(ctx, pending)


def count(session: Session) -> Filled:
    """How many rows of each kind the database holds now, whoever wrote them."""

    def rows(model: type[Base]) -> int:
        return session.scalar(select(func.count()).select_from(model)) or 0

    waiting = select(func.count()).select_from(PendingProfile).where(~PendingProfile.claimed)
    return Filled(rows(Profile), rows(PendingProfile), session.scalar(waiting) or 0, rows(Client), rows(Booking))
