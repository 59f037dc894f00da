"""What the published tables promise, column by column, written from their headers: the files of ``docs/contracts/``.

The same text lies beside the data as ``schema.json``. A name, a type, a unit or a meaning that changes is a line that changes there,
and a test fails until somebody has looked at it (docs/bi.md says what may change within a version).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipelines import exports
from pipelines.contract import Column
from pipelines.lake import replace_text
from pipelines.models import Model, models, star
from pipelines.paths import DataRoot

# What ends a name, and what the column is then counted in. The first that fits.
_UNITS = (
    ("_usd_per_mtok", "USD per million tokens"),
    ("_usd", "USD"),
    ("_billing_currency", "billing_currency"),
    ("_tokens", "tokens"),
    ("_share", "fraction, 0 to 1"),
    ("_rate", "fraction, 0 to 1"),
    ("_coverage", "fraction"),
    ("_ratio", "quotient"),
    ("_date", "UTC day"),
    ("_at", "UTC instant"),
    ("_ms", "milliseconds"),
    ("_s", "seconds"),
)
_QUOTIENTS = ("_share", "_rate", "_ratio", "_coverage", "_usd_per_mtok")


def unit_of(column: Column) -> str:
    """What a column is counted in: units stand in names (CONTRIBUTING.md)."""
    if column.type in ("BOOLEAN", "VARCHAR"):
        return "yes or no" if column.type == "BOOLEAN" else "text"
    for ending, unit in _UNITS:
        if column.name.endswith(ending) and (ending != "_s" or column.type != "BIGINT"):
            return unit
    return "count" if column.type == "BIGINT" else "number" if column.type.startswith(("DECIMAL", "DOUBLE")) else "-"


def additive(table: str, column: Column) -> str:
    """Whether rows may be summed: yes, no, or within what."""
    is_number = column.type == "BIGINT" or column.type.startswith(("DECIMAL", "DOUBLE"))
    if table.startswith("dim_") or not is_number or column.name.endswith(_QUOTIENTS):
        return "no"
    if column.name.endswith("_billing_currency"):
        return "within one billing_currency"
    # Several alerts may be about the same dollars.
    return "no, rows overlap" if table == "fact_alerts" and column.name.endswith("_usd") else "yes"


def contracts() -> Mapping[str, str]:
    """The text of each contract by its dataset and version: ``showback/v1``."""
    showback = models()[exports.TABLE]
    columns = {column.name: column for column in showback.columns}
    spend = [*(columns[name] for name in exports.SHOWBACK_V1), exports.ROW_KEY_COLUMN]
    found = {f"showback/v{exports.SCHEMA_VERSION}": [("showback", showback, spend)]}
    found["star/v1"] = [(name, model, list(model.columns)) for name, model in sorted(star().items())]
    for export in exports.MONTHLY:
        if not export.is_focus:
            tables = [(stem, model, list(model.columns)) for stem, model in export.models.items()]
            found[f"{export.name}/{export.version}"] = tables
    return {name: _text(name, tables) for name, tables in found.items()}


def publish(root: DataRoot) -> list[str]:
    """Put each contract beside the data that it is about; the files written as paths below the data root."""
    written = []
    for name, text in contracts().items():
        path = root.exports / name / "schema.json"
        if path.parent.is_dir() and not (path.is_file() and path.read_text(encoding="utf-8") == text):
            replace_text(path, text)
            written.append(root.relative(path))
    return written


def _text(name: str, tables: Sequence[tuple[str, Model, Sequence[Column]]]) -> str:
    """JSON, a line a column, so that a change shows as the lines that changed."""
    return "\n".join(_lines(name, tables)) + "\n"


def _lines(name: str, tables: Sequence[tuple[str, Model, Sequence[Column]]]) -> Iterator[str]:
    dataset, _, version = name.partition("/")
    yield "{"
    yield f'  "dataset": "{dataset}",'
    yield f'  "schema_version": "{version.removeprefix("v")}",'
    yield '  "tables": ['
    for number, (table, model, columns) in enumerate(tables, 1):
        yield f'    {{"table": "{table}",'
        yield f'     "about": {json.dumps(model.about, ensure_ascii=False)},'
        yield f'     "key": {json.dumps(_key(table, model))},'
        yield '     "columns": ['
        always = {*model.grain, *(n for c in model.checks if c.kind == "not_null" for n in c.columns), "row_key"}
        for place, column in enumerate(columns, 1):
            said = {
                "name": column.name,
                "type": column.type,
                "nullable": column.name not in always,
                "unit": unit_of(column),
                "additive": additive(table, column),
                "description": column.meaning,
            }
            yield f"       {json.dumps(said, ensure_ascii=False)}{',' * (place < len(columns))}"
        yield f"     ]}}{',' * (number < len(tables))}"
    yield "  ]"
    yield "}"


def _key(table: str, model: Model) -> list[str]:
    return ["row_key"] if table == "showback" else list(model.grain)


def main(arguments: Sequence[str]) -> int:
    """``python -m pipelines.export_contract --write docs/contracts``: write a file a contract."""
    if len(arguments) != 2 or arguments[0] != "--write":
        print("usage: python -m pipelines.export_contract --write FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contracts().items():
        (folder / f"{name.replace('/', '_')}.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
