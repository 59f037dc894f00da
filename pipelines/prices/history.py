"""Writes what the price package said in the past (``prices sync --history``), for pipelines/prices/observed.py to read.

A developer's command: it needs the package index, which a run never does. The published versions up to the installed one are
downloaded, never installed, and each is looked at by a process of its own.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pipelines import paths
from pipelines.prices.observed import OBSERVED, VERSIONS, versions
from pipelines.prices.rates import CONTEXT_END, DAY_END_S, EVERY_DAY, Rate, midnight

# Prices that a version corrected: the older figure was never in force, or nobody can tell. List, model, unit, and how we know.
CORRECTED = tuple(
    (listed_by, re.compile(model), re.compile(unit), why)
    for listed_by, model, unit, why in (
        ("azure", "ada|babbage|davinci", ".*", "other generations of the names, put right in 0.0.4"),
        ("azure", "o4-mini", "cache_read", "0.275 in litellm's maps from 1.74.2 on, rounded here until 0.2.0"),
        ("azure", "phi-.*", ".*", "Azure's own prices in litellm's maps from 1.74.2 on, another seller's here until 0.2.0"),
        ("mistral", "devstral-small|mixtral-8x22b-instruct", ".*", "litellm's maps from 1.74.2 on have today's price"),
        ("mistral", "ministral-8b|mistral-small-3.2-24b-instruct", ".*", "another seller's price for a time"),
        ("google", "gemini-.*-image.*", "output", "until 0.1.0 the price of image tokens, which now have their own"),
        ("openrouter", ".*", ".*", "not looked at from July 2025 (0.0.1) to June 2026 (0.0.67): o3 stood at 10 a year after its cut to 2"),
        ("huggingface_novita", ".*", ".*", "until 0.0.56 exactly 0.8 of the seller's own prices: a rebate or a slip, nobody tells"),
        ("fireworks", "gpt-oss-20b", "cache_read", "0.035, half of the input, rounded until 0.1.2"),
        (".*", ".*claude-(sonnet-5[-.]5|fable-5.1)", "cache_read", "a tenth of the input until the list was first read closely"),
    )
)  # fmt: skip
COLUMNS = (
    "listed_by",
    "model",
    "service_tier",
    "processing",
    "ctx_min_tokens",
    "since_version",
    "until_version",
    "prices",
)
_WHEEL = re.compile(r"genai_prices-(\d+\.[\d.]+)-py3-none-any\.whl")


class Row(NamedTuple):
    """A price of ``unit`` that versions had, from the first of them up to another, blank while the newest has it."""

    listed_by: str
    model: str
    service_tier: str
    processing: str
    ctx_min_tokens: int
    since_version: str
    until_version: str
    unit: str
    price: str


def download(folder: Path, installed: str) -> dict[str, Path]:
    """The wheels of all published versions up to the installed one, in order. Those in the folder are not fetched again.

    Raises RuntimeError where the package index does not answer.
    """
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    listed = subprocess.run([*pip, "index", "versions", "genai-prices"], capture_output=True, text=True, check=False)
    known = re.search(r"Available versions: (.*)", listed.stdout)
    if known is None:
        raise RuntimeError(f"The package index does not list genai-prices: {listed.stderr.strip()[-300:]}")
    wanted = [
        version
        for version in re.findall(r"\d+(?:\.\d+)+", known[1])  # 0 holds the name, and no prices
        if _order(version) <= _order(installed)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for version in sorted(set(wanted) - _wheels(folder).keys(), key=_order):
        subprocess.run(
            [
                *pip,
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "-d",
                str(folder),
                f"genai-prices=={version}",
            ],
            check=False,
        )
    found = _wheels(folder)
    return {version: found[version] for version in sorted(found, key=_order) if version in wanted}


def _order(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _wheels(folder: Path) -> dict[str, Path]:
    return {match[1]: path for path in folder.iterdir() if (match := _WHEEL.fullmatch(path.name))}


def published_date(version: str) -> date:
    """Day on which a version was uploaded, as uv notes it in a lock of this one package. Raises RuntimeError where it does not."""
    with tempfile.TemporaryDirectory() as folder:
        project = f'[project]\nname = "day"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["genai-prices=={version}"]\n'
        (Path(folder) / "pyproject.toml").write_text(project)
        subprocess.run([sys.executable, "-m", "uv", "lock", "--quiet"], cwd=folder, check=False)
        lock = Path(folder) / "uv.lock"
        text = lock.read_text() if lock.is_file() else ""
    found = re.search(rf'genai_prices-{re.escape(version)}-py3[^}}]*upload-time = "(\d{{4}}-\d\d-\d\d)', text)
    if found is None:
        raise RuntimeError(
            f"The package index does not say when genai-prices {version} was uploaded. "
            f"Add its day to data/shipped/{VERSIONS.as_posix()}."
        )
    return date.fromisoformat(found[1])


def listed_in(wheel: Path) -> list[Rate]:
    """The rates of a version as its lists have them, undated ones marked assumed. Raises ValueError where it cannot be read."""
    from pipelines.prices.sync import table_of_wheel

    table = table_of_wheel(wheel, "pipelines.prices.history", "write_listed")
    return [Rate(*row) for row in table.rename({"price_id": "part_of"}).select(Rate._fields).iter_rows()]


def write_listed(target: Path) -> None:
    """Write the rates of the package that this process finds, list by list."""
    from genai_prices.data import providers

    from pipelines.prices.book import price_table
    from pipelines.prices.package import NOT_SELLERS, blank_rate
    from pipelines.prices.package_listing import standard_rates, tier_rates
    from pipelines.prices.package_periods import periods_of

    def marked(rate: Rate, is_dated: bool) -> list[Rate]:
        return [rate._replace(confidence="published" if is_dated else "assumed")]

    rates: list[Rate] = []
    for provider in providers:
        for model in provider.models if provider.id not in NOT_SELLERS else ():
            whole = blank_rate(provider.id, model.id)
            periods = periods_of(model, f"{provider.id}/{model.id}", [])
            rates += standard_rates(periods, whole, marked)
            rates += tier_rates(model, periods, provider.id, whole, marked, [])
    price_table(rates).write_parquet(target)


def rows_of(listed: Mapping[str, Sequence[Rate]], days: Mapping[str, date]) -> list[Row]:
    """What versions, in order, say about the prices that the newest of them states without a start."""
    names = list(listed)
    by_key: dict[str, dict[tuple[str, ...], list[Rate]]] = {name: defaultdict(list) for name in names}
    for name in names:
        for rate in listed[name]:
            by_key[name][_key(rate)].append(rate)
    rows: list[Row] = []
    for rate in listed[names[-1]]:
        if rate.confidence == "assumed" and _is_all_day(rate):
            said = [
                (name, _said(by_key[name][_key(rate)], rate, days[name]))
                for name in names
                if rate.effective_from <= midnight(days[name]) < rate.effective_to
            ]
            after = next((name for name in names if midnight(days[name]) >= rate.effective_to), "")
            rows += _runs(rate, said, after, days)
    return sorted(set(rows), key=lambda row: (*row[:5], _order(row.since_version), row.unit))


def _key(rate: Rate) -> tuple[str, ...]:
    return (rate.provider, rate.model_id, rate.service_tier, rate.processing, rate.unit)


def _is_all_day(rate: Rate) -> bool:
    return (rate.window_from_s, rate.window_to_s, rate.weekday_mask) == (0, DAY_END_S, EVERY_DAY)


def _said(rates: Sequence[Rate], asked: Rate, day: date) -> Rate | None:
    """The rate that a version has on a day for the context lengths of another one.

    None where it does not know these lengths: a flat price says nothing of a range that came later, nor a range of a flat
    price. A threshold that moved by one token (272000, 272001) is the same.
    """
    at = midnight(day)
    for rate in rates:
        if (
            rate.effective_from <= at < rate.effective_to
            and abs(rate.ctx_min_tokens - asked.ctx_min_tokens) <= 1
            and (rate.ctx_max_tokens == CONTEXT_END or rate.ctx_max_tokens >= asked.ctx_max_tokens - 1)
            and rate.per_units == asked.per_units
            and _is_all_day(rate)
        ):
            return rate
    return None


def _runs(rate: Rate, said: Sequence[tuple[str, Rate | None]], after: str, days: Mapping[str, date]) -> Iterator[Row]:
    """The runs of versions with one price, from the newest back to the first that is silent or that was corrected."""
    # Of a price that has had its end, the list itself states the past.
    is_in_force = not after
    run: list[tuple[str, str, str]] = []  # since, until, price
    until, price = after, ""
    for version, statement in reversed(said):
        if statement is None:
            break
        text = f"{statement.unit_price.normalize():f}"
        if not run and statement.unit_price != rate.unit_price:
            break
        if run and text != price:
            if not is_in_force or _is_corrected(rate):
                break
            until = run[-1][0]
        if not run or text != price:
            run.append((version, until, text))
        else:
            run[-1] = (version, until, text)
        price = text
    for since, end, text in run:
        if not end or days[since] < days[end]:
            yield Row(
                rate.provider,
                rate.model_id,
                rate.service_tier,
                rate.processing,
                rate.ctx_min_tokens,
                since,
                end,
                rate.unit,
                text,
            )


def _is_corrected(rate: Rate) -> bool:
    return any(
        re.fullmatch(listed_by, rate.provider) and model.fullmatch(rate.model_id) and unit.fullmatch(rate.unit)
        for listed_by, model, unit, _ in CORRECTED
    )


def write(rows: Sequence[Row], days: Mapping[str, date]) -> None:
    """Write both files of data/shipped: one row for the units of a model that have the same conditions and versions."""
    together: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for row in rows:
        together[row[:7]].append(f"{row.unit} {row.price}")
    with (paths.SHIPPED_DATA / OBSERVED).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((*conditions, " ".join(prices)) for conditions, prices in together.items())
    with (paths.SHIPPED_DATA / VERSIONS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("version", "published_date"))
        writer.writerows(days.items())


def sync_history(folder: Path, installed: str) -> list[Row]:
    """Read all versions and write what they say. Raises RuntimeError or ValueError where one cannot be had or read."""
    wheels = download(folder, installed)
    known = versions()
    days = {version: known.get(version) or published_date(version) for version in wheels}
    for (before, day), (version, later) in pairwise(days.items()):
        if day > later:
            raise ValueError(f"{VERSIONS.as_posix()}: {before} of {day} is younger than {version} of {later}.")
    rows = rows_of({version: listed_in(wheel) for version, wheel in wheels.items()}, days)
    write(rows, days)
    return rows
