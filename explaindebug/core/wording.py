"""Formats numbers and lists for messages, tables and reports."""

import math
from collections.abc import Sequence

NOTHING = "–"
NO_BREAK = "\N{NO-BREAK SPACE}"


def capital(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    text = text.strip()
    return capital(text) + ("" if text.endswith((".", "!", "?")) else ".")


def listed(words: Sequence[str], most: int = 4) -> str:
    """`A, B and C`, or `A, B and 4 more`."""
    words = list(words)
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def num(value: float | None, digits: int = 2) -> str:
    """`0.42`, with a typographic minus sign; a dash if there is no number."""
    if value is None or math.isnan(value):
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def fine(value: float) -> str:
    """Two digits, or three where the value is small."""
    return num(value, 2 if abs(value) >= 0.1 else 3)


def error(value: float) -> str:
    """A standard error with two digits that count, and at least three behind the point."""
    return num(value, 3 if value >= 0.00995 or value == 0 else 4)


def signed(value: float, digits: int = 2) -> str:
    """`+0.42` or `−0.03`."""
    text = num(value, digits)
    return text if text[0] in "−–" or float(text) == 0 else f"+{text}"


def mean_sd(mean: float, sd: float) -> str:
    """`0.93 ± 0.02`, or the mean alone if there is no standard deviation."""
    return num(mean) if math.isnan(sd) else f"{num(mean)} ±{NO_BREAK}{num(sd)}"


def interval(ends: tuple[float, float], digits: int = 2) -> str:
    """`[0.36, 0.47]`."""
    return f"[{num(ends[0], digits)}, {num(ends[1], digits)}]"


def pvalue(p: float) -> str:
    """`0.012`, or `<0.001` below that."""
    return "<0.001" if p < 0.001 else num(p, 3)
