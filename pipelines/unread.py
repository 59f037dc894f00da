"""Keys of usage objects whose counts no rule reads: what stands under them, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from pipelines.engine import named_rows

UNREAD_AT_MOST = 10
_KEYS = """
select source, usage_key, sum(requests)::bigint as requests, sum(unread_tokens)::bigint as unread_tokens, sum(stake_usd) as stake_usd
from (select source, unnest(unread_keys, recursive := true) from (select source, unread_keys from mart_data_quality_daily where {days}))
group by source, usage_key order by stake_usd desc nulls last, unread_tokens desc, source, usage_key
"""


def unread_keys(con: duckdb.DuckDBPyConnection, days: str = "true", values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The keys of all sources, the dearest first: source, usage_key, requests, unread_tokens, stake_usd, remedy.

    ``days`` is a condition on usage_date; ``stake_usd`` is what the tokens would cost at their calls' own prices, None where these
    have none.
    """
    return [
        {**row, "remedy": remedy_of(row["usage_key"])} for row in named_rows(con, _KEYS.format(days=days), list(values))
    ]


def remedy_of(usage_key: str) -> str:
    """What to do about a key; ``total`` stands for a stated total that is more than its parts."""
    if usage_key == "total":
        return "the stated total is more than its parts: log the provider's whole usage object"
    return (
        "log it under a name that says what it is (input_, output_, cache_read_, with audio, image or reasoning), "
        "or report it as a key of the provider"
    )


def in_words(row: Mapping[str, Any]) -> str:
    """The key as messages name it."""
    return "a total above its parts" if row["usage_key"] == "total" else str(row["usage_key"])
