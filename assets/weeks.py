"""The weeks that Dagster counts in: a partitioned table has one Dagster partition a week, whatever its files' grain.

One job can hold one kind of partition, and each costs some 15 ms a table; so days and months stay a matter of the lake.
The first week stands for all before it too, the last for all after it: no date of a record can fall outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import dagster as dg

from pipelines.periods import Span, end_of

FIRST_WEEK = date(2024, 1, 1)

# From Monday on; the week under way is one of them.
WEEKS = dg.WeeklyPartitionsDefinition(start_date=FIRST_WEEK.isoformat(), day_offset=1, end_offset=1)

_FIRST_TAG, _LAST_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def span_of(keys: Sequence[str]) -> Span:
    """The dates of a run of Dagster partitions."""
    first, last = min(keys), max(keys)
    return Span(
        None if first == WEEKS.get_first_partition_key() else date.fromisoformat(first),
        None if last == WEEKS.get_last_partition_key() else end_of("week", date.fromisoformat(last)),
    )


def keys_of(span: Span, mondays: Iterable[date]) -> list[str]:
    """The Dagster partitions that stand for some weeks and overlap a span, oldest first."""
    last = date.fromisoformat(str(WEEKS.get_last_partition_key()))
    kept = {min(max(monday, FIRST_WEEK), last) for monday in mondays if span.overlaps(monday, end_of("week", monday))}
    return [monday.isoformat() for monday in sorted(kept)]


def range_tags(keys: Sequence[str]) -> Mapping[str, str]:
    """The tags of a run over all weeks from the first to the last of ``keys``."""
    return {_FIRST_TAG: min(keys), _LAST_TAG: max(keys)} if keys else {}
