"""Words that are put together for people in more than one place."""

from __future__ import annotations


def things(number: int, name: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{number:,} {name}{'s' * (number != 1)}"
