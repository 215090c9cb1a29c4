"""The settings of a simulated installation, as its programs take them from the environment."""

from admin_app.config import Settings


def of(settings: Settings) -> dict[str, str]:
    given = settings.model_dump().items()
    return {name.upper(): str(value) for name, value in given if isinstance(value, str | int)}
