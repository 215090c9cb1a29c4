"""The shapes that outside callers rely on: fields may be added, never renamed."""

import unicodedata
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from models import Profile
from views.public.bodies import plain_text

LONGEST_EMAIL = 254
LONGEST_TOKEN = 200


def _address(value: str) -> str:
    address = unicodedata.normalize("NFC", value.strip())
    name, at, domain = address.rpartition("@")
    if not (name and at and domain) or any(character.isspace() for character in address):
        raise ValueError("This is not an e-mail address.")
    return address


Text = Annotated[str, AfterValidator(plain_text)]


class ClaimRequest(BaseModel):
    email: Annotated[Text, Field(min_length=1, max_length=LONGEST_EMAIL), AfterValidator(_address)]
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
