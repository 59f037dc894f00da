"""What the books say in a few figures, for a person at a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.engine import one_row
from pipelines.paths import DataRoot
from pipelines.views import open_views


@dataclass(frozen=True)
class Summary:
    """Money in USD. Shares are 0 to 1, None where there is nothing to share."""

    first_date: date | None
    last_date: date | None
    requests: int
    list_cost_usd: Decimal | None
    effective_cost_usd: Decimal | None
    invoiced_cost_usd: Decimal | None
    accrued_cost_usd: Decimal | None
    untraced_usd: Decimal | None
    unpriced_requests: int
    unpriced_tokens: int
    priced_share: float | None
    attributed_share: float | None
    unpriced_models: list[dict[str, Any]]
    unattributed_callers: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(root: DataRoot) -> Summary:
    """The figures of a data root whose views exist."""
    with open_views(root) as con:
        # Sums of days: the calls themselves are looked at only where there is something to name.
        requests, first_date, last_date, listed, effective, unpriced, unpriced_tokens, tokens, ownerless = one_row(
            con,
            """select coalesce(sum(requests), 0), min(usage_date), max(usage_date), sum(list_cost_usd), sum(effective_cost_usd),
                coalesce(sum(unpriced_requests), 0), coalesce(sum(unpriced_tokens), 0),
                coalesce(sum(input_total_tokens + output_total_tokens), 0),
                coalesce(sum(requests) filter (where feature = 'unattributed'), 0)
            from ledger_showback_days""",
        )
        invoiced, accrued, untraced, attributed, whole = one_row(
            con,
            """select sum(invoiced_cost_usd) filter (where allocation_basis = 'invoice'),
                sum(invoiced_cost_usd) filter (where allocation_basis <> 'invoice'),
                sum(allocated_untraced_usd),
                sum(direct_cost_usd) filter (where feature <> 'unattributed'), sum(direct_cost_usd + allocated_untraced_usd)
            from mart_showback_weekly""",
        )
        unpriced_models = (
            []
            if not unpriced
            else _rows(
                con,
                """select r.provider, r.model_served as model, c.cost_status, count(*) as requests,
                    coalesce(sum(r.total_tokens), 0) as tokens,
                min(cast(r.started_at as date)) as since
            from ledger_costs as c inner join ledger_requests as r on c.request_key = r.request_key
            where c.effective_cost_usd is null
            group by all order by tokens desc, requests desc, provider, model, cost_status limit 10""",
            )
        )
        callers = (
            []
            if not ownerless
            else _rows(
                con,
                """select r.source, r.source_account, r.api_key_name, r.provider, count(*) as requests,
                sum(c.effective_cost_usd) as effective_cost_usd
            from ledger_requests as r inner join ledger_costs as c on r.request_key = c.request_key
            where r.feature = 'unattributed'
            group by all order by effective_cost_usd desc nulls last, requests desc, source, source_account, api_key_name limit 10""",
            )
        )
    return Summary(
        first_date=first_date,
        last_date=last_date,
        requests=int(requests),
        # No call with a price: the spend is unknown, not 0.
        list_cost_usd=listed if requests > unpriced else None,
        effective_cost_usd=effective if requests > unpriced else None,
        invoiced_cost_usd=invoiced,
        accrued_cost_usd=accrued,
        untraced_usd=untraced,
        unpriced_requests=int(unpriced),
        unpriced_tokens=int(unpriced_tokens),
        priced_share=_share(tokens - unpriced_tokens, tokens),
        attributed_share=_share(attributed, whole),
        unpriced_models=unpriced_models,
        unattributed_callers=callers,
    )


def _share(part: Any, whole: Any) -> float | None:
    return None if not whole else float((part or 0) / whole)


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = con.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
