"""What the books say in a few figures, for a person at a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from pipelines import cost_faults
from pipelines.engine import named_rows, one_row
from pipelines.lake import Lake, months_closed
from pipelines.landing import Register
from pipelines.ownerless import rows_without_owner
from pipelines.paths import DataRoot
from pipelines.remedies import unpriced_models
from pipelines.unmet import incomplete_bills, strangers
from pipelines.unread import unread_keys
from pipelines.views import open_views

TO_ADD_AT_MOST = 10
ALERTS_AT_MOST = 3
_OPEN_ALERTS = """
select
    severity, is_possible, rule, entity_type, entity_id, dimension, last_opened_date, dollars_at_stake_usd, owner, sentence,
    remedy, evidence_query
from mart_alerts
where alert_state = 'open'
order by
    dollars_at_stake_usd desc nulls last, case severity when 'critical' then 0 when 'warning' then 1 else 2 end,
    last_opened_date, alert_id"""

# As among the things to do of a page: what is no guess.
_TOP_OPPORTUNITY = """
select
    week_start_date, feature, lever, owner, effort, saving_low_month_usd, saving_mid_month_usd, saving_high_month_usd, sentence,
    must_be_true, evidence_query, lever in (select scenario from ref_scenarios) as is_scenario
from mart_opportunities_weekly
where verdict = 'opportunity' and week_start_date = (select max(week_start_date) from mart_opportunities_weekly)
order by opportunity_rank limit 1"""


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
    unread_tokens: int
    unread: list[dict[str, Any]]
    no_usage_requests: int
    priced_share: float | None
    assumed_share: float | None
    attributed_share: float | None
    drivers: str | None
    drift: list[dict[str, Any]]
    to_add: list[dict[str, Any]]
    unmet: list[dict[str, Any]]
    cost_faults: list[dict[str, Any]]
    refused_records: int
    refused_files: int
    alerts: list[dict[str, Any]]
    open_alerts: int
    opportunity: dict[str, Any] | None
    corrections: int
    corrected_usd: Decimal | None
    unknown_corrections: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(root: DataRoot) -> Summary:
    """The figures of a data root whose views exist."""
    refused = [version.quarantined for version in Register(root, Lake(root)).live().values() if version.quarantined]
    with open_views(root) as con:
        # Sums of days: the calls themselves are looked at only where there is something to name.
        requests, first_date, last_date, listed, effective, unpriced, unpriced_tokens, tokens, ownerless = one_row(
            con,
            """select coalesce(sum(requests), 0), min(usage_date), max(usage_date), sum(list_cost_usd), sum(effective_cost_usd),
                coalesce(sum(unpriced_requests), 0), coalesce(sum(unpriced_tokens), 0),
                coalesce(sum(input_total_tokens + output_total_tokens), 0),
                coalesce(sum(requests) filter (where feature = 'unattributed' or team = 'unattributed'), 0)
            from ledger_showback_days""",
        )
        invoiced, accrued, untraced, attributed, whole = one_row(
            con,
            """select sum(invoiced_cost_usd) filter (where allocation_basis = 'invoice'),
                sum(invoiced_cost_usd) filter (where allocation_basis <> 'invoice'),
                sum(allocated_untraced_usd) filter (where allocation_basis = 'invoice'),
                sum(direct_cost_usd) filter (where feature <> 'unattributed'), sum(direct_cost_usd + allocated_untraced_usd)
            from published_showback_weekly""",
        )
        corrections, corrected, unknown_corrections = one_row(
            con,
            "select count(*), sum(delta_usd), count(*) filter (where delta_usd is null) from mart_corrections_weekly",
        )
        (unread_tokens,) = one_row(con, "select coalesce(sum(unread_tokens), 0) from mart_data_quality_daily")
        unread = unread_keys(con, "unread_keys is not null")
        no_usage = (
            one_row(con, "select count(*) from ledger_costs where cost_status = 'no_usage'")[0] if unpriced else 0
        )
        drivers = con.execute(
            """select sentence from mart_spend_concentration_weekly
            where cut = 'request_type' and time_window = '4w' and is_closed order by week_start_date desc limit 1"""
        ).fetchone()
        drift = named_rows(
            con,
            """select week_start_date, feature, verdict, sentence, cost_impact_usd from mart_output_ratio_drift_weekly
            where is_closed
            qualify week_start_date = max(week_start_date) over ()
            order by week_start_date, verdict <> 'drift', feature""",
        )
        alerts = named_rows(con, _OPEN_ALERTS)
        opportunities = named_rows(con, _TOP_OPPORTUNITY)
        assumed_share = _assumed_share(con)
        unmet = [*incomplete_bills(con), *strangers(con, root, but=months_closed(root))]
        faults = cost_faults.largest(con)
        # The dearest first: an unpriced call counts at the mean price of a token.
        token_usd = effective / (tokens - unpriced_tokens) if effective and tokens > unpriced_tokens else None
        to_add = [
            *(unpriced_models(con, token_usd, root) if unpriced else []),
            *(rows_without_owner(con, root) if ownerless else []),
        ]
        # The rows of one model stay together, and are shown all or not at all.
        to_add.sort(key=lambda row: (-(row["cost_usd"] or 0), row["table"], row["why"], row["row"]))
        last = to_add[TO_ADD_AT_MOST - 1]["why"] if len(to_add) > TO_ADD_AT_MOST else None
        to_add = [row for place, row in enumerate(to_add) if place < TO_ADD_AT_MOST or row["why"] == last]
    return Summary(
        first_date=first_date,
        last_date=last_date,
        requests=int(requests),
        # No call with a price: the spend is unknown, not 0.
        list_cost_usd=listed if requests > unpriced else None,
        effective_cost_usd=effective if requests > unpriced else None,
        invoiced_cost_usd=invoiced,
        accrued_cost_usd=accrued if requests > unpriced else None,
        untraced_usd=untraced,
        unpriced_requests=int(unpriced),
        unpriced_tokens=int(unpriced_tokens),
        unread_tokens=int(unread_tokens),
        unread=unread,
        no_usage_requests=int(no_usage),
        priced_share=_share(tokens - unpriced_tokens, tokens + unread_tokens),
        assumed_share=assumed_share,
        attributed_share=_share(attributed, whole),
        drivers=drivers[0] if drivers else None,
        drift=drift,
        to_add=to_add,
        unmet=[asdict(one) | {"text": one.text} for one in unmet],
        cost_faults=faults,
        refused_records=sum(refused),
        refused_files=len(refused),
        alerts=alerts[:ALERTS_AT_MOST],
        open_alerts=len(alerts),
        opportunity=next(iter(opportunities), None),
        corrections=int(corrections),
        corrected_usd=corrected,
        unknown_corrections=int(unknown_corrections),
    )


def _assumed_share(con: duckdb.DuckDBPyConnection) -> float | None:
    """How much of the list spend stands on an assumed price, or on counts that can be read in two ways."""
    assumed, listed = one_row(
        con, "select coalesce(sum(assumed_list_cost_usd), 0), sum(list_cost_usd) from mart_data_quality_daily"
    )
    return _share(assumed, listed)


def _share(part: Any, whole: Any) -> float | None:
    return None if not whole else float((part or 0) / whole)
