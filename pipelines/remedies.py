"""What would give calls without a price their price, as rows that can be appended to the files of reference/.

A row is as narrow as what is missing: the unit, tier, processing and region that the calls were priced by, and where the
book has the unit for other context lengths or other times, only the lengths and the time that lack it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.contract import TOKEN_CLASSES, TOKEN_UNITS
from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.prices.rate_of_call import NARROWEST_FIRST, RATE_OF_CALL
from pipelines.prices.rates import BEGINNING, CONTEXT_END, OPEN_END
from pipelines.reference.rows import row_to_add
from pipelines.words import things

MODELS_AT_MOST = 20
# Names that a customer gave: what model is behind them nobody else knows. Another name of a model has its prices already.
_GIVEN_NAME = re.compile(r"arn:.*:(application-inference-profile|custom-model-deployment)/|ft:", re.IGNORECASE)
_GIVEN_NAMES_AT = frozenset({"azure"})

# The classes and other units of a call that have no rate, by name. Where the status is not ok, the rates are an estimate's.
_LACKING = ",\n            ".join(
    f"case when q.{one.tokens} > 0 and (r.rate_status is distinct from 'ok' or r.{one.name}_list_usd_per_mtok is null) "
    f"then '{one.name}' end"
    for one in TOKEN_CLASSES
)
_UNPRICED = f"""
with unpriced as (
    select
        q.request_key,
        q.provider,
        coalesce(q.model_canonical, q.model_served) as model,
        q.model_canonical is null as is_unknown,
        case when c.cost_reason in ('no_fx_rate', 'no_gpu_cost', 'no_throughput') then c.cost_reason end as lacking,
        c.price_currency,
        q.total_tokens,
        q.started_at,
        r.price_tier,
        r.price_processing,
        r.price_region_class,
        struct_pack(low := r.ctx_min_tokens, high := r.ctx_max_tokens) as lengths,
        list_filter([
            {_LACKING}
        ], lambda name: name is not null) as classes,
        list_filter(
            map_keys(q.extra_units),
            -- A fee in dollars is its own price, and time has one by the hour, however it is counted.
            lambda word: q.extra_units[word] > 0 and word <> 'tool_fee_usd'
                and (
                    r.rate_status is distinct from 'ok'
                    or (
                        r.unit_list_usd_per_million[word] is null
                        and (
                            not regexp_matches(word, '^(audio_)?(second|minute|hour)s?$')
                            or r.unit_list_usd_per_million['audio_hour'] is null
                        )
                    )
                )
        ) as words,
    from ledger_costs as c
    inner join ledger_requests as q on c.request_key = q.request_key
    left join ledger_rates as r
        on {RATE_OF_CALL}
    where c.effective_cost_usd is null and c.cost_status <> 'no_usage' and q.model_served is not null
    qualify row_number() over (
        partition by q.request_key
        order by {NARROWEST_FIRST}
    ) = 1
)
select
    provider, model, is_unknown, lacking, price_tier, price_processing, price_region_class,
    max(price_currency) as currency,
    count(*) as requests,
    coalesce(sum(total_tokens), 0) as tokens,
    min(started_at) as first_at,
    max(started_at) as last_at,
    list_sort(list(distinct lengths) filter (lengths.low is not null)) as lengths,
    list_sort(list_distinct(flatten(list(classes)))) as classes,
    list_sort(list_distinct(flatten(list(words)))) as words,
from unpriced
group by provider, model, is_unknown, lacking, price_tier, price_processing, price_region_class
order by tokens desc, provider, model, price_tier, price_processing, price_region_class
limit {MODELS_AT_MOST}
"""
# What the book has of a unit in the conditions that lack it for some length or time.
_BESIDE = """
select ctx_min_tokens, ctx_max_tokens, effective_from, effective_to
from ref_price_book
where provider = ? and model_id = ? and unit = ? and service_tier = ? and processing = ? and region_class = ?
    and superseded_at = timestamptz '9999-12-31 00:00:00+00'
"""


def unpriced_models(con: duckdb.DuckDBPyConnection, token_usd: Decimal | None, root: DataRoot) -> list[dict[str, Any]]:
    """What models lack, as rows of the table that lacks it; the rows of one model follow each other.

    A call without usage lacks tokens, not a price. ``token_usd`` is the mean price of a token, for an estimate.
    """
    found = []
    for row in named_rows(con, _UNPRICED):
        what = ", ".join([things(row["tokens"], "token")] * bool(row["tokens"] or not row["words"]) + row["words"])
        for table, line in _remedies(con, row, root):
            found.append(
                {
                    "table": table,
                    "row": line,
                    "why": f"no price: {things(row['requests'], 'call')}, {what} since {row['first_at']:%Y-%m-%d}",
                    "cost_usd": row["tokens"] * token_usd if token_usd is not None and row["tokens"] else None,
                    "is_estimate": True,
                }
            )
    return found


def _remedies(con: duckdb.DuckDBPyConnection, row: Mapping[str, Any], root: DataRoot) -> Iterator[tuple[str, str]]:
    """Table and row of all that would give a model its price."""
    if row["lacking"] == "no_fx_rate":
        foreign = " or ".join(word for word in str(row["currency"] or "<currency>").split(",") if word != "USD")
        rate = {
            "currency": foreign,
            "rate_date": f"{row['first_at']:%Y-%m-%d}",
            "fx_rate_to_usd": f"<USD for one {foreign}>",
        }
        yield "fx_rates.csv", row_to_add(root, "fx_rates", rate)
    elif row["lacking"] is not None:
        what = "gpu_hour_usd or capex_usd" if row["lacking"] == "no_gpu_cost" else "tokens a second of every class"
        yield "gpu_pools.csv", f"{row['model']}: {what}"
    elif row["is_unknown"] and (row["provider"] in _GIVEN_NAMES_AT or _GIVEN_NAME.search(row["model"])):
        alias = {
            "provider": row["provider"],
            "pattern_kind": "exact",
            "pattern": row["model"],
            "model_id": "<model of the price book>",
        }
        yield "model_aliases.csv", row_to_add(root, "model_aliases", alias)
    else:
        for unit in _units(row["classes"], row["words"]):
            for box in _boxes(con, row, unit):
                price = {
                    "provider": row["provider"],
                    "model_id": row["model"],
                    "unit": unit,
                    "per_units": 1_000_000 if unit in TOKEN_UNITS else 1,
                    "unit_price": "<price>",
                    "currency": "USD",
                    "service_tier": _unless(row["price_tier"], "standard"),
                    "processing": _unless(row["price_processing"], "sync"),
                    "region_class": _unless(row["price_region_class"], "global"),
                    **box,
                }
                yield "prices.csv", row_to_add(root, "prices", price)


def _unless(value: str | None, blank: str) -> str:
    return "" if value is None or value == blank else value


def _units(classes: list[str], words: list[str]) -> list[str]:
    """The units that classes and words lack, each once.

    A class without a price of its own takes another one's (reasoning that of output): where that is missing anyway, it is enough.
    """
    lacking = [one for one in TOKEN_CLASSES if one.name in classes]
    own = {one.units[0] for one in lacking}
    units = [next((unit for unit in one.units[1:] if unit in own), one.units[0]) for one in lacking]
    return list(dict.fromkeys([*units, *words])) or ["input"]


def _boxes(con: duckdb.DuckDBPyConnection, row: Mapping[str, Any], unit: str) -> Iterator[dict[str, object]]:
    """Context lengths and times that a price has to name so that it touches no other one."""
    conditions = (row["price_tier"], row["price_processing"], row["price_region_class"])
    beside = named_rows(con, _BESIDE, [row["provider"], row["model"], unit, *conditions])
    if not beside:
        yield {}
        return
    for lengths in row["lengths"]:
        there = [
            rate
            for rate in beside
            if rate["ctx_min_tokens"] < lengths["high"] and rate["ctx_max_tokens"] > lengths["low"]
        ]
        start = max((r["effective_to"] for r in there if r["effective_to"] <= row["first_at"]), default=BEGINNING)
        end = min((r["effective_from"] for r in there if r["effective_from"] > row["last_at"]), default=OPEN_END)
        yield {
            "ctx_min_tokens": lengths["low"] or "",
            "ctx_max_tokens": "" if lengths["high"] == CONTEXT_END else lengths["high"],
            "effective_from": "" if start == BEGINNING else f"{start:%Y-%m-%d}",
            "effective_to": "" if end == OPEN_END else f"{end:%Y-%m-%d}",
        }
