"""What another version of the price list would change in the book, before it does.

A list says what holds today; what it says about the past may be a correction or a loss. So a price of the past that a
new version no longer has, or has otherwise, is kept by a row of ours, and so is one whose new figure looks like a typing
error. Everything else comes with the new version by itself.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipelines.prices.checks import JUMP_RATIO
from pipelines.prices.package import read_package
from pipelines.prices.rates import BEGINNING, CONTEXT_END, DAY_END_S, EVERY_DAY, OPEN_END, Key, Rate, common, without
from pipelines.prices.witness import read_map
from pipelines.reference import templates
from pipelines.reference.tables import TABLES

# What a change may be, most serious first. Of these, rows of ours keep the first three as they were.
KINDS = ("suspicious", "history", "gone", "changed", "new")
KEPT = frozenset({"suspicious", "history", "gone"})


class Change(NamedTuple):
    """A box in which two books differ. ``before`` and ``after`` are its rates, None where a book has none."""

    kind: str
    before: Rate | None
    after: Rate | None

    def as_row(self) -> dict[str, object]:
        rate = self.before or self.after
        assert rate is not None
        return {
            "kind": self.kind,
            "provider": rate.provider,
            "model_id": rate.model_id,
            "unit": rate.unit,
            "tier": rate.service_tier if rate.processing == "sync" else f"{rate.service_tier} batch",
            "region": rate.region_class,
            "before": self.before.unit_price.normalize() if self.before else None,
            "after": self.after.unit_price.normalize() if self.after else None,
            "currency": " to ".join(dict.fromkeys(side.currency for side in (self.before, self.after) if side)),
            "per": rate.per_units,
            "ctx_min_tokens": rate.ctx_min_tokens,
            "from": None if rate.effective_from == BEGINNING else rate.effective_from,
            "to": None if rate.effective_to == OPEN_END else rate.effective_to,
        }


def rates_of(table: pl.DataFrame, known_at: datetime | None = None) -> list[Rate]:
    """The rates of a book's table that are believed now, or that were known at an instant."""
    believed = pl.col("superseded_at") == OPEN_END
    if known_at is not None:
        believed = (pl.col("known_at") <= known_at) & (pl.col("superseded_at") > known_at)
    rows = table.filter(believed).rename({"price_id": "part_of"}).select(Rate._fields)
    return [Rate(*row) for row in rows.iter_rows()]


def package_rates(wheel: Path | None = None) -> tuple[list[Rate], datetime]:
    """The rates of the installed package, or of a wheel of another version, and the day it was published.

    Raises ValueError where the file is no such wheel: a path that holds nothing would give the installed package.
    """
    if wheel is None:
        package = read_package()
        return package.rates, package.published
    if not wheel.is_file():
        raise ValueError(f"{wheel}: no such file")
    if not zipfile.is_zipfile(wheel) or "genai_prices/__init__.py" not in zipfile.ZipFile(wheel).namelist():
        raise ValueError(f"{wheel} holds no genai-prices package")
    table = table_of_wheel(wheel, "pipelines.prices.sync", "write_package")
    return rates_of(table), table["retrieved_at"].max()  # type: ignore[return-value]


def table_of_wheel(wheel: Path, module: str, function: str) -> pl.DataFrame:
    """What a function of ours writes in a process that finds a wheel's package in place of the installed one.

    Raises ValueError where the wheel cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rates.parquet"
        code = f"import sys; from pathlib import Path; from {module} import {function}; {function}(Path(sys.argv[1]))"
        done = subprocess.run(
            [sys.executable, "-c", code, str(target)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(wheel.resolve()), *sys.path])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(
                f"{wheel} could not be read as a genai-prices package: {done.stderr.strip().splitlines()[-1]}"
            )
        return pl.read_parquet(target)


def write_package(target: Path) -> None:
    """Write the rates of the package that this process finds: how a process looks into another version."""
    from pipelines.prices.book import price_table

    price_table(read_package().rates).write_parquet(target)


def changes(before: Iterable[Rate], after: Iterable[Rate], published: datetime) -> list[Change]:
    """Where two books differ, box by box. What lies before ``published`` is history."""
    old, new = _by_key(before), _by_key(after)
    found: list[Change] = []
    for key in sorted(old.keys() | new.keys()):
        mine, theirs = old.get(key, []), new.get(key, [])
        for rate in mine:
            left = [rate]
            for other in theirs:
                meeting = common(rate, other)
                if meeting is None:
                    continue
                left = [piece for part in left for piece in without(part, other)]
                is_equal = meeting.unit_price * other.per_units == other.unit_price * meeting.per_units
                if not is_equal or meeting.currency != other.currency:
                    found += _split(meeting, other, published)
            found += [Change("gone", piece, None) for piece in left]
        for rate in theirs:
            left = [rate]
            for other in mine:
                left = [piece for part in left for piece in without(part, other)]
            found += [Change("new", None, piece) for piece in left]
    return sorted(found, key=lambda change: (KINDS.index(change.kind), (change.before or change.after).key))  # type: ignore[union-attr]


def _split(meeting: Rate, other: Rate, published: datetime) -> Iterator[Change]:
    low, high = sorted((meeting.unit_price * other.per_units, other.unit_price * meeting.per_units))
    # 0 is no typing error by its size; a price that was not 0 and is 0 now is one.
    is_odd = high > JUMP_RATIO * low
    if meeting.effective_from < published:
        yield Change("history", meeting._replace(effective_to=min(meeting.effective_to, published)), other)
    if meeting.effective_to > published:
        kind = "suspicious" if is_odd else "changed"
        yield Change(kind, meeting._replace(effective_from=max(meeting.effective_from, published)), other)


def witness_changes(book: Sequence[Rate], names: dict[tuple[str, str], str], path: Path, at: datetime) -> list[Change]:
    """Where a second witness says another price than the book does at an instant, for models that both know."""
    now: dict[tuple[Key, int], Rate] = {
        (rate.key, rate.ctx_min_tokens): rate
        for rate in book
        if rate.effective_from <= at < rate.effective_to and rate.window_from_s == 0
    }
    found = []
    for said in read_map(path):
        model_id = names.get((said.provider, said.model.lower()))
        if model_id is None:
            continue
        key = (said.provider, model_id, said.unit, said.service_tier, said.processing, said.region_class)
        mine = now.get((key, said.ctx_min_tokens))
        if mine is None or mine.currency != "USD":
            continue
        if mine.unit_price != said.unit_price * mine.per_units / 1_000_000:
            theirs = mine._replace(
                unit_price=said.unit_price, per_units=1_000_000, source=path.name, source_ref=path.name
            )
            found.append(Change("changed", mine, theirs))
    return found


def keep(root_prices: Path, kept: Iterable[Change]) -> int:
    """Append rows that hold on to the rates before; how many. The file is made where it is not there."""
    rows = [_csv_row(change.before) for change in kept if change.kind in KEPT and change.before is not None]
    if not rows:
        return 0
    ours = templates.header(TABLES["prices"])
    if root_prices.is_file():
        with root_prices.open(encoding="utf-8-sig", newline="") as file:
            header = next((row for row in csv.reader(file) if row and not row[0].lstrip().startswith("#")), ours)
        text = root_prices.read_text(encoding="utf-8-sig")
    else:
        header, text = ours, ""
    temporary = root_prices.with_name(f".{root_prices.name}.tmp")
    root_prices.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text if not text or text.endswith("\n") else text + "\n")
        writer = csv.DictWriter(file, header, lineterminator="\n", extrasaction="ignore")
        if not text:
            writer.writeheader()
        for row in rows:
            writer.writerow({**row, "why" if "source_ref" not in header else "source_ref": row["source_ref"]})
    temporary.replace(root_prices)
    return len(rows)


def _csv_row(rate: Rate) -> dict[str, object]:
    def blank(value: object, default: object) -> object:
        return "" if value == default else value

    def instant(value: datetime, default: datetime) -> str:
        if value == default:
            return ""
        value = value.astimezone(UTC)
        return (
            f"{value:%Y-%m-%d}"
            if (value.hour, value.minute, value.second) == (0, 0, 0)
            else f"{value:%Y-%m-%dT%H:%M:%SZ}"
        )

    return {
        "provider": rate.provider,
        "model_id": rate.model_id,
        "unit": rate.unit,
        "per_units": rate.per_units,
        "unit_price": f"{Decimal(rate.unit_price).normalize():f}",
        "currency": rate.currency,
        "effective_from": instant(rate.effective_from, BEGINNING),
        "effective_to": instant(rate.effective_to, OPEN_END),
        "known_at": instant(rate.known_at, BEGINNING),
        "service_tier": blank(rate.service_tier, "standard"),
        "processing": blank(rate.processing, "sync"),
        "ctx_min_tokens": blank(rate.ctx_min_tokens, 0),
        "ctx_max_tokens": blank(rate.ctx_max_tokens, CONTEXT_END),
        "region_class": blank(rate.region_class, "global"),
        "window_from_s": blank(rate.window_from_s, 0),
        "window_to_s": blank(rate.window_to_s, DAY_END_S),
        "weekday_mask": blank(rate.weekday_mask, EVERY_DAY),
        "source": rate.source,
        "source_ref": rate.source_ref,
        "retrieved_at": instant(rate.retrieved_at, BEGINNING) if rate.retrieved_at else "",
        "confidence": rate.confidence,
        "supersedes": "",
    }


def _by_key(rates: Iterable[Rate]) -> dict[Key, list[Rate]]:
    found: dict[Key, list[Rate]] = defaultdict(list)
    for rate in rates:
        found[rate.key].append(rate)
    return found
