"""The shapes that outside callers rely on: fields may be added, never renamed."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from admin_app.addresses import in_letters
from admin_app.bounds import BIGGEST, is_reachable
from admin_app.services.schedule.availability import Offer
from models import Booking, Meeting, Practitioner, Profile, SessionType
from views.public.bodies import plain_text

LONGEST_EMAIL = 254
LONGEST_TOKEN = 200
LONGEST_NAME = 200
LONGEST_ZONE = 100


def _address(value: str) -> str:
    address = unicodedata.normalize("NFC", value.strip())
    name, at, domain = address.rpartition("@")
    if not (name and at and domain) or any(character.isspace() for character in address):
        raise ValueError("This is not an e-mail address.")
    return in_letters(address)


def _moment(value: object) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        utc = found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None:
        raise ValueError("Write a time with its offset, like 2027-03-28T09:00:00+02:00.")
    if not is_reachable(utc):
        raise ValueError("This time is too far away. Choose another one.")
    return utc


Text = Annotated[str, AfterValidator(plain_text)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Number = Annotated[int, Field(ge=1, le=BIGGEST)]
Address = Annotated[Text, Field(min_length=1, max_length=LONGEST_EMAIL), AfterValidator(_address)]


class ClaimRequest(BaseModel):
    email: Address
    token: Annotated[Text, Field(min_length=1, max_length=LONGEST_TOKEN)] | None = Field(
        default=None, description="The token of the claim mail, instead of a verified e-mail"
    )


class ProfileShape(BaseModel):
    user_id: str
    email: str | None
    membership: Literal["free", "pro"]
    payment_provider: Literal["whop", "stripe"] | None
    plan_duration: Literal["monthly", "yearly"] | None
    billing_cycle_start: datetime | None
    billing_cycle_end: datetime | None
    next_credit_renewal: datetime | None
    usage_credits: int
    used_credits: int
    status: Literal["active", "inactive"]


class ClaimAnswer(BaseModel):
    outcome: Literal["created", "merged", "already_claimed", "already_pro", "none"]
    profile: ProfileShape

    @classmethod
    def of(cls, outcome: str, profile: Profile) -> Self:
        fields = {name: getattr(profile, name) for name in ProfileShape.model_fields}
        return cls.model_validate({"outcome": outcome, "profile": fields})


class Price(BaseModel):
    """In minor units of the currency as Stripe counts them: hundredths of ISK and UGX too, which have none."""

    amount: int
    currency: str


class SessionTypeShape(BaseModel):
    id: int
    title: str
    minutes: int
    price: Price

    @classmethod
    def of(cls, kind: SessionType) -> Self:
        price = Price(amount=kind.price_amount, currency=kind.price_currency)
        return cls(id=kind.id, title=kind.title, minutes=kind.minutes, price=price)


class PractitionerShape(BaseModel):
    id: int
    name: str
    time_zone: str
    free_meetings: bool = Field(description="Whether a meeting may be booked without a session type")
    session_types: list[SessionTypeShape]


class PractitionersAnswer(BaseModel):
    practitioners: list[PractitionerShape]

    @classmethod
    def of(cls, listed: Sequence[tuple[Practitioner, Sequence[SessionType]]]) -> Self:
        people = [
            PractitionerShape(
                id=person.id,
                name=person.name,
                time_zone=person.time_zone,
                free_meetings=person.free_meetings,
                session_types=[SessionTypeShape.of(kind) for kind in kinds],
            )
            for person, kinds in listed
        ]
        return cls(practitioners=people)


class SlotShape(BaseModel):
    """Both times with the offset that the answer's time zone has then."""

    starts_at: datetime
    ends_at: datetime


class AvailabilityAnswer(BaseModel):
    source: Literal["calcom", "cache", "fallback"] = Field(
        description="Cal.com as it is now or some minutes ago, or the practitioner's own working hours"
    )
    timezone: str
    slots: list[SlotShape]

    @classmethod
    def of(cls, offer: Offer, zone: ZoneInfo) -> Self:
        slots = [
            SlotShape(starts_at=slot.starts_at.astimezone(zone), ends_at=slot.ends_at.astimezone(zone))
            for slot in offer.slots
        ]
        return cls(source=offer.source, timezone=zone.key, slots=slots)


class BookingRequest(BaseModel):
    practitioner_id: Number
    session_type_id: Number
    starts_at: Moment = Field(description="A time that is offered, with its offset")
    client_name: Annotated[Text, Field(min_length=1, max_length=LONGEST_NAME)]
    client_email: Address
    timezone: Annotated[Text, Field(max_length=LONGEST_ZONE)] | None = Field(
        default=None, description="The client's IANA time zone, for the times in their mails"
    )


class BookingShape(BaseModel):
    id: int
    status: Literal["pending", "confirmed", "canceled", "completed", "no_show", "refunded"]
    starts_at: datetime
    ends_at: datetime
    hold_expires_at: datetime | None = Field(description="Until when the time is held for paying")

    @classmethod
    def of(cls, booking: Booking | Meeting) -> Self:
        return cls.model_validate({name: getattr(booking, name) for name in cls.model_fields})


class BookingMade(BaseModel):
    booking: BookingShape
    checkout_url: str | None = Field(description="Where it is paid; null when there is nothing to pay")


class BookingAnswer(BaseModel):
    booking: BookingShape


class Received(BaseModel):
    status: Literal["ok", "duplicate"]


class Health(BaseModel):
    status: Literal["ok", "failing"]
    failing: list[Literal["database", "migrations"]] = Field(default_factory=list)


class Problem(BaseModel):
    """RFC 9457, with a stable `code` for programs and `errors` by field where a body was not right."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: dict[str, str] | None = None
