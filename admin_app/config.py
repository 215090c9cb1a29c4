"""Typed, frozen settings, read once from the environment (or `.env`).

A secret that is missing or empty closes its endpoint: nothing has a default that would let a request through.
"""

from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from admin_app.approval_limits import ApprovalLimits
from admin_app.database_url import for_sqlalchemy, of_postgresql


class WebServerSettings(BaseSettings):
    """How the web server runs; apart from the rest, because it is read before the application is loaded.

    One process answers `web_requests_at_once` requests that need the database, half as many deliveries beside them, and
    has threads left for whatever needs none: `/health`, static files, people whose line is slow.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        env_nested_delimiter="_",
        # A refused value may be a secret, and what a start complains about ends up in a log.
        hide_input_in_errors=True,
    )

    port: int = Field(default=8000, description="Port that the web server listens on, on the loopback address")
    web_workers: int = Field(default=2, ge=1, description="Processes of the web server")
    web_threads: int = Field(default=256, ge=4, description="Connections that one process serves at once")
    web_requests_at_once: int = Field(
        default=12, ge=1, description="Requests that one process lets use the database and the providers at once"
    )

    @property
    def web_deliveries_at_once(self) -> int:
        """Webhook deliveries that one process takes at once, in places that no page can occupy."""
        return max(1, self.web_requests_at_once // 2)

    @property
    def web_waiting(self) -> int:
        """How many pages, and as many deliveries, may wait in one process for a place; threads stay free beside."""
        busy = self.web_requests_at_once + self.web_deliveries_at_once
        free = max(2, self.web_threads // 8)
        return max(2, (self.web_threads - busy - free) // 2)

    @model_validator(mode="after")
    def _threads_are_left(self) -> Self:
        busy = self.web_requests_at_once + self.web_deliveries_at_once
        if self.web_threads < busy + 2:
            raise ValueError(
                f"WEB_THREADS is {self.web_threads}; it has to be at least {busy + 2}, so that /health is answered "
                f"while WEB_REQUESTS_AT_ONCE ({self.web_requests_at_once}) and half as many deliveries are at work."
            )
        return self


class Settings(WebServerSettings):
    """Every setting of the product; the environment variable is the upper-case name."""

    database_url: str = Field(description="PostgreSQL address, e.g. postgresql://user:secret@host/backdesk")
    database_url_dev: str = Field(default="", description="The database of `flask migrate … --env dev`")
    database_url_preview: str = Field(default="", description="The database of `flask migrate … --env preview`")
    database_url_prod: str = Field(default="", description="The database of `flask migrate … --env prod`")
    secret_key: str = Field(min_length=32, description="Signs form tokens; at least 32 characters")
    base_url: str = Field(default="http://127.0.0.1:8000", description="Where people and providers reach this server")

    trusted_proxies: int = Field(
        default=0, ge=0, description="How many proxies of ours stand before the web server and name the caller"
    )

    database_connect_seconds: int = Field(default=3, ge=2, le=60, description="Opening a connection may take this long")
    database_pool_seconds: float = Field(
        default=3, gt=0, le=60, description="A request waits this long for a connection that others use"
    )
    database_silence_seconds: int = Field(
        default=5, ge=1, le=60, description="A connection whose answer is overdue by this much is given up"
    )
    database_statement_seconds: int = Field(default=10, ge=1, description="The longest statement of the web server")
    database_lock_seconds: int = Field(default=3, ge=1, description="The web server waits this long for a lock")
    database_idle_seconds: int = Field(
        default=30, ge=1, description="A transaction of the web server that does nothing for so long is ended"
    )
    worker_statement_seconds: int = Field(
        default=600, ge=1, description="The longest statement of the worker and the operator's commands"
    )
    worker_lock_seconds: int = Field(default=10, ge=1, description="They wait this long for a lock")
    worker_idle_seconds: int = Field(
        default=120, ge=1, description="A transaction of theirs that does nothing for so long is ended"
    )
    provider_seconds: float = Field(
        default=12, gt=0, le=60, description="How long one web request waits for providers at most, with all its calls"
    )

    stripe_secret_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_api_base: str = "https://api.stripe.com"
    whop_api_key: str = ""
    whop_webhook_secret: str = ""
    whop_api_base: str = "https://api.whop.com/api/v1"
    whop_pro_products: str = Field(
        default="",
        description="Ids of the products that make pro, with commas between; with none, and no plans either, every "
        "product does whose plan is not known to cost nothing",
    )
    whop_pro_plans: str = Field(default="", description="Ids of the plans that make pro, with commas between")
    workos_api_key: str = ""
    workos_client_id: str = ""
    workos_api_base: str = "https://api.workos.com"
    workos_issuer: str = Field(
        default="", description="Who signs guests' access tokens; needed with an auth domain of one's own only"
    )
    calendly_token: str = ""
    calendly_webhook_signing_key: str = ""
    calendly_api_base: str = "https://api.calendly.com"
    calcom_api_key: str = ""
    calcom_api_url: str = "https://api.cal.com"
    calcom_webhook_secret: str = ""
    calcom_user_id: dict[int, str] = Field(
        default_factory=dict, description="CALCOM_USER_ID_<id>: the Cal.com user of the practitioner with this number"
    )
    calcom_event_type: dict[int, str] = Field(
        default_factory=dict,
        description="CALCOM_EVENT_TYPE_<id>: the Cal.com event type that a practitioner is booked by",
    )
    clerk_issuer: str = ""
    clerk_jwks_url: str = Field(default="", description="Defaults to {CLERK_ISSUER}/.well-known/jwks.json")
    clerk_jwt_key: str = Field(default="", description="PEM; makes token verification networkless")
    clerk_authorized_parties: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins, separated by commas, whose tokens are accepted"
    )
    clerk_secret_key: str = ""
    clerk_api_base: str = "https://api.clerk.com/v1"
    clerk_webhook_secret: str = ""
    clerk_sign_in_url: str = Field(default="", description="Where the claim page sends a customer who must sign in")
    service_api_key: str = ""
    smtp_url: str = ""
    mail_from: str = Field(default="Backdesk <no-reply@localhost>", description="Sender of the product's mails")
    sentry_dsn: str = ""

    booking_return_url: str = Field(
        default="", description="Where Stripe sends a payer back to; defaults to {BASE_URL}/booking"
    )
    refund_approval_above: Annotated[ApprovalLimits, NoDecode] = Field(
        default=ApprovalLimits(hundredths=20_000),
        description="A refund above this waits for a second person, by currency, as in EUR 200, JPY 30000; a number "
        "alone is in hundredths and holds for currencies not named",
    )

    refund_canceled_by_client: bool = Field(
        default=False,
        description="Give back by itself what was paid for an appointment that its client called off in a calendar; "
        "otherwise finance decides about each",
    )

    trial_days: int = Field(
        default=14, ge=1, le=3650, description="How long a trial lasts of which nothing says when it ends"
    )

    staff_session_idle_minutes: int = Field(
        default=60, ge=1, description="A staff session ends after this much silence"
    )
    staff_session_hours: int = Field(
        default=12, ge=1, description="A staff session ends after this long, whatever happens"
    )

    export_days: int = Field(default=7, ge=1, description="The file of an export is deleted after this many days")

    @field_validator("refund_approval_above", mode="before")
    @classmethod
    def _read_limits(cls, value: object) -> object:
        return value if isinstance(value, ApprovalLimits) else ApprovalLimits.read(str(value))

    @field_validator("database_url", mode="after")
    @classmethod
    def _usable_address(cls, value: str) -> str:
        of_postgresql(value)
        return value

    @field_validator("clerk_authorized_parties", mode="before")
    @classmethod
    def _split_parties(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator(
        *("base_url", "whop_api_base", "clerk_api_base", "clerk_issuer", "stripe_api_base"),
        *("workos_api_base", "calendly_api_base", "calcom_api_url"),
        mode="after",
    )
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @cached_property
    def sqlalchemy_url(self) -> str:
        """The same address with the driver named, as SQLAlchemy wants it."""
        return for_sqlalchemy(self.database_url)

    @property
    def jwks_url(self) -> str:
        if self.clerk_jwks_url or not self.clerk_issuer:
            return self.clerk_jwks_url
        return f"{self.clerk_issuer}/.well-known/jwks.json"

    @property
    def pro_products(self) -> frozenset[str]:
        return _listed(self.whop_pro_products)

    @property
    def pro_plans(self) -> frozenset[str]:
        return _listed(self.whop_pro_plans)

    @property
    def workos_issuers(self) -> tuple[str, ...]:
        """WorkOS documents its plain address as the issuer and signs with the client's own below it."""
        if self.workos_issuer:
            return (self.workos_issuer,)
        bases = {"https://api.workos.com", self.workos_api_base}
        return tuple(
            issuer for base in sorted(bases) for issuer in (base, f"{base}/user_management/{self.workos_client_id}")
        )

    @property
    def payer_return_url(self) -> str:
        return self.booking_return_url or f"{self.base_url}/booking"

    @property
    def secure_cookies(self) -> bool:
        return self.base_url.startswith("https://")


def _listed(ids: str) -> frozenset[str]:
    return frozenset(one.strip() for one in ids.split(",") if one.strip())


def in_sentences(wrong: ValidationError) -> str:
    """What is wrong with the settings, by their names in the environment; no value is quoted."""
    return "The settings cannot be used.\n" + "\n".join(f"- {_sentence(each)}" for each in wrong.errors())


def _sentence(error: Any) -> str:
    name = "_".join(str(part) for part in error["loc"]).upper()
    if error["type"] == "missing":
        return f"{name} is not set. It is needed in any case, also by a command for another environment."
    said = str(error["msg"]).removeprefix("Value error, ")
    return said if said.startswith(name) or not name else f"{name}: {said}"
