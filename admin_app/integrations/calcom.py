"""Cal.com: the client of its API."""

from admin_app.config import Settings
from admin_app.integrations import calcom_api
from admin_app.integrations.calcom_api import CalcomApi
from admin_app.integrations.calendar_ports import CalcomPort
from admin_app.integrations.provider_http import ProviderHttp


def client(settings: Settings) -> CalcomPort:
    """Cal.com as configured."""
    http = ProviderHttp(
        calcom_api.PROVIDER, settings.calcom_api_url, settings.calcom_api_key, reason_of=calcom_api.reason_of
    )
    return CalcomApi(http)
