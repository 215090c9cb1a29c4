"""How the flags of a client are called, and what is said of them when they are on and off."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.clients import FlagName, OnExpiry

UNTIL_SWITCHED_BACK = "until somebody switches it back"
OUTSIDE = "set outside Backdesk"


@dataclass(frozen=True)
class FlagWords:
    """`name` is the flag; `turn_on` and `turn_off` are the commands; `on` and `off` are what holds then."""

    name: str
    turn_on: str
    turn_off: str
    on: str
    off: str


WORDS: Mapping[FlagName, FlagWords] = {
    FlagName.OUTBOUND_PAUSED: FlagWords(
        "Outbound calls paused",
        "Pause outbound calls",
        "Let outbound calls run again",
        "Outbound calls are paused",
        "Outbound calls are not paused",
    ),
    FlagName.AI_DISABLED: FlagWords(
        "AI disabled", "Disable the AI", "Enable the AI again", "The AI is disabled", "The AI is not disabled"
    ),
    FlagName.EMERGENCY_STOP: FlagWords(
        "Emergency stop",
        "Stop everyone",
        "End the emergency stop",
        "Everyone is stopped",
        "Nobody is stopped",
    ),
}
ON_EXPIRY: Mapping[OnExpiry, str] = {
    OnExpiry.LIFT: "it goes off by itself",
    OnExpiry.STAY: "it stays on and waits for a decision",
}


def end_words(on_expiry: OnExpiry, has_end: bool) -> str | None:
    """What happens at the end date, for people."""
    return ON_EXPIRY[on_expiry] if has_end else None
