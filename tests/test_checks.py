"""Checks: what breaks them is counted, what great-expectations would let pass is refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines import checks
from pipelines import judge as verdicts
from pipelines.checks import CheckError, CheckResult, count_violations, load, to_table, worst
from pipelines.judge import judge, judge_all
from pipelines.models import Model, parse

WEEKS = ("2026-08-24", "2026-08-31")
WEEK_OF_ROW = "strftime(week_start_date, '%Y-%m-%d')"

HEADER = """\
/*
about: Requests by feature and week.
grain: [week_start_date, feature]
partition: week
columns:
  week_start_date: DATE; Monday of the ISO week, UTC
  feature: VARCHAR; product feature
  requests: BIGINT; calls of the week; null where the source keeps none
  failed_requests: BIGINT; calls that ended in an error
"""
QUERY = "*/\nselect week_start_date, feature, requests, failed_requests from ledger_requests\n"

Row = tuple[str, str | None, int | None, int | None]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Model]:
    """A weekly table with these checks; check_1 is always that its grain is unique."""

    def model(checks: str = "", header: str = HEADER) -> Model:
        path = tmp_path / "sql" / "marts" / "mart_requests_weekly.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = f"checks:\n{textwrap.indent(textwrap.dedent(checks).strip(), '  ')}\n" if checks else ""
        path.write_text(header + lines + QUERY, encoding="utf-8")
        return parse(path, tmp_path / "sql")

    return model


def hold(con: duckdb.DuckDBPyConnection, rows: Sequence[Row], name: str = "mart_requests_weekly") -> None:
    """The rows as the table that is checked."""
    con.execute(
        f"create or replace table {name}"
        " (week_start_date date, feature varchar, requests bigint, failed_requests bigint)"
    )
    for row in rows:
        con.execute(f"insert into {name} values (?, ?, ?, ?)", list(row))


def counted(counts: pl.DataFrame, check_id: str) -> dict[str, int | None]:
    return dict(counts.select("partition", check_id).rows())


def statuses(results: Sequence[CheckResult]) -> dict[tuple[str, str], str]:
    return {(result.partition, result.check): result.status for result in results}


def test_each_kind_of_check_counts_the_rows_that_break_it(con, model):
    table = model(
        """
        - not_null: [feature, requests]
        - between: [requests, 0, 100]
        - one_of: [feature, chat, search]
        - rule: failed_requests <= requests
        - no_rows: select 1 from mart_requests_weekly where failed_requests > 50
        """
    )
    hold(
        con,
        [
            ("2026-08-24", "chat", 10, 1),
            ("2026-08-24", "search", None, 0),  # not_null, and the rule is null
            ("2026-08-24", "serach", 101, 0),  # one_of, between
            ("2026-08-24", "chat", 99, 100),  # unique, the rule, no_rows
        ],
    )

    counts = count_violations(con, table, WEEKS[:1], WEEK_OF_ROW)

    assert counts.rows(named=True) == [
        {
            "partition": "2026-08-24",
            "check_1": 1,  # unique
            "check_2": 1,  # not_null
            "check_3": 1,  # between
            "check_4": 1,  # one_of
            "check_5": 2,  # rule
            "check_6": 1,  # no_rows
        }
    ]
    assert set(counts.dtypes[1:]) == {pl.Int64}


def test_a_null_breaks_a_rule_and_passes_where_the_header_says_so(con, model):
    table = model(
        """
        - rule: requests > 5
        - {rule: requests > 5, null_passes: true}
        """
    )
    hold(con, [("2026-08-24", "chat", None, 0), ("2026-08-24", "search", 6, 0), ("2026-08-24", "draft", 5, 0)])

    [row] = count_violations(con, table, WEEKS[:1], WEEK_OF_ROW).rows(named=True)

    assert (row["check_2"], row["check_3"]) == (2, 1)


def test_a_null_passes_between_and_one_of(con, model):
    table = model(
        """
        - between: [requests, 0, null]
        - one_of: [feature, chat]
        """
    )
    hold(con, [("2026-08-24", None, None, 0)])

    assert worst(check(con, table, WEEKS[:1], WEEK_OF_ROW)) == "passed"


def test_rows_beyond_the_first_of_a_key_are_counted(con, model):
    """Keys with 3 and 2 rows: 2 + 1 = 3 too many."""
    hold(con, [("2026-08-24", feature, 1, 0) for feature in ("chat", "chat", "chat", "search", "search", "draft")])

    assert counted(count_violations(con, model(), WEEKS[:1], WEEK_OF_ROW), "check_1") == {"2026-08-24": 3}


def test_keys_with_the_same_nulls_are_duplicates(con, model):
    hold(con, [("2026-08-24", None, 1, 0), ("2026-08-24", None, 2, 0), ("2026-08-24", "chat", 2, 0)])

    assert counted(count_violations(con, model(), WEEKS[:1], WEEK_OF_ROW), "check_1") == {"2026-08-24": 1}


def test_a_key_may_return_in_another_partition_and_not_in_its_own(con, model):
    """So that a partition has the same count whatever is checked beside it."""
    table = model("- unique: [feature]")
    hold(
        con,
        [
            ("2026-08-24", "chat", 1, 0),
            ("2026-08-31", "chat", 1, 0),
            ("2026-08-31", "search", 1, 0),
            ("2026-08-31", "search", 2, 0),
        ],
    )

    counts = count_violations(con, table, WEEKS, WEEK_OF_ROW)

    assert counted(counts, "check_2") == {"2026-08-24": 0, "2026-08-31": 1}
    assert counted(counts, "check_1") == {"2026-08-24": 0, "2026-08-31": 1}


@pytest.mark.parametrize("names", [("n", "label"), ("surplus", "keys")])
def test_no_column_name_disturbs_the_count_of_duplicates(con, model, names):
    first, second = names
    header = textwrap.dedent(
        f"""\
        /*
        about: Anything.
        grain: [{first}, {second}]
        columns:
          {first}: BIGINT; one half of the key
          {second}: BIGINT; the other half
        """
    )
    con.execute(f"create table mart_requests_weekly as select 1 as {first}, 2 as {second} from range(3)")

    assert counted(count_violations(con, model(header=header), ["all"], None), "check_1") == {"all": 2}


def test_a_partition_without_rows_has_zeros_and_passes(con, model):
    table = model("- rule: requests > 0")
    hold(con, [("2026-08-31", "chat", 0, 0)])

    results = check(con, table, WEEKS, WEEK_OF_ROW)

    assert [(r.partition, r.violations, r.status) for r in results if r.check == "check_2"] == [
        ("2026-08-24", 0, "passed"),
        ("2026-08-31", 1, "failed"),
    ]


@pytest.mark.parametrize(
    "expression", [WEEK_OF_ROW, "week_start_date", "cast(date_trunc('week', week_start_date) as date) -- Monday"]
)
def test_the_partition_of_a_row_may_be_a_text_or_a_date(con, model, expression):
    hold(con, [("2026-08-24", "chat", 0, 0), ("2026-08-31", "chat", 1, 0), ("2026-08-31", "chat", 1, 0)])

    counts = count_violations(con, model("- rule: requests > 0"), WEEKS, expression)

    assert counts.rows() == [("2026-08-24", 0, 1), ("2026-08-31", 1, 0)]


def test_a_table_without_rows_has_a_result_for_each_partition_and_check(con, model):
    hold(con, [])

    results = check(con, model("- rule: requests > 0"), WEEKS, WEEK_OF_ROW)

    assert [(result.partition, result.check, result.violations) for result in results] == [
        (week, id_, 0) for week in WEEKS for id_ in ("check_1", "check_2")
    ]


def test_an_unpartitioned_table_is_one_partition(con, model):
    table = model("- rule: requests > 0", header=HEADER.replace("partition: week\n", ""))
    hold(con, [("2026-08-24", "chat", 1, 0), ("2026-08-31", "chat", -1, 0)])

    results = check(con, table, ["all"], None)

    assert [(result.partition, result.violations) for result in results] == [("all", 0), ("all", 1)]


def test_rows_of_a_partition_that_is_not_expected_are_refused(con, model):
    """They would be dropped from the counts, and so pass."""
    hold(con, [("2026-08-24", "chat", 1, 0), ("2026-08-31", "chat", 1, 0)])

    with pytest.raises(CheckError, match=r"2026-08-31 \(1 row\); expected 2026-08-24"):
        count_violations(con, model("- rule: requests > 0"), WEEKS[:1], WEEK_OF_ROW)


def test_rows_without_a_partition_are_refused_also_without_row_conditions(con, model):
    hold(con, [("2026-08-24", "chat", 1, 0)])
    con.execute("insert into mart_requests_weekly values (null, 'chat', 1, 0)")

    with pytest.raises(CheckError, match="without a partition"):
        count_violations(con, model(), WEEKS[:1], WEEK_OF_ROW)


def test_a_missing_view_is_no_fault_of_the_checks(con, model):
    with pytest.raises(CheckError, match="cannot be told apart by partition: Catalog Error"):
        count_violations(con, model("- rule: requests > 0"), WEEKS, WEEK_OF_ROW)


@pytest.mark.parametrize(
    ("partitions", "partition_sql", "says"),
    [
        ([], WEEK_OF_ROW, "found none"),
        (["2026-08-24", "2026-08-24"], WEEK_OF_ROW, "found 2026-08-24, 2026-08-24"),
        (list(WEEKS), None, "no expression that tells their rows apart"),
    ],
)
def test_partitions_must_be_there_distinct_and_told_apart(con, model, partitions, partition_sql, says):
    hold(con, [])

    with pytest.raises(CheckError, match=says):
        count_violations(con, model(), partitions, partition_sql)


def test_a_check_whose_sql_fails_has_no_count_and_the_others_have_theirs(con, model):
    table = model(
        """
        - rule: no_such_column > 0
        - rule: requests > 0
        - no_rows: select * from no_such_table
        - rule: cast(feature as integer) > 0
        """
    )
    hold(con, [("2026-08-24", "chat", 0, 0), ("2026-08-31", "chat", 1, 0)])

    results = check(con, table, WEEKS, WEEK_OF_ROW)

    assert statuses(results) == {
        ("2026-08-24", "check_1"): "passed",
        ("2026-08-24", "check_2"): "error",
        ("2026-08-24", "check_3"): "failed",
        ("2026-08-24", "check_4"): "error",
        ("2026-08-24", "check_5"): "error",
        ("2026-08-31", "check_1"): "passed",
        ("2026-08-31", "check_2"): "error",
        ("2026-08-31", "check_3"): "passed",
        ("2026-08-31", "check_4"): "error",
        ("2026-08-31", "check_5"): "error",
    }
    messages = {result.check: result.message for result in results}
    assert "no_such_column" in messages["check_2"]
    assert "LINE" not in messages["check_2"]
    assert "no_such_table" in messages["check_4"]
    assert "Could not convert string 'chat'" in messages["check_5"]
    assert {result.violations for result in results if result.status == "error"} == {None}
    assert worst(results) == "failed"


def test_a_condition_may_end_in_a_comment(con, model):
    table = model('- rule: "requests > 0 -- calls, not tokens"')
    hold(con, [("2026-08-24", "chat", 0, 0)])

    assert counted(count_violations(con, table, WEEKS[:1], WEEK_OF_ROW), "check_2") == {"2026-08-24": 1}


def test_a_query_of_exceptions_may_end_in_a_semicolon(con, model):
    table = model('- no_rows: "select 1 from mart_requests_weekly;"')
    hold(con, [("2026-08-24", "chat", 0, 0)])

    assert counted(count_violations(con, table, WEEKS[:1], WEEK_OF_ROW), "check_2") == {"2026-08-24": 1}


def test_a_query_of_exceptions_reads_other_tables_and_names_the_partition(con, model):
    """Two features of the ledger are missing in the second week; those of a week that is not checked are left out."""
    table = model(
        """
        - no_rows: |
            with missing as (
                select week_start_date, feature from ledger_requests
                except
                select week_start_date, feature from mart_requests_weekly
            )
            select week_start_date as partition, feature from missing
        """
    )
    ledger: list[Row] = [("2026-08-24", "chat", 1, 0), ("2026-08-31", "chat", 1, 0), ("2026-08-31", "search", 1, 0)]
    hold(con, [*ledger, ("2026-09-07", "chat", 1, 0)], name="ledger_requests")
    hold(con, ledger[:1])

    counts = count_violations(con, table, WEEKS, WEEK_OF_ROW)

    assert counted(counts, "check_2") == {"2026-08-24": 0, "2026-08-31": 2}


def test_exceptions_without_a_partition_fall_on_the_last_one(con, model):
    table = model("- no_rows: select feature from mart_requests_weekly")
    hold(con, [("2026-08-24", "chat", 1, 0), ("2026-08-24", "search", 1, 0)])

    counts = count_violations(con, table, ["2026-08-31", "2026-08-24"], WEEK_OF_ROW)

    assert counted(counts, "check_2") == {"2026-08-31": 2, "2026-08-24": 0}


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("cast(null as date)", "NULL"),
        ("timestamp '2026-08-24 00:00:00'", "'2026-08-24 00:00:00'"),
        ("date '2026-08-25'", "'2026-08-25'"),
        ("'20260824'", "'20260824'"),
    ],
)
def test_exceptions_of_no_partition_are_an_error_not_a_pass(con, model, expression, shown):
    table = model(f'- no_rows: "select {expression} as partition from mart_requests_weekly"')
    hold(con, [("2026-08-24", "chat", 1, 0)])

    [_, result] = check(con, table, WEEKS[:1], WEEK_OF_ROW)

    assert result.status == "error"
    assert f"its column partition holds {shown}; expected the first day of a week" in result.message


@pytest.mark.parametrize("local", ["checks", "outcomes", "counts", "con", "sql"])
def test_a_missing_table_is_not_taken_for_a_python_variable(con, model, local):
    """DuckDB reads a frame that stands under an unknown name in the calling function."""
    hold(con, [])

    [_, result] = check(con, model(f"- no_rows: select * from {local}"), WEEKS[:1], WEEK_OF_ROW)

    assert result.status == "error"


def check(con: duckdb.DuckDBPyConnection, table: Model, *what: Any) -> list[CheckResult]:
    """Count and judge."""
    return judge(table, count_violations(con, table, *what))


def counts_of(table: Model, *rows: Sequence[Any]) -> pl.DataFrame:
    ids = [entry.id for entry in table.checks]
    schema = {"partition": pl.String, **dict.fromkeys(ids, pl.Int64)}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def test_a_count_that_is_missing_does_not_pass(model):
    """Great-expectations lets a NULL pass; beside it a partition with a count keeps its own verdict."""
    table = model("- rule: requests > 0")

    results = judge(table, counts_of(table, ["2026-08-24", 0, None], ["2026-08-31", 0, 0], ["2026-09-07", 0, 7]))

    assert [(r.status, r.violations) for r in results if r.check == "check_2"] == [
        ("error", None),
        ("passed", 0),
        ("failed", 7),
    ]


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        (lambda counts: counts.clear(), "expected one row of counts per partition, found \\[\\]"),
        (lambda counts: pl.concat([counts, counts]), "expected one row of counts per partition"),
        (lambda counts: counts.with_columns(partition=pl.lit(None, pl.String)), "expected one row of counts"),
        (lambda counts: counts.drop("check_2"), "the counts have no column check_2"),
        (lambda counts: counts.with_columns(check_2=pl.lit(0.5)), "check_2 are not whole numbers"),
        (lambda counts: counts.with_columns(check_2=pl.lit(-1, pl.Int64)), "check_2 are negative"),
    ],
)
def test_counts_that_are_not_whole_are_refused(model, spoilt, says):
    table = model("- rule: requests > 0")

    with pytest.raises(CheckError, match=says):
        judge(table, spoilt(counts_of(table, ["2026-08-24", 0, 0])))


def test_a_table_without_checks_is_refused(con, model):
    """Great-expectations lets an empty suite pass."""
    table = replace(model(), checks=())
    hold(con, [])

    with pytest.raises(CheckError, match="has no check"):
        count_violations(con, table, WEEKS, WEEK_OF_ROW)
    with pytest.raises(CheckError, match="has no check"):
        judge(table, pl.DataFrame({"partition": ["2026-08-24"]}))


def test_no_result_is_no_verdict():
    with pytest.raises(CheckError, match="No check was made"):
        worst([])


def test_results_stand_in_the_order_of_partitions_and_header(con, model):
    """Great-expectations gives them in another order, and check_10 sorts before check_2 as text."""
    table = model("\n".join(f"- rule: requests <> {number}" for number in range(2, 13)))
    hold(con, [("2026-08-31", "chat", 7, 0)])

    results = check(con, table, WEEKS, WEEK_OF_ROW)

    assert [(result.partition, result.check) for result in results] == [
        (week, f"check_{number}") for week in WEEKS for number in range(1, 13)
    ]
    assert [(r.partition, r.check, r.text) for r in results if r.status != "passed"] == [
        ("2026-08-31", "check_7", "requests <> 7")
    ]
    assert [row["check_id"] for row in to_table(results[::-1]).to_pylist()] == [result.check for result in results]


def test_a_failure_says_what_is_broken_and_by_how_much(con, model):
    table = model(
        """
        - {rule: requests > 0, text: every feature was called}
        - {no_rows: select * from mart_requests_weekly, text: nothing is left over}
        """
    )
    hold(con, [("2026-08-24", "chat", 0, 0), ("2026-08-24", "chat", 1, 0)])

    assert [result.message for result in check(con, table, WEEKS[:1], WEEK_OF_ROW)] == [
        "1 row too many: week_start_date, feature repeated",
        "not true in 1 row: every feature was called",
        "2 rows found: nothing is left over",
    ]


@pytest.mark.parametrize(("severity", "verdict"), [("critical", "failed"), ("warning", "warning"), ("info", "warning")])
@pytest.mark.parametrize("rule", ["requests > 0", "no_such_column > 0"])
def test_only_a_critical_check_blocks(con, model, severity, verdict, rule):
    hold(con, [("2026-08-24", "chat", 0, 0)])

    results = check(con, model(f"- {{rule: {rule}, severity: {severity}}}"), WEEKS[:1], WEEK_OF_ROW)

    assert results[1].severity == severity
    assert worst(results) == verdict


def test_a_verdict_against_the_counts_stops_the_run(model, monkeypatch):
    table = model()
    monkeypatch.setattr(verdicts, "_verdicts", lambda frames: {"critical": frozenset()})

    with pytest.raises(CheckError, match="3 violations, and great-expectations says passed"):
        judge(table, counts_of(table, ["2026-08-24", 3]))


def test_a_check_that_great_expectations_cannot_judge_is_an_error(model, monkeypatch):
    """Here it looks, for warnings, at a column that is not there, and answers success: false with an exception."""
    expectation = verdicts._expect_no_violations()

    def of_another_column(**settings: Any) -> Any:
        return expectation(**settings | {"column": "elsewhere"} if settings["severity"] == "warning" else settings)

    monkeypatch.setattr(verdicts, "_expect_no_violations", lambda: of_another_column)
    table = model("- {rule: requests > 0, severity: warning}")

    kept, unjudged = judge(table, counts_of(table, ["2026-08-24", 0, 0]))

    assert kept.status == "passed"
    assert unjudged.status == "error"
    assert "could not judge it" in unjudged.message
    assert "elsewhere" in unjudged.message


def test_a_severity_without_a_verdict_stops_the_run(model, monkeypatch):
    """Here both expectations carry the mark of the first severity."""
    expectation = verdicts._expect_no_violations()
    first = {"description": "", "meta": {"severity": "critical"}}
    monkeypatch.setattr(verdicts, "_expect_no_violations", lambda: lambda **settings: expectation(**settings | first))
    table = model("- {rule: requests > 0, severity: warning}")

    with pytest.raises(CheckError, match=r"checks that are warning, found 1, on critical"):
        judge(table, counts_of(table, ["2026-08-24", 0, 0]))


def test_tables_judged_together_have_the_verdicts_of_tables_judged_alone(model):
    """A partition and a check of one name in two tables are told apart."""
    one = model("- rule: requests > 0")
    other = replace(one, name="mart_other_weekly")
    good, bad = counts_of(one, ["2026-08-24", 0, 0]), counts_of(other, ["2026-08-24", 0, 3])

    together = judge_all([(one, good), (other, bad)])

    assert together == [*judge(one, good), *judge(other, bad)]
    assert [(r.table, r.check) for r in together if r.status != "passed"] == [("mart_other_weekly", "check_2")]


def test_results_are_saved_and_loaded_unchanged_with_the_same_bytes(con, model, tmp_path):
    table = model(
        """
        - rule: no_such_column > 0
        - {rule: requests > 0, severity: warning}
        """
    )
    hold(con, [("2026-08-24", "chat", 0, 0)])
    results = check(con, table, WEEKS, WEEK_OF_ROW)
    # A folder named like a partition must not become a column.
    first, second = (tmp_path / f"week={week}" / "part.parquet" for week in WEEKS)
    for path, ordered in ((first, results), (second, results[::-1])):
        path.parent.mkdir()
        pq.write_table(to_table(ordered), path, compression="zstd")

    assert load(first) == results
    assert {result.checks_version for result in results} == {table.checks_version}
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    schema = con.execute(f"describe from read_parquet('{first}', hive_partitioning = false)").fetchall()
    assert [(row[0], row[1]) for row in schema] == [
        ("table_name", "VARCHAR"),
        ("partition", "VARCHAR"),
        ("check_id", "VARCHAR"),
        ("kind", "VARCHAR"),
        ("check_text", "VARCHAR"),
        ("severity", "VARCHAR"),
        ("violations", "BIGINT"),
        ("status", "VARCHAR"),
        ("message", "VARCHAR"),
        ("checks_version", "VARCHAR"),
        ("fingerprint", "VARCHAR"),
    ]


def test_no_results_give_an_empty_table_with_the_same_types():
    assert (
        to_table([]).schema
        == to_table([CheckResult("t", "all", "check_1", "rule", "x", "info", 0, "passed", "")]).schema
    )


def test_great_expectations_is_imported_late_quietly_and_without_network(model, tmp_path):
    """In a new process without sockets, every warning an error: nothing printed, nothing left behind."""
    table = model("- rule: requests > 0")
    script = f"""
        # ssl makes a class of what is taken away below.
        import os, socket, ssl, sys
        from pathlib import Path
        import polars as pl
        from pipelines.judge import judge
        from pipelines.models import parse
        table = parse(Path({str(table.path)!r}), Path({str(table.path.parents[1])!r}))
        assert "great_expectations" not in sys.modules
        socket.socket = socket.getaddrinfo = None
        judge(table, pl.DataFrame({{"partition": ["2026-08-24"], "check_1": [0], "check_2": [3]}}))
        assert "great_expectations" in sys.modules
        assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
        # Put off until they are used, and whole then.
        assert not {{"altair.vegalite", "scipy.stats._stats_py"}} & set(sys.modules)
        import altair, scipy.stats
        from scipy import stats
        from scipy.stats.distributions import t
        assert altair.Chart.__name__ == "Chart" and altair.__version__
        assert stats.entropy([1, 1]) == scipy.stats.entropy([1, 1]) > 0
    """
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "PYTHONPATH": str(Path(checks.__file__).parents[1]),
        },
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [*home.rglob("*"), *scratch.rglob("*")] == []
