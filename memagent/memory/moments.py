"""Time, in the two forms the store has: microseconds (when we believed it) and sortable ISO text (when it holds).

A date as people write it ("2014", "May 2020", "12 May 1987", "2020-05-01T10:00") stands for a stretch of time; `first_moment`
is where it begins, `after_moment` where it has passed. Text that is no date gives None.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, date, datetime, timedelta

MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")

_ISO = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]{3,9})\.?,? (\d{4})$")
_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.?(?: (\d{1,2})(?:st|nd|rd|th)?,?)?,? (\d{4})$")

_last = 0
_lock = threading.Lock()


def now() -> int:
    """Microseconds since 1970, never the same twice in a process: what is recorded later sorts later."""
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1000)
        return _last


def micros(moment: datetime) -> int:
    """The form in which `recorded_at` is stored; a moment without a zone is local time."""
    return int(moment.astimezone(UTC).timestamp() * 1_000_000)


def moment_of(stored: int) -> datetime:
    """The inverse of `micros`."""
    return datetime.fromtimestamp(stored / 1_000_000, UTC)


def key_of(stored: int) -> str:
    """A recorded moment as a key that compares with those of valid time."""
    return moment_of(stored).strftime("%Y-%m-%dT%H:%M:%S.%f")


def first_moment(text: str | None) -> str | None:
    """The key of the moment at which `text` begins."""
    span = _span(text)
    return span and span[0]


def after_moment(text: str | None) -> str | None:
    """The key of the moment at which `text` has passed."""
    span = _span(text)
    return span and span[1]


def _span(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    clean = text.strip()
    parts = _parts(clean.lower())
    try:
        if parts is not None:
            return _stretch(*parts)
        moment = datetime.fromisoformat(clean)
    except (ValueError, OverflowError):
        return None
    stored = micros(moment)
    return key_of(stored), key_of(stored + 1)


def _parts(text: str) -> tuple[int, int | None, int | None] | None:
    """Year, month, day."""
    if found := _ISO.match(text):
        year, month, day = found.groups()
        return int(year), int(month) if month else None, int(day) if day else None
    if found := _DAY_FIRST.match(text):
        day, name, year = found.groups()
    elif found := _MONTH_FIRST.match(text):
        name, day, year = found.groups()
    else:
        return None
    month_number = _month(name)
    return None if month_number is None else (int(year), month_number, int(day) if day else None)


def _month(name: str) -> int | None:
    found = [number for number, month in enumerate(MONTHS, 1) if month.startswith(name) or (name == "sept" and month == "september")]
    return found[0] if len(found) == 1 else None


def _stretch(year: int, month: int | None, day: int | None) -> tuple[str, str]:
    start = date(year, month or 1, day or 1)
    if day is not None:
        end = start + timedelta(days=1)
    elif month is not None:
        end = date(year + month // 12, month % 12 + 1, 1)
    else:
        end = date(year + 1, 1, 1)
    return f"{start.isoformat()}T", f"{end.isoformat()}T"
