"""Tables that people edit, and settings.toml: each fault is named by file, line and column, and changes no number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import paths, reference
from pipelines.engine import connect
from pipelines.lake import Lake
from pipelines.paths import DataRoot
from pipelines.prices.package_periods import UNITS
from pipelines.reference import files, tables
from pipelines.reference.files import Problem, price_remarks
from pipelines.reference.tables import TABLES
from pipelines.reference.templates import template
from pipelines.settings import TEMPLATE, Settings, SettingsError, load

PRICES = "provider,model_id,unit,per_units,unit_price,currency\n"
FEATURES = "feature,owner_team,valid_from_date,valid_to_date,why\n"


@contextmanager
def opened(root: DataRoot) -> Iterator[tuple[duckdb.DuckDBPyConnection, Lake]]:
    with connect(Settings(threads=1), root.scratch) as con:
        yield con, Lake(root)


def write(root: DataRoot, name: str, content: str | bytes) -> Path:
    path = root.reference / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refresh(root: DataRoot) -> list[str]:
    """Bring the tables up to date; the problems as a person reads them."""
    with opened(root) as (con, lake):
        problems = reference.refresh(con, root, lake)
        assert reference.is_stale(root, lake) == bool(problems)
    return [str(problem) for problem in problems]


def rows(root: DataRoot, table: str) -> list[dict[str, Any]]:
    lake = Lake(root)
    return reference.frame_of(lake, f"ref_{table}").to_dicts()


def read(root: DataRoot, name: str, content: str | bytes) -> tuple[list[dict[str, object]], list[str]]:
    path = write(root, f"{name}.csv", content)
    found, problems = files.read(TABLES[name], path, f"reference/{name}.csv")
    return found, [str(problem) for problem in problems]


# ---- one file
def test_values_have_the_types_of_their_columns(root):
    """Blanks around a cell, comments, blank lines, a byte order mark and Windows line ends are no part of it."""
    content = "# ours\n\nprovider, model_id ,unit,per_units,unit_price,currency,effective_from,why\n , , \n"
    content += 'openai, gpt-9 ,input,1000000,0.25,USD,2026-09-01T02:00:00+02:00,"list, ""page 2"""\n'

    found, problems = read(root, "prices", "\ufeff" + content.replace("\n", "\r\n"))

    assert problems == []
    [row] = found
    assert (row["provider"], row["model_id"], row["per_units"], row["unit_price"]) == (
        "openai",
        "gpt-9",
        1_000_000,
        Decimal("0.25"),
    )
    assert row["effective_from"] == datetime(2026, 9, 1, tzinfo=UTC)
    assert (row["why"], row["reference_line"]) == ('list, "page 2"', 5)


FAULTS = [
    (
        "features",
        FEATURES + "search,cx,1.9.2026,,\n",
        "line 2, column valid_from_date: '1.9.2026', expected a date such as 2026-09-01",
    ),
    (
        "features",
        FEATURES + "search,cx,2026-02-30,,\n",
        "line 2, column valid_from_date: '2026-02-30', expected a date",
    ),
    (
        "features",
        "feature,owner\nsearch,cx\n",
        "line 1, column owner: an unknown column. Known are feature, owner_team, ",
    ),
    ("features", "# a comment\nowner_team\ncx\n", "line 2, column feature: the column is missing"),
    ("features", "feature,feature\na,b\n", "line 1, column feature: a second column of that name"),
    ("features", FEATURES + ",cx,,,\n", "line 2, column feature: blank, expected a value"),
    (
        "features",
        "feature,workload\nsearch,sometimes\n",
        "line 2, column workload: 'sometimes', expected interactive or async",
    ),
    ("features", FEATURES + "search,cx\n", "line 2: 2 cells, expected 5"),
    (
        "features",
        FEATURES + "search,cx,2026-09-01,2026-09-01,\n",
        "line 2: valid_to_date 2026-09-01 is not after valid_from_date 2026-09-01 (ends are exclusive)",
    ),
    (
        "features",
        FEATURES + "search,cx,,,\n# once more\nsearch,api,,,\n",
        "line 4: a second row for feature=search (first in line 2)",
    ),
    ("features", FEATURES + 'search,"cx,,,\n', "line 2: not CSV (unexpected end of data)"),
    ("features", (FEATURES + "caf\xe9,cx,,,\n").encode("latin-1"), "not UTF-8 (invalid continuation byte at byte "),
    (
        "features",
        FEATURES.replace(",", ";") + "search;cx;;;\n",
        "line 1: cells are set apart by semicolons or tabs, expected commas",
    ),
    (
        "attribution_rules",
        "priority,match_field,match_kind,match_value,dimension,dimension_value\nfirst,a,exact,b,team,c\n",
        "line 2, column priority: 'first', expected a whole number",
    ),
    (
        "attribution_rules",
        f"priority,match_field,match_kind,match_value,dimension,dimension_value\n{2**63},a,exact,b,team,c\n",
        f"line 2, column priority: '{2**63}', expected a whole number",
    ),
    (
        "fx_rates",
        'currency,rate_date,fx_rate_to_usd\nEUR,2026-09-01,"1,08"\n',
        "line 2, column fx_rate_to_usd: '1,08', expected a decimal number above 0 such as 1.08",
    ),
    (
        "fx_rates",
        "currency,rate_date,fx_rate_to_usd\nEUR,2026-09-01,NaN\n",
        "line 2, column fx_rate_to_usd: 'NaN', expected a decimal number",
    ),
    (
        "fx_rates",
        "currency,rate_date,fx_rate_to_usd\nEUR,2026-09-01,0.0000000000000001\n",
        "line 2, column fx_rate_to_usd: '0.0000000000000001', expected",
    ),
    (
        "fx_rates",
        "currency,rate_date,fx_rate_to_usd\nEUR,2026-09-01,0\n",
        "line 2, column fx_rate_to_usd: '0', expected a decimal number above 0 such as 1.08",
    ),
    (
        "prices",
        "provider,model_id,unit,per_units,unit_price,currency\na,b,input,1000000,1,yuan\n",
        "line 2, column currency: 'yuan', expected a code of three capitals such as USD",
    ),
    (
        "price_overrides",
        "provider,scope,kind,value\na,project=p,multiplier,0.9\n",
        "line 2, column scope: 'project=p', expected billing_account_id=..., project_id=..., feature=... or customer_id=...",
    ),
    (
        "prices",
        "provider,model_id,unit,per_units,unit_price,currency\na,b,page,1024,1,USD\n",
        "line 2, column per_units: '1024', expected 1 or 1000 or 1000000",
    ),
    (
        "prices",
        "provider,model_id,unit,per_units,unit_price,currency\na,b,page,1,0.0000000001,USD\n",
        "line 2, column unit_price: '0.0000000001', expected a decimal number of 0 or more such as 0.25, with at most nine places",
    ),
    (
        "prices",
        "provider,model_id,unit,per_units,unit_price,currency,effective_from\na,b,page,1,1,USD,soon\n",
        "line 2, column effective_from: 'soon', expected a date or an instant such as 2026-09-01T00:00:00Z",
    ),
    (
        "prices",
        "provider,model_id,unit,per_units,unit_price,currency,effective_from\na,b,page,1,1,USD,0001-01-01T00:00:00+05:00\n",
        "line 2, column effective_from: '0001-01-01",
    ),
    (
        "prices",
        PRICES + "a,b,input,1000000,-2.50,USD\n",
        "line 2, column unit_price: '-2.50', expected a decimal number of 0 or more such as 0.25",
    ),
    (
        "prices",
        PRICES + "a,b,input,1000000,1000000000,USD\n",
        "line 2, column unit_price: '1000000000', expected a decimal number of 0 or more such as 0.25",
    ),
    (
        "prices",
        PRICES + "a,b,inputt,1000000,1,USD\n",
        "line 2, column unit: 'inputt', expected audio_cache_read or audio_in or ",
    ),
    (
        "prices",
        PRICES + "a,b,prompt_tokens,1000000,1,USD\n",
        "line 2, column unit: 'prompt_tokens', expected audio_cache_read or audio_in or ",
    ),
    (
        "price_overrides",
        "provider,unit,kind,value\na,outputs,absolute,1\n",
        "line 2, column unit: 'outputs', expected audio_cache_read or audio_in or ",
    ),
    (
        "price_overrides",
        "provider,kind,value\na,multiplier,-0.9\n",
        "line 2, column value: -0.9, expected a multiplier of 0 or more and less than 10 (0.9 is ten per cent off)",
    ),
    (
        "price_overrides",
        "provider,kind,value\na,multiplier,90\n",
        "line 2, column value: 90, expected a multiplier of 0 or more and less than 10 (0.9 is ten per cent off)",
    ),
    (
        "price_overrides",
        "provider,kind,value\na,multiplier,9.999999999\n",
        "line 2, column value: 9.999999999, expected a multiplier of 0 or more and less than 10",
    ),
    (
        "price_overrides",
        "provider,kind,value\na,uplift,10\n",
        "line 2, column value: 10, expected an uplift of -1 or more and less than 9 (0.1 is ten per cent more)",
    ),
    (
        "price_overrides",
        "provider,kind,value\na,uplift,-1.1\n",
        "line 2, column value: -1.1, expected an uplift of -1 or more and less than 9",
    ),
    (
        "price_overrides",
        "provider,unit,kind,value\na,input,absolute,-1\n",
        "line 2, column value: -1, expected a price of 0 or more and less than 1000000000",
    ),
]


@pytest.mark.parametrize(("name", "content", "problem"), FAULTS, ids=[problem[:50] for *_, problem in FAULTS])
def test_a_fault_is_named_by_file_line_and_column(root, name, content, problem):
    """And only that one."""
    write(root, f"{name}.csv", content)

    [found] = refresh(root)

    assert found.removeprefix(f"reference/{name}.csv").lstrip(",: ").startswith(problem)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prices", PRICES + "a,b,input,1000000,0,USD\na,b,agent_minutes,1,0.02,USD\na,b,web_searches,1000,10,USD\n"),
        ("price_overrides", "provider,kind,value\na,multiplier,0\na,multiplier,9.99\na,uplift,-0.1\na,uplift,8.9\n"),
    ],
)
def test_free_prices_discounts_and_units_of_ones_own_have_no_fault(root, name, content):
    """A unit of one's own is priced by one or by a thousand: ``extra_units`` of a call may name any."""
    write(root, f"{name}.csv", content)

    assert refresh(root) == []


def test_a_contract_with_nobody_and_two_prices_of_one_thing_are_remarked_by_line(root):
    """A seller of one's own in prices.csv is right, a correction (known later) too, and factors add up."""
    known = "provider,model_id,unit,per_units,unit_price,currency,effective_from,known_at\n"
    lines = ["acme,m,input,1000000,1,USD,2026-10-01,", "acme,m,input,1000000,1.00,USD,2026-10-01,"]
    lines += ["acme,m,input,1000000,2,USD,2026-10-01,", "acme,m,input,1000000,3,USD,2026-10-01,2026-11-01"]
    write(root, "prices.csv", known + "\n".join(lines))
    write(
        root,
        "price_overrides.csv",
        "provider,kind,value\nopeani,multiplier,0.9\nacme,multiplier,0.9\nacme,multiplier,0.8\n",
    )

    assert refresh(root) == []
    assert price_remarks(root, {"acme", "openai"}) == [
        "reference/prices.csv, line 4, column unit_price: 2 where line 2 says 1 for the same; the later line is taken.",
        "reference/price_overrides.csv, line 2, column provider: no price or model of provider 'opeani' is known, so the row "
        "changes nothing; nearest: openai.",
    ]


def test_every_unit_of_the_package_and_of_our_rows_is_known():
    ours, problems = files.read(TABLES["prices"], paths.SHIPPED_DATA / "prices.csv", "prices.csv")

    assert problems == []
    assert {unit for unit, _ in UNITS.values()} <= set(tables.UNITS)
    assert {row["unit"] for row in ours} <= set(tables.UNITS)


def test_every_fault_of_a_file_is_named_at_once(root):
    _, problems = read(root, "features", FEATURES + "search,cx,tomorrow,never,\n,cx,,,\nsearch,cx\n")

    assert [problem.split(": ")[0] for problem in problems] == [
        "reference/features.csv, line 2, column valid_from_date",
        "reference/features.csv, line 2, column valid_to_date",
        "reference/features.csv, line 3, column feature",
        "reference/features.csv, line 4",
    ]


RIGHT = {
    "date": "2026-09-01",
    "instant": "2026-09-01",
    "whole": "1000",
    "amount": "0.25",
    "price": "0.25",
    "value": "0.25",
    "unit": "input",
    "rate": "1.08",
    "currency": "USD",
    "scope": "feature=search",
    "text": "a",
}
# Columns that must be after another one; those without a value are as they should be.
ENDS = ("valid_to_date", "effective_to", "period_end_date")


@pytest.mark.parametrize("name", TABLES)
def test_a_wrong_column_is_one_message_with_its_lines_whatever_table_and_column_it_is(root, name):
    """40 rows, the same column wrong in each: the first line, three of the others by number, and that 36 more are alike."""
    table = TABLES[name]
    cells = {field.name: field.allowed[0] if field.allowed else RIGHT[field.kind] for field in table.fields}
    cells |= {end: "2026-10-01" for end in ENDS if end in cells}
    for field in table.fields:
        if field.kind == "text" and not field.allowed and not field.required:
            continue
        wrong = "" if field.required else "inputs" if field.kind == "unit" else "no such thing, to be sure"
        rows = [",".join(cells), *[",".join(f'"{v}"' for v in (cells | {field.name: wrong}).values())] * 40]
        write(root, f"{name}.csv", "\n".join(rows) + "\n")

        _, problems = files.current_frame(root, name)

        [said] = map(str, problems)
        assert said.startswith(f"reference/{name}.csv, line 2, column {field.name}: ")
        assert said.endswith(". The same in 39 further lines: 3, 4, 5 and 36 more")


def test_what_is_wrong_with_the_columns_and_the_cells_of_a_whole_file_is_a_message_for_each_kind(root):
    """Cents after a comma make a cell too many of 40 rows; three unknown columns, two missing ones; two rows of a key, 39 times."""
    for name, content, wanted in (
        (
            "fx_rates",
            "currency,rate_date,fx_rate_to_usd\n" + "EUR,2026-09-01,1,08\n" * 40,
            ["line 2: 4 cells, expected 3. The same in 39 further lines: 3, 4, 5 and 36 more"],
        ),
        (
            "fx_rates",
            "currencies,day,rate_date,rate\n" + "EUR,1,1,1\n" * 40,
            [
                "line 1, columns currencies, day and rate: unknown columns. Known are currency, rate_date, fx_rate_to_usd, why, "
                "source_ref. "
                "currencies may be currency and rate may be fx_rate_to_usd",
                "line 1, columns currency and fx_rate_to_usd: the columns are missing",
            ],
        ),
        (
            "fx_rates",
            "currency,rate_date,fx_rate_to_usd\n" + "EUR,2026-09-01,1.08\n" * 40,
            [
                "line 3: a second row for currency=EUR, rate_date=2026-09-01 (first in line 2). "
                "The same in 38 further lines: 4, 5, 6 and 35 more"
            ],
        ),
        (
            "price_overrides",
            "provider,kind,value,effective_from,effective_to\n" + "openai,multiplier,9.9,2026-09-01,2026-08-01\n" * 3,
            [
                "line 2: effective_to 2026-08-01 00:00:00+00:00 is not after effective_from 2026-09-01 00:00:00+00:00 "
                "(ends are exclusive). The same in 2 further lines: 3, 4"
            ],
        ),
    ):
        write(root, f"{name}.csv", content)

        _, problems = files.current_frame(root, name)

        assert [str(problem).removeprefix(f"reference/{name}.csv, ") for problem in problems] == wanted


@pytest.mark.parametrize("content", ["", "# nothing yet\n", FEATURES, "\ufeff"])
def test_a_file_without_rows_is_an_empty_table(root, content):
    write(root, "features.csv", content)

    assert refresh(root) == []
    assert rows(root, "features") == []


# ---- theirs and ours
@pytest.fixture
def ours(tmp_path, monkeypatch) -> Path:
    """A folder of shipped tables with two tiers."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    content = (
        "provider,model_id,model_tier,valid_from_date\nopenai,gpt-9,budget,\nopenai,gpt-9-pro,frontier,2026-01-01\n"
    )
    (folder / "model_tiers.csv").write_text(content)
    monkeypatch.setattr(paths, "SHIPPED_DATA", folder)
    return folder


def tiers(root: DataRoot) -> list[tuple[str, str, date | None]]:
    return [(row["model_id"], row["model_tier"], row["valid_from_date"]) for row in rows(root, "model_tiers")]


def test_their_row_stands_in_for_ours_of_the_same_key(root, ours):
    """The key is provider, model and the date it is valid from: another date is another row."""
    theirs = "provider,model_id,model_tier,valid_from_date\nopenai,gpt-9,mid,\nopenai,gpt-9-pro,mid,2026-06-01\n"
    write(root, "model_tiers.csv", theirs)

    assert refresh(root) == []
    assert tiers(root) == [
        ("gpt-9-pro", "frontier", date(2026, 1, 1)),
        ("gpt-9", "mid", None),
        ("gpt-9-pro", "mid", date(2026, 6, 1)),
    ]
    assert [row["reference_file"] for row in rows(root, "model_tiers")] == [
        "data/shipped/model_tiers.csv",
        *["reference/model_tiers.csv"] * 2,
    ]


def test_without_their_file_ours_stands_again(root, ours):
    path = write(root, "model_tiers.csv", "provider,model_id,model_tier\nopenai,gpt-9,mid\n")
    refresh(root)
    path.unlink()

    assert refresh(root) == []
    assert [tier for _, tier, _ in tiers(root)] == ["budget", "frontier"]


def test_a_slip_of_the_pen_keeps_the_last_good_table(root, ours):
    """It is reported with every run until it is mended."""
    write(root, "model_tiers.csv", "provider,model_id,model_tier\nopenai,gpt-9,mid\n")
    refresh(root)
    before = tiers(root)
    write(root, "model_tiers.csv", "provider,model_id,model_tier\nopenai,gpt-9,middling\n")

    first, second = refresh(root), refresh(root)

    assert (
        first
        == second
        == ["reference/model_tiers.csv, line 2, column model_tier: 'middling', expected budget or mid or frontier"]
    )
    assert tiers(root) == before
    write(root, "model_tiers.csv", "provider,model_id,model_tier\nopenai,gpt-9,frontier\n")
    assert refresh(root) == []
    assert [tier for _, tier, _ in tiers(root)] == ["frontier", "frontier"]


def test_a_table_with_a_fault_from_the_start_holds_ours(root, ours):
    write(root, "model_tiers.csv", "provider,model_id,model_tier\nopenai,gpt-9,middling\n")

    assert len(refresh(root)) == len(refresh(root)) == 1
    assert [tier for _, tier, _ in tiers(root)] == ["budget", "frontier"]


def test_a_fault_in_one_table_stops_no_other(root):
    write(root, "features.csv", "feature\nsearch,cx\n")
    write(root, "customers.csv", "customer_id,customer_tier\nc-1,gold\n")

    [problem] = refresh(root)

    assert problem == "reference/features.csv, line 2: 2 cells, expected 1" or problem.startswith(
        "reference/features.csv"
    )
    assert [row["customer_tier"] for row in rows(root, "customers")] == ["gold"]


@pytest.mark.parametrize("name", ["feature.csv", "Features.csv", "features.CSV", "features (1).csv"])
def test_a_file_of_no_table_is_named(root, name):
    """It would be ignored in silence, and its owner would wonder."""
    write(root, name, FEATURES + "search,cx,,,\n")

    [problem] = refresh(root)

    assert problem.startswith(
        f"reference/{name}: no such table. Known are accounts, alert_channels, allocation_rules, "
    )


@pytest.mark.parametrize("name", ["features.csv", "prices.CSV", "mine.csv"])
def test_a_folder_in_the_place_of_a_table_is_named(root, name):
    """As a file it would be read; as a folder its rows would be passed over in silence."""
    (root.reference / name).mkdir(parents=True)
    (root.reference / name / "part-1.csv").write_text(FEATURES, encoding="utf-8")

    assert refresh(root) == [
        f"reference/{name}: a folder, expected a file. Move it away, or put the table in its place"
    ]
    with opened(root) as (_, lake):
        assert reference.is_stale(root, lake)


def test_a_folder_in_the_place_of_the_settings_is_named(root):
    root.settings.mkdir(parents=True)

    with pytest.raises(SettingsError, match=r"settings\.toml: a folder, expected a file"):
        load(root.settings)


def test_other_files_beside_the_tables_are_left_alone(root):
    for name in ("README.md", ".DS_Store", "old/features.csv"):
        write(root, name, "text")

    assert refresh(root) == []


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_template_of_a_table_is_an_empty_table(root, name):
    assert read(root, name, template(TABLES[name])) == ([], [])


def test_the_example_of_every_template_is_a_row_that_its_table_takes(root):
    """Without its mark of a comment and below the header, each is one row without a fault."""
    for name, table in TABLES.items():
        [shown] = [line for line in template(table).splitlines() if line.startswith("# Example: ")]
        row = shown.removeprefix("# Example: ")

        found, problems = read(root, name, f"{template(table)}{row}\n")

        assert (len(found), problems) == (1, []), name


def test_a_problem_reads_like_a_sentence():
    assert str(Problem("reference/a.csv", 3, "b", "text")) == "reference/a.csv, line 3, column b: text"
    assert str(Problem("reference/a.csv", None, "", "text")) == "reference/a.csv: text"


# ---- settings.toml
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("reporting_timezone = 'UTC'", "unknown key 'reporting_timezone'. Known are reporting_time_zone, "),
        ("pseudonym_key = 'x'", "unknown key 'pseudonym_key'. Known are "),
        ("keep_user_ids = 'yes'", "keep_user_ids is 'yes', expected a bool"),
        ("keep_attributes = 'language'", "keep_attributes is 'language', expected a list"),
        ("keep_attributes = [1, 'a']", "keep_attributes is [1, 'a'], expected a list of texts"),
        ("threads = true", "threads is True, expected a int"),
        ("threads = 2.0", "threads is 2.0, expected a int"),
        ("threads = 0", "threads is 0, expected 1 or more"),
        ("memory_limit = 'lots'", "memory_limit is 'lots', expected a size such as '2GB'"),
        ("reporting_time_zone = 'Europe/Bonn'", "reporting_time_zone 'Europe/Bonn' is not a known time zone"),
        ("reporting_time_zone = 'Europe'", "reporting_time_zone 'Europe' is not a known time zone"),
        ("reporting_time_zone = ''", "reporting_time_zone '' is not a known time zone"),
        ("reporting_time_zone = '../UTC'", "reporting_time_zone '../UTC' is not a known time zone"),
        ("pseudonym_key_file = 'none.key'", "pseudonym_key_file 'none.key' does not exist beside it"),
        ("pseudonym_key_file = 'empty.key'", "pseudonym_key_file 'empty.key' is empty or no text"),
        ("pseudonym_key_file = 'bytes.key'", "pseudonym_key_file 'bytes.key' is empty or no text"),
        ("threads = ", "not TOML ("),
        ("threads = 1\nthreads = 2", "not TOML ("),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, content, message):
    (tmp_path / "empty.key").write_text("\n")
    (tmp_path / "bytes.key").write_bytes(b"\xff\xfe")
    (tmp_path / "settings.toml").write_text(content)

    with pytest.raises(SettingsError) as error:
        load(tmp_path / "settings.toml")

    assert str(error.value).startswith(f"settings.toml: {message}")


def test_settings_are_what_the_file_says_and_else_the_defaults(tmp_path):
    (tmp_path / "my.key").write_text(" secret \n")
    content = "reporting_time_zone = 'Europe/Berlin'\npseudonym_key_file = 'my.key'\n"
    content += "keep_attributes = ['a', 'b']\nmemory_limit = '1.5 GiB'\n"
    (tmp_path / "settings.toml").write_text(content, encoding="utf-8-sig")

    found = load(tmp_path / "settings.toml")

    assert found == Settings(
        reporting_time_zone="Europe/Berlin",
        pseudonym_key_file="my.key",
        pseudonym_key="secret",
        keep_attributes=("a", "b"),
        memory_limit="1.5 GiB",
    )
    assert load(tmp_path / "none.toml") == Settings()


def test_the_template_shows_the_defaults(tmp_path):
    """As it stands, and with every line that is commented out made a setting."""
    target = tmp_path / "settings.toml"
    (tmp_path / "pseudonym.key").write_text("tokenbooks")
    target.write_text(TEMPLATE)
    assert load(target) == Settings()

    target.write_text("\n".join(line.removeprefix("# ") if " = " in line else line for line in TEMPLATE.splitlines()))

    found = load(target)
    assert (found.reporting_time_zone, found.keep_user_ids, found.memory_limit) == (
        "UTC",
        False,
        Settings().memory_limit,
    )
