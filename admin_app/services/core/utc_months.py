"""Months of the books: a month is one of the UTC calendar, whoever looks at it and wherever they are."""

from datetime import UTC, date, datetime

from admin_app.bounds import FIRST_YEAR, LAST_YEAR


def month_of(moment: datetime) -> date:
    """The month in which the moment lies, by its first day."""
    return moment.astimezone(UTC).date().replace(day=1)


def following(month: date, months: int = 1) -> date:
    """The month so many months later; earlier when negative."""
    number = month.year * 12 + month.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def begins(month: date) -> datetime:
    """The first moment of the month, in UTC, from any day of it."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def ends(month: date) -> datetime:
    """The first moment that does not belong to the month any more."""
    return begins(following(month))


def read_month(text: str) -> date | None:
    """The month that `2026-05` is; None when it is none."""
    year, dash, month = text.partition("-")
    digits = year + month
    if not (dash and len(year) == 4 and len(month) == 2 and digits.isascii() and digits.isdigit()):
        return None
    if not (FIRST_YEAR <= int(year) <= LAST_YEAR and 1 <= int(month) <= 12):
        return None
    return date(int(year), int(month), 1)


def month_text(month: date) -> str:
    """As addresses and file names have it: `2026-05`."""
    return f"{month:%Y-%m}"


def month_words(month: date) -> str:
    """As people read it: May 2026."""
    return f"{month:%B %Y}"
