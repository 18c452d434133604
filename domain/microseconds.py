"""Moments as microseconds since 1970, which is as fine as datetimes and PostgreSQL are."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """The moment as microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(since_1970: int) -> datetime:
    """The moment that is so many microseconds after 1970 began."""
    return EPOCH + timedelta(microseconds=since_1970)
