"""A guest signs in by a code from the mail, and sees their own: what they booked and their own organization."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.integrations import job_queue
from admin_app.integrations.guest_ports import GuestSession, WorkosPort
from admin_app.services.core.email_fields import clean_email
from admin_app.services.guests import guest_limits, guest_registration
from admin_app.services.inbox.provider_calls import Work
from models.bookings import Meeting
from models.guests import Guest
from models.schedule import Practitioner, SessionType

# What a guest is shown at once; nobody has nearly as many.
MOST_MEETINGS = 500
NOBODY = 0


class NoSuchGuest(NotFound):
    """The WorkOS user who signed in is no guest of ours: 404."""

    code = "guest_not_found"
    sentence = "This sign-in has no bookings of a guest here."


@dataclass(frozen=True)
class SignedIn:
    """A guest's new session and the guest."""

    session: GuestSession
    guest: Guest


def ask_for_code(ctx: Ctx, *, email: str, ip: str | None) -> None:
    """Have a code mailed to a guest. The same happens for an address that is nobody's, so that no answer tells."""
    address = clean_email(email)
    guest_limits.enforce(ctx, what="code", email=address, ip=ip)
    known = select(Guest.id).where(Guest.email == address, Guest.workos_user_id.is_not(None))
    job_queue.defer(ctx.session, "send_guest_code", guest_id=ctx.session.scalar(known) or NOBODY, asking=uuid4().hex)


def send_code(work: Work, workos: WorkosPort | None, *, guest_id: int, asking: str) -> None:
    """Have WorkOS mail the code that was asked for, once, however often this is run."""
    with work() as ctx:
        guest = ctx.session.get(Guest, guest_id)
        email = guest.email if guest else None
    if email is None or workos is None:
        return
    guest_registration.send_code_once(
        work, workos, guest_id=guest_id, email=email, key=f"guest-{guest_id}-code-{asking}"
    )
    with work() as ctx:
        ctx.session.get_one(Guest, guest_id, with_for_update=True).code_sent_at = ctx.now


def sign_in(work: Work, workos: WorkosPort, *, email: str, code: str, ip: str | None) -> SignedIn:
    """The session that a code opens; raises NotSignedIn for a code that does not."""
    address = clean_email(email)
    with work() as ctx:
        guest_limits.enforce(ctx, what="session", email=address, ip=ip)
    session = workos.authenticate(address, code)
    with work() as ctx:
        guest_limits.let_go(ctx, what="session", email=address)
        return SignedIn(session, _remember(ctx, session))


def _remember(ctx: Ctx, session: GuestSession) -> Guest:
    """The guest's row; somebody who was known to WorkOS alone has one from now on."""
    user = session.user
    known = select(Guest).where(Guest.workos_user_id == user.id)
    if guest := ctx.session.scalars(known).one_or_none():
        return guest
    ctx.session.execute(
        insert(Guest)
        .values(email=user.email, name=user.name, created_at=ctx.now, updated_at=ctx.now)
        .on_conflict_do_nothing(index_elements=["email"])
    )
    guest = ctx.session.scalars(select(Guest).where(Guest.email == user.email).with_for_update()).one()
    guest_registration.identify(ctx, guest, user.id, None)
    return guest


def own(session: Session, *, workos_user_id: str) -> Guest:
    """The guest, read in a session that shows their own rows alone."""
    guest = session.scalars(select(Guest).where(Guest.workos_user_id == workos_user_id)).one_or_none()
    if guest is None:
        raise NoSuchGuest
    return guest


def own_meetings(session: Session, *, workos_user_id: str) -> Sequence[Row[Meeting, int, str, str, str]]:
    """The guest's meetings, the latest first. Only what the guest's role may read of the tables beside them."""
    return session.execute(
        select(
            Meeting,
            Practitioner.id.label("practitioner_id"),
            Practitioner.name,
            Practitioner.time_zone,
            SessionType.title,
        )
        .join(Practitioner, Practitioner.id == Meeting.practitioner_id)
        .outerjoin(SessionType, SessionType.id == Meeting.session_type_id)
        .where(Meeting.guest_workos_user_id == workos_user_id)
        .order_by(Meeting.starts_at.desc(), Meeting.id.desc())
        .limit(MOST_MEETINGS)
    ).all()
