"""The shapes of meetings and guests that outside callers rely on: fields may be added, never renamed."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from admin_app.services.guests.guest_sign_in import SignedIn
from models import Guest, Meeting
from views.public.shapes import LONGEST_NAME, LONGEST_ZONE, Address, Moment, Number, Text

LONGEST_CODE = 20
Status = Literal["pending", "confirmed", "canceled", "completed", "no_show", "refunded"]


class MeetingRequest(BaseModel):
    practitioner_id: Number
    session_type_id: Number | None = Field(default=None, description="Left out: half an hour, free of charge")
    starts_at: Moment = Field(description="A time that is free, with its offset")
    guest_name: Annotated[Text, Field(min_length=1, max_length=LONGEST_NAME)]
    guest_email: Address
    timezone: Annotated[Text, Field(max_length=LONGEST_ZONE)] | None = Field(
        default=None, description="The guest's IANA time zone, for the times in their mails"
    )


class MeetingShape(BaseModel):
    id: int
    status: Status
    starts_at: datetime
    ends_at: datetime
    hold_expires_at: datetime | None = Field(description="Until when the time is held for paying")
    guest_workos_user_id: str
    guest_org_id: str | None = Field(description="Null for somebody whom others brought to WorkOS")

    @classmethod
    def of(cls, meeting: Meeting) -> Self:
        return cls.model_validate({name: getattr(meeting, name) for name in cls.model_fields})


class MeetingMade(BaseModel):
    meeting: MeetingShape
    checkout_url: str | None = Field(
        description="Where it is paid; null when nothing is to be paid, or it was paid and the bank is at it"
    )


class CodeRequest(BaseModel):
    email: Address


class CodeAsked(BaseModel):
    status: Literal["accepted"] = Field(description="The same for every address")


class SessionRequest(BaseModel):
    email: Address
    code: Annotated[Text, Field(min_length=1, max_length=LONGEST_CODE)] = Field(description="The code of the mail")


class GuestShape(BaseModel):
    workos_user_id: str
    email: str
    name: str | None
    organization_id: str | None

    @classmethod
    def of(cls, guest: Guest) -> Self:
        return cls.model_validate(
            {
                "workos_user_id": guest.workos_user_id,
                "email": guest.email,
                "name": guest.name,
                "organization_id": guest.workos_org_id,
            }
        )


class GuestSessionMade(BaseModel):
    access_token: str
    expires_at: datetime
    guest: GuestShape

    @classmethod
    def of(cls, signed_in: SignedIn) -> Self:
        session = signed_in.session
        return cls(
            access_token=session.access_token, expires_at=session.expires_at, guest=GuestShape.of(signed_in.guest)
        )


class GuestAnswer(BaseModel):
    guest: GuestShape


class MeetingPractitioner(BaseModel):
    id: int
    name: str
    time_zone: str


class MeetingPrice(BaseModel):
    amount: int = Field(description="As Stripe counts them: hundredths of ISK and UGX too, which have none")
    currency: str


class OwnMeeting(BaseModel):
    id: int
    status: Status
    starts_at: datetime
    ends_at: datetime
    hold_expires_at: datetime | None
    title: str
    price: MeetingPrice
    practitioner: MeetingPractitioner

    @classmethod
    def of(cls, row: Any) -> Self:
        meeting: Meeting = row.Meeting
        return cls(
            id=meeting.id,
            status=meeting.status.value,
            starts_at=meeting.starts_at,
            ends_at=meeting.ends_at,
            hold_expires_at=meeting.hold_expires_at,
            title=row.title or "Meeting",
            price=MeetingPrice(amount=meeting.price_amount, currency=meeting.price_currency),
            practitioner=MeetingPractitioner(id=row.practitioner_id, name=row.name, time_zone=row.time_zone),
        )


class OwnMeetings(BaseModel):
    meetings: list[OwnMeeting] = Field(description="The latest first")
