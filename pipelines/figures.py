"""Figures of a week, for pages that plot them: dollars, calls, and the share that has no price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pipelines.books import Books
from pipelines.engine import named_rows
from pipelines.periods import Span
from pipelines.relations import create_model_view

# By table, a query for a row a week. A share stands beside what it is a share of.
_QUERIES: Mapping[str, str] = {
    "ledger_costs": """
        select
            {week} as week_start_date, count(*) as requests, sum(effective_cost_usd) as effective_cost_usd,
            cast(count(case when effective_cost_usd is null then 1 end) as double) / count(*) as unpriced_share,
        from (select *, cast(date_trunc('week', started_at) as date) as monday from ledger_costs) as costs
        group by all""",
    "mart_data_quality_daily": """
        select
            {week} as week_start_date, sum(total_tokens + unread_tokens) as total_tokens,
            cast(sum(unpriced_tokens + unread_tokens) as double) / nullif(sum(total_tokens + unread_tokens), 0) as unpriced_share,
        from (select *, cast(date_trunc('week', usage_date) as date) as monday from mart_data_quality_daily) as quality
        group by all""",
    "mart_showback_weekly": """
        select {week} as week_start_date, sum(invoiced_cost_usd) as invoiced_cost_usd,
        from (select *, week_start_date as monday from mart_showback_weekly) as showback
        group by all""",
}


def weekly_figures(books: Books, table: str, window: Span, first: date, last: date) -> dict[date, dict[str, float]]:
    """Figures of a table by Monday, within a window; what is not known is left out. What lies before ``first`` or after
    ``last`` counts in these weeks.
    """
    if table not in _QUERIES:
        return {}
    parts = books.lake.parts_within(table, window.first, window.end)
    create_model_view(books.con, books.lake, books.models[table], parts)
    week = f"greatest(least(monday, date '{last}'), date '{first}')"
    return {
        row.pop("week_start_date"): {name: float(figure) for name, figure in row.items() if figure is not None}
        for row in named_rows(books.con, _QUERIES[table].format(week=week))
    }
