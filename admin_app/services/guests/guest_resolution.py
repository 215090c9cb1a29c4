"""Support puts a meeting's guest right: linked to somebody whom WorkOS knows, or registered after all."""

from dataclasses import dataclass

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput, NotFound, ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.policies.permissions import Permission, require
from admin_app.services import appointments
from admin_app.services.core import audit
from admin_app.services.core.audit import Change
from admin_app.services.core.email_fields import clean_email
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import meeting_key
from admin_app.services.guests import guest_registration
from admin_app.services.inbox.provider_calls import Work
from models.bookings import Meeting

IDS = ("guest_workos_user_id", "guest_org_id")


class NoSuchMeeting(NotFound):
    """No meeting has this id: 404, `not_found`."""

    sentence = "There is no such meeting."


@dataclass(frozen=True)
class Person:
    """Somebody whom WorkOS knows under this address."""

    email: str
    user_id: str
    organization_id: str | None


def look_up(workos: WorkosPort | None, *, email: str) -> Person:
    """Whoever has this address at WorkOS; asked outside of any transaction, refused when nobody has it."""
    address = clean_email(email)
    if workos is None:
        raise ProviderUnavailable("workos", "WorkOS is not configured here, so nobody can be looked up there.")
    user = workos.find_user(address)
    if user is None:
        sentence = "WorkOS knows nobody under this address. Check it, or try the registration again instead."
        raise InvalidInput(sentence, fields={"email": sentence})
    return Person(address, user.id, workos.find_organization(user.id))


def nobody_named() -> InvalidInput:
    """The error, to be raised, for a form without the guest's address: 422 at the field `email`."""
    sentence = "Write the address that the guest has at WorkOS."
    return InvalidInput(sentence, fields={"email": sentence})


def plan_link(ctx: Ctx, *, meeting_id: int, person: Person) -> Plan:
    """Whose meeting this becomes."""
    require(ctx, Permission.GUESTS_RESOLVE)
    meeting = _meeting(ctx, meeting_id)
    values = (person.user_id, person.organization_id)
    consequences = [f"{person.email} sees this meeting from their next sign-in on."]
    if meeting.guest_workos_user_id:
        consequences.append("The guest to whom it is linked now does not see it any more.")
    consequences.append(
        f"Nobody is written to. Mails about the meeting go to {meeting.guest_email or 'nobody'} as before."
    )
    return Plan(
        title="Link the guest",
        outcome="linked",
        lines=tuple(
            PlanLine(meeting_key(meeting.id), name, getattr(meeting, name), value, f"WorkOS, under {person.email}")
            for name, value in zip(IDS, values, strict=True)
        ),
        consequences=tuple(consequences),
        fingerprint=fingerprint(meeting, *values),
        refusal=_link_refusal(meeting, person),
    )


def link(ctx: Ctx, *, meeting_id: int, person: Person, reason: str, shown: str) -> Meeting:
    """Make this the person's meeting."""
    require(ctx, Permission.GUESTS_RESOLVE)
    reason = require_reason(reason)
    meeting = _meeting(ctx, meeting_id, lock=True)
    if refusal := _link_refusal(meeting, person):
        raise Conflict(refusal)
    require_same(shown, fingerprint(meeting, person.user_id, person.organization_id))
    _identify(ctx, meeting, person, reason)
    return meeting


def plan_retry(ctx: Ctx, *, meeting_id: int) -> Plan:
    """What registering the guest once more does."""
    require(ctx, Permission.GUESTS_RESOLVE)
    meeting = _meeting(ctx, meeting_id)
    return Plan(
        title="Register the guest",
        outcome="requested",
        lines=(),
        consequences=(
            f"WorkOS is asked for {meeting.guest_email}. Somebody whom it knows is linked, and hears nothing.",
            "Somebody whom it does not know gets an account, an organization and one mail with a sign-in code.",
        ),
        fingerprint=fingerprint(meeting),
        refusal=_retry_refusal(meeting),
    )


def retry_registration(ctx: Ctx, *, meeting_id: int, reason: str, shown: str) -> Meeting:
    """Have the guest registered by a job, which tries again while WorkOS does not answer."""
    require(ctx, Permission.GUESTS_RESOLVE)
    reason = require_reason(reason)
    meeting = _meeting(ctx, meeting_id, lock=True)
    if refusal := _retry_refusal(meeting):
        raise Conflict(refusal)
    require_same(shown, fingerprint(meeting))
    job_queue.defer(ctx.session, "register_guest", once_key=f"register_guest:{meeting.id}", meeting_id=meeting.id)
    audit.record(
        ctx,
        "guest.registration_requested",
        records=[meeting_key(meeting.id)],
        reason=reason,
        facts={"email": meeting.guest_email, "number": meeting.id},
    )
    return meeting


def register_for(work: Work, workos: WorkosPort | None, *, meeting_id: int) -> None:
    """Register a meeting's guest and note who it is; one that is linked meanwhile stays as it is."""
    with work() as ctx:
        meeting = _meeting(ctx, meeting_id)
        if _retry_refusal(meeting) or meeting.guest_email is None:
            return
        email, name = meeting.guest_email, meeting.guest_name or ""
    registered = guest_registration.register(work, workos, email=email, name=name, allowed_by=Permission.GUESTS_RESOLVE)
    with work() as ctx:
        meeting = _meeting(ctx, meeting_id, lock=True)
        if meeting.guest_workos_user_id is None:
            _identify(ctx, meeting, Person(email, registered.user_id, registered.organization_id), None)


def _meeting(ctx: Ctx, meeting_id: int, *, lock: bool = False) -> Meeting:
    meeting = ctx.session.get(Meeting, meeting_id)
    if meeting is None:
        raise NoSuchMeeting
    if lock:
        appointments.locked(ctx, meeting_key(meeting_id))
    return meeting


def _link_refusal(meeting: Meeting, person: Person) -> str | None:
    if (meeting.guest_workos_user_id, meeting.guest_org_id) == (person.user_id, person.organization_id):
        return "This meeting is linked to that guest already."
    return None


def _retry_refusal(meeting: Meeting) -> str | None:
    if meeting.guest_workos_user_id:
        return "The guest of this meeting is registered."
    if not meeting.guest_email:
        return "This meeting has no e-mail address under which its guest could be registered."
    return None


def _identify(ctx: Ctx, meeting: Meeting, person: Person, reason: str | None) -> None:
    changes = [
        Change(name, getattr(meeting, name), value)
        for name, value in zip(IDS, (person.user_id, person.organization_id), strict=True)
    ]
    meeting.guest_workos_user_id, meeting.guest_org_id = person.user_id, person.organization_id
    meeting.version += 1
    meeting.updated_at = ctx.now
    audit.record(
        ctx,
        "guest.resolved",
        records=[meeting_key(meeting.id)],
        reason=reason,
        changes=changes,
        facts={"what": "meeting", "number": meeting.id, "email": person.email},
    )
