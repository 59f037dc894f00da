"""What a plan would cost at the prices of a day: tokens of each class, the rate of each, and the arithmetic between them.

A plan is so many requests, or runs of several steps that read their context again. Nothing of the books is read but the price list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.prices.rates import CONTEXT_END, midnight
from pipelines.words import listed

if TYPE_CHECKING:
    from pipelines.paths import DataRoot
    from pipelines.prices.book_tables import Book

MTOK = 1_000_000
# A conversation of more steps than this is a typing error.
MOST_STEPS = 100_000
# Of several sellers of one name those that made the model come first.
_FIRST = ("openai", "anthropic", "google", "mistral", "xai", "deepseek", "cohere", "meta", "self")
_UNITS = {"input": "input", "cached input": "cache_read", "cache writes": "cache_write_5m", "output": "output"}


class NoEstimate(ValueError):
    """A plan that cannot be priced; the message says why and what to do."""


@dataclass(frozen=True)
class Plan:
    """``requests`` runs of ``steps`` calls: the first reads ``input_tokens``, each further one ``growth_tokens`` more."""

    requests: int
    input_tokens: int
    output_tokens: int
    steps: int = 1
    growth_tokens: int = 0
    cached_share: Decimal = Decimal(0)
    cache_write_share: Decimal = Decimal(0)
    batch_share: Decimal = Decimal(0)

    @property
    def run_input_tokens(self) -> int:
        """Input of all steps of a run: the context is sent, and paid, again with each."""
        return self.steps * self.input_tokens + self.growth_tokens * (self.steps * (self.steps - 1) // 2)

    @property
    def run_output_tokens(self) -> int:
        return self.steps * self.output_tokens

    @property
    def last_input_tokens(self) -> int:
        return self.input_tokens + self.growth_tokens * (self.steps - 1)


@dataclass(frozen=True)
class Line:
    """Tokens of one class at one rate."""

    what: str
    processing: str
    unit: str
    context: str
    planned_tokens: Decimal
    usd_per_mtok: Decimal
    line_cost_usd: Decimal
    price_source: str


@dataclass(frozen=True)
class Estimate:
    """A plan with its lines. ``cost_usd`` is their sum, exact."""

    plan: Plan
    provider: str
    model_id: str
    service_tier: str
    region_class: str
    on_date: date
    lines: tuple[Line, ...]
    other_sellers: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def cost_usd(self) -> Decimal:
        return sum((line.line_cost_usd for line in self.lines), Decimal(0))

    @property
    def cost_per_request_usd(self) -> Decimal:
        return self.cost_usd / self.plan.requests

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        plan = self.plan
        return {
            "provider": self.provider,
            "model_id": self.model_id,
            "service_tier": self.service_tier,
            "region_class": self.region_class,
            "on_date": self.on_date,
            **asdict(plan),
            "run_input_tokens": plan.run_input_tokens,
            "run_output_tokens": plan.run_output_tokens,
            "lines": [asdict(line) for line in self.lines],
            "cost_usd": self.cost_usd,
            "cost_per_request_usd": self.cost_per_request_usd,
            "other_sellers": list(self.other_sellers),
            "notes": list(self.notes),
        }


def estimate(
    root: DataRoot,
    plan: Plan,
    model: str,
    *,
    provider: str | None = None,
    on_date: date,
    service_tier: str = "standard",
    region_class: str = "global",
) -> Estimate:
    """Price a plan at the list prices of noon of a day (UTC), the data root's own prices included.

    Raises NoEstimate where the model or a rate is not known, and where the numbers of the plan are none.
    """
    from pipelines.prices.lookup import current_book

    _check(plan)
    book, _ = current_book(root)
    at = midnight(on_date).replace(hour=12)
    sellers = _sellers(book, model, provider, at)
    if not sellers:
        raise NoEstimate(_unknown(book, model, provider, at))
    seller = min(sellers, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    rates = _in_force(book, at, seller, sellers[seller])
    lines = tuple(_lines(root, plan, rates, service_tier, region_class, on_date, f"{sellers[seller]} ({seller})"))
    return Estimate(
        plan,
        seller,
        sellers[seller],
        service_tier,
        region_class,
        on_date,
        lines,
        tuple(sorted(set(sellers) - {seller})),
        tuple(_notes(root, plan, rates, lines, seller, on_date)),
    )


def _check(plan: Plan) -> None:
    if plan.requests < 1:
        raise NoEstimate(f"{plan.requests} requests: at least one is needed.")
    if plan.input_tokens + plan.output_tokens < 1:
        raise NoEstimate("A request of no tokens costs nothing: say how many it reads and writes.")
    if not 1 <= plan.steps <= MOST_STEPS:
        raise NoEstimate(f"{plan.steps:,} steps: from 1 to {MOST_STEPS:,} are taken.")
    if plan.cached_share + plan.cache_write_share > 1:
        raise NoEstimate(
            f"{_percent(plan.cached_share)} of the input read from the cache and {_percent(plan.cache_write_share)} written to it "
            "are more than all of it."
        )


def _in_force(book: Book, at: datetime, seller: str, model_id: str) -> pl.DataFrame:
    from pipelines.prices.lookup import in_force

    table = book.tables["ref_price_book"].filter((pl.col("provider") == seller) & (pl.col("model_id") == model_id))
    return in_force(table, at)


def _sellers(book: Book, model: str, provider: str | None, at: datetime) -> dict[str, str]:
    """Who sells a model of this name at that instant, and under which id of the book."""
    from pipelines.prices.lookup import in_force, models_of, named_exactly

    meanings: dict[str, str] = {}
    for seller, model_id in named_exactly(book, model, at).select("provider", "model_id").iter_rows():
        meanings.setdefault(seller, model_id)
    priced = set(in_force(book.tables["ref_price_book"], at).select("provider", "model_id").unique().iter_rows())
    found = {seller: model_id for seller, model_id in meanings.items() if seller and (seller, model_id) in priced}
    if "" in meanings:
        found = {seller: meanings[""] for seller, model_id in priced if model_id == meanings[""]} | found
    if provider is not None:
        found = {seller: model_id for seller, model_id in found.items() if seller == provider.lower()}
    if not found:
        # Names that are told by a pattern, such as one with a date: asked of the ledger's own query, which takes a second.
        rows = models_of(book, model, at, [provider.lower()] if provider else ()).to_dicts()
        found = {row["provider"]: row["model_canonical"] for row in rows}
        found = {seller: model_id for seller, model_id in found.items() if (seller, model_id) in priced}
    return found


def _unknown(book: Book, model: str, provider: str | None, at: datetime) -> str:
    from pipelines.prices.lookup import advice_for

    others = sorted(_sellers(book, model, None, at)) if provider else ()
    advice = (
        f" Sold by {listed(others)}." if others else advice_for(book, model, [provider.lower()] if provider else ())
    )
    return f"No price for {model!r}{f' at {provider}' if provider else ''} on {at.date()}.{advice}"


def _lines(
    root: DataRoot, plan: Plan, rates: pl.DataFrame, tier: str, region: str, on_date: date, named: str
) -> Iterable[Line]:
    """One line for each class, way of processing and range of context length that the list prices by itself."""
    shares = [("sync", 1 - plan.batch_share), ("batch", plan.batch_share)]
    parts = {
        "input": 1 - plan.cached_share - plan.cache_write_share,
        "cached input": plan.cached_share,
        "cache writes": plan.cache_write_share,
        "output": Decimal(1),
    }
    for processing, share in shares:
        if not share:
            continue
        held = rates.filter(
            (pl.col("processing") == processing) & (pl.col("service_tier") == tier) & (pl.col("region_class") == region)
        )
        for what, part in parts.items():
            per_step = plan.output_tokens if what == "output" else plan.input_tokens + plan.growth_tokens
            if not part or not per_step:
                continue
            found = held.filter(pl.col("unit") == _UNITS[what]).sort("ctx_min_tokens").to_dicts()
            counted = _by_context(plan, found, what, processing, named, tier, region, rates)
            priced = [(row, tokens, _usd_per_mtok(root, row, on_date, named)) for row, tokens in counted]
            for usd in dict.fromkeys(usd for *_, usd in priced):
                alike = [(row, tokens) for row, tokens, other in priced if other == usd]
                planned = plan.requests * sum(tokens for _, tokens in alike) * share * part
                context = _context(alike[0][0], alike[-1][0]) if len(alike) < len(found) else ""
                source = alike[0][0]["source_ref"]
                yield Line(what, processing, _UNITS[what], context, planned, usd, planned * usd / MTOK, source)


def _by_context(
    plan: Plan,
    rows: list[dict[str, Any]],
    what: str,
    processing: str,
    named: str,
    tier: str,
    region: str,
    rates: pl.DataFrame,
) -> list[tuple[dict[str, Any], int]]:
    """Tokens of a run's steps by the rate that holds for the length of what each step reads."""
    counted = [0] * len(rows)
    for step in range(plan.steps):
        reads = plan.input_tokens + step * plan.growth_tokens
        for place, row in enumerate(rows):
            if row["ctx_min_tokens"] <= reads < row["ctx_max_tokens"]:
                counted[place] += plan.output_tokens if what == "output" else reads
                break
        else:
            from pipelines.prices.lookup import tiers_of

            advice = {"cached input": " Leave out --cached-share.", "cache writes": " Leave out --cache-write-share."}
            raise NoEstimate(
                f"No price of {what} for {named}, {tier} tier{' as a batch' * (processing == 'batch')}, region {region}, at "
                f"{reads:,} tokens of context.{advice.get(what, '')} The list has {tiers_of(rates)}."
            )
    return [(row, tokens) for row, tokens in zip(rows, counted, strict=True) if tokens]


def _usd_per_mtok(root: DataRoot, row: Mapping[str, Any], on_date: date, named: str) -> Decimal:
    price = Decimal(row["unit_price"]) * MTOK / row["per_units"]
    if row["currency"] != "USD":
        from pipelines.reference.files import current_frame

        known = current_frame(root, "fx_rates")[0].filter(
            (pl.col("currency") == row["currency"]) & (pl.col("rate_date") <= on_date)
        )
        if not len(known):
            raise NoEstimate(
                f"The price of {named} is in {row['currency']}, and fx_rates.csv has no rate of it by {on_date}. Add one."
            )
        price *= known.sort("rate_date")["fx_rate_to_usd"][-1]
    return Decimal(f"{price.normalize():f}")


def _context(first: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    """The lengths of context between two ranges of the list, in words."""
    if last["ctx_max_tokens"] == CONTEXT_END:
        return f"calls that read {first['ctx_min_tokens']:,} tokens or more"
    if not first["ctx_min_tokens"]:
        return f"calls that read fewer than {last['ctx_max_tokens']:,} tokens"
    return f"calls that read {first['ctx_min_tokens']:,} to {last['ctx_max_tokens'] - 1:,} tokens"


def _notes(
    root: DataRoot, plan: Plan, rates: pl.DataFrame, lines: tuple[Line, ...], seller: str, on_date: date
) -> Iterable[str]:
    from pipelines.reference.files import current_frame

    used = {line.price_source for line in lines}
    if any(row["confidence"] == "assumed" and row["source_ref"] in used for row in rates.to_dicts()):
        yield f"The price of {on_date} is assumed: it was stated without a start."
    units = set(rates["unit"])
    if plan.cached_share and not plan.cache_write_share and "cache_write_5m" in units:
        yield "What is read from the cache was written first, at a price of its own: say how much with --cache-write-share."
    if plan.steps > 1 and plan.batch_share:
        yield "A step waits for the one before it, and a batch may take a day: in batches only runs of one step are quick."
    overrides = current_frame(root, "price_overrides")[0]
    if len(overrides.filter(pl.col("provider").is_null() | (pl.col("provider") == seller))):
        yield f"List prices: contracts of reference/price_overrides.csv with {seller} are not in them."


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f} %"
