"""What Calendly and Cal.com tell of one booking, as it happened: each story in its own order."""

from datetime import timedelta

from tests.services.calendar_answers import AT, HOUR, Told, calcom_told, calendly_told

DAY = timedelta(days=1)


CALENDLY_STORIES: dict[str, list[Told]] = {
    "made": [calendly_told("created", "X")],
    "made and called off": [calendly_told("created", "X"), calendly_told("canceled", "X")],
    "moved": [
        calendly_told("created", "X"),
        calendly_told("canceled", "X", new="Y"),
        calendly_told("created", "Y", at=AT + DAY, old="X"),
    ],
    "moved and called off": [
        calendly_told("created", "X"),
        calendly_told("canceled", "X", new="Y"),
        calendly_told("created", "Y", at=AT + DAY, old="X"),
        calendly_told("canceled", "Y", at=AT + DAY, old="X", by="host"),
    ],
    "moved twice": [
        calendly_told("created", "X"),
        calendly_told("canceled", "X", new="Y"),
        calendly_told("created", "Y", at=AT + DAY, old="X"),
        calendly_told("canceled", "Y", at=AT + DAY, old="X", new="Z"),
        calendly_told("created", "Z", at=AT + 2 * DAY, old="Y"),
    ],
    "moved within its own time": [
        calendly_told("created", "X"),
        calendly_told("canceled", "X", new="Y"),
        calendly_told("created", "Y", at=AT + HOUR / 2, old="X"),
    ],
}
CALCOM_STORIES: dict[str, list[Told]] = {
    "made": [calcom_told("CREATED", "X")],
    "asked for and confirmed": [calcom_told("REQUESTED", "X"), calcom_told("CREATED", "X")],
    "asked for and rejected": [calcom_told("REQUESTED", "X"), calcom_told("REJECTED", "X")],
    "confirmed and called off": [
        calcom_told("REQUESTED", "X"),
        calcom_told("CREATED", "X"),
        calcom_told("CANCELLED", "X"),
    ],
    "moved twice and called off": [
        calcom_told("CREATED", "X"),
        calcom_told("RESCHEDULED", "Y", at=AT + DAY, old="X"),
        calcom_told("RESCHEDULED", "Z", at=AT + 2 * DAY, old="Y"),
        calcom_told("CANCELLED", "Z", at=AT + 2 * DAY, by="host@example.com"),
    ],
    "called off to be moved": [
        calcom_told("CREATED", "X"),
        calcom_told("CANCELLED", "X", by="host@example.com", requestReschedule=True),
        calcom_told("RESCHEDULED", "Y", at=AT + DAY, old="X"),
    ],
    "moved, to be confirmed": [
        calcom_told("CREATED", "X"),
        calcom_told("REQUESTED", "Y", at=AT + DAY, old="X"),
        calcom_told("CREATED", "Y", at=AT + DAY, old="X"),
    ],
}
STORIES = {
    **{f"Calendly: {name}": story for name, story in CALENDLY_STORIES.items()},
    **{f"Cal.com: {name}": story for name, story in CALCOM_STORIES.items()},
}
