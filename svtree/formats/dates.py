"""Dates as qmail writes them into headers: RFC 822 with a four-digit year, always UTC, zone "-0000"."""

from __future__ import annotations

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
WEEKDAYS = (b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat")
DAY = 86400


def civil(seconds: int) -> tuple[int, int, int, int, int, int]:
    """Year, month (1-12), day, hour, minute, second of a Unix time in UTC."""
    days, rest = divmod(seconds, DAY)
    # Counted in years that begin in March, so that the leap day is the last one; eras have 400 years.
    era, day_of_era = divmod(days + 719468, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    return year, month, day, rest // 3600, rest // 60 % 60, rest % 60


def header(seconds: int) -> bytes:
    """The moment as in "23 Nov 2026 23:02:48 -0000", without a newline."""
    year, month, day, hour, minute, second = civil(seconds)
    return b"%d %s %d %02d:%02d:%02d -0000" % (day, MONTHS[month - 1], year, hour, minute, second)


def local(seconds: int, offset: int) -> bytes:
    """The moment as in "24 Nov 2026 00:02:48 +0100" where clocks are so many seconds ahead of UTC."""
    minutes = (abs(offset) + 30) // 60
    text = header(seconds + offset).removesuffix(b"-0000")
    return b"%s%c%02d%02d" % (text, 45 if offset < 0 else 43, minutes // 60, minutes % 60)


def compact(seconds: int) -> bytes:
    """The moment as in "20261123230248", as qmail's message-ids begin."""
    return b"%d%02d%02d%02d%02d%02d" % civil(seconds)


def mbox(seconds: int) -> bytes:
    """The moment as in "Mon Nov 23 23:02:48 2026", as it stands in the From_ line of an mbox."""
    year, month, day, hour, minute, second = civil(seconds)
    name = WEEKDAYS[(seconds // DAY + 4) % 7]
    return b"%s %s %02d %02d:%02d:%02d %d" % (name, MONTHS[month - 1], day, hour, minute, second, year)
