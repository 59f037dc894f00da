"""What may stand in the way of a run: the installation, the data root, what people put into it, and the state of the tables.

Each look is made by itself, so that one that fails hides none of the others. Nothing is changed.
"""

from __future__ import annotations

import csv
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path

from pipelines import paths, reference, settings
from pipelines.paths import DataRoot
from pipelines.reference.tables import TABLES
from pipelines.words import listed, things

OLDEST_PYTHON = (3, 11)
# A run of the sample company writes a tenth of the first.
_LITTLE_DISK_BYTES, _NO_DISK_BYTES = 2 << 30, 200 << 20
_OLD_BOOK_DAYS = 120


@dataclass(frozen=True)
class Finding:
    """What one look found. ``state`` is ok, warn (a run works) or fail (it does not, or publishes nothing)."""

    subject: str
    state: str
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def examine(root: DataRoot) -> list[Finding]:
    """Every look in the order in which they matter; those at a data root only where there is one."""
    found = [*_look("Python", _python), *_look("Packages", _packages)]
    if not root.path.is_dir():
        there = "a file stands there" if root.path.exists() else "not there"
        return [
            *found,
            Finding("Data root", "fail", f"{root.path}: {there}", f"make one with 'tokenbooks init {root.path}'"),
        ]
    looks: dict[str, Callable[[DataRoot], Iterator[Finding]]] = {
        "Data root": _data_root,
        "Disk": _disk,
        "Settings": _settings,
        "User ids": _user_ids,
        "Landing": _landing,
        "Reference": _reference,
        "Lock": _lock,
        "Price book": _price_book,
        "Dagster": _dagster,
        "Tables": _tables,
    }
    for subject, look in looks.items():
        found += _look(subject, look, root)
    return found


def _look(subject: str, look: Callable[..., Iterator[Finding]], *given: DataRoot) -> list[Finding]:
    try:
        return list(look(*given))
    except Exception as error:  # A look that fails is what the doctor is there to tell of.
        return [Finding(subject, "fail", str(error).splitlines()[0] if str(error) else type(error).__name__)]


def _python() -> Iterator[Finding]:
    said = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield Finding(
            "Python", "fail", said, "install Python 3.11 or newer, then make it anew: make PYTHON=python3.12 demo"
        )
    else:
        yield Finding("Python", "ok", said)


def _packages() -> Iterator[Finding]:
    """Those that the lock names, in a checkout; in an installed wheel those that it requires."""
    lock = paths.SQL.parent / "requirements.lock"
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else metadata.requires("tokenbooks") or []
    pins = {match[1]: match[2] for line in lines if (match := re.fullmatch(r"([\w.-]+)==([^\s;]+)(?: \\)?", line))}
    other = []
    for name, wanted in pins.items():
        try:
            there = metadata.version(name)
        except metadata.PackageNotFoundError:
            there = "not installed"
        if there != wanted:
            other.append(f"{name} {there}, expected {wanted}")
    if other:
        yield Finding(
            "Packages",
            "warn",
            listed(other, 3),
            "install what the lock says: make demo, or uv pip sync requirements.lock",
        )
    else:
        yield Finding("Packages", "ok", f"{len(pins)} as the lock says")


def _data_root(root: DataRoot) -> Iterator[Finding]:
    closed = [
        folder
        for folder in (root.path, root.landing, root.reference, root.lake, root.exports)
        if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    ]
    files = [folder for folder in (root.landing, root.reference, root.lake, root.exports) if folder.is_file()]
    if closed:
        yield Finding(
            "Data root", "fail", f"{closed[0]} cannot be written", "change its permissions, or run as its owner"
        )
    elif files:
        yield Finding("Data root", "fail", f"{files[0]} is a file", "move it away: a folder must stand there")
    else:
        yield Finding("Data root", "ok", str(root.path))


def _disk(root: DataRoot) -> Iterator[Finding]:
    free = shutil.disk_usage(root.path).free
    said = f"{free / (1 << 30):,.1f} GB free"
    if free < _LITTLE_DISK_BYTES:
        yield Finding(
            "Disk", "fail" if free < _NO_DISK_BYTES else "warn", said, f"make room on the disk of {root.path}"
        )
    else:
        yield Finding("Disk", "ok", said)


def _settings(root: DataRoot) -> Iterator[Finding]:
    if root.settings.is_dir():
        yield Finding("Settings", "warn", f"{root.settings} is a folder", "move it away: settings.toml is a file")
    said = settings.load(root.settings)
    yield Finding(
        "Settings",
        "ok",
        f"days in {said.reporting_time_zone}, {said.memory_limit} of memory, {things(said.threads, 'thread')}",
    )


def _user_ids(root: DataRoot) -> Iterator[Finding]:
    said = settings.load(root.settings)
    key = root.path / said.pseudonym_key_file
    if said.keep_user_ids:
        yield Finding(
            "User ids", "warn", "kept as they are", "take keep_user_ids out of settings.toml to have them hashed"
        )
    elif not said.pseudonym_key_file:
        remedy = f"'tokenbooks init {root.path}' makes a key; name it in settings.toml as pseudonym_key_file"
        yield Finding("User ids", "warn", "hashed with a key that everybody knows", remedy)
    elif key.stat().st_mode & 0o077:
        yield Finding("User ids", "warn", f"hashed, and {key.name} can be read by others", f"chmod 600 {key}")
    else:
        yield Finding("User ids", "ok", f"hashed with {key.name}")


def _landing(root: DataRoot) -> Iterator[Finding]:
    from pipelines.belonging import stranger
    from pipelines.landing import listing
    from pipelines.sources import sources

    files, strangers = listing(root, frozenset(sources()))
    for name in strangers:
        said, _, remedy = stranger(root, name).partition(". ")
        yield Finding("Landing", "warn", said, remedy.rstrip("."))
    for file in files:
        if not os.access(file.path, os.R_OK):
            yield Finding(
                "Landing", "fail", f"{file.name} cannot be read", "change its permissions, or run as its owner"
            )
    used = {file.source for file in files}
    if files:
        yield Finding("Landing", "ok", f"{things(len(files), 'file')} of {listed(sorted(used))}")
    else:
        yield Finding("Landing", "warn", "no file yet", "put exports into landing/<source>/ (docs/your_data.md)")


def _reference(root: DataRoot) -> Iterator[Finding]:
    problems = reference.faults(root)
    for problem in problems:
        yield Finding("Reference", "fail", str(problem), f"mend {problem.file}")
    if not problems:
        filled = [name for name in TABLES if (root.reference / f"{name}.csv").is_file()]
        yield Finding("Reference", "ok", f"{things(len(filled), 'table')} without a fault")


def _lock(root: DataRoot) -> Iterator[Finding]:
    if not root.lock.is_file():
        yield Finding("Lock", "ok", "no run is at work")
        return
    with root.lock.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            holder = file.read().strip() or "unknown"
            yield Finding("Lock", "warn", f"a run is at work (process {holder})", "wait for it to end")
            return
    if root.scratch.exists() or root.set_under_way.exists():
        yield Finding("Lock", "warn", "a run was killed and left files behind", "the next run removes them")
    else:
        yield Finding("Lock", "ok", "no run is at work")


def _price_book(root: DataRoot) -> Iterator[Finding]:
    from pipelines.prices.version import package_version

    with (paths.SHIPPED_DATA / "genai_prices" / "versions.csv").open(encoding="utf-8", newline="") as file:
        published = {row["version"]: row["published_date"] for row in csv.DictReader(file)}
    version = package_version()
    day = published.get(version)
    age = (datetime.now(UTC).date() - date.fromisoformat(day)).days if day else None
    said = f"list prices of {day or 'an unknown day'} (genai-prices {version})"
    if age is None or age > _OLD_BOOK_DAYS:
        remedy = "install a newer version of tokenbooks, or add new prices to reference/prices.csv"
        yield Finding("Price book", "warn", said, remedy)
    else:
        yield Finding("Price book", "ok", said)


def _dagster(root: DataRoot) -> Iterator[Finding]:
    home = os.environ.get("DAGSTER_HOME")
    given = os.environ.get("TOKENBOOKS_DAGSTER")
    if root.dagster.exists() and not os.access(root.dagster, os.W_OK | os.X_OK):
        yield Finding(
            "Dagster", "fail", f"{root.dagster} cannot be written", "change its permissions, or run with --direct"
        )
    elif given and Path(given).resolve() != root.dagster.resolve():
        remedy = f"unset TOKENBOOKS_DAGSTER, or set it to {root.dagster}"
        yield Finding("Dagster", "warn", f"TOKENBOOKS_DAGSTER is {given}, not of this data root", remedy)
    elif home and not Path(home).is_dir():
        yield Finding("Dagster", "warn", f"DAGSTER_HOME {home} is not there", "unset DAGSTER_HOME")
    else:
        yield Finding(
            "Dagster", "ok", f"{root.dagster}" if root.dagster.is_dir() else "no run has told it anything yet"
        )


def _tables(root: DataRoot) -> Iterator[Finding]:
    """Whether they are fresh, and what checks say. They are looked at under the lock of a run."""
    from pipelines.books import open_books

    if not root.views.is_file():
        yield Finding("Tables", "warn", "none is built yet", "tokenbooks run")
        return
    with open_books(root) as books:
        stale = [name for name, plan in books.outlook().items() if plan.stale or plan.gone]
        news = books.news()
        failed = [result for result in books.results.missed if result.severity == "critical"]
    if news or stale:
        said = f"{things(len(news), 'file')} not read yet, {things(len(stale), 'table')} out of date"
        yield Finding("Tables", "warn", said, "tokenbooks run")
    else:
        yield Finding("Tables", "ok", "all are fresh")
    if failed:
        names = listed(sorted({result.table for result in failed}), 3)
        yield Finding("Checks", "fail", f"{things(len(failed), 'check')} failed of {names}", "tokenbooks run says why")
    else:
        yield Finding("Checks", "ok", "none failed")
