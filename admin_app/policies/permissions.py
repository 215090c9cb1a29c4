"""The whole role model on one screen: the permissions, which role holds which, what a refusal says."""

from enum import StrEnum

from admin_app.context import Actor, Ctx, Customer, Job, Provider, Staff
from admin_app.errors import Forbidden, NotSignedIn
from models.staff import Role


class Permission(StrEnum):
    HOME_READ = "home:read"
    PURCHASES_READ = "purchases:read"
    PURCHASES_CLAIM = "purchases:claim"
    PURCHASES_UNDO = "purchases:undo"
    PURCHASES_CORRECT = "purchases:correct"
    PURCHASES_DELETE = "purchases:delete"
    PURCHASES_MAIL = "purchases:mail"
    PROFILES_READ = "profiles:read"
    USERS_READ = "users:read"
    CLIENTS_READ = "clients:read"
    BOOKINGS_READ = "bookings:read"
    MEETINGS_READ = "meetings:read"
    INBOX_READ = "inbox:read"
    INBOX_RELEASE = "inbox:release"
    MAILS_READ = "mails:read"
    AUDIT_READ = "audit:read"
    STAFF_READ = "staff:read"
    STAFF_MANAGE = "staff:manage"
    RECONCILE_RUN = "reconcile:run"
    CUSTOMER_CLAIM = "customer:claim"


P = Permission

READS = frozenset(
    {
        P.HOME_READ,
        P.PURCHASES_READ,
        P.PROFILES_READ,
        P.USERS_READ,
        P.CLIENTS_READ,
        P.BOOKINGS_READ,
        P.MEETINGS_READ,
        P.INBOX_READ,
        P.MAILS_READ,
        P.AUDIT_READ,
    }
)
RESOLVES_PURCHASES = frozenset(
    {
        P.PURCHASES_CLAIM,
        P.PURCHASES_UNDO,
        P.PURCHASES_CORRECT,
        P.PURCHASES_DELETE,
        P.PURCHASES_MAIL,
        P.INBOX_RELEASE,
    }
)

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.SUPPORT: READS | RESOLVES_PURCHASES,
    Role.OPS: READS,
    Role.FINANCE: READS,
    Role.ADMIN: READS | RESOLVES_PURCHASES | {P.STAFF_READ, P.STAFF_MANAGE, P.RECONCILE_RUN},
    Role.AUDITOR: READS | {P.STAFF_READ},
}

REFUSALS: dict[Permission, str] = {
    P.PURCHASES_CLAIM: "Only support and administrators resolve purchases. Ask one of them to claim this one.",
    P.PURCHASES_UNDO: "Only support and administrators undo claims and merges.",
    P.PURCHASES_CORRECT: "Only support and administrators correct a purchase's e-mail.",
    P.PURCHASES_DELETE: "Only support and administrators delete a waiting purchase.",
    P.PURCHASES_MAIL: "Only support and administrators send claim mails.",
    P.INBOX_RELEASE: "Only support and administrators release parked events.",
    P.STAFF_READ: "Only administrators and auditors see the staff list.",
    P.STAFF_MANAGE: "Only administrators change staff.",
    P.RECONCILE_RUN: "Only administrators start a reconciliation by hand.",
}


def permissions_of(actor: Actor) -> frozenset[Permission]:
    """What an actor may do at all; which records it may do it to is the service's rule."""
    match actor:
        case Staff():
            return GRANTS[actor.role]
        case Customer():
            return frozenset({P.CUSTOMER_CLAIM})
        case Provider() | Job():
            return frozenset(Permission)
        case _:
            return frozenset()


def allows(actor: Actor | None, permission: Permission) -> bool:
    return actor is not None and permission in permissions_of(actor)


def require(ctx: Ctx, permission: Permission) -> None:
    """Refuse unless the actor holds the permission, with the sentence that helps."""
    if allows(ctx.actor, permission):
        return
    if not isinstance(ctx.actor, Staff):
        raise NotSignedIn
    raise Forbidden(REFUSALS.get(permission))
