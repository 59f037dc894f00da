"""The largest differences between what sources state in dollars and what we book, with what to do about each."""

from __future__ import annotations

from typing import Any

import duckdb

from pipelines.engine import named_rows

TABLE = "mart_cost_faults_daily"
AT_MOST = 5
# A fault -> what stands in the data, and the remedy.
WORDS = {
    "implausible_price": ("a placeholder stands for the price", "set the price of the model in the tool"),
    "cost_without_tokens": ("dollars without tokens", "export the usage of these calls too"),
    "zero_cost": ("0 for tokens that cost money", "give the tool a price for the model, or leave its cost out"),
    "wrong_scale": (
        "a price of a thousand tokens for one of a million, or the other way round",
        "mend the price in the tool",
    ),
    "wrong_currency": ("another currency than dollars", "let the tool state dollars"),
    "differs": (
        "another price or other counts",
        "see 'tokenbooks explain {example}'; where the source is right, add its price to prices.csv or price_overrides.csv",
    ),
}


def largest(
    con: duckdb.DuckDBPyConnection, where: str = "true", parameters: list[Any] | None = None
) -> list[dict[str, Any]]:
    """The dearest kinds, at most ``AT_MOST``: a fault of a model of a seller in a source, with calls, dollars, words and remedy."""
    rows = named_rows(
        con,
        f"""select fault, source, provider, model_served as model, sum(faulty_requests)::bigint as requests,
            sum(stated_cost_usd) as stated_usd, sum(list_cost_usd) as ours_usd, sum(fault_usd) as fault_usd,
            min(example_request_key) as example
        from {TABLE} where {where} group by fault, source, provider, model_served
        order by sum(fault_usd) desc, fault, source, provider, model_served limit {AT_MOST}""",
        parameters or [],
    )
    return [row | {"words": WORDS[row["fault"]][0], "remedy": WORDS[row["fault"]][1].format(**row)} for row in rows]
