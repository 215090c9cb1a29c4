"""What we know of the five earlier systems: which of our columns each of theirs is, whatever it is spelled like.

Names are compared without case, underscores and quotes, so that `outboundPaused`, `outbound_paused` and
"OutboundPaused" are the same.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """How a value of a source becomes one of ours."""

    IDENTITY = "id"  # a whole number is kept; anything else gets a number of ours, and is kept beside it
    OWN_KEY = "key"  # text that is the key with us as well
    TEXT = "text"
    EMAIL = "email"
    WHOLE = "number"
    FLAG = "flag"
    MOMENT = "time"
    MONEY = "money"
    LABEL = "label"
    REFERENCE = "reference"
    TOKEN = "token"  # noqa: S105  kept as its digest, so that links that were mailed go on working
    ORGANIZATION = "organization"  # an organization's own id becomes the one that WorkOS knows it by


@dataclass(frozen=True)
class Field:
    """One of our columns. `names` are what earlier systems call it, beside our own name."""

    ours: str
    kind: Kind
    names: tuple[str, ...] = ()
    required: bool = False
    of: str = ""  # of a reference: our table
    labels: tuple[str, ...] = ()
    unique: bool = False
    after: str = ""  # of a time: the field that it is told relative to, where both are local

    def is_called(self, name: str) -> bool:
        return bare(name) in {bare(self.ours), *self.names}


@dataclass(frozen=True)
class Entity:
    """One of our tables, what earlier systems call it, and its columns as they can be filled from outside."""

    table: str
    names: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def key(self) -> Field:
        return next(each for each in self.fields if each.kind in {Kind.IDENTITY, Kind.OWN_KEY})

    def field(self, ours: str) -> Field:
        return next(each for each in self.fields if each.ours == ours)

    def called(self, name: str) -> Field | None:
        return next((each for each in self.fields if each.is_called(name)), None)

    def is_called(self, name: str) -> bool:
        return bare(name) in {bare(self.table), *self.names}


@dataclass(frozen=True)
class System:
    """An earlier system: the tables it brings, in an order in which each finds what it refers to.

    `signs`: our names of columns (`table.column`) at least one of which each such system has, and no other.
    """

    name: str
    sentence: str
    tables: tuple[str, ...]
    signs: tuple[str, ...]


def bare(name: str) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


ID = Field("id", Kind.IDENTITY, required=True)
CREATED = Field("created_at", Kind.MOMENT, ("createdon", "insertedat"))
UPDATED = Field("updated_at", Kind.MOMENT, ("modifiedat", "updatedon"))
STATUSES = ("pending", "confirmed", "canceled", "completed", "no_show", "refunded")
# Spellings and words of the same thing. Whatever else a source says has to be decided by whoever moves it.
SAME_LABEL: Mapping[str, str] = {
    "cancelled": "canceled",
    "noshow": "no_show",
    "pastdue": "past_due",
    "trialing": "trial",
    "month": "monthly",
    "year": "yearly",
    "annual": "yearly",
}
PRACTITIONER = Field(
    "practitioner_id", Kind.REFERENCE,
    ("therapistid", "providerid", "hostid", "coachid", "builderid", "workosuserid"), required=True,
    of="practitioners",
)  # fmt: skip
STARTS = ("starttime", "start", "startdate", "scheduledat", "startdatetime", "bookingtime", "appointmenttime")
TIMES = (
    Field("starts_at", Kind.MOMENT, STARTS, required=True),
    Field(
        "ends_at", Kind.MOMENT, ("endtime", "end", "enddate", "enddatetime"), required=True, after="starts_at"
    ),
)  # fmt: skip
PRICE = (
    Field("price_amount", Kind.MONEY, ("price", "amount", "pricecents", "amountcents", "priceminor", "stripeamount")),
    Field("price_currency", Kind.TEXT, ("currency",)),
)
MEMBERSHIP = (
    Field("membership", Kind.LABEL, labels=("free", "pro")),
    Field("payment_provider", Kind.LABEL, ("provider",), labels=("whop", "stripe")),
    Field("whop_user_id", Kind.TEXT),
    Field("whop_membership_id", Kind.TEXT),
    Field("stripe_customer_id", Kind.TEXT),
    Field("stripe_subscription_id", Kind.TEXT),
    Field("plan_duration", Kind.LABEL, labels=("monthly", "yearly")),
    Field("billing_cycle_start", Kind.MOMENT),
    Field("billing_cycle_end", Kind.MOMENT),
    Field("next_credit_renewal", Kind.MOMENT),
    Field("usage_credits", Kind.WHOLE),
    Field("used_credits", Kind.WHOLE),
    Field("status", Kind.LABEL, labels=("active", "inactive")),
)

# Names of people, which a source may have in parts; these are such parts.
PUT_TOGETHER = frozenset({"name", "client_name", "guest_name"})
NAME_PARTS = frozenset({"firstname", "givenname", "lastname", "familyname", "surname"})

ENTITIES: Sequence[Entity] = (
    Entity("users", ("user",), (
        ID,
        Field("open_id", Kind.TEXT, required=True, unique=True),
        Field("name", Kind.TEXT, ("fullname", "displayname")),
        Field("email", Kind.EMAIL),
        Field("role", Kind.TEXT),
        CREATED,
        Field("last_signed_in", Kind.MOMENT, ("lastsignedinat", "lastlogin", "lastloginat")),
    )),
    Entity("profiles", ("profile",), (
        Field("user_id", Kind.OWN_KEY, required=True),
        Field("email", Kind.EMAIL),
        Field("name", Kind.TEXT, ("fullname",)),
        *MEMBERSHIP,
        CREATED,
        UPDATED,
    )),
    Entity("pending_profiles", ("pendingprofile",), (
        ID,
        Field("email", Kind.EMAIL, required=True, unique=True),
        Field("name", Kind.TEXT),
        Field("token", Kind.TOKEN, ("claimtoken",), unique=True),
        # A purchase that waits is of one membership; accounts may have come to the same one.
        *(replace(each, unique=each.ours in {"whop_membership_id", "stripe_subscription_id"}) for each in MEMBERSHIP),
        Field("claimed", Kind.FLAG, ("isclaimed",)),
        Field("claimed_by_user_id", Kind.TEXT, ("claimedby",)),
        Field("claimed_at", Kind.MOMENT),
        CREATED,
        UPDATED,
    )),
    Entity("clients", ("client", "customers", "customer"), (
        ID,
        Field("name", Kind.TEXT, ("businessname", "companyname"), required=True),
        Field("email", Kind.EMAIL),
        Field("phone", Kind.TEXT, ("phonenumber",)),
        Field("onboarding_complete", Kind.FLAG, ("onboardingcompleted",)),
        Field("outbound_paused", Kind.FLAG),
        Field("ai_disabled", Kind.FLAG),
        Field("billing_status", Kind.LABEL, labels=("none", "trial", "active", "canceled", "past_due")),
        Field("payment_active", Kind.FLAG),
        Field("trial_used_at", Kind.MOMENT),
        Field("pending_cancellation", Kind.FLAG),
        Field("cancellation_requested_at", Kind.MOMENT),
        Field("stripe_customer_id", Kind.TEXT, unique=True),
        Field("stripe_subscription_id", Kind.TEXT, unique=True),
        CREATED,
        UPDATED,
    )),
    Entity("onboarding_states", ("onboardingstate", "onboarding"), (
        ID,
        Field("client_id", Kind.REFERENCE, ("customerid",), required=True, of="clients", unique=True),
        Field("forwarding_enabled", Kind.FLAG),
        Field("test_call_detected", Kind.FLAG),
        Field("current_step", Kind.TEXT, ("step",)),
        CREATED,
        UPDATED,
    )),
    Entity("practitioners", (
        *("practitioner", "therapists", "therapist", "hosts", "host"),
        *("builderprofile", "builderprofiles", "practitionerprofile", "practitionerprofiles"),
    ), (
        ID,
        Field("name", Kind.TEXT, ("fullname", "displayname"), required=True),
        Field("email", Kind.EMAIL, required=True, unique=True),
        Field("time_zone", Kind.TEXT, ("tz",)),
        Field("calcom_user_id", Kind.TEXT, ("caluserid",)),
        Field("calcom_event_type_id", Kind.TEXT, ("caleventtypeid",)),
        Field("active", Kind.FLAG, ("isactive", "enabled")),
        CREATED,
    )),
    Entity("session_types", ("sessiontype", "services", "service"), (
        ID,
        PRACTITIONER,
        Field("title", Kind.TEXT, ("name",), required=True),
        Field("minutes", Kind.WHOLE, ("duration", "durationminutes", "durationmin", "length"), required=True),
        *PRICE,
        Field("calendly_event_type_id", Kind.TEXT, unique=True),
        Field("calendly_event_type_uri", Kind.TEXT, unique=True),
        Field("active", Kind.FLAG, ("isactive", "enabled")),
        CREATED,
    )),
    Entity("bookings", ("booking", "appointments", "appointment"), (
        ID,
        PRACTITIONER,
        Field("session_type_id", Kind.REFERENCE, ("serviceid",), required=True, of="session_types"),
        Field("client_name", Kind.TEXT, ("customername", "guestname", "name"), required=True),
        Field("client_email", Kind.EMAIL, ("customeremail", "guestemail", "email")),
        *TIMES,
        Field("status", Kind.LABEL, labels=STATUSES),
        *PRICE,
        Field("stripe_checkout_session_id", Kind.TEXT, ("stripesessionid",), unique=True),
        Field("stripe_payment_intent_id", Kind.TEXT, ("paymentintentid",), unique=True),
        Field("calendly_event_id", Kind.TEXT, unique=True),
        Field("calendly_event_uri", Kind.TEXT, unique=True),
        Field("calendly_invitee_uri", Kind.TEXT, unique=True),
        Field("calcom_booking_uid", Kind.TEXT, ("calcomuid", "calbookinguid", "caluid"), unique=True),
        CREATED,
        UPDATED,
    )),
    Entity("organizations", ("organization", "orgs", "org"), (
        ID,
        Field("workos_id", Kind.TEXT, ("workosorgid", "workosorganizationid"), required=True, unique=True),
        Field("name", Kind.TEXT, required=True),
        Field("kind", Kind.LABEL, ("type",), labels=("personal", "team")),
        CREATED,
    )),
    Entity("meetings", ("meeting",), (
        ID,
        PRACTITIONER,
        Field("guest_email", Kind.EMAIL, ("attendeeemail",)),
        Field("guest_name", Kind.TEXT, ("attendeename",)),
        Field("guest_workos_user_id", Kind.TEXT, ("guestuserid",)),
        Field("guest_org_id", Kind.ORGANIZATION, ("guestorganizationid",), of="organizations"),
        *TIMES,
        Field("status", Kind.LABEL, ("paymentstatus", "stripepaymentstatus"), labels=STATUSES),
        *PRICE,
        CREATED,
        UPDATED,
    )),
)  # fmt: skip
OF: Mapping[str, Entity] = {entity.table: entity for entity in ENTITIES}

SYSTEMS: Sequence[System] = (
    System(
        "bookings",
        "users, practitioners and their bookings, by whole numbers",
        ("users", "practitioners", "session_types", "bookings"),
        ("users.open_id",),
    ),
    System(
        "sessions",
        "session types and bookings that Calendly knows",
        ("practitioners", "session_types", "bookings"),
        (
            *("bookings.calendly_event_id", "bookings.calendly_event_uri", "bookings.calendly_invitee_uri"),
            *("session_types.calendly_event_type_id", "session_types.calendly_event_type_uri"),
        ),
    ),
    System(
        "clients",
        "clients with their flags, and how far their onboarding is",
        ("clients", "onboarding_states"),
        ("clients.outbound_paused", "clients.ai_disabled", "onboarding_states.forwarding_enabled"),
    ),
    System(
        "meetings",
        "meetings with guests, and organizations",
        ("practitioners", "organizations", "meetings"),
        ("meetings.starts_at",),
    ),
    System(
        "memberships",
        "profiles, and purchases that wait for their owner",
        ("profiles", "pending_profiles"),
        ("profiles.usage_credits", "profiles.whop_membership_id", "pending_profiles.whop_membership_id"),
    ),
)
