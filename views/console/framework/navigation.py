"""The way through the console: groups by the work that is done there, and only what the role may read."""

from dataclasses import dataclass
from functools import cache

from admin_app.context import Staff
from admin_app.policies.permissions import Permission, allows
from models.staff import Role
from views.console.framework.current_staff import Viewer

P = Permission


@dataclass(frozen=True)
class Item:
    label: str
    href: str
    icon: str
    permission: Permission

    def holds(self, path: str) -> bool:
        return path == self.href or (self.href != "/admin/" and path.startswith(self.href))


@dataclass(frozen=True)
class Group:
    label: str
    items: tuple[Item, ...]


GROUPS: tuple[Group, ...] = (
    Group("", (Item("Home", "/admin/", "home", P.HOME_READ),)),
    Group(
        "Purchases",
        (
            Item("Unclaimed", "/admin/purchases/", "hourglass", P.PURCHASES_READ),
            Item("All purchases", "/admin/pending-profiles/", "receipt-2", P.PURCHASES_READ),
            Item("Extra purchases", "/admin/extra-purchases/", "gift", P.PURCHASES_READ),
            Item("Memberships", "/admin/memberships/", "id-badge-2", P.PURCHASES_READ),
            Item("What makes pro", "/admin/what-makes-pro/", "list-check", P.PURCHASES_READ),
            Item("Claims and merges", "/admin/merges/", "git-merge", P.PURCHASES_READ),
            Item("Analytics", "/admin/purchase-numbers/", "chart-bar", P.PURCHASES_READ),
        ),
    ),
    Group(
        "Customers",
        (
            Item("Profiles", "/admin/profiles/", "id-badge-2", P.PROFILES_READ),
            Item("Adjustments", "/admin/adjustments/", "edit", P.PROFILES_READ),
            Item("Users", "/admin/users/", "users", P.USERS_READ),
            Item("Addresses", "/admin/person-addresses/", "mail", P.USERS_READ),
            Item("Clients", "/admin/clients/", "building-store", P.CLIENTS_READ),
            Item("Bulk runs", "/admin/bulk-runs/", "users", P.CLIENTS_READ),
            Item("Bulk run results", "/admin/bulk-items/", "list-search", P.CLIENTS_READ),
            Item("Onboarding", "/admin/onboarding-states/", "list-check", P.CLIENTS_READ),
            Item("Flags", "/admin/flag-changes/", "contrast-2", P.CLIENTS_READ),
            Item("Emergency stop", "/admin/emergency-stop/", "ban", P.CLIENTS_READ),
        ),
    ),
    Group(
        "Calendar",
        (
            Item("Week", "/admin/calendar/", "calendar-time", P.BOOKINGS_READ),
            Item("Bookings", "/admin/bookings/", "calendar-event", P.BOOKINGS_READ),
            Item("Meetings", "/admin/meetings/", "video", P.MEETINGS_READ),
            Item("Guests", "/admin/guests/", "user", P.MEETINGS_READ),
            Item("Practitioners", "/admin/practitioners/", "stethoscope", P.BOOKINGS_READ),
            Item("Session types", "/admin/session-types/", "clock", P.BOOKINGS_READ),
            Item("Organizations", "/admin/organizations/", "building", P.MEETINGS_READ),
        ),
    ),
    Group(
        "Money",
        (
            Item("Finance", "/admin/finance/", "chart-bar", P.BILLING_READ),
            Item("Past due", "/admin/past-due/", "hourglass", P.BILLING_READ),
            Item("Cancellations", "/admin/cancellations/", "logout", P.BILLING_READ),
            Item("Billing history", "/admin/billing-changes/", "activity", P.BILLING_READ),
            Item("Months", "/admin/months/", "lock", P.BILLING_READ),
            Item("Closed-month lines", "/admin/month-lines/", "database", P.BILLING_READ),
            Item("Payments", "/admin/payments/", "credit-card", P.PAYMENTS_READ),
            Item("Membership payments", "/admin/membership-payments/", "credit-card", P.PAYMENTS_READ),
            Item("Refunds", "/admin/refunds/", "arrow-back-up", P.PAYMENTS_READ),
            Item("Disputes", "/admin/disputes/", "alert-circle", P.PAYMENTS_READ),
            Item("Approvals", "/admin/approvals/", "user-check", P.PAYMENTS_READ),
            Item("Subscriptions", "/admin/subscriptions/", "refresh", P.BILLING_READ),
            Item("Stripe customers", "/admin/client-customers/", "users", P.BILLING_READ),
            Item("Billing overrides", "/admin/billing-overrides/", "edit", P.BILLING_READ),
            Item("Credit renewals", "/admin/credit-renewals/", "gift", P.BILLING_READ),
            Item("Provider calls", "/admin/provider-calls/", "send", P.PAYMENTS_READ),
        ),
    ),
    Group(
        "Traffic",
        (
            Item("Provider events", "/admin/webhook-events/", "inbox", P.INBOX_READ),
            Item("Drift", "/admin/drift-findings/", "arrows-sort", P.DRIFT_READ),
            Item("Comparisons", "/admin/drift-runs/", "refresh", P.DRIFT_READ),
            Item("Mails", "/admin/sent-emails/", "mail", P.MAILS_READ),
            Item("Failed jobs", "/admin/failed-jobs/", "refresh", P.INBOX_READ),
        ),
    ),
    Group(
        "Oversight",
        (
            Item("Audit", "/admin/audit-entries/", "history", P.AUDIT_READ),
            Item("Exports", "/admin/exports/", "external-link", P.EXPORTS_MAKE),
            Item("Staff", "/admin/staff/", "shield-check", P.STAFF_READ),
            Item("Staff sessions", "/admin/staff-sessions/", "key", P.STAFF_READ),
            Item("System", "/admin/system/", "activity", P.INBOX_READ),
            Item("Service keys", "/admin/service-keys/", "lock", P.SERVICE_KEYS_READ),
        ),
    ),
)


@dataclass(frozen=True)
class Navigation:
    """The groups a person sees, and the item they are in."""

    groups: tuple[Group, ...]
    current: Item | None


@cache
def for_role(role: Role) -> tuple[Group, ...]:
    """The groups with only the items that the role may read."""
    someone = Staff(0, "", role)
    kept = ((group, tuple(item for item in group.items if allows(someone, item.permission))) for group in GROUPS)
    return tuple(Group(group.label, items) for group, items in kept if items)


def of(viewer: Viewer | None, path: str) -> Navigation:
    """What the person sees beside the page under this path."""
    if viewer is None:
        return Navigation((), None)
    groups = for_role(viewer.staff.role)
    return Navigation(groups, next((item for group in groups for item in group.items if item.holds(path)), None))
