"""The command as a person uses it: a whole walk from an empty folder to a Parquet file, and the ways it can go wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from pipelines import cli, upgrade
from pipelines.cli.reports import broken_checks, corrections_in_words
from pipelines.engine import rows_of
from pipelines.models import models
from pipelines.parquet import write_rows
from pipelines.paths import DataRoot

CHECKOUT = Path(__file__).resolve().parents[1]


def in_a_process(*words: str, data: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, from another folder than the checkout."""
    environment = {**os.environ, "TOKENBOOKS_DATA": str(data), "PYTHONPATH": str(CHECKOUT), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=data.parent,
    )


def tokenbooks(*words: str, data: Path) -> subprocess.CompletedProcess[str]:
    """The command's entry point in this process, from another folder than the checkout: importing what it needs takes seconds."""
    printed, said, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(said):
        patch.setenv("TOKENBOOKS_DATA", str(data))
        patch.setenv("NO_COLOR", "1")
        patch.setattr(sys, "argv", ["tokenbooks", *words])
        patch.chdir(data.parent)
        try:
            cli.command_line()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(words, code, printed.getvalue(), said.getvalue())


def calls(feature: str = "answers", model: str = "own-model-1") -> str:
    lines = []
    for number in range(10):
        usage = {"prompt_tokens": 1_000 + number, "completion_tokens": 100, "total_tokens": 1_100 + number}
        lines.append(
            {
                "id": f"c-{number}",
                "timestamp": f"2026-11-{2 + number % 3:02}T09:0{number}:00Z",
                "provider": "openai",
                "api": "openai.chat",
                "model": model,
                "usage": usage,
                "feature": feature,
                "task_id": f"t-{number // 2}",
                "user_id": "someone@example.org",
                "prompt": "a secret question",
            }
        )
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first-time user's data root: ten lines of an own log, an own feature and an own price."""
    data = tmp_path_factory.mktemp("walk") / "books"
    assert in_a_process("init", str(data), data=data).returncode == 0
    (data / "landing" / "app_log" / "mine.jsonl").write_text(calls(), encoding="utf-8")
    with (data / "reference" / "features.csv").open("a", encoding="utf-8") as file:
        file.write("answers,desk,CC-7,answers questions,interactive,,answers,2026-01-01,,\n")
    header = (data / "reference" / "prices.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")
    rows = [
        {
            "provider": "openai",
            "model_id": "own-model-1",
            "unit": unit,
            "per_units": "1000000",
            "unit_price": price,
            "currency": "USD",
        }
        for unit, price in (("input", "2.00"), ("output", "8.00"))
    ]
    with (data / "reference" / "prices.csv").open("a", encoding="utf-8") as file:
        file.writelines(",".join(row.get(name, "") for name in header) + "\n" for row in rows)
    done = in_a_process("run", "--direct", data=data)
    assert done.returncode == 0, done.stdout + done.stderr
    return data


def test_ten_lines_with_an_own_feature_and_price_end_in_a_showback_parquet(walked: Path) -> None:
    """10,045 input tokens at $2 and 1,000 output tokens at $8 a million: 0.02009 + 0.008 = 0.02809, so three cents."""
    files = str(walked / "exports" / "showback" / "v1" / "*" / "showback.parquet")
    query = """select team, cost_centre, sum(effective_cost_usd), sum(invoiced_cost_usd), sum(requests), sum(tasks)
        from read_parquet(?) group by all"""

    rows = duckdb.connect().execute(query, [files]).fetchall()

    assert ("desk", "CC-7", Decimal("0.0280900000"), Decimal("0.03"), 10, 5) in rows


def test_the_manifest_holds_the_hash_of_each_file(walked: Path) -> None:
    import hashlib

    [folder] = (walked / "exports" / "showback" / "v1").glob("week=*")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))

    assert manifest["schema_version"] == "1"
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert (
        manifest["rows"]
        == duckdb.connect()
        .execute("select count(*) from read_parquet(?)", [str(folder / "showback.parquet")])
        .fetchall()[0][0]
    )


def test_no_prompt_and_no_user_id_leaves_the_landing_files(walked: Path) -> None:
    for path in walked.rglob("*"):
        if path.is_file() and "landing" not in path.parts:
            content = path.read_bytes()
            assert b"a secret question" not in content, path
            assert b"someone@example.org" not in content, path


def test_a_process_ends_with_the_code_of_its_command_and_all_that_it_says(tmp_path: Path) -> None:
    """It leaves without a look at what is left in memory, but not before what it printed has gone out."""
    for words, code in ((["--version"], 0), (["statuss"], 2), (["status", "--root", str(tmp_path / "none")], 2)):
        done = in_a_process(*words, data=tmp_path)

        assert (done.returncode, bool(done.stdout), bool(done.stderr)) == (code, code == 0, code != 0)


def test_a_second_run_says_that_nothing_is_new(walked: Path) -> None:
    done = in_a_process("run", data=walked)

    assert done.returncode == 0
    assert "Nothing new: every table is up to date." in done.stdout


def test_a_run_without_work_imports_nothing_that_is_heavy_and_not_needed(walked: Path) -> None:
    code = (
        "import sys\nfrom pipelines import cli\nsys.argv = ['tokenbooks', 'run']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'dagster', 'great_expectations', 'jinja2', 'pandas', 'pyarrow.compute', 'pyarrow.parquet', 'pydantic', 'rich'}\n"
        "heavy |= {'scipy', 'yaml'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "TOKENBOOKS_DATA": str(walked), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert "heavy: []" in done.stdout


def test_a_lake_of_an_earlier_version_is_brought_forward_and_the_run_says_so_once(tmp_path: Path) -> None:
    """It had a folder a day."""
    root = DataRoot(tmp_path / "books")
    target = root.table("staged_scores") / "day=2026-11-02" / "batch.parquet"
    with duckdb.connect() as con:
        write_rows([rows_of(con, "select 1 as a")], target, "batch", "fragment").replace(target)

    said = [json.loads(tokenbooks("run", "--direct", "--json", data=root.path).stdout) for _ in range(2)]

    assert [upgrade.SENTENCE in report["warnings"] for report in said] == [True, False]
    assert list(root.lake.glob("*/day=*")) == []


def test_status_counts_records_by_fate_and_tables_by_freshness(walked: Path) -> None:
    content = json.loads(tokenbooks("status", "--json", data=walked).stdout)

    [source] = content["sources"]
    assert (source["source"], source["records"], source["booked"], source["quarantined"]) == ("app_log", 10, 10, 0)
    assert all(table["stale_partitions"] == 0 for table in content["tables"])
    assert content["unread_files"] == []
    assert content["summary"]["priced_share"] == 1.0


def test_a_table_that_is_not_there_is_answered_with_the_nearest_of_ours(walked: Path) -> None:
    asked = tokenbooks("sql", "from mart_showbck_weekly", data=walked)
    part = tokenbooks("sql", "select 1 from showback", data=walked)
    selected = tokenbooks("run", "--select", "ledger_request", data=walked)

    assert asked.stderr.startswith("No table mart_showbck_weekly. Nearest: mart_showback_weekly")
    assert "pg_" not in asked.stderr
    assert "mart_showback_weekly" in part.stderr
    said = " ".join(selected.stderr.replace("│", " ").split())
    assert "no such table: ledger_request. Nearest: ledger_requests" in said
    assert len(said) < 500


def test_status_tells_newest_day_gaps_and_what_the_last_file_brought(walked: Path) -> None:
    """Ten calls on 2, 3 and 4 November: no day between them is without one."""
    [source] = json.loads(tokenbooks("status", "--json", data=walked).stdout)["sources"]
    said = in_a_process("status", data=walked).stdout

    # That all is fresh is one line, not one a table.
    assert f"Tables       all {len(models())} are fresh, " in said
    assert "ledger_requests" not in said
    assert (source["newest_day"], source["days_without_records"], source["gaps"]) == ("2026-11-04", 0, [])
    last = source["last_file"]
    assert (
        last["path"],
        last["booked"],
        last["first_day"],
        last["last_day"],
        last["records_of_replaced_versions"],
    ) == (
        "landing/app_log/mine.jsonl",
        10,
        "2026-11-02",
        "2026-11-04",
        0,
    )
    assert "last file landing/app_log/mine.jsonl, 10 of 10 records booked (2026-11-02 to 2026-11-04)" in said


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calls of 2 and 9 November and one line that is torn; the file was there before with one call."""
    data = tmp_path_factory.mktemp("refused") / "books"
    path = data / "landing" / "app_log" / "web.jsonl"
    path.parent.mkdir(parents=True)
    first, *others = calls().splitlines(keepends=True)
    path.write_text(first, encoding="utf-8")
    assert tokenbooks("run", "--direct", data=data).returncode == 0
    path.write_text(first + others[0].replace("-11-03", "-11-09") + others[1][:40], encoding="utf-8")
    assert tokenbooks("run", "--direct", data=data).returncode == 0
    return data


def test_what_is_refused_and_what_is_of_no_source_is_said_each_time(refused: Path) -> None:
    stranger = refused / "landing" / "nosuch"
    stranger.mkdir()
    again, status = tokenbooks("run", data=refused), tokenbooks("status", data=refused)
    run_json, status_json = (json.loads(tokenbooks(word, "--json", data=refused).stdout) for word in ("run", "status"))
    stranger.rmdir()

    assert again.returncode == 0
    assert "Nothing new" in again.stdout
    for said in (again.stdout, status.stdout):
        assert "Refused      1 record of 1 file: see 'tokenbooks quarantine list'\n" in said
        assert "landing/nosuch/: no source has that name, so nothing in it is read." in said
    for content in (run_json, status_json):
        assert (content["summary"]["refused_records"], content["summary"]["refused_files"]) == (1, 1)
        assert [text.split(":")[0] for text in content["warnings"]] == ["landing/nosuch/"]


def test_status_tells_a_gap_and_what_a_new_version_replaced(refused: Path) -> None:
    """From 3 to 8 November there are six days."""
    [source] = json.loads(tokenbooks("status", "--json", data=refused).stdout)["sources"]
    said = tokenbooks("status", data=refused).stdout

    assert (source["newest_day"], source["days_without_records"]) == ("2026-11-09", 6)
    assert source["gaps"] == [{"from": "2026-11-03", "to": "2026-11-08"}]
    assert source["last_file"]["records_of_replaced_versions"] == 1
    assert "2 of 3 records booked (2026-11-02 to 2026-11-09), in place of 1 of earlier versions" in said
    assert "6 days without a record, the newest 2026-11-03 to 2026-11-08" in said


def test_what_is_refused_is_listed_and_read_again(refused: Path) -> None:
    [file] = json.loads(tokenbooks("quarantine", "list", "--json", data=refused).stdout)
    said = tokenbooks("quarantine", "list", data=refused).stdout
    again = tokenbooks("quarantine", "retry", "--direct", "--json", data=refused)
    other = tokenbooks("quarantine", "retry", "landing/app_log/other.jsonl", data=refused)

    assert (file["file"], file["records"], file["quarantined"], file["is_there"]) == (
        "landing/app_log/web.jsonl",
        3,
        1,
        True,
    )
    assert file["refusals"] == [{"file": "landing/app_log/web.jsonl", "line": 3, "reason": "not JSON"}]
    assert "landing/app_log/web.jsonl: 1 of 3 records refused\n  line 3: not JSON\n" in said
    assert json.loads(again.stdout) == [
        {"file": "landing/app_log/web.jsonl", "refused_before": 1, "refused_now": 1, "is_there": True}
    ]
    assert "1 of 3 records were refused" in again.stderr
    assert other.returncode == 2
    assert json.loads(tokenbooks("quarantine", "list", "--source", "litellm", "--json", data=refused).stdout) == []


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        ("csv", "requests\n10\n"),
        ("markdown", "| requests |\n| --- |\n| 10 |\n"),
        ("json", '[\n  {\n    "requests": 10\n  }\n]\n'),
    ],
)
def test_sql_answers_in_the_format_asked_for(walked: Path, format_: str, expected: str) -> None:
    done = tokenbooks("sql", "select count(*) as requests from ledger_requests", "--format", format_, data=walked)

    assert done.stdout == expected


def test_sql_keeps_money_exact_in_json(walked: Path) -> None:
    done = tokenbooks("sql", "select sum(list_cost_usd) as usd from ledger_costs", "--format", "json", data=walked)

    assert json.loads(done.stdout) == [{"usd": "0.028090000000000"}]


def test_sql_without_a_query_reads_queries_from_standard_input(walked: Path) -> None:
    done = in_a_process(
        "sql", "--format", "csv", data=walked, stdin="select 1 as a;\nselect nothing;\nselect 2 as b;\n"
    )

    assert done.stdout == "a\n1\nb\n2\n"
    assert "nothing" in done.stderr


def test_the_last_query_on_standard_input_needs_no_semicolon_and_may_fail(walked: Path) -> None:
    done = in_a_process("sql", data=walked, stdin=".tables showback\nselect\n41 as\nnothing from;")

    assert "mart_showback_weekly" in done.stdout.split()
    assert "syntax error" in done.stderr
    assert "Traceback" not in done.stderr


def test_sql_answers_each_of_several_queries_or_says_that_the_format_holds_one(walked: Path) -> None:
    both = tokenbooks("sql", "select 41 as a; select 42 as b", data=walked)
    csv = tokenbooks("sql", "select 41 as a; select 42 as b", "--format", "csv", data=walked)

    assert both.stdout.split() == ["a", "41", "1", "row", "b", "42", "1", "row"]
    assert (csv.returncode, csv.stdout) == (1, "")
    assert "2 queries: csv holds one answer" in csv.stderr


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to 'lake/x.parquet'",
        "create table t as select 1",
        "select * from read_csv('/etc/passwd')",
        "select * from read_parquet('lake/../../../x.parquet')",
        "set enable_external_access = true",
        "install httpfs",
        "attach 'x.duckdb'",
        "load httpfs",
        "explain analyze copy (select 1) to 'lake/x.parquet'",
        "/* a */ explain (analyze) copy (select 1) to 'lake/x.parquet'",
        "set variable data_root = '/etc'",
        "select * from read_text('reference/features.csv')",
        "select * from glob('/etc/*')",
    ],
)
def test_sql_is_read_only_and_locked(walked: Path, query: str) -> None:
    before = sorted(walked.rglob("*"))

    done = tokenbooks("sql", query, data=walked)

    assert done.returncode == 1
    assert done.stderr
    assert sorted(walked.rglob("*")) == before


def test_the_views_work_when_the_data_root_is_moved(walked: Path, tmp_path: Path) -> None:
    import shutil

    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(walked, moved)

    done = tokenbooks("sql", "select count(*) as n from ledger_requests", "--format", "csv", data=moved)
    with duckdb.connect(str(moved / "tokenbooks.duckdb"), read_only=True) as bare:
        bare.execute(f"set variable data_root = '{moved}'")
        said = bare.execute("select count(*) from ledger_costs").fetchall()
    assert tokenbooks("run", "--direct", data=moved).returncode == 0

    assert done.stdout == "n\n10\n"
    assert said == [(10,)]
    with duckdb.connect(str(moved / "tokenbooks.duckdb"), read_only=True) as bare:
        assert bare.execute("select data_root()").fetchall() == [(str(moved),)]


def test_any_tool_opens_the_views_from_any_folder(
    walked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    query = "select count(*) from {}ledger_costs"

    with duckdb.connect(str(walked / "tokenbooks.duckdb"), read_only=True) as opened:
        assert opened.execute(query.format("")).fetchall() == [(10,)]
    with duckdb.connect() as attached:
        attached.execute(f"attach '{walked / 'tokenbooks.duckdb'}' as books (read_only)")
        assert attached.execute(query.format("books.")).fetchall() == [(10,)]


def test_a_view_carries_the_dictionary(walked: Path) -> None:
    query = "select comment from duckdb_columns() where table_name = 'ledger_costs' and column_name = 'list_cost_usd'"
    done = tokenbooks("sql", query, "--format", "json", data=walked)

    assert "list" in json.loads(done.stdout)[0]["comment"]


def test_a_fault_in_a_reference_table_blocks_publishing_and_keeps_the_last_good_exports(
    walked: Path, tmp_path: Path
) -> None:
    import shutil

    data = tmp_path / "books"
    shutil.copytree(walked, data)
    exports = {path: path.read_bytes() for path in (data / "exports").rglob("*") if path.is_file()}
    with (data / "reference" / "features.csv").open("a", encoding="utf-8") as file:
        file.write("late,desk,CC-7,,,,,2026-13-01,,\n")
    (data / "landing" / "app_log" / "more.jsonl").write_text(calls("late").replace('"c-', '"d-'), encoding="utf-8")

    done = tokenbooks("run", "--direct", data=data)

    assert done.returncode == 3
    at = len((data / "reference" / "features.csv").read_text(encoding="utf-8").splitlines())
    assert f"reference/features.csv, line {at}, column valid_from_date: '2026-13-01', expected a date" in done.stdout
    # The last line names the cause and the remedy, and so does the JSON.
    cause = f"a fault in reference/features.csv, line {at}, column valid_from_date: mend reference/features.csv; then run again"
    assert done.stdout.splitlines()[-1] == (
        f"Nothing was published (exit code 3; the exports are those of the last good run): {cause}."
    )
    assert {path: path.read_bytes() for path in (data / "exports").rglob("*") if path.is_file()} == exports
    again = tokenbooks("run", "--direct", "--json", data=data)
    assert again.returncode == 3
    assert json.loads(again.stdout)["cause"] == cause


def test_before_the_first_run_a_question_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty" / "landing").mkdir(parents=True)
    done = in_a_process("sql", "select 1", data=tmp_path / "empty")

    assert done.returncode == 1
    assert "Run 'tokenbooks run' first" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--from", "yesterday"),
        ("run", "--select", "mart_nothing"),
        ("sql", "select 1", "--format", "xml"),
        ("corrections", "--month", "foo"),
        ("corrections", "--month", "2026-9"),
        ("quarantine", "list", "--source", "nosuch"),
        ("nothing",),
    ],
)
def test_wrong_usage_exits_with_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "books").mkdir()
    done = (in_a_process if words == ("nothing",) else tokenbooks)(*words, data=tmp_path / "books")

    assert done.returncode == 2
    assert "There is no data root" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("run", "--direct"), ("status",), ("quarantine", "list"), ("close", "--verify")])
def test_a_data_root_that_is_not_there_is_not_made(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = (in_a_process if words == ("status",) else tokenbooks)(*words, data=tmp_path / "nosuch")

    assert done.returncode == 2
    root = tmp_path / "nosuch"
    assert done.stderr == f"There is no data root at {root}: make one with 'tokenbooks init {root}'.\n"
    assert list(tmp_path.iterdir()) == []


READING = [
    ("status",),
    ("alerts",),
    ("quarantine", "list"),
    ("sql", "select 1"),
    ("explain", "x"),
    ("corrections",),
    ("close", "--verify"),
    ("close", "--due"),
    ("export", "focus"),
]


@pytest.mark.parametrize("words", READING)
def test_a_command_that_reads_makes_nothing_of_a_folder_and_says_what_it_is_not(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "sea.jpg").write_text("blue", encoding="utf-8")

    done = tokenbooks(*words, data=tmp_path / "photos")

    assert done.returncode == 2
    folder = tmp_path / "photos"
    assert done.stderr == (
        f"{folder} is not a data root: it has no landing/, no settings.toml and no lake/. "
        f"Make one with 'tokenbooks init {folder}', or name another with --root.\n"
    )
    assert [path.name for path in folder.iterdir()] == ["sea.jpg"]


@pytest.mark.parametrize("words", READING)
def test_before_the_first_run_a_command_that_reads_leaves_a_data_root_as_it_is(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    books = tmp_path / "books"
    assert tokenbooks("init", str(books), data=books).returncode == 0
    before = sorted(path.relative_to(books) for path in books.rglob("*"))

    done = tokenbooks(*words, data=books)

    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    assert sorted(path.relative_to(books) for path in books.rglob("*")) == before


def test_a_check_that_failed_is_told_as_what_is_not_so() -> None:
    one = {"table": "t", "check": "c", "text": "no day has more", "violations": 1, "message": ""}
    results = [one | {"partition": f"2026-11-0{day}"} for day in range(1, 6)]

    assert broken_checks(results[:1]) == ["t, 2026-11-01: 1 row for which it is not so that no day has more"]
    assert broken_checks(results) == [
        "t, 2026-11-01, 2026-11-02, 2026-11-03 and 2 more: 5 rows for which it is not so that no day has more"
    ]
    assert broken_checks([results[0] | {"violations": None, "message": "no such column"}]) == [
        "t, 2026-11-01: no such column"
    ]


def test_dollars_of_corrections_that_are_unknown_are_not_counted_as_0() -> None:
    assert corrections_in_words(1, Decimal(3), 0) == "1 correction of closed months, +$3.00"
    assert corrections_in_words(3, Decimal("-1.5"), 1) == "3 corrections of closed months, -$1.50, 1 of unknown dollars"
    assert corrections_in_words(1, None, 1) == "1 correction of closed months, 1 of unknown dollars"


def test_every_command_has_help(tmp_path: Path) -> None:
    for command in ("init", "demo", "run", "status", "sql", "quarantine list", "quarantine retry"):
        done = tokenbooks(*command.split(), "--help", data=tmp_path / "books")
        assert done.returncode == 0
        assert "Usage" in done.stdout
