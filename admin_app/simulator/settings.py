"""What the simulator takes from the environment: the same variables that the product reads."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SimulatorSettings:
    """Secrets shared with the product, and where to deliver to."""

    own_url: str
    base_url: str
    whop_api_key: str
    whop_webhook_secret: str
    clerk_secret_key: str
    clerk_webhook_secret: str
    clerk_issuer: str
    workos_api_key: str = ""
    workos_client_id: str = ""
    stripe_secret_key: str = ""
    stripe_webhook_secret: str = ""
    calendly_token: str = ""
    calendly_webhook_signing_key: str = ""
    calcom_api_key: str = ""
    calcom_webhook_secret: str = ""
    retry_speed: float = 1.0
    smtp_port: int | None = None


def from_environment(
    port: int,
    environment: Mapping[str, str] = os.environ,
    *,
    retry_speed: float = 1.0,
    smtp_port: int | None = None,
) -> SimulatorSettings:
    """The settings of a simulator that listens on this port, and takes mail on the other one."""
    own_url = f"http://127.0.0.1:{port}"

    def setting(name: str, default: str = "") -> str:
        return environment.get(name, "").rstrip("/") or default

    return SimulatorSettings(
        own_url=own_url,
        base_url=setting("BASE_URL", "http://127.0.0.1:8000"),
        whop_api_key=setting("WHOP_API_KEY"),
        whop_webhook_secret=environment.get("WHOP_WEBHOOK_SECRET", ""),
        clerk_secret_key=setting("CLERK_SECRET_KEY"),
        clerk_webhook_secret=environment.get("CLERK_WEBHOOK_SECRET", ""),
        clerk_issuer=setting("CLERK_ISSUER", f"{own_url}/clerk"),
        workos_api_key=setting("WORKOS_API_KEY"),
        workos_client_id=setting("WORKOS_CLIENT_ID"),
        stripe_secret_key=setting("STRIPE_SECRET_KEY"),
        stripe_webhook_secret=environment.get("STRIPE_WEBHOOK_SECRET", ""),
        calendly_token=setting("CALENDLY_TOKEN"),
        calendly_webhook_signing_key=environment.get("CALENDLY_WEBHOOK_SIGNING_KEY", ""),
        calcom_api_key=setting("CALCOM_API_KEY"),
        calcom_webhook_secret=environment.get("CALCOM_WEBHOOK_SECRET", ""),
        retry_speed=retry_speed,
        smtp_port=smtp_port,
    )
