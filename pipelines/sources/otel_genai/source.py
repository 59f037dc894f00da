"""OpenTelemetry traces with GenAI attributes, as OTLP JSON: lines of a collector's or an SDK's file exporter, or documents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.records import create_records
from pipelines.records.documents import array_elements, elements_of
from pipelines.records.files import Readable, Unreadable, layout_of
from pipelines.sources import Recognised, Source

_FOLDER = Path(__file__).parent
_MACROS = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in ("macros.sql", "objects.sql"))
_RECORDS = (_FOLDER / "records.sql").read_text(encoding="utf-8")
COLUMNS = dict.fromkeys(("resourceSpans", "resourceLogs", "resourceMetrics"), "JSON")

_REQUEST = re.compile(r'(?m)^[\s\[]*\{\s*"(resourceSpans|resourceLogs|resourceMetrics)"\s*:')
_KEY = re.compile(r'"(\w+)"\s*:')
_EXPECTED = (
    "expected OTLP JSON: objects with resourceSpans, one a line or one document, as the file exporters write them"
)


def recognise(name: str, head: bytes) -> Recognised:
    """Export requests, by their first key. Raises Unreadable for anything else, an error answer included."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    if text.strip() in ("", "[]"):
        return Recognised("empty", "document" if text.strip() else "jsonl")
    layout = layout_of(head)
    if layout in ("parquet", "csv"):
        raise Unreadable(f"a {layout.upper() if layout == 'csv' else 'Parquet'} file, {_EXPECTED}")
    if not _REQUEST.search(text):
        found = ", ".join(dict.fromkeys(_KEY.findall(text[:4096])))
        raise Unreadable(f"records with the fields {found[:200] or 'of no name'}, {_EXPECTED}")
    # Before version 0.19 of the protocol scopes went by another name.
    version = "otlp_json_0" if '"instrumentationLibrarySpans"' in text else "otlp_json_1"
    return Recognised(version, "document" if layout == "json" else layout)


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row a span, an evaluation, a log that counts tokens, or a line that has none of them."""
    con.execute(_MACROS)
    if files[0].layout == "document":
        selects = [elements_of(file, array_elements(file), COLUMNS, ()) for file in files]
        con.execute(f"create or replace temp view otlp_lines as {' union all '.join(selects)}")
    else:
        create_records(con, files, COLUMNS, (), view="otlp_lines")
    # Two shapes read them, and their attributes are many: they are worked out once.
    con.execute(f"create or replace temp table otlp_records as {_RECORDS}")
    con.execute("create or replace temp view records as select * from otlp_records")


SOURCE = Source(
    name="otel_genai",
    folder=_FOLDER,
    about="OpenTelemetry as OTLP JSON: GenAI conventions, OpenInference, OpenLLMetry, MLflow, AI SDK, logs of coding agents.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
)
