"""The whole role model on one screen: the permissions, which role holds which, what a refusal says."""

from enum import StrEnum

from admin_app.context import Actor, Ctx, Customer, Guest, Job, Provider, Service, Staff
from admin_app.errors import Forbidden, NotSignedIn
from models.staff import Role, Scope


class ScopeMissing(Forbidden):
    """A service key lacks the scope of the endpoint, which the sentence names: 403. A key with the scope is needed."""

    code = "scope_missing"
    sentence = "This service key does not allow this."


class Permission(StrEnum):
    """Everything that an actor may be allowed to do, as `what:act`. Roles and the scopes of keys are sets of these."""

    HOME_READ = "home:read"
    PURCHASES_READ = "purchases:read"
    PURCHASES_CLAIM = "purchases:claim"
    PURCHASES_UNDO = "purchases:undo"
    PURCHASES_CORRECT = "purchases:correct"
    PURCHASES_DELETE = "purchases:delete"
    PURCHASES_MAIL = "purchases:mail"
    MEMBERSHIPS_ADJUST = "memberships:adjust"
    PURCHASES_CANCEL = "purchases:cancel"
    ADDRESSES_CHANGE = "addresses:change"
    PROFILES_READ = "profiles:read"
    USERS_READ = "users:read"
    CLIENTS_READ = "clients:read"
    CLIENTS_SWITCH = "clients:switch"
    EMERGENCY_STOP = "clients:emergency_stop"
    GATE_ASK = "gate:ask"
    ONBOARDING_REPORT = "onboarding:report"
    ONBOARDING_OVERRIDE = "onboarding:override"
    BILLING_READ = "billing:read"
    BILLING_OVERRIDE = "billing:override"
    TRIALS_GRANT = "trials:grant"
    MONTHS_CLOSE = "months:close"
    DRIFT_READ = "drift:read"
    DRIFT_RUN = "drift:run"
    DRIFT_RESOLVE = "drift:resolve"
    EXPORTS_MAKE = "exports:make"
    EXPORTS_SEE_ALL = "exports:see_all"
    EXPORTS_TAKE_ANY = "exports:take_any"
    SERVICE_KEYS_READ = "service_keys:read"
    SERVICE_KEYS_MANAGE = "service_keys:manage"
    BOOKINGS_READ = "bookings:read"
    BOOKINGS_MANAGE = "bookings:manage"
    BOOKINGS_MAKE = "bookings:make"
    MEETINGS_READ = "meetings:read"
    GUESTS_RESOLVE = "guests:resolve"
    SCHEDULE_MANAGE = "schedule:manage"
    PAYMENTS_READ = "payments:read"
    REFUNDS_REQUEST = "refunds:request"
    REFUNDS_APPROVE = "refunds:approve"
    INBOX_READ = "inbox:read"
    INBOX_RELEASE = "inbox:release"
    MAILS_READ = "mails:read"
    FAILURES_SETTLE = "failures:settle"
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
        P.BILLING_READ,
        P.DRIFT_READ,
        P.EXPORTS_MAKE,
        P.BOOKINGS_READ,
        P.MEETINGS_READ,
        P.PAYMENTS_READ,
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
        P.PURCHASES_CANCEL,
        P.ADDRESSES_CHANGE,
        P.INBOX_RELEASE,
    }
)

RUNS_THE_CALENDAR = frozenset({P.BOOKINGS_MANAGE, P.GUESTS_RESOLVE})
MOVES_MONEY = frozenset({P.REFUNDS_REQUEST, P.REFUNDS_APPROVE})
SWITCHES_CLIENTS = frozenset({P.CLIENTS_SWITCH, P.EMERGENCY_STOP, P.ONBOARDING_OVERRIDE})
KEEPS_THE_BOOKS = frozenset({P.BILLING_OVERRIDE, P.TRIALS_GRANT, P.MONTHS_CLOSE, P.DRIFT_RUN, P.DRIFT_RESOLVE})

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.SUPPORT: READS
    | RESOLVES_PURCHASES
    | RUNS_THE_CALENDAR
    | {P.REFUNDS_REQUEST, P.FAILURES_SETTLE, P.MEMBERSHIPS_ADJUST},
    Role.OPS: READS | RUNS_THE_CALENDAR | SWITCHES_CLIENTS | {P.SCHEDULE_MANAGE, P.DRIFT_RUN, P.FAILURES_SETTLE},
    Role.FINANCE: READS | MOVES_MONEY | KEEPS_THE_BOOKS | {P.PURCHASES_CANCEL, P.FAILURES_SETTLE, P.MEMBERSHIPS_ADJUST},
    Role.ADMIN: READS
    | RESOLVES_PURCHASES
    | RUNS_THE_CALENDAR
    | MOVES_MONEY
    | SWITCHES_CLIENTS
    | KEEPS_THE_BOOKS
    | {P.MEMBERSHIPS_ADJUST, P.FAILURES_SETTLE, P.SCHEDULE_MANAGE, P.STAFF_READ, P.STAFF_MANAGE, P.RECONCILE_RUN}
    | {P.SERVICE_KEYS_READ, P.SERVICE_KEYS_MANAGE, P.EXPORTS_SEE_ALL, P.EXPORTS_TAKE_ANY},
    Role.AUDITOR: READS | {P.STAFF_READ, P.SERVICE_KEYS_READ, P.EXPORTS_SEE_ALL},
}

# What each scope of a service key allows.
SCOPES: dict[Scope, Permission] = {
    Scope.CLIENTS_READ: P.CLIENTS_READ,
    Scope.GATE_ASK: P.GATE_ASK,
    Scope.ONBOARDING_REPORT: P.ONBOARDING_REPORT,
}

REFUSALS: dict[Permission, str] = {
    P.PURCHASES_CLAIM: "Only support and administrators resolve purchases. Ask one of them to claim this one.",
    P.PURCHASES_UNDO: "Only support and administrators undo claims and merges.",
    P.PURCHASES_CORRECT: "Only support and administrators correct a purchase's e-mail.",
    P.PURCHASES_DELETE: "Only support and administrators delete a waiting purchase.",
    P.PURCHASES_MAIL: "Only support and administrators send claim mails.",
    P.MEMBERSHIPS_ADJUST: "Only support, finance and administrators give memberships and adjust credits.",
    P.PURCHASES_CANCEL: "Only support, finance and administrators cancel memberships and take that back.",
    P.ADDRESSES_CHANGE: "Only support and administrators change a person's addresses.",
    P.BOOKINGS_MANAGE: "Only support, ops and administrators change bookings and meetings.",
    P.GUESTS_RESOLVE: "Only support, ops and administrators put a guest's registration right.",
    P.SCHEDULE_MANAGE: "Only ops and administrators change practitioners and session types.",
    P.REFUNDS_REQUEST: "Only support, finance and administrators ask for refunds.",
    P.REFUNDS_APPROVE: "Only finance and administrators decide on refunds that wait for a second person.",
    P.FAILURES_SETTLE: "Only support, ops, finance and administrators settle what failed.",
    P.INBOX_RELEASE: "Only support and administrators release parked events.",
    P.CLIENTS_SWITCH: "Only ops and administrators switch clients off and on.",
    P.EMERGENCY_STOP: "Only ops and administrators stop everyone.",
    P.ONBOARDING_OVERRIDE: "Only ops and administrators complete an onboarding by hand.",
    P.BILLING_OVERRIDE: "Only finance and administrators put another billing status in force.",
    P.TRIALS_GRANT: "Only finance and administrators grant and extend trials.",
    P.MONTHS_CLOSE: "Only finance and administrators close a month.",
    P.DRIFT_RUN: "Only ops, finance and administrators start a comparison.",
    P.DRIFT_RESOLVE: "Only finance and administrators settle a difference.",
    P.EXPORTS_SEE_ALL: "Only administrators and auditors see what others have exported.",
    P.EXPORTS_TAKE_ANY: "Only who had a file made, and administrators, download it.",
    P.SERVICE_KEYS_READ: "Only administrators and auditors see the service keys.",
    P.SERVICE_KEYS_MANAGE: "Only administrators make and revoke service keys.",
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
        case Guest():
            return frozenset({P.BOOKINGS_MAKE})
        case Service():
            return frozenset(SCOPES[scope] for scope in actor.scopes)
        case Provider() | Job():
            return frozenset(Permission)


def allows(actor: Actor | None, permission: Permission) -> bool:
    """Whether the actor has the permission; nobody (None) has none. `require` is the same that raises."""
    return actor is not None and permission in permissions_of(actor)


def require(ctx: Ctx, permission: Permission) -> None:
    """Refuse unless the actor holds the permission, with the sentence that helps."""
    if allows(ctx.actor, permission):
        return
    if isinstance(ctx.actor, Service):
        require_scope(ctx.actor, permission)
    if not isinstance(ctx.actor, Staff):
        raise NotSignedIn
    raise Forbidden(REFUSALS.get(permission))


def require_scope(service: Service, permission: Permission) -> None:
    """Refuse a program whose key does not allow this, with the scope that would."""
    if permission in permissions_of(service):
        return
    wanted = next((scope.value for scope, allowed in SCOPES.items() if allowed is permission), None)
    needs = f"It needs the scope {wanted}." if wanted else "No service key allows it."
    raise ScopeMissing(f"This service key does not allow this. {needs}")
