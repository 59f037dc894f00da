"""The rules of the house: what may import what, what names mean, how a SQL file looks, that nothing calls out."""

from __future__ import annotations

import ast
import csv
import re
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from pipelines import paths
from pipelines.books import run
from pipelines.contract import Column, shapes
from pipelines.dictionary import reference_types
from pipelines.engine import connect
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.reference.tables import TABLES
from pipelines.settings import Settings

CHECKOUT = Path(__file__).resolve().parent.parent
MODELS = sorted(models())
SHIPPED = sorted(path.name for path in paths.SHIPPED_DATA.glob("*.csv"))

# One name with two types, on purpose. The ledger keeps the places that a source or a product of a price can have; what
# is spread over days or over owners is counted in units of 0.0000000001, so that parts sum exactly.
TWO_SCALES = {
    "billed_amount": {"DECIMAL(38,12)", "DECIMAL(38,10)"},
    "billed_usd": {"DECIMAL(38,12)", "DECIMAL(38,10)"},
    # Of rows that are booked to the cent, and of effects that sum to a change.
    "delta_usd": {"DECIMAL(38,2)", "DECIMAL(38,6)"},
    "effective_cost_usd": {"DECIMAL(38,15)", "DECIMAL(38,10)"},
    "list_amount": {"DECIMAL(38,12)", "DECIMAL(38,10)"},
    "list_cost_usd": {"DECIMAL(38,15)", "DECIMAL(38,10)"},
    "list_usd": {"DECIMAL(38,12)", "DECIMAL(38,10)"},
}
# One name that means several things, and why that may be. Whoever adds a line here should first look for another name.
SEVERAL_MEANINGS = {
    "billing_currency": "said as a code of a line, and as the currency of an invoice: the same thing",
    "model_raw": "the name of a model as written; ledger_models is about the name itself",
    "quantity": "a meter of usage, a billed quantity, or units of an outcome: quantity_unit says which",
    "reason": "why a record was refused, and why one is not booked",
    "request_key": "made in staged_requests, pointed at elsewhere",
    "source": "a folder of landing/; in ledger_bill_days also period_charges, which is no folder",
    "state": "of a file version (current, copy ...) and of an invoice (provisional, final)",
    "task_id": "of a call, and the key of ledger_tasks",
    "total_tokens": "of a call, and summed over calls",
}
# Columns whose meaning says no more than their name.
BARE_MEANINGS: set[str] = set()
# Names of exports that somebody else has given, or that stand beside those.
OFFICIAL_NAME = re.compile(r"(x_)?[A-Z]")
# A BOOLEAN that is not called is_ or has_.
OTHER_BOOLEANS = {"billed_is_rounded", "counts", "gateway_cache_hit"}
# Tokens that may be a fraction: a bill states thousands, or a rounded number of them.
FRACTIONAL_TOKENS = {"metered_tokens"}
# A rate that may be below 0: a contract may cost more than the list.
SIGNED_RATES = {"effective_savings_rate"}
# Money per token and money that is not in USD are DECIMAL as well, under other endings.
UNITS = {
    "_usd": r"DECIMAL\(\d+,\d+\)",
    "_usd_per_mtok": r"DECIMAL\(\d+,\d+\)",
    "_amount": r"DECIMAL\(\d+,\d+\)",
    "_tokens": "BIGINT",
    "_requests": "BIGINT",
    "_ms": "BIGINT",
    "_at": "TIMESTAMP WITH TIME ZONE",
    "_date": "DATE",
    "_share": r"DECIMAL\(\d+,\d+\)|DOUBLE",
    "_rate": r"DECIMAL\(\d+,\d+\)|DOUBLE",
}
NEVER_ALONE = {"amount", "cost", "count", "date", "price", "tokens", "total", "type", "value"}
NAMES_TO_AVOID = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
# Functions that exist on both engines though sqlglot does not know them, and ours (pipelines/functions.py).
KNOWN_ON_SPARK = {"cardinality", "hash", "map_entries", "map_values", "student_t_quantile", "student_t_two_sided"}
# Wrong or missing on Spark, however they translate.
NOT_ON_SPARK = r"\bquantile_cont\s*\(|\bisodow\b|%G|\blen\s*\(|\blist\s*\([^()]* order by|\bmedian\s*\(\s*distinct"


def columns() -> Iterator[tuple[str, Column]]:
    """Every column of a staged shape or a model, with its table."""
    for shape in shapes().values():
        yield from ((shape.table, column) for column in shape.columns)
    for model in models().values():
        yield from ((model.name, column) for column in model.columns)


@cache
def tracked_files() -> tuple[Path, ...]:
    """What is or would be committed."""
    if not shutil.which("git") or not (CHECKOUT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in names.split("\0") if name and (path := CHECKOUT / name).is_file())


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((CHECKOUT / folder).rglob("*.py"))]


# ---- floors


def imported(path: Path) -> set[str]:
    """Top-level names of all that a file imports, inside functions and by ``import_module`` too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found |= {str(part.value).split(".")[0] for part in node.args if isinstance(part, ast.Constant)}
    return found


def is_dagster(name: str) -> bool:
    return name == "dagster" or name.startswith("dagster_")


def test_pipelines_imports_neither_dagster_nor_assets_but_for_the_command_that_runs():
    """The command line stands above both: ``run`` tells Dagster's instance through ``assets``."""
    above = {"pipelines/cli.py", "pipelines/cli/run.py"}
    wrong = {
        name: sorted(names)
        for path in python_files("pipelines")
        if (name := path.relative_to(CHECKOUT).as_posix()) not in above
        and (
            names := {name for name in imported(path) if is_dagster(name) or name in ("assets", "tests", "benchmarks")}
        )
    }

    assert wrong == {}


def test_only_assets_imports_dagster():
    outside = [path for path in python_files("pipelines", "benchmarks") if any(map(is_dagster, imported(path)))]

    assert outside == []


def modules() -> dict[str, Path]:
    """Our modules by their full names."""
    found = {}
    for path in python_files("pipelines", "assets"):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: Collection[str]) -> set[str]:
    """Which of our modules a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else str(node.module) for name in names}
    return found & set(known)


def test_no_modules_import_each_other():
    """Inside functions and for types alone too: of two that need each other, neither can be read or changed by itself."""
    known = modules()
    left = {name: imports_of(path, known) - {name} for name, path in known.items()}
    while free := {name for name, names in left.items() if not names & left.keys()}:
        left = {name: names for name, names in left.items() if name not in free}

    assert {name: sorted(names & left.keys()) for name, names in left.items()} == {}


def test_no_file_is_too_long_to_be_read_at_once():
    long = {
        path.relative_to(CHECKOUT).as_posix() for path in modules().values() if len(path.read_text().splitlines()) > 500
    }

    assert long == set()


def test_sql_holds_no_code():
    assert {path.suffix for path in paths.SQL.rglob("*") if path.is_file()} == {".sql"}


def test_no_file_and_no_class_hides_behind_an_empty_name():
    """A thing is named for what it does or holds."""
    found = []
    for path in tracked_files():
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        found += [path for part in parts if NAMES_TO_AVOID & set(re.split(r"[_\-.]", part.lower()))]
    for path in python_files("pipelines", "assets", "benchmarks"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                words = set(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r" \1", node.name).lower()))
                found += [f"{path.name}: {node.name}"] * bool(words & (NAMES_TO_AVOID - {"base", "common"}))

    assert found == []


# ---- names, types, meanings


def test_a_column_name_has_one_type():
    types = defaultdict(set)
    for _, column in columns():
        types[column.name].add(column.type)

    assert {name: found for name, found in types.items() if len(found) > 1 and found != TWO_SCALES.get(name)} == {}


def test_a_column_name_means_one_thing():
    """Meanings of one name are held to be of one thing where a word of their first clauses links them."""
    meanings = defaultdict(set)
    for _, column in columns():
        meanings[column.name].add(column.meaning.split(";")[0])
    apart = {name for name, found in meanings.items() if not _are_linked([_words(text) for text in sorted(found)])}

    assert apart <= set(SEVERAL_MEANINGS), {name: sorted(meanings[name]) for name in apart - set(SEVERAL_MEANINGS)}
    assert {name for name in SEVERAL_MEANINGS if len(meanings[name]) < 2} == set()


def test_a_meaning_says_something_that_the_name_does_not():
    bare = {
        column.name
        for _, column in columns()
        if not _words(column.meaning) - {_stem(word) for word in column.name.split("_")}
    }

    assert bare <= BARE_MEANINGS


_FILLERS = set(
    """
a all an and any are as at be been by each first for from had has have his in is it its last no none not null of on one
or own per row rows that the their them there these this to true false was were what when where which who whose with
""".split()
)


def _words(text: str) -> set[str]:
    """The words of a meaning that carry something."""
    return {_stem(word) for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _FILLERS}


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 else word


def _are_linked(texts: list[set[str]]) -> bool:
    """Whether each text shares a word with another, and so on, until all hang together."""
    reached, left = [texts[0]], texts[1:]
    while near := [text for text in left if any(text & other for other in reached)]:
        reached += near
        left = [text for text in left if text not in near]
    return not left


@pytest.mark.parametrize("ending", UNITS)
def test_the_ending_of_a_name_is_its_unit(ending):
    wrong = {
        (table, column.name, column.type)
        for table, column in columns()
        if column.name.endswith(ending)
        and not re.fullmatch(UNITS[ending], column.type)
        and column.name not in FRACTIONAL_TOKENS
    }

    assert wrong == set()


def test_instants_days_and_flags_are_named_as_such():
    """The other way round: a type gives a name its ending."""
    wrong = {
        (table, column.name)
        for table, column in columns()
        if not OFFICIAL_NAME.match(column.name)
        if (column.type == "TIMESTAMP WITH TIME ZONE" and not column.name.endswith("_at"))
        or (column.type == "DATE" and not column.name.endswith("_date"))
        or (column.type == "BOOLEAN") != column.name.startswith(("is_", "has_"))
    }

    assert {name for _, name in wrong} <= OTHER_BOOLEANS, wrong


def test_no_instant_is_without_a_zone_and_no_money_is_a_float():
    for table, column in columns():
        assert column.type not in ("TIMESTAMP", "FLOAT", "REAL"), f"{table}.{column.name}"
        if column.type == "DOUBLE":
            assert not re.search(r"usd|cost|amount|price|currency", column.name), f"{table}.{column.name}"


def test_a_share_or_a_rate_is_checked_to_lie_between_0_and_1():
    for model in models().values():
        bounded = {
            check.columns for check in model.checks if check.kind == "between" and "between 0 and 1" in check.text
        }
        for column in model.columns:
            if column.name.endswith(("_share", "_rate")) and column.name not in SIGNED_RATES:
                assert (column.name,) in bounded, f"{model.name}: add '- between: [{column.name}, 0, 1]' to the checks"


def test_no_column_is_called_by_its_unit_alone():
    assert {(table, column.name) for table, column in columns() if column.name in NEVER_ALONE} == set()


def test_a_week_starts_on_its_monday_by_name():
    weekly = [model for model in models().values() if model.name.endswith("_weekly")]

    assert [model.name for model in weekly if model.types.get("week_start_date") != "DATE"] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_row_says_where_it_comes_from(name):
    """``source_ref`` or ``why``; and the file is a reference table."""
    assert Path(name).stem in TABLES
    with (paths.SHIPPED_DATA / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert rows
    silent = [line for line, row in enumerate(rows, 2) if not (row.get("source_ref") or row.get("why"))]
    assert silent == []


# ---- SQL


def code_of(table: str) -> str:
    """A query without its comments and texts."""
    return re.sub(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", "''", models()[table].query, flags=re.DOTALL)


@pytest.mark.parametrize("table", MODELS)
def test_a_model_is_written_in_the_house_style(table):
    code = code_of(table)

    assert re.findall(r"\b[A-Z]{2,}\b", code) == [], "keywords are lower case"
    assert re.findall(r"\bread_(?:parquet|csv|json\w*)\b|\bcopy\b", code) == [], "a model names tables, not files"
    aliased = re.findall(r"\b(?:from|join) \w+ (\w+)", code)
    allowed = {"as", "where", "group", "order", "on", "using", "qualify", "limit", "union", "select"}
    allowed |= {"inner", "left", "right", "full", "cross", "anti", "semi", "asof", "join"}
    assert [word for word in aliased if word not in allowed] == [], "an alias is given with 'as'"


@pytest.mark.parametrize("path", sorted(paths.SQL.rglob("*.sql")), ids=lambda path: path.stem)
def test_a_sql_file_is_tidy_and_short(path):
    """At most 500 lines: what is longer does several things."""
    text = path.read_text(encoding="utf-8")

    assert "\t" not in text
    assert not re.search(r"[ ]+$", text, re.MULTILINE), "blanks at the end of a line"
    assert text.endswith("\n")
    assert text.count("\n") <= 500


@pytest.mark.parametrize("table", MODELS)
def test_a_model_names_its_columns(table):
    """The last select has no star: what a table holds is read off its end."""
    tree = sqlglot.parse_one(models()[table].query, read="duckdb")

    assert [select.sql() for select in tree.selects if select.is_star] == []


@pytest.mark.parametrize("table", MODELS)
def test_a_model_translates_to_spark(table):
    """Parsed as DuckDB, written as Spark SQL, parsed as that again, with no function that Spark lacks."""
    tree = sqlglot.parse_one(models()[table].query, read="duckdb")

    translated = tree.sql(dialect="spark", unsupported_level=ErrorLevel.RAISE)

    again = sqlglot.parse_one(translated, read="spark")
    unknown = {function.name.lower() for function in again.find_all(exp.Anonymous)}
    assert unknown <= KNOWN_ON_SPARK
    assert re.findall(NOT_ON_SPARK, models()[table].query) == []


# ---- no network, no places


def test_a_run_makes_no_connection(tmp_path, monkeypatch):
    """The whole job over one call: read, priced, checked, published."""

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"a run opened a connection: {arguments[1:]} {named}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    root = DataRoot(tmp_path)
    landed = root.landing / "app_log" / "calls.jsonl"
    landed.parent.mkdir(parents=True)
    landed.write_text(
        '{"id":"1","timestamp":"2026-11-18T12:00:00Z","provider":"openai","api":"openai.chat","model":"gpt-4o-2024-08-06",'
        '"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100},"feature":"search"}\n',
        encoding="utf-8",
    )

    report = run(root, now=datetime(2026, 12, 1, tzinfo=UTC))

    assert not report.is_blocked
    assert "exports/showback/v1/week=2026-11-16/showback.parquet" in report.published
    with duckdb.connect() as con:
        # 1,000 input at $2.50 and 100 output at $10.00 a million.
        costs = con.execute(
            f"select sum(effective_cost_usd) from '{root.table('ledger_costs')}/*/*.parquet'"
        ).fetchall()
        assert [str(cost) for (cost,) in costs] == ["0.003500000000000"]
        for table in TABLES.values():
            found = con.execute(f"describe select * from '{root.whole(table.table)}'").fetchall()
            assert {row[0]: row[1] for row in found} == reference_types(table), table.table


def test_the_engine_fetches_no_extension(tmp_path):
    with connect(Settings(), tmp_path / "scratch") as con:
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert con.execute("select current_setting(?)", [setting]).fetchall() == [(False,)]


def test_no_file_names_a_place():
    """No folder of a machine, no registry, no index: they differ from one machine to the next."""
    folders = r"(?<![\w.<>/])/(?:home|Users|root|work|tmp|mnt|private/var)/[\w.-]+|\b[A-Z]:\\[\w.-]+"
    hosts = "|".join(["py" + r"pi\.(?:org|python)", "python" + "hosted", "anaconda" + r"\.org", "arti" + "factory"])
    hosts += "|" + "|".join(["npm" + r"js\.(?:org|com)", "conda-" + "forge", "--index" + "-url", "--extra" + "-index"])
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if match := re.search(f"{folders}|{hosts}", line):
                found.append(f"{path.relative_to(CHECKOUT).as_posix()}, line {number}: {match[0]}")

    assert found == []
