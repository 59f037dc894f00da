"""What BI tools are promised: the contracts of ``docs/contracts/``, held by the files of the golden company."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines import export_contract
from pipelines import star as published_star
from pipelines.engine import connect
from pipelines.export_contract import contracts
from pipelines.lake import Lake
from pipelines.models import star
from pipelines.paths import DataRoot
from pipelines.settings import Settings
from pipelines.views import open_views

CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts"
FACTS = sorted(name for name in star() if name.startswith("fact_"))
# The key of each dimension; other columns of that name in facts lead to it.
KEYS = {name: model.grain[0] for name, model in star().items() if name.startswith("dim_")}


def files(root: DataRoot, dataset: str, table: str) -> list[Path]:
    folder = root.exports / dataset
    return sorted(folder.glob(f"*/{table}.parquet") if "star" not in dataset else folder.glob(f"{table}.parquet"))


def promised() -> list[tuple[str, str, list[str], list[dict[str, Any]]]]:
    found = {path.stem.replace("_v", "/v"): json.loads(path.read_text("utf-8")) for path in CONTRACTS.glob("*.json")}
    return [(name, t["table"], t["key"], t["columns"]) for name, said in sorted(found.items()) for t in said["tables"]]


def test_a_changed_name_type_unit_or_meaning_of_what_is_published_is_a_changed_contract():
    """If this fails, look at docs/bi.md for what may change within a version; then 'make docs'."""
    written = {path.stem.replace("_v", "/v"): path.read_text("utf-8") for path in sorted(CONTRACTS.glob("*.json"))}

    assert written == dict(sorted(contracts().items()))


@pytest.mark.parametrize(("dataset", "table", "key", "columns"), promised(), ids=lambda said: str(said)[:40])
def test_files_keep_the_contract(golden_books, dataset, table, key, columns):
    """Names, order and types; a value where one is promised; the key once; text that repeats in a dictionary; few row groups."""
    found = files(golden_books, dataset, table)
    assert found
    with duckdb.connect() as con:
        rows = f"read_parquet({[str(path) for path in found]}, hive_partitioning = false)"
        described = [(name, type_) for name, type_, *_ in con.execute(f"describe select * from {rows}").fetchall()]
        assert described == [(column["name"], column["type"]) for column in columns]
        for column in columns:
            if not column["nullable"]:
                [(missing,)] = con.execute(f"select count(*) from {rows} where {column['name']} is null").fetchall()
                assert missing == 0, column["name"]
        [(count, keys)] = con.execute(f"select count(*), count(distinct ({', '.join(key)})) from {rows}").fetchall()
        assert count == keys
    for path in found:
        said, read = pq.ParquetFile(path).metadata, pl.read_parquet(path)
        assert said.num_row_groups <= 1
        for place in range(said.num_columns * said.num_row_groups):
            stored = said.row_group(0).column(place)
            values = read[stored.path_in_schema].drop_nulls()
            # Where values repeat, for otherwise no dictionary is smaller.
            if stored.physical_type == "BYTE_ARRAY" and 0 < 6 * values.n_unique() <= len(values):
                assert any("DICTIONARY" in encoding for encoding in stored.encodings), (path, stored.path_in_schema)


def test_the_contract_lies_beside_the_data(golden_books):
    for name, text in contracts().items():
        assert (golden_books.exports / name / "schema.json").read_text("utf-8") == text


@pytest.mark.parametrize("fact", FACTS)
def test_every_key_of_a_fact_has_its_row_in_the_dimension(golden_books, fact):
    """An inner join of all dimensions loses no row and doubles none."""
    folder = golden_books.star_export
    joins = [
        f"inner join '{folder / name}.parquet' as {name} on f.{key} = {name}.{key}"
        for name, key in KEYS.items()
        if key in star()[fact].types
    ]
    assert joins
    with duckdb.connect() as con:
        alone = con.execute(f"select count(*) from '{folder / fact}.parquet'").fetchone()
        joined = con.execute(f"select count(*) from '{folder / fact}.parquet' as f {' '.join(joins)}").fetchone()
    assert alone == joined


def test_sums_and_keys_of_the_star_are_those_of_the_showback(golden_books):
    """To the cent, by week, month and state."""
    spend = f"'{golden_books.star_export / 'fact_spend_weekly'}.parquet'"
    showback = f"'{golden_books.exports}/showback/v1/*/showback.parquet'"
    measured = (
        "sum(invoiced_cost_usd), sum(effective_cost_usd), sum(requests), sum(tasks), count(distinct row_key), count(*)"
    )
    with duckdb.connect() as con:
        ours = con.execute(
            f"select week_start_date, strftime(month_start_date, '%Y-%m'), state, {measured} from {spend} group by all order by all"
        ).fetchall()
        theirs = con.execute(
            f"select week_start_date, billing_month, state, {measured} from {showback} group by all order by all"
        ).fetchall()
        both = con.execute(
            f"select count(*) from {spend} inner join {showback} using (row_key, invoiced_cost_usd)"
        ).fetchone()
    assert ours == theirs
    assert both == (sum(row[-1] for row in ours),)


def test_views_of_the_star_say_what_its_files_say(golden_books):
    with open_views(golden_books) as con:
        for name, model in star().items():
            order = ", ".join(f"{key} nulls last" for key in model.sort_columns)
            seen = con.sql(f"from {name} order by {order}").to_arrow_table()
            assert seen.to_pylist() == pq.read_table(golden_books.star_export / f"{name}.parquet").to_pylist(), name


def test_a_manifest_states_rows_sums_and_hashes_and_a_second_run_writes_nothing(golden_books, tmp_path):
    weeks = sorted((golden_books.exports / "showback" / "v1").glob("week=*"))
    for folder in (*weeks, golden_books.star_export):
        said = json.loads((folder / "manifest.json").read_text("utf-8"))
        for name, expected in said["sha256"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
        for name, table in said.get("tables", {"showback": said}).items():
            read = pl.read_parquet(folder / f"{name}.parquet")
            assert table["rows"] == len(read)
            for column, expected in table.get("sums", {}).items():
                known = read[column].drop_nulls()
                assert (known.sum() if len(known) else None) == (
                    Decimal(expected) if isinstance(expected, str) else expected
                )

    lake = Lake(golden_books)
    with connect(Settings(), tmp_path / "scratch") as con:
        assert published_star.publish(con, golden_books, lake) == []
    assert export_contract.publish(golden_books) == []


def test_arrow_polars_and_duckdb_read_the_same_money(golden_books):
    path = golden_books.star_export / "fact_spend_weekly.parquet"
    with duckdb.connect() as con:
        expected = con.execute(f"select sum(invoiced_cost_usd) from '{path}'").fetchall()[0][0]
    table = pq.read_table(path)

    assert sum(value for value in table["invoiced_cost_usd"].to_pylist() if value is not None) == expected
    assert pl.scan_parquet(path).select(pl.col("invoiced_cost_usd").sum()).collect().item() == expected
    assert str(table.schema.field("week_start_date").type) == "date32[day]"
    assert str(table.schema.field("invoiced_cost_usd").type) == "decimal128(38, 2)"
