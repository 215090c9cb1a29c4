"""Every table of the product; importing this package fills `Base.metadata`."""

from models.audit import AuditEntry
from models.base import Base
from models.clients import BillingStatus, Client, OnboardingState
from models.inbox import EventState, SentEmail, WebhookEvent
from models.merges import Merge, MergeKind
from models.people import (
    LEGACY_PREFIX,
    ExtraPurchase,
    Membership,
    MembershipStatus,
    PaymentProvider,
    PendingProfile,
    PlanDuration,
    Profile,
    User,
)
from models.scheduling import (
    Booking,
    BookingStatus,
    Meeting,
    Organization,
    OrganizationKind,
    Practitioner,
    SessionType,
)
from models.staff import Role, SignInBrake, StaffMember, StaffSession

__all__ = [
    "LEGACY_PREFIX",
    "AuditEntry",
    "Base",
    "BillingStatus",
    "Booking",
    "BookingStatus",
    "Client",
    "EventState",
    "ExtraPurchase",
    "Meeting",
    "Membership",
    "MembershipStatus",
    "Merge",
    "MergeKind",
    "OnboardingState",
    "Organization",
    "OrganizationKind",
    "PaymentProvider",
    "PendingProfile",
    "PlanDuration",
    "Practitioner",
    "Profile",
    "Role",
    "SentEmail",
    "SessionType",
    "SignInBrake",
    "StaffMember",
    "StaffSession",
    "User",
    "WebhookEvent",
]
