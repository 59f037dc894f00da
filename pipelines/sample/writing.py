"""Writes the sample company into an empty data root."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from pipelines.paths import DataRoot
from pipelines.prices.book_tables import Book
from pipelines.prices.lookup import rates_at
from pipelines.reference.tables import TABLES
from pipelines.reference.templates import template
from pipelines.sample import app_log, company, langfuse, openai_usage, outcomes, reference_tables
from pipelines.sample.calls import first_date, make_calls
from pipelines.sample.forms import BEGINNING
from pipelines.sample.workloads import WORKLOADS, quiet


@dataclass(frozen=True)
class SampleReport:
    """What was written. The sample covers ``first_date`` to ``end_date`` (exclusive).

    ``billed_usd`` is the sum of the cost pages: traced and untraced calls of OpenAI at list prices, and a correction.
    """

    files: tuple[str, ...]
    file_bytes: int
    requests: int
    tasks: int
    first_date: date
    end_date: date
    traced_usd: Decimal
    untraced_usd: Decimal
    correction_usd: Decimal

    @property
    def billed_usd(self) -> Decimal:
        return self.traced_usd + self.untraced_usd + self.correction_usd

    @property
    def untraced_share(self) -> Decimal:
        """Share of the calls' charges that no trace explains."""
        charged = self.traced_usd + self.untraced_usd
        return self.untraced_usd / charged if charged else Decimal()


def write(
    root: DataRoot,
    *,
    weeks: int = company.FULL_WEEKS,
    requests: int = company.FULL_REQUESTS,
    seed: int = company.SEED,
    has_story: bool = True,
    sources: Mapping[str, company.Source] = company.SOURCES,
) -> SampleReport:
    """Write the ``weeks`` before ``company.END``, ``requests`` calls in all. The same arguments give the same bytes.

    Without a story nothing happens in the company: no launch, no loop, no drift. ``sources`` says which tool sees a feature's calls; a
    feature that it does not name is in the application's log. Reference tables that hold a header only are filled. Raises ValueError
    for fewer than one week or request and for weeks before ``BEGINNING``, FileExistsError where a landing file or a filled
    reference table is there already; nothing is written then.
    """
    if weeks < 1 or requests < 1:
        raise ValueError(f"weeks {weeks} and requests {requests}: expected at least one of each")
    if first_date(weeks) < BEGINNING:
        raise ValueError(f"weeks {weeks}: {first_date(weeks)} is before the company's first day, {BEGINNING}")
    workloads = WORKLOADS if has_story else quiet(WORKLOADS)
    tables = {
        root.reference / f"{name}.csv": text
        for name, text in reference_tables.files(weeks, requests, workloads, sources)
    }
    outcomes_table = root.reference / "business_outcomes.csv"
    _refuse_if_used(root, [*tables, outcomes_table])
    book = openai_usage.shipped_book()
    calls = make_calls(weeks, requests, seed=seed, workloads=workloads, sources=sources)
    model_days = openai_usage.count_model_days(calls, weeks, book, seed)
    tables[outcomes_table] = reference_tables.business_outcomes(calls)
    written = [_put(path, text.encode()) for path, text in tables.items()]
    folder = root.landing / "app_log" / "prod"
    for day, text in app_log.day_files(calls):
        written.append(_put(folder / f"{day}.jsonl.gz", app_log.packed(text), _midnight(day + timedelta(days=1))))
    folder = root.landing / "outcomes" / "helpdesk"
    for month, text in outcomes.month_files(calls, seed):
        written.append(_put(folder / f"{month:%Y-%m}.jsonl.gz", app_log.packed(text), _month_end(month)))
    folder = root.landing / "openai_usage" / company.OPENAI_ACCOUNT
    for name, pulled_at, page in openai_usage.page_files(model_days, weeks):
        written.append(_put(folder / name, page.encode(), pulled_at))
    folder = root.landing / "langfuse" / company.LANGFUSE_PROJECT
    for file in langfuse.export_files(calls, weeks, _list_prices(book, calls), seed):
        written.append(_put(folder / file.key, file.content, file.written_at))
    charged = sum((usd for one in model_days for usd in one.usd.values()), Decimal())
    traced = sum((one.traced_usd for one in model_days), Decimal())
    return SampleReport(
        files=tuple(sorted(root.relative(path) for path in written)),
        file_bytes=sum(path.stat().st_size for path in written),
        requests=len(calls),
        tasks=calls["task_id"].n_unique() - calls["task_id"].has_nulls(),
        first_date=first_date(weeks),
        end_date=company.END,
        traced_usd=traced,
        untraced_usd=charged - traced,
        correction_usd=openai_usage.correction_usd(model_days),
    )


def _refuse_if_used(root: DataRoot, tables: Iterable[Path]) -> None:
    for path in root.landing.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            raise FileExistsError(f"{path} is there already; the sample needs a data root where nothing has landed")
    for path in tables:
        empty = template(TABLES[path.stem])
        if path.is_file() and path.read_text(encoding="utf-8").strip() != empty.strip():
            raise FileExistsError(
                f"{path} is filled in already; the sample needs a data root without tables of its own"
            )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _month_end(month: date) -> datetime:
    return min(_midnight((month + timedelta(days=31)).replace(day=1)), company.PULLED_AT)


def _list_prices(book: Book, calls: pl.DataFrame) -> dict[str, dict[str, Decimal]]:
    """USD a token by model and class, for the models that Langfuse sees. Its price list knows one price of a model."""
    end = _midnight(company.END)
    found = {}
    for provider, model in (
        calls.filter(source="langfuse").select("provider", "model").unique().sort("model").iter_rows()
    ):
        rates = rates_at(book, provider, model, end, region_class="global")
        found[model] = {row["unit"]: row["unit_price"] / row["per_units"] for row in rates.iter_rows(named=True)}
    return found


def _put(path: Path, content: bytes, known_at: datetime | None = None) -> Path:
    """Write a file; its modification time is ``known_at``, which the books take for its pull if the name has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if known_at is not None:
        os.utime(path, (known_at.timestamp(), known_at.timestamp()))
    return path
