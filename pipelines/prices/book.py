"""The price book out of its layers: the installed package, over it our curated history, over that the user's rows.

Rows of a CSV come in the order of precedence (ours first, then the user's): a later row takes its box from the rows
below it. Two rows of the same layer that overlap without being equal are a conflict and are reported.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from pipelines.prices.book_tables import Book
from pipelines.prices.checks import doubts, name_of, overlaps
from pipelines.prices.package import read_package
from pipelines.prices.package_names import AMBIGUOUS_NAMES, Name
from pipelines.prices.rates import (
    BEGINNING,
    CONTEXT_END,
    DAY_END_S,
    EVERY_DAY,
    OPEN_END,
    Key,
    Rate,
    common,
    overlap,
    without,
)

PATTERN_KINDS = ("exact", "prefix", "regex")

_UTC = pl.Datetime("us", "UTC")
BOOK_SCHEMA: dict[str, Any] = {
    "price_id": pl.String,
    "book_version": pl.String,
    "provider": pl.String,
    "model_id": pl.String,
    "unit": pl.String,
    "per_units": pl.Int64,
    "unit_price": pl.Decimal(18, 9),
    "currency": pl.String,
    "effective_from": _UTC,
    "effective_to": _UTC,
    "known_at": _UTC,
    "superseded_at": _UTC,
    "service_tier": pl.String,
    "processing": pl.String,
    "ctx_min_tokens": pl.Int64,
    "ctx_max_tokens": pl.Int64,
    "region_class": pl.String,
    "window_from_s": pl.Int32,
    "window_to_s": pl.Int32,
    "weekday_mask": pl.Int16,
    "source": pl.String,
    "source_ref": pl.String,
    "retrieved_at": _UTC,
    "confidence": pl.String,
    "supersedes": pl.String,
}
NAMES_SCHEMA: dict[str, Any] = {
    "provider": pl.String,
    "pattern_kind": pl.String,
    "pattern": pl.String,
    "model_id": pl.String,
    "priority": pl.Int64,
    "valid_from_date": pl.Date,
    "valid_to_date": pl.Date,
    "region_class": pl.String,
    "source_ref": pl.String,
}


def build_book(
    prices: pl.DataFrame,
    model_aliases: pl.DataFrame,
    gpu_pools: pl.DataFrame | None = None,
    *,
    package_rates: Sequence[Rate] | None = None,
) -> Book:
    """The book of the package and the merged rows of ``prices.csv`` and ``model_aliases.csv``.

    A model of ``gpu_pools.csv`` has its name here, and its price by the hour in ledger_gpu_rates.
    ``package_rates`` stand in for those of the installed package: what the book would be with another version of it.
    Both frames hold shipped and user rows in order of precedence (``reference_row``), typed, with null for blank.
    The same input gives the same rows in the same order. Raises ValueError with the row where one cannot be used.
    """
    package = read_package()
    problems = list(package.problems)
    rows = [_rate_of(row) for row in _in_order(prices)]
    rates, superseded = _layered(package.rates if package_rates is None else package_rates, rows, problems)
    touched = {rate.key[:2] for _, rate in rows}
    problems += [
        f"{name_of(left.key)}: two prices hold at once ({left.source_ref}, {right.source_ref})."
        for left, right in overlaps(rates)
    ]
    problems += doubts([rate for rate in rates if rate.key[:2] in touched])
    kept = sorted([*rates, *superseded], key=lambda rate: (rate.key, rate.box, rate.superseded_at))
    prices_table = price_table(kept)
    pooled = [] if gpu_pools is None else gpu_pools.select(pl.col("provider").fill_null("self"), "model_id").rows()
    names_table = _names_table(package.names, rates, pooled, _in_order(model_aliases), problems)
    return Book(
        tables={"ref_price_book": prices_table, "ref_model_names": names_table},
        problems=tuple(problems),
    )


def _in_order(rows: pl.DataFrame) -> list[dict[str, Any]]:
    if "reference_row" in rows.columns:
        rows = rows.sort("reference_row", maintain_order=True)
    return rows.to_dicts()


def _layer_of(row: dict[str, Any]) -> str:
    return "shipped" if "shipped" in str(row.get("reference_file") or "") else "user"


def _instant(value: Any) -> datetime | None:
    """A date or instant of a CSV row as a UTC instant."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return _instant(datetime.fromisoformat(str(value)))


def _rate_of(row: dict[str, Any]) -> tuple[str, Rate]:
    """A CSV row as a rate; a blank condition takes its sentinel, a blank ``known_at`` the start of validity."""

    def given(name: str, blank: Any) -> Any:
        value = row.get(name)
        return blank if value is None or value == "" else value

    where = f"{given('reference_file', 'prices.csv')}, row {given('reference_row', '?')}"
    missing = [
        name for name in ("provider", "model_id", "unit", "per_units", "unit_price") if given(name, None) is None
    ]
    if missing:
        raise ValueError(
            f"{where}: no {', '.join(missing)}. A price needs seller, model, unit, per_units and unit_price."
        )
    price = Decimal(str(row["unit_price"]))
    exact = price.quantize(Decimal("0.000000001"))
    if exact != price:
        raise ValueError(
            f"{where}: unit_price {price} has more than nine decimals. Quote it for more units (per_units)."
        )
    start = _instant(given("effective_from", None)) or BEGINNING
    layer = _layer_of(row)
    known_at = _instant(given("known_at", None)) or start
    rate = Rate(
        provider=str(row["provider"]).lower(),
        model_id=str(row["model_id"]),
        unit=str(row["unit"]),
        per_units=int(row["per_units"]),
        unit_price=exact,
        currency=str(given("currency", "USD")),
        effective_from=start,
        effective_to=_instant(given("effective_to", None)) or OPEN_END,
        known_at=known_at,
        service_tier=str(given("service_tier", "standard")),
        processing=str(given("processing", "sync")),
        ctx_min_tokens=int(given("ctx_min_tokens", 0)),
        ctx_max_tokens=int(given("ctx_max_tokens", CONTEXT_END)),
        region_class=str(given("region_class", "global")),
        window_from_s=int(given("window_from_s", 0)),
        window_to_s=int(given("window_to_s", DAY_END_S)),
        weekday_mask=int(given("weekday_mask", EVERY_DAY)),
        source=str(given("source", layer)),
        source_ref=str(given("source_ref", "")),
        retrieved_at=_instant(given("retrieved_at", None)),
        confidence=str(given("confidence", "published")),
        supersedes=given("supersedes", None),
        book_version=f"{layer} {known_at:%Y-%m-%d}",
    )
    if rate.effective_from >= rate.effective_to:
        raise ValueError(
            f"{where}: effective_to {rate.effective_to:%Y-%m-%d} is not after effective_from. The end is exclusive."
        )
    if not re.fullmatch("[A-Z]{3}", rate.currency):
        raise ValueError(f"{where}: currency {rate.currency!r}, expected a code of three capitals such as USD.")
    return layer, rate


def _layered(
    below: Iterable[Rate], rows: Sequence[tuple[str, Rate]], problems: list[str]
) -> tuple[list[Rate], list[Rate]]:
    """Rates in force, and what of others a row that became known later has superseded.

    The rates in force are disjoint within a key.
    """
    books: dict[Key, list[tuple[str, Rate]]] = defaultdict(list)
    for rate in below:
        books[rate.key].append(("package", rate))
    superseded = []
    differing: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for layer, rate in _by_precedence(rows):
        competing = []
        for other_layer, other in books[rate.key]:
            if not overlap(rate, other):
                competing.append((other_layer, other))
                continue
            if other_layer == layer:
                if other.box == rate.box and other.known_at < rate.known_at:
                    superseded.append(other._replace(superseded_at=rate.known_at))
                    continue
                problems.append(
                    f"{' / '.join(rate.key)}: two {layer} rows hold at the same time from "
                    f"{max(rate.effective_from, other.effective_from):%Y-%m-%d}, {other.unit_price.normalize():f} and "
                    f"{rate.unit_price.normalize():f}; the later one is taken. End the earlier one with effective_to."
                )
            elif other.unit_price != rate.unit_price:
                differing[rate.provider, rate.model_id, layer, other_layer].add(rate.unit)
            taken = common(other, rate)
            # What was believed before stays readable: a book as of an earlier day is still whole.
            if (
                taken is not None
                and taken.known_at < rate.known_at
                and (taken.price_id, taken.box) != (rate.price_id, rate.box)
            ):
                superseded.append(taken._replace(superseded_at=rate.known_at))
            competing += [(other_layer, piece) for piece in without(other, rate)]
        books[rate.key] = [*competing, (layer, rate)]
    problems += [
        f"{provider} / {model_id}: {layer} rows win over the {below_it}, which says other prices for "
        f"{', '.join(sorted(units))}."
        for (provider, model_id, layer, below_it), units in differing.items()
    ]
    return [rate for found in books.values() for _, rate in found], superseded


def _by_precedence(rows: Sequence[tuple[str, Rate]]) -> list[tuple[str, Rate]]:
    """Ours before the user's, within a layer what was known earlier first."""
    return sorted(rows, key=lambda entry: (entry[0] != "shipped", entry[1].known_at))


def price_table(rates: Sequence[Rate]) -> pl.DataFrame:
    """Rates as the table of the book."""
    values = dict(zip(Rate._fields, zip(*rates, strict=True) if rates else [()] * len(Rate._fields), strict=True))
    values["price_id"] = tuple(rate.price_id for rate in rates)
    return pl.DataFrame([_column(name, values[name], type_) for name, type_ in BOOK_SCHEMA.items()])


def _column(name: str, values: Sequence[Any], type_: Any) -> pl.Series:
    if type_ != _UTC:
        return pl.Series(name, values, type_)
    # Of thousands of rates there are a few hundred instants, and each costs as much as a row.
    instants = list(dict.fromkeys(values))
    places = dict(zip(instants, range(len(instants)), strict=True))
    return pl.Series(name, instants, type_).gather([places[value] for value in values])


def _names_table(
    package_names: Sequence[Name],
    rates: Iterable[Rate],
    pooled: Iterable[tuple[str, str]],
    rows: Sequence[dict[str, Any]],
    problems: list[str],
) -> pl.DataFrame:
    """Names of the user and ours before the package's; every model that has a price is its own exact name."""
    names = []
    for row in rows:
        kind = str(row["pattern_kind"])
        if kind not in PATTERN_KINDS:
            problems.append(
                f"model_aliases.csv: {row['pattern']!r} is left out: {kind!r} is none of exact, prefix, regex."
            )
            continue
        pattern = str(row["pattern"])
        names.append(
            Name(
                provider=str(row.get("provider") or "").lower(),
                pattern_kind=kind,
                pattern=pattern if kind == "regex" else pattern.lower(),
                model_id=str(row["model_id"]),
                priority=int(row["priority"]) if row.get("priority") is not None else 50,
                valid_from_date=row.get("valid_from_date"),
                valid_to_date=row.get("valid_to_date"),
                region_class=row.get("region_class"),
                source_ref=str(row.get("source_ref") or ""),
            )
        )
    taken = {(name.provider, name.pattern_kind, name.pattern) for name in names}
    names += [name for name in package_names if (name.provider, name.pattern_kind, name.pattern) not in taken]
    taken |= {(name.provider, name.pattern_kind, name.pattern) for name in names}
    known = {(rate.provider, rate.model_id) for rate in rates} | set(pooled)
    for provider, model_id in sorted(known):
        if (provider, "exact", model_id.lower()) not in taken and (provider, model_id.lower()) not in AMBIGUOUS_NAMES:
            names.append(
                Name(provider, "exact", model_id.lower(), model_id, 140, None, None, None, "id of a priced model")
            )
    for name in names:
        if (
            name.provider
            and (name.provider, name.model_id) not in known
            and not name.source_ref.startswith("genai-prices")
        ):
            problems.append(
                f"model_aliases.csv: {name.pattern!r} ({name.provider}) means {name.model_id!r}, which has no price."
            )
    names.sort(
        key=lambda n: (
            n.provider,
            PATTERN_KINDS.index(n.pattern_kind),
            n.priority,
            n.pattern,
            n.valid_from_date or date.min,
        )
    )
    return pl.DataFrame(names, schema=NAMES_SCHEMA, orient="row")
