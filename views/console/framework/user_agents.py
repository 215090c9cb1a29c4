"""The name people know a browser by."""

# The first that fits wins: Edge and Opera also say Chrome, Chrome also says Safari.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_name(user_agent: str | None) -> str:
    """For example "Firefox on Linux"; "Unknown browser" when it says nothing that is known."""
    browser = next((name for mark, name in BROWSERS if mark in (user_agent or "")), None)
    system = next((name for mark, name in SYSTEMS if mark in (user_agent or "")), None)
    return " on ".join(part for part in (browser or "Unknown browser", system) if part)
