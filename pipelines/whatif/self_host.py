"""Own GPUs in place of an API: how many the peak hour needs, what they cost a month, and from which volume on they are cheaper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from pipelines.whatif.scenarios import CASES

HOURS_OF_MONTH = 730
_SECONDS = 3600
_MILLION = 1_000_000
# What a pool may be used at, for the curve.
CURVE = (Decimal("0.2"), Decimal("0.4"), Decimal("0.6"), Decimal("0.8"), Decimal(1))


@dataclass(frozen=True)
class Use:
    """A pool at a share of use: what a million generated tokens cost, what the API takes for them, and what a month saves.

    What the API takes is None where nothing was generated.
    """

    utilisation: Decimal
    month_tokens: Decimal
    usd_per_mtok: Decimal
    api_usd_per_mtok: Decimal | None
    saving_usd: Decimal | None


@dataclass(frozen=True)
class Pool:
    """A month of one assumption. Tokens are those that are generated; what is read takes its time beside them.

    ``breakeven_utilisation`` is None where even a full pool is dearer.
    """

    case: str
    gpus: int
    monthly_usd: Decimal
    api_monthly_usd: Decimal
    capacity_tokens: Decimal
    used_utilisation: Decimal | None
    breakeven_utilisation: Decimal | None
    breakeven_tokens: Decimal | None
    curve: list[Use]

    @property
    def saving_usd(self) -> Decimal:
        return self.api_monthly_usd - self.monthly_usd


def pools_of(hours: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], days: int) -> list[Pool]:
    """A pool for each case, sized on the hour with the most work. ``hours``: rows of whatif_hours.sql."""
    found = []
    for number, case in enumerate(CASES):
        chosen = {name: value[number] for name, value in settings.items() if isinstance(value, tuple)}
        work = [_seconds_of(hour, chosen) for hour in hours]
        peak = max(work, default=Decimal(0))
        gpus = int((peak / (_SECONDS * chosen["peak_share"])).to_integral_value(ROUND_CEILING))
        gpus = max(gpus, 1) + int(chosen["redundant_gpus"])
        months = Decimal(days) * 24 / HOURS_OF_MONTH
        output = sum(hour["output_tokens"] for hour in hours) / months
        api = sum((hour["cost_usd"] or Decimal(0) for hour in hours), Decimal(0)) / months
        found.append(pool(case, gpus, chosen, output, api, sum(work) / months))
    return found


def pool(
    case: str,
    gpus: int,
    settings: Mapping[str, Decimal],
    output_tokens: Decimal,
    api_usd: Decimal,
    work_seconds: Decimal,
) -> Pool:
    """What ``gpus`` cost a month against an API that charged ``api_usd`` for a month's ``output_tokens``."""
    hour_usd = settings["gpu_hour_usd"] + settings["power_kw"] * settings["electricity_usd_per_kwh"]
    monthly = gpus * HOURS_OF_MONTH * hour_usd + settings["ops_usd_per_month"]
    # A token that is generated brings with it what was read for it, so that tokens of this work come slower than in a measurement.
    seconds_a_token = (
        work_seconds / output_tokens if output_tokens and work_seconds else 1 / settings["output_tokens_per_s"]
    )
    capacity = gpus * HOURS_OF_MONTH * _SECONDS / seconds_a_token
    price = api_usd / output_tokens if output_tokens else None
    share = monthly / (capacity * price) if price else None
    return Pool(
        case=case,
        gpus=gpus,
        monthly_usd=monthly,
        api_monthly_usd=api_usd,
        capacity_tokens=capacity,
        used_utilisation=output_tokens / capacity if capacity else None,
        breakeven_utilisation=share if share is not None and share <= 1 else None,
        breakeven_tokens=monthly / price if price and share is not None and share <= 1 else None,
        # With the point at which it crosses the API's price.
        curve=[
            Use(
                used,
                capacity * used,
                monthly / (capacity * used) * _MILLION,
                price * _MILLION if price else None,
                capacity * used * price - monthly if price else None,
            )
            for used in sorted({*CURVE, *([share] if share is not None and 0 < share <= 1 else [])})
        ],
    )


def _seconds_of(hour: Mapping[str, Any], settings: Mapping[str, Decimal]) -> Decimal:
    """Seconds of one GPU that the work of an hour takes."""
    return sum(
        (
            Decimal(hour[tokens]) / settings[speed]
            for tokens, speed in (
                ("output_tokens", "output_tokens_per_s"),
                ("fresh_input_tokens", "input_tokens_per_s"),
                ("cache_read_tokens", "cache_read_tokens_per_s"),
            )
        ),
        Decimal(0),
    )
