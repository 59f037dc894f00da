"""What one side of a comparison is: calls of the books by release, prompt, week and the like, or the log of a test run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb

from pipelines.engine import quoted
from pipelines.paths import DataRoot
from pipelines.periods import EVER, Span, end_of, start_of
from pipelines.words import listed, meant, nearest

# What a side may name of a call, and the columns that hold it.
COLUMNS = {
    "release": "release",
    "prompt": "prompt_name",
    "prompt_version": "prompt_version",
    "feature": "feature",
    "team": "team",
    "environment": "environment",
    "customer": "customer_id",
    "tier": "customer_tier",
    "workflow": "workflow",
    "step": "step",
    "provider": "provider",
    "model": "model_canonical",
}
_TIMES = ("week", "month", "day", "from", "to")
_ROOT = "root:"
FORMS = (
    "release=4.2, prompt=answer@7, week=2026-11-02, month=2026-10, from=2026-11-02,to=2026-11-09, several with a comma between, "
    "a file or folder of app_log lines, or root:/another/data/root"
)
_NAMED = 5


class NoSide(ValueError):
    """A text that names no side, or one without calls; the message says what there is."""


@dataclass(frozen=True)
class Side:
    """The calls of one side. ``log`` is a file or folder of lines; without one they are those of the books of ``root``."""

    text: str
    root: DataRoot
    log: Path | None = None
    equal: tuple[tuple[str, str], ...] = ()
    span: Span = EVER

    @property
    def days_around(self) -> Span:
        """The days whose calls may belong to its tasks."""
        reach = timedelta(days=8)
        return Span(
            self.span.first - reach if self.span.first else None, self.span.end + reach if self.span.end else None
        )

    def condition(self, day: str) -> str:
        """Which calls are of the side; ``day`` is the day of a call in the reporting time zone, as SQL."""
        parts = [f"{COLUMNS[key]} = {quoted(value)}" for key, value in self.equal]
        if self.span.first:
            parts.append(f"{day} >= date '{self.span.first}'")
        if self.span.end:
            parts.append(f"{day} < date '{self.span.end}'")
        return " and ".join(parts) or "true"


def side_of(text: str, root: DataRoot) -> Side:
    """Read a side. Raises NoSide with the forms that there are."""
    said = text.strip()
    if said.startswith(_ROOT):
        path, _, terms = said.removeprefix(_ROOT).partition(",")
        other = DataRoot(Path(path).expanduser().resolve())
        if not other.lake.is_dir():
            raise NoSide(
                f"{text}: no books at {other.path}. A data root has a folder lake/ once 'tokenbooks run' has run there."
            )
        return _with_terms(Side(text, other), terms, text)
    path, _, terms = said, "", ""
    if not Path(said).expanduser().exists() and "," in said:
        path, _, terms = said.partition(",")
    log = Path(path).expanduser()
    if said and log.exists():
        if log.is_dir() and (log / "lake").is_dir():
            raise NoSide(f"{text} is a data root: write root:{text} for its books.")
        return _with_terms(Side(text, root, log.resolve()), terms, text)
    if "=" not in said.split(",")[0]:
        beside = sorted(one.name for one in log.parent.iterdir()) if log.parent.is_dir() else []
        near = nearest(log.name, beside)
        found = f" Beside it: {listed(near)}." if near else ""
        raise NoSide(f"{text!r}: no such file or folder, and no KEY=VALUE.{found} A side is {FORMS}.")
    return _with_terms(Side(text, root), said, text)


def _with_terms(side: Side, terms: str, text: str) -> Side:
    for term in filter(None, (one.strip() for one in terms.split(","))):
        key, sign, value = (word.strip() for word in term.partition("="))
        if not sign or not value or key not in (*COLUMNS, *_TIMES):
            known = (*COLUMNS, *_TIMES)
            what = f"{text!r}: {term!r}" if term != text else f"{text!r}"
            raise NoSide(f"{what} is no KEY=VALUE with one of {', '.join(known)}.{meant(key, known)}")
        if key in _TIMES:
            side = replace(side, span=_narrowed(side.span, key, value, text))
        elif key == "prompt" and "@" in value:
            name, _, version = value.rpartition("@")
            side = replace(side, equal=(*side.equal, ("prompt", name), ("prompt_version", version)))
        else:
            side = replace(side, equal=(*side.equal, (key, value)))
    return side


def _narrowed(span: Span, key: str, value: str, text: str) -> Span:
    try:
        day = date.fromisoformat(f"{value}-01" if key == "month" and len(value) == 7 else value)
    except ValueError:
        form = "2026-11" if key == "month" else "2026-11-02"
        raise NoSide(
            f"{text!r}: {value!r} is no {key if key in ('week', 'month') else 'day'} such as {form}."
        ) from None
    if key in ("from", "to"):
        return Span(day, span.end) if key == "from" else Span(span.first, day)
    first = start_of(key, day)
    return Span(first, end_of(key, first))


def what_there_is(con: duckdb.DuckDBPyConnection, side: Side, table: str) -> str:
    """Why a side has no calls, in words: the nearest values of what it names, and the days that there are."""
    days = con.execute(
        f"select min(cast(started_at as date)), max(cast(started_at as date)), count(*) from {table}"
    ).fetchall()
    first, last, number = days[0]
    where = f"the log {side.log}" if side.log else f"the books of {side.root.path}"
    if not number:
        return f"{side.text}: {where} {'has' if side.log else 'have'} no calls."
    said = f"{side.text}: no such calls in {where} ({number:,} calls of {first} to {last})."
    for key, value in side.equal:
        found = con.execute(
            f"""select {COLUMNS[key]} as name from {table} where {COLUMNS[key]} is not null
            group by {COLUMNS[key]} order by max(started_at) desc, name limit 200"""
        ).fetchall()
        names = [str(name) for (name,) in found]
        if value not in names:
            near: Sequence[str] = nearest(value, names) or names
            said += f" {key.capitalize()} there: {listed(near, _NAMED)}." if names else f" No call tells a {key}."
    return said
