"""What benchmarks over generated companies share: their calls through the real SQL, and shares in percent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.paths import DataRoot
from tests.weeks import Calls, Weeks, books_of_weeks


@contextmanager
def books_of(calls: Calls, **more: Any) -> Iterator[Weeks]:
    """The tables over calls, in a folder that is gone afterwards; ``more`` as of ``books_of_weeks``."""
    with tempfile.TemporaryDirectory() as folder, books_of_weeks(DataRoot(Path(folder)), calls, **more) as books:
        yield books


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
