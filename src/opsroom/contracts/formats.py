"""How values are written for people: numbers with units, durations, sizes, money, times, digests. None is "no value", never 0."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

NOTHING = "–"
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
_ID = re.compile(r"[a-z]{2,4}_[0-9a-z]{18,}")
_SHA = re.compile(r"\b[0-9a-f]{40}\b")
_MEASURE = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|d|%|[kMGT]?B|req/s)\b)")
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "CHF": "CHF "}


def number(value: float | None, unit: str = "") -> str:
    """Three significant digits below 1,000, whole thousands above; the unit after a space that does not break: `1,234 req/s`."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = _digits(abs(value))
    sign = "−" if value < 0 and text != "0" else ""
    return f"{sign}{text}\u00a0{unit}" if unit else sign + text


def share(value: float | None) -> str:
    """A share of 1 as per cent: 0.0123 -> `1.23 %`."""
    return number(None if value is None else value * 100, "%")


def duration(seconds: float | None) -> str:
    """`740 µs`, `12 ms`, `3.4 s`, `2 min 5 s`, `3 h 20 min`, `4 d 6 h`."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    if seconds < 0:
        return "−" + duration(-seconds)
    if seconds == 0:
        return "0\u00a0s"
    if seconds < 1:
        return f"{_digits(seconds * 1e6)}\u00a0µs" if seconds < 0.001 else f"{_digits(seconds * 1000)}\u00a0ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + "\u00a0s"
    whole = round(seconds)
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size:,}\u00a0{unit}" + (f" {rest}\u00a0{smaller}" if rest else "")
    return f"{whole}\u00a0s"


def size(count: float | None) -> str:
    """Bytes in powers of 1,000: `1.25 MB`."""
    if count is None:
        return NOTHING
    scaled, power = float(count), 0
    while abs(scaled) >= 999.5 and power < len(_SIZES) - 1:
        scaled, power = scaled / 1000, power + 1
    return number(scaled, _SIZES[power])


def money(micros: int | None, currency: str = "EUR") -> str:
    """Micro-units: `€12.34`; below one hundredth as many digits as tell it apart from nothing: `€0.000 42`."""
    if micros is None:
        return NOTHING
    sign, amount = "−" if micros < 0 else "", abs(micros)
    mark = _SIGNS.get(currency, f"{currency} ")
    if amount == 0 or amount >= 10_000:
        cents = (amount + 5_000) // 10_000
        return f"{sign}{mark}{cents // 100:,}.{cents % 100:02d}"
    return f"{sign}{mark}{amount / 1_000_000:.6f}".rstrip("0")


def ago(moment: datetime | None, now: datetime) -> str:
    """`just now`, `4 min ago`, `in 3 d`: one unit, rounded down."""
    if moment is None:
        return NOTHING
    seconds = (now - moment).total_seconds()
    past = seconds >= 0
    text = _coarse(abs(seconds))
    if not text:
        return "just now" if past else "now"
    return f"{text} ago" if past else f"in {text}"


def clock_time(moment: datetime | None) -> str:
    """`2026-11-23 14:02:07 UTC`."""
    return NOTHING if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def short(text: str, length: int = 7) -> str:
    """A commit's first 7 characters, a digest's first 12 after its algorithm, the last 6 of our ids; other text as it is."""
    algorithm, colon, rest = text.partition(":")
    if colon and algorithm in {"sha256", "sha512"}:
        return rest[:12]
    if len(text) >= 40 and all(character in "0123456789abcdef" for character in text):
        return text[:length]
    return f"…{text[-6:]}" if _ID.fullmatch(text) else text


def shas(text: str) -> str:
    """Text in which whole commits are shortened to the 12 characters that versions have."""
    return _SHA.sub(lambda found: found[0][:12], text)


def written(value: object, spec: str = "") -> str:
    """A value in an event's sentence. `spec` is Python's, or `bytes`, or `money EUR` for micro-units, or a noun to count: `{files:file}`
    gives `1 file`, `3 files`. Without one, whole numbers have their thousands apart, and ids and commits are shortened."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return shas(short(str(value)))
    if spec == "bytes":
        return size(value)
    if spec.startswith("money "):
        return money(round(value), spec.removeprefix("money "))
    if spec.isalpha() and len(spec) > 1:
        return plural(round(value), spec)
    return format(value, spec or ("," if isinstance(value, int) else ""))


def bound(text: str) -> str:
    """The text with each figure held to its unit, so that a line never ends between them."""
    return _MEASURE.sub("\u00a0", text)


def person(actor: str) -> str:
    """`person:maria` -> `maria`; `system:sealer` -> `sealer`; `run:run_01m8…` -> `a run`; other kinds stay told apart."""
    kind, _, name = actor.partition(":")
    if kind == "run" and name:
        return "a run"
    return name if kind in {"person", "system"} and name else actor


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 job`, `3 jobs`, `2 entries` (with `many`)."""
    return f"{count:,}\u00a0{noun if count == 1 else many or noun + 's'}"


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    if value >= 999.5:
        return f"{value:,.0f}"
    if value < 0.001:
        return f"{value:.1g}"
    decimals = max(0, 2 - math.floor(math.log10(value)))
    text = f"{value:.{min(decimals, 4)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _coarse(seconds: float) -> str:
    for unit, size_ in (("y", 31_536_000), ("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size_:
            return f"{int(seconds // size_)}\u00a0{unit}"
    return f"{int(seconds)}\u00a0s" if seconds >= 5 else ""
