"""Keeps the demo away from real business: which providers are real, and where the simulator is."""

import ipaddress
from urllib.parse import urlsplit

from admin_app.config import Settings
from admin_app.errors import Conflict
from admin_app.simulator import control


class NoSimulator(Conflict):
    """The demo would reach a real provider, or none: 409, raised before anything is sent."""

    code = "no_simulator"
    sentence = (
        "WHOP_API_BASE does not point to a provider simulator on this machine, so nobody can play the customer. Start "
        " everything with `make run`, or load its settings with `set -a; . var/demo.env; set +a`."
    )


def real_providers(settings: Settings) -> list[str]:
    """Providers that are configured and live somewhere else than on this machine."""
    configured = {
        "Stripe": (settings.stripe_secret_key, settings.stripe_api_base),
        "Whop": (settings.whop_api_key, settings.whop_api_base),
        "WorkOS": (settings.workos_api_key, settings.workos_api_base),
        "Calendly": (settings.calendly_token, settings.calendly_api_base),
        "Cal.com": (settings.calcom_api_key, settings.calcom_api_url),
        "Clerk": (settings.clerk_secret_key, settings.clerk_api_base),
        "the mail server": (settings.smtp_url, settings.smtp_url),
    }
    return [name for name, (key, address) in configured.items() if key and not is_on_this_machine(address)]


def is_on_this_machine(address: str) -> bool:
    """Whether the URL's host is `localhost` or a loopback address; no name is looked up, and what is no URL is not."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def simulator_of(settings: Settings) -> str:
    """The simulator's address; refused when Whop's address is another's, or not on this machine."""
    address = control.address_from(settings.whop_api_base)
    if address is None or not is_on_this_machine(address):
        raise NoSimulator
    return address
