"""Words that are put together for people in more than one place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def plural(name: str) -> str:
    """``rows``, ``days``, ``opportunities``."""
    return name[:-1] + "ies" if name.endswith("y") and name[-2] not in "aeiou" else name + "s"


def things(number: int, name: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{number:,} {name if number == 1 else plural(name)}"


def whose(owner: str) -> str:
    """Behind what somebody is to do: ``owner search``."""
    return "nobody owns it" if owner == "unattributed" else f"owner {owner}"


def listed(names: Sequence[str], at_most: int = 5) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c, d, e and 7 more``."""
    *first, last = [*names[:at_most], *([f"{len(names) - at_most:,} more"] if len(names) > at_most else [])]
    return f"{', '.join(first)} and {last}" if first else last


def nearest(name: str, known: Iterable[str], at_most: int = 3) -> list[str]:
    """The names that somebody may have meant, the nearest first: alike in spelling, else such as have all its words."""
    names = sorted(known)
    alike = difflib.get_close_matches(name, names, n=at_most, cutoff=0.6)
    words = {word for word in name.lower().split("_") if word}
    return (alike or [one for one in names if words and words <= set(one.split("_"))])[:at_most]


def meant(name: str, known: Iterable[str], at_most: int = 3) -> str:
    """``" Nearest: a, b."``, to be put behind a sentence that says what there is not; empty where nothing is near."""
    close = nearest(name, known, at_most)
    return f" Nearest: {', '.join(close)}." if close else ""
