"""Which providers this installation talks to."""

from dataclasses import dataclass, field

from admin_app.config import Settings
from admin_app.integrations import calcom, calendly, clerk, mail, stripe, whop
from admin_app.integrations.calendar_ports import CalcomAccounts, CalcomPort, CalendlyPort
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.integrations.http.guard import WEB, Limits
from admin_app.integrations.money_ports import StripePort
from admin_app.integrations.ports import ClerkPort, MailPort, WhopPort
from admin_app.integrations.workos import workos_api


@dataclass(frozen=True)
class Providers:
    """The adapters in use; None is a provider that is not configured."""

    whop: WhopPort | None
    clerk: ClerkPort | None
    mail: MailPort
    stripe: StripePort | None = None
    workos: WorkosPort | None = None
    calcom: CalcomPort | None = None
    calendly: CalendlyPort | None = None
    calcom_accounts: CalcomAccounts = field(default_factory=CalcomAccounts)


def from_settings(settings: Settings, limits: Limits = WEB) -> Providers:
    """Build the adapters, each for so many calls of this process at once; nothing is contacted yet."""
    return Providers(
        whop=whop.client(settings, limits) if settings.whop_api_key else None,
        clerk=clerk.client(settings, limits) if settings.clerk_issuer else None,
        mail=mail.client(settings, limits),
        stripe=stripe.client(settings, limits) if settings.stripe_secret_key else None,
        workos=workos_api.client(settings, limits) if settings.workos_api_key and settings.workos_client_id else None,
        calcom=calcom.client(settings, limits) if settings.calcom_api_key else None,
        calendly=calendly.client(settings, limits) if settings.calendly_token else None,
        calcom_accounts=CalcomAccounts(settings.calcom_user_id, settings.calcom_event_type),
    )
