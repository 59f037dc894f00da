"""What a run rebuilds: fingerprints, early stops, and what a model may read of other partitions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import reference, runner
from pipelines.engine import connect, rows_of, with_row_hashes
from pipelines.in_force import rows_in_force
from pipelines.lake import Lake
from pipelines.models import Model, ModelError, load
from pipelines.parquet import PeriodRows
from pipelines.paths import DataRoot
from pipelines.periods import Span
from pipelines.planner import Planner, stale_weeks
from pipelines.runner import Built, build
from pipelines.settings import Settings

CALLS = """/*
about: Calls.
grain: [call_id]
partition: day
partition_column: usage_date
columns:
  usage_date: DATE; UTC day
  call_id: BIGINT; number of the call
  spent_usd: DECIMAL(18,2); what it cost
*/
select usage_date, call_id, spent_usd from staged_scores
"""


class House:
    """A small lake with models of the test's own, and ``ledger_calls`` filled by hand."""

    def __init__(self, folder: Path, con: duckdb.DuckDBPyConnection) -> None:
        self.sql, self.con = folder / "sql", con
        self.root = DataRoot(folder / "books")
        self.lake = Lake(self.root)
        self.add("ledger_calls", CALLS)

    def add(self, name: str, text: str) -> None:
        path = self.sql / ("ledger" if name.startswith("ledger_") else "marts") / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def calls(self, day: str, *spent: str) -> None:
        """The rows of one day; none takes the day away."""
        start = date.fromisoformat(day)
        folder = self.root.stored("ledger_calls", "month", start.replace(day=1))
        if not spent:
            assert self.lake.part("ledger_calls", start) is not None
            self.lake.store("ledger_calls", folder, [], [start], "1", None, by_day=False)
            return
        rows = " union all ".join(
            f"select date '{day}' as usage_date, {n}::bigint as call_id, {usd}::decimal(18,2) as spent_usd"
            for n, usd in enumerate(spent)
        )
        plain = rows_of(self.con, rows)
        period = PeriodRows(start, "by hand", [with_row_hashes(self.con, plain)])
        self.lake.store("ledger_calls", folder, [period], (), "1", plain.schema, by_day=False)

    @property
    def models(self) -> dict[str, Model]:
        return load(self.sql)

    def run(self, *names: str, window: Span | None = None) -> dict[str, Built]:
        models = self.models
        planner = Planner(self.lake, models)
        chosen = names or tuple(name for name in models if name != "ledger_calls")
        return {
            name: build(
                self.con, self.lake, planner, planner.plan(models[name], **({"window": window} if window else {}))
            )
            for name in chosen
        }

    def rows(self, name: str) -> list[tuple[object, ...]]:
        files = sorted({str(self.lake.absolute(part)) for part in self.lake.parts(name)})
        return self.con.execute(
            f"select * from read_parquet({files}, hive_partitioning = false) order by all"
        ).fetchall()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with connect(Settings(threads=2), tmp_path / "scratch") as con:
        yield House(tmp_path, con)


def weekly(
    extra: str = "",
    query: str = "select date_trunc('week', usage_date)::date, sum(spent_usd)::decimal(38,2) from ledger_calls group by 1",
) -> str:
    return f"""/*
about: Spend by week.
grain: [week_start_date]
partition: week
{extra}columns:
  week_start_date: DATE; Monday
  spent_usd: DECIMAL(38,2); spend
*/
with weeks(week_start_date, spent_usd) as ({query})
select week_start_date, spent_usd from weeks
"""


def test_a_partition_is_built_once_and_again_when_a_day_of_it_changes(house: House) -> None:
    house.add("mart_spend_weekly", weekly())
    house.calls("2026-11-02", "1.50")
    house.calls("2026-11-09", "2.00")

    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-02", "2026-11-09"]
    assert house.run()["mart_spend_weekly"].partitions == []
    house.calls("2026-11-10", "0.25")
    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-09"]
    assert [str(row[1]) for row in house.rows("mart_spend_weekly")] == ["1.50", "2.25"]


def test_joins_as_written_hold_for_the_table_that_says_so_and_no_other(house: House) -> None:
    """Each table spends 1 where the engine may choose the side of a join that it holds, and 2 where it may not."""
    spent = "if(contains(current_setting('disabled_optimizers'), 'build_side_probe_side'), 2.00, 1.00)"
    query = f"select date_trunc('week', usage_date)::date, max({spent})::decimal(38,2) from ledger_calls group by 1"
    house.add("mart_chosen_weekly", weekly("", query))
    house.add("mart_written_weekly", weekly("joins: as_written\n", query))
    house.calls("2026-11-02", "1.50")

    house.run("mart_written_weekly", "mart_chosen_weekly")

    assert [str(row[1]) for row in house.rows("mart_written_weekly")] == ["2.00"]
    assert [str(row[1]) for row in house.rows("mart_chosen_weekly")] == ["1.00"]


def test_steps_for_many_rows_are_left_out_where_a_table_reads_little(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It spends 2 where they are left out: with one call of at most one, and no more with a second one in its week."""
    monkeypatch.setattr(runner, "LITTLE_ROWS", 1)
    spent = "if(contains(current_setting('disabled_optimizers'), 'common_subexpressions'), 2.00, 1.00)"
    query = f"select date_trunc('week', usage_date)::date, max({spent})::decimal(38,2) from ledger_calls group by 1"
    house.add("mart_spend_weekly", weekly("", query))

    house.calls("2026-11-02", "1.50")
    house.run()
    little = [str(row[1]) for row in house.rows("mart_spend_weekly")]
    house.calls("2026-11-03", "1.50")
    house.run()

    assert little == ["2.00"]
    assert [str(row[1]) for row in house.rows("mart_spend_weekly")] == ["1.00"]
    assert house.con.execute("select current_setting('disabled_optimizers')").fetchall() == [("",)]


def test_a_rebuild_to_the_same_rows_does_not_wake_what_reads_it(house: House) -> None:
    """A call moves within the week: the week's sum, and so its file's content, stays."""
    house.add("mart_spend_weekly", weekly())
    house.add(
        "mart_spend_monthly",
        weekly()
        .replace("partition: week", "partition: month")
        .replace("from ledger_calls", "from mart_spend_weekly")
        .replace("date_trunc('week', usage_date)::date", "date_trunc('month', week_start_date)::date"),
    )
    house.calls("2026-11-02", "1.00")
    house.calls("2026-11-03", "2.00")
    house.run()
    house.calls("2026-11-02", "2.00")
    house.calls("2026-11-03", "1.00")

    built = house.run()

    assert built["mart_spend_weekly"].partitions == ["2026-11-02"]
    assert built["mart_spend_weekly"].changed == []
    assert built["mart_spend_monthly"].partitions == []


def test_reads_back_wakes_the_weeks_that_look_back_and_shows_them_the_rows(house: House) -> None:
    house.add(
        "mart_spend_weekly",
        weekly(
            "reads_back: 1 week\n",
            """select w.week, sum(c.spent_usd)::decimal(38,2)
            from (select distinct date_trunc('week', usage_date)::date as week from ledger_calls) as w
            inner join ledger_calls as c on c.usage_date >= w.week - 7 and c.usage_date < w.week + 7 group by w.week""",
        ),
    )
    house.calls("2026-11-02", "1.00")
    house.calls("2026-11-09", "2.00")
    house.calls("2026-11-16", "4.00")

    house.run()
    house.calls("2026-11-03", "8.00")

    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-02", "2026-11-09"]
    assert [str(row[1]) for row in house.rows("mart_spend_weekly")] == ["9.00", "11.00", "6.00"]


def test_reads_around_wakes_both_neighbours(house: House) -> None:
    house.add("mart_spend_weekly", weekly("reads_around: 7 days\n"))
    for day in ("2026-11-02", "2026-11-09", "2026-11-16", "2026-11-23"):
        house.calls(day, "1.00")
    house.run()

    house.calls("2026-11-09", "2.00")

    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-02", "2026-11-09", "2026-11-16"]
    assert [str(row[1]) for row in house.rows("mart_spend_weekly")] == ["1.00", "2.00", "1.00", "1.00"]


BESIDE = """/*
about: What the calls of a day cost within two days around it, by call.
grain: [usage_date, call_id]
partition: day
reads_around: 2 days
meets: >-
  select usage_date as day, hash(call_id) as link, hash(c) as content from ledger_calls as c
columns:
  usage_date: DATE; UTC day
  call_id: BIGINT; number of the call
  spent_usd: DECIMAL(38,2); what it cost from two days before to two after
*/
select o.usage_date, o.call_id, sum(a.spent_usd)::decimal(38,2) as spent_usd
from ledger_calls as o
inner join ledger_calls as a on o.call_id = a.call_id and a.usage_date between o.usage_date - 2 and o.usage_date + 2
group by o.usage_date, o.call_id
"""


def test_a_day_sleeps_where_what_is_new_around_it_meets_none_of_its_rows(house: House) -> None:
    """Calls 0 and 1 on Monday, call 0 on Tuesday and Friday: call 1 of Tuesday is Monday's too, call 2 is nobody's."""
    house.add("ledger_beside", BESIDE)
    house.calls("2026-11-02", "1.00", "1.00")
    house.calls("2026-11-03", "2.00")
    house.calls("2026-11-06", "4.00")
    house.run()

    house.calls("2026-11-03", "2.00", "8.00")
    assert house.run()["ledger_beside"].partitions == ["2026-11-02", "2026-11-03"]
    assert [str(row[2]) for row in house.rows("ledger_beside")] == ["3.00", "9.00", "3.00", "9.00", "4.00"]

    house.calls("2026-11-03", "2.00", "8.00", "16.00")
    house.calls("2026-11-08", "1.00", "1.00")
    # Friday is two days before Sunday, and has call 0.
    assert house.run()["ledger_beside"].partitions == ["2026-11-03", "2026-11-06", "2026-11-08"]

    house.calls("2026-11-08", "1.00", "3.00")
    assert house.run()["ledger_beside"].partitions == ["2026-11-08"]

    # What was found out is only remembered: without the index the same is out of date, which is nothing.
    house.lake.save_index()
    house.root.index.unlink()
    house.lake = Lake(house.root)
    assert house.run()["ledger_beside"].partitions == []

    house.calls("2026-11-03")
    assert house.run()["ledger_beside"].partitions == ["2026-11-02"]
    assert [str(row[2]) for row in house.rows("ledger_beside")][:2] == ["1.00", "1.00"]


@pytest.mark.parametrize(
    "header", ["meets: select 1 from ledger_calls\n", "reads_around: 2 days\nmeets: select 1 from other\n"]
)
def test_meets_is_of_a_day_that_looks_around_and_of_what_its_query_reads(house: House, header: str) -> None:
    house.add("ledger_beside", CALLS.replace("staged_scores", "ledger_calls").replace("columns:", f"{header}columns:"))

    with pytest.raises(ModelError, match="meets is for a table by day"):
        house.run()


@pytest.mark.parametrize(
    "meets", ["", "reads_around: 2 days\nmeets: select usage_date as day, 0 as link, 0 as content from ledger_calls\n"]
)
def test_lies_on_is_of_a_table_with_meets_and_of_what_that_reads(house: House, meets: str) -> None:
    header = f"{meets}lies_on: select day, link from other\n"
    house.add("ledger_beside", CALLS.replace("staged_scores", "ledger_calls").replace("columns:", f"{header}columns:"))

    with pytest.raises(ModelError, match="lies_on is for a table with meets"):
        house.run()


def test_a_week_that_is_kept_by_the_month_of_its_monday_is_there_where_all_its_calls_are_of_the_next(
    house: House,
) -> None:
    """Thursday, 1 October: the Monday is 28 September. Calls of one week over both months are one row."""
    house.add(
        "mart_spend_weekly",
        weekly().replace(
            "partition: week\n", "partition: month\npartition_column: week_start_date\nreads_around: 7 days\n"
        ),
    )
    house.calls("2026-10-01", "1.50")
    assert house.run()["mart_spend_weekly"].rows == 1
    assert [(str(row[0]), str(row[1])) for row in house.rows("mart_spend_weekly")] == [("2026-09-28", "1.50")]

    house.calls("2026-09-29", "2.00")
    house.calls("2026-10-06", "4.00")
    house.run()
    assert [(str(row[0]), str(row[1])) for row in house.rows("mart_spend_weekly")] == [
        ("2026-09-28", "3.50"),
        ("2026-10-05", "4.00"),
    ]
    assert not any(again.partitions for again in house.run().values())


def test_reads_self_builds_in_date_order_on_its_own_earlier_partitions(house: House) -> None:
    """A running total: 1, 1 + 2, 3 + 4."""
    query = """select date_trunc('week', c.usage_date)::date,
        (sum(c.spent_usd) + coalesce((select max(spent_usd) from mart_spend_weekly), 0))::decimal(38,2)
        from ledger_calls as c group by 1"""
    house.add("mart_spend_weekly", weekly("reads_self: 1 week\n", query))
    for day, spent in (("2026-11-02", "1.00"), ("2026-11-09", "2.00"), ("2026-11-16", "4.00")):
        house.calls(day, spent)

    house.run()

    assert [str(row[1]) for row in house.rows("mart_spend_weekly")] == ["1.00", "3.00", "7.00"]


def test_a_column_more_in_a_table_that_reads_itself_is_filled_week_by_week(house: House) -> None:
    """Built by the version before without it: weeks that are still to be built stand beside new ones in one file for a while."""
    query = """select date_trunc('week', c.usage_date)::date,
        (sum(c.spent_usd) + coalesce((select max(spent_usd) from mart_spend_weekly), 0))::decimal(38,2)
        from ledger_calls as c group by 1"""
    before = weekly("reads_self: 1 week\n", query)
    house.add("mart_spend_weekly", before)
    for day, spent in (("2026-11-02", "1.00"), ("2026-11-09", "2.00"), ("2026-11-16", "4.00")):
        house.calls(day, spent)
    house.run()

    more = before.replace("columns:\n", "columns:\n  twice_usd: DECIMAL(38,2); the spend two times\n")
    house.add(
        "mart_spend_weekly",
        more.replace("select week_start", "select (2 * spent_usd)::decimal(38,2) as twice_usd, week_start"),
    )

    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-02", "2026-11-09", "2026-11-16"]
    assert [str(row[0]) for row in house.rows("mart_spend_weekly")] == ["2.00", "6.00", "14.00"]
    assert not any(again.partitions for again in house.run().values())


def test_a_change_goes_through_a_table_that_reads_itself_as_far_as_it_matters(house: House) -> None:
    """1, 1 + 2, 3 + 4 becomes 2, 4, 8 in one run; nothing is left to do. A total capped at 3 stops at the second week."""
    query = """select date_trunc('week', c.usage_date)::date,
        least(CAP, sum(c.spent_usd) + coalesce((select max(spent_usd) from mart_spend_weekly), 0))::decimal(38,2)
        from ledger_calls as c group by 1"""
    house.add("mart_spend_weekly", weekly("reads_self: 1 week\n", query.replace("CAP", "100")))
    capped = weekly(
        "reads_self: 1 week\n", query.replace("CAP", "3").replace("mart_spend_weekly", "mart_capped_weekly")
    )
    house.add("mart_capped_weekly", capped)
    for day, spent in (("2026-11-02", "1.00"), ("2026-11-09", "2.00"), ("2026-11-16", "4.00")):
        house.calls(day, spent)
    house.run()
    assert not any(built.partitions for built in house.run().values())

    house.calls("2026-11-02", "2.00")
    outlook = Planner(house.lake, house.models).outlook()["mart_spend_weekly"]
    built = house.run()

    assert [str(stale.start) for stale in outlook.stale] == ["2026-11-02", "2026-11-09", "2026-11-16"]
    assert built["mart_spend_weekly"].partitions == ["2026-11-02", "2026-11-09", "2026-11-16"]
    assert [str(row[1]) for row in house.rows("mart_spend_weekly")] == ["2.00", "4.00", "8.00"]
    assert built["mart_capped_weekly"].partitions == ["2026-11-02", "2026-11-09"]
    assert built["mart_capped_weekly"].changed == ["2026-11-02"]
    assert not any(again.partitions for again in house.run().values())


CLOCKED = """select date_trunc('week', c.usage_date)::date,
    sum(case when k.now_at >= date_trunc('week', c.usage_date) + interval 7 days then c.spent_usd else 0 end)::decimal(38,2)
    from ledger_calls as c cross join ledger_clock as k group by 1"""
CLOCK_MODEL = """/*
about: Now.
grain: [now_at]
columns:
  now_at: TIMESTAMP WITH TIME ZONE; newest instant
*/
select now_at from staged_scores
"""


def test_the_clock_stops_for_a_partition_that_is_over(house: House) -> None:
    """Spend counts once its week is over. A table that says when its clock stops is not built again as time goes on."""
    house.add("ledger_clock", CLOCK_MODEL)
    house.add("mart_awake_weekly", weekly("", CLOCKED))
    house.add("mart_asleep_weekly", weekly("clock_stops: 1 day\n", CLOCKED))
    house.calls("2026-11-02", "1.00")
    house.calls("2026-11-09", "2.00")

    def now(at: str) -> dict[str, list[str]]:
        target = house.root.whole("ledger_clock")
        rows = f"select timestamptz '{at}' as now_at"
        house.lake.put(house.lake.write([rows_of(house.con, rows)], target, "by hand", "1"), target, "ledger_clock")
        built = house.run("mart_awake_weekly", "mart_asleep_weekly")
        assert house.rows("mart_awake_weekly") == house.rows("mart_asleep_weekly")
        return {name: each.partitions for name, each in built.items()}

    both = ["2026-11-02", "2026-11-09"]
    assert now("2026-11-11 12:00:00+00") == {"mart_awake_weekly": both, "mart_asleep_weekly": both}
    assert now("2026-11-13 12:00:00+00") == {"mart_awake_weekly": both, "mart_asleep_weekly": ["2026-11-09"]}
    assert now("2026-11-20 12:00:00+00") == {"mart_awake_weekly": both, "mart_asleep_weekly": ["2026-11-09"]}
    assert now("2026-12-24 12:00:00+00") == {"mart_awake_weekly": both, "mart_asleep_weekly": []}
    assert [str(row[1]) for row in house.rows("mart_asleep_weekly")] == ["1.00", "2.00"]


@pytest.mark.parametrize(("zone", "weeks"), [("UTC", ["2026-11-09"]), ("America/Lima", ["2026-11-02", "2026-11-09"])])
def test_a_week_of_another_time_zone_has_what_lies_around_it(house: House, zone: str, weeks: list[str]) -> None:
    """E1, E2: Monday's first calls are Sunday's in Lima: of the week before, which has no other."""
    house.root.settings.parent.mkdir(parents=True, exist_ok=True)
    house.root.settings.write_text(f'reporting_time_zone = "{zone}"\n', encoding="utf-8")
    reference.refresh(house.con, house.root, house.lake)
    local = "date_trunc('week', cast(usage_date as timestamptz) at time zone reporting_time_zone)::date"
    query = f"select {local}, sum(spent_usd)::decimal(38,2) from ledger_calls cross join ref_reporting group by 1"
    house.add("mart_spend_weekly", weekly("reads_around: 1 day\n", query))
    house.calls("2026-11-09", "1.00")

    assert house.run()["mart_spend_weekly"].partitions == weeks
    assert [str(row[0]) for row in house.rows("mart_spend_weekly")] == weeks[:1]

    # A Monday that changes is of its own week alone, where no other zone puts its hours into the one before.
    house.calls("2026-11-04", "1.00")
    house.run()
    house.calls("2026-11-09", "5.00")
    assert house.run()["mart_spend_weekly"].partitions == weeks


def test_a_partition_whose_input_is_gone_is_taken_away(house: House) -> None:
    house.add("mart_spend_weekly", weekly())
    house.calls("2026-11-02", "1.00")
    house.calls("2026-11-09", "2.00")
    house.run()

    house.calls("2026-11-09")

    assert house.run()["mart_spend_weekly"].removed == ["2026-11-09"]
    assert len(house.rows("mart_spend_weekly")) == 1


def test_a_changed_query_rebuilds_and_a_changed_sentence_does_not(house: House) -> None:
    house.add("mart_spend_weekly", weekly())
    house.calls("2026-11-02", "1.00")
    house.run()

    house.add("mart_spend_weekly", weekly().replace("Spend by week.", "What each week cost."))
    assert house.run()["mart_spend_weekly"].partitions == []
    house.add("mart_spend_weekly", weekly().replace("sum(spent_usd)", "2 * sum(spent_usd)"))
    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-02"]


def test_only_reference_rows_in_force_in_its_dates_wake_a_partition(house: House) -> None:
    """A tier that holds from the second week on: the first week does not read it."""
    query = """select date_trunc('week', c.usage_date)::date, sum(c.spent_usd)::decimal(38,2) from ledger_calls as c
        cross join (select count(*) from ref_customers) group by 1"""
    house.add("mart_spend_weekly", weekly("", query))
    house.calls("2026-11-02", "1.00")
    house.calls("2026-11-09", "2.00")

    def customers(*rows: tuple[str, date]) -> None:
        frame = pl.DataFrame(
            {
                "customer_id": [row[0] for row in rows],
                "valid_from_date": [row[1] for row in rows],
                "valid_to_date": [None for _ in rows],
            },
            schema={"customer_id": pl.String, "valid_from_date": pl.Date, "valid_to_date": pl.Date},
        )
        reference.write_frame(house.con, house.root, house.lake, "ref_customers", frame, "by hand")

    customers(("c-1", date(2026, 1, 1)))
    house.run()
    customers(("c-1", date(2026, 1, 1)), ("c-2", date(2026, 11, 9)))

    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-09"]


def whole_day(value: datetime | None) -> date:
    """The first whole day after a rate has ended; date.max for one without end."""
    if value is None:
        return date.max
    return value.date() + timedelta(days=value.time() != time())


RATES = st.lists(
    st.tuples(st.sampled_from(["1", "2"]), st.integers(0, 40), st.integers(1, 40), st.booleans()), max_size=4
).map(
    lambda rows: [
        (
            rate,
            datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=6 * start),
            None if is_open else datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=6 * (start + length)),
        )
        for rate, start, length, is_open in rows
    ]
)
SPANS = st.one_of(
    st.just(Span(None, None)),
    st.tuples(st.integers(0, 12), st.integers(1, 12)).map(
        lambda days: Span(date(2026, 11, 1) + timedelta(days[0]), date(2026, 11, 1) + timedelta(days[0] + days[1]))
    ),
)


@given(RATES, RATES, SPANS)
def test_rates_look_the_same_in_a_span_exactly_where_they_are(one: Any, other: Any, span: Span) -> None:
    """A rate counts in a span with what of its beginning and end lies inside it."""

    def seen(rows: Any) -> list[tuple[Any, ...]]:
        first, end = span.first or date.min, span.end or date.max
        return sorted(
            (rate, str(start) if whole_day(start) > first else "", str(stop) if stop and stop.date() < end else "")
            for rate, start, stop in rows
            if start.date() < end and whole_day(stop) > first
        )

    def fingerprint(rows: Any) -> str:
        types = {
            "rate": pl.String,
            "effective_from": pl.Datetime("us", "UTC"),
            "effective_to": pl.Datetime("us", "UTC"),
        }
        return rows_in_force(pl.DataFrame(rows, schema=types, orient="row"))(span)

    assert (fingerprint(one) == fingerprint(other)) == (seen(one) == seen(other))


def test_a_window_leaves_other_partitions_stale(house: House) -> None:
    house.add("mart_spend_weekly", weekly())
    house.calls("2026-11-02", "1.00")
    house.calls("2026-11-09", "2.00")

    built = house.run(window=Span(date(2026, 11, 9), None))

    assert built["mart_spend_weekly"].partitions == ["2026-11-09"]
    assert house.run()["mart_spend_weekly"].partitions == ["2026-11-02"]


def test_the_outlook_follows_what_is_to_be_rebuilt_through_the_tables(house: House) -> None:
    house.add("mart_spend_weekly", weekly())
    house.add(
        "mart_spend_monthly",
        weekly()
        .replace("partition: week", "partition: month")
        .replace("from ledger_calls", "from mart_spend_weekly")
        .replace("date_trunc('week', usage_date)::date", "date_trunc('month', week_start_date)::date"),
    )
    house.calls("2026-10-28", "1.00")
    plans = Planner(
        house.lake, {name: model for name, model in house.models.items() if name != "ledger_calls"}
    ).outlook()

    # The week of 26 October reaches into November.
    assert [str(stale.start) for stale in plans["mart_spend_weekly"].stale] == []

    planner = Planner(house.lake, house.models)
    outlook = {
        name: [str(stale.start) for stale in plan.stale]
        for name, plan in planner.outlook().items()
        if name != "ledger_calls"
    }
    assert outlook == {"mart_spend_weekly": ["2026-10-26"], "mart_spend_monthly": ["2026-10-01", "2026-11-01"]}
    assert stale_weeks([planner.plan(house.models["mart_spend_weekly"])]) == [date(2026, 10, 26)]


def test_days_built_together_have_the_bytes_of_days_built_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    daily = """/*
about: Spend by day.
grain: [usage_date]
partition: day
columns:
  usage_date: DATE; UTC day
  spent_usd: DECIMAL(38,2); spend
*/
select usage_date, sum(spent_usd)::decimal(38,2) as spent_usd from ledger_calls group by usage_date
"""
    house.add("mart_spend_daily", daily)
    house.add("mart_alone_daily", daily)
    for number in range(12):
        house.calls(str(date(2026, 11, 2) + timedelta(days=number)), f"{number}.50", "1.00")

    house.run("mart_spend_daily")
    monkeypatch.setattr(runner, "ROWS_AT_ONCE", 0)
    house.run("mart_alone_daily")

    together, alone = house.lake.parts("mart_spend_daily"), house.lake.parts("mart_alone_daily")
    assert len(together) == 12
    assert [(part.start, part.rows, part.content_hash) for part in together] == [
        (part.start, part.rows, part.content_hash) for part in alone
    ]
    assert [len({part.path for part in parts}) for parts in (together, alone)] == [1, 1]
    one, other = (house.lake.absolute(parts[0]).read_bytes() for parts in (together, alone))
    # The footers name what each was built from, and so the table.
    before_footer = [content[: -8 - int.from_bytes(content[-8:-4], "little")] for content in (one, other)]
    assert before_footer[0] == before_footer[1]


def test_a_query_that_disagrees_with_its_header_names_both_sides(house: House) -> None:
    house.add("mart_spend_weekly", weekly().replace("spent_usd: DECIMAL(38,2); spend", "spent_usd: BIGINT; spend"))
    house.calls("2026-11-02", "1.00")

    with pytest.raises(
        ModelError,
        match=r"(?s)mart_spend_weekly.*spent_usd: header BIGINT, query DECIMAL\(38,2\).*change the one that is wrong",
    ):
        house.run()
    assert house.lake.parts("mart_spend_weekly") == []


def test_a_type_that_only_the_file_loses_is_found(house: House) -> None:
    """DuckDB sums integers to HUGEINT, which Parquet has not: it is written as a decimal."""
    house.add(
        "mart_spend_weekly",
        weekly("", "select date_trunc('week', usage_date)::date, sum(call_id) from ledger_calls group by 1").replace(
            "spent_usd: DECIMAL(38,2)", "spent_usd: HUGEINT"
        ),
    )
    house.calls("2026-11-02", "1.00")

    with pytest.raises(ModelError, match="spent_usd: header HUGEINT, query DECIMAL"):
        house.run()


def test_a_failing_query_leaves_the_last_good_partition(house: House) -> None:
    house.add("mart_spend_weekly", weekly())
    house.calls("2026-11-02", "1.00")
    house.run()
    before = house.rows("mart_spend_weekly")

    house.add(
        "mart_spend_weekly",
        weekly("", "select date_trunc('week', usage_date)::date, error('no')::decimal(38,2) from ledger_calls"),
    )

    with pytest.raises(ModelError, match="the query fails for 2026-11-02"):
        house.run()
    assert house.rows("mart_spend_weekly") == before
