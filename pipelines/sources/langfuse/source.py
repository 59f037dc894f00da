"""Langfuse: the blob storage export in both schema versions, the UI export, a trace's download, pages of the API."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from pipelines.records import create_records
from pipelines.records.documents import array_elements, elements_of
from pipelines.records.files import Readable, Unreadable, first_json_of, head_of, json_of, layout_of
from pipelines.sources import Recognised, Source

if TYPE_CHECKING:
    from pipelines.landing import FileVersion

_FOLDER = Path(__file__).parent
_RECORDS = (_FOLDER / "records.sql").read_text(encoding="utf-8")
_MACROS = (_FOLDER / "macros.sql").read_text(encoding="utf-8")
# Of a longer manifest nothing is read.
_MANIFEST_BYTES = 64 << 20
TABLES = ("observations_v2", "observations", "traces", "scores")

# What is read of a record, as the blob export and as UI, download and API write it. Prompts, completions, comments and
# messages are not among them.
_SNAKE = """
id trace_id project_id type name environment timestamp start_time end_time completion_start_time parent_observation_id level
user_id session_id created_at updated_at provided_model_name total_cost usage_pricing_tier_name prompt_name prompt_version
release trace_name observation_id dataset_run_id value source data_type string_value
""".split()
_CAMEL = """
traceId startTime endTime completionStartTime parentObservationId userId sessionId createdAt updatedAt providedModelName model
totalCost usagePricingTierName promptName promptVersion traceName observationId datasetRunId dataType stringValue exportSource
""".split()
_OBJECTS = """
metadata tags model_parameters usage_details cost_details modelParameters usageDetails costDetails providedCostDetails
""".split()
COLUMNS = {**dict.fromkeys([*_SNAKE, *_CAMEL], "VARCHAR"), **dict.fromkeys(_OBJECTS, "JSON")}

_ONLY_V2 = {"is_root_observation", "trace_name", "user_id", "session_id", "tags", "bookmarked", "usage_pricing_tier_id"}
_KEY = re.compile(r'"(\w+)"\s*:')
_EXPECTED = "expected a Langfuse export: observations, traces or scores, a trace's download or a page of its API"


def recognise(name: str, head: bytes) -> Recognised:
    """Any exit of Langfuse, by the fields of its first records. Raises Unreadable for a file of another tool."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if not text.strip():
        return Recognised("empty", "jsonl")
    if name == "DEPRECATION_NOTICE.txt":
        return Recognised("notice", "notice")
    layout = layout_of(head)
    if layout == "parquet":
        known = [*_SNAKE, *_OBJECTS, *_ONLY_V2]
        return Recognised(_version({field for field in known if field.encode() in head}), layout)
    if re.match(r'\{\s*"(trace"\s*:\s*\{|observations"\s*:\s*\[)', text):
        return Recognised("trace_download", "document")
    if re.match(r'\{\s*"(data"\s*:\s*\[|meta"\s*:\s*\{)', text):
        return Recognised("api", "document")
    if layout == "csv":
        return Recognised(_version({cell.strip().strip('"') for cell in text.split("\n", 1)[0].split(",")}), layout)
    fields = _fields_of(text)
    version = "empty" if text.strip() == "[]" else _version(fields)
    return Recognised(version, "array" if layout == "json" or version == "manifest" else layout)


def _fields_of(text: str) -> set[str]:
    """The fields of the first records; of one that is longer than what is there, all names that are."""
    for line in text.split("\n")[:50]:
        with suppress(ValueError):
            record = json_of(line)
            if isinstance(record, list):
                record = record[0] if record else {}
            if isinstance(record, dict) and record:
                return set(record)
    with suppress(ValueError):
        record, _ = first_json_of(text.lstrip("[ \t\r\n"))
        if isinstance(record, dict):
            return set(record)
    return set(_KEY.findall(text))


def _version(fields: Collection[str]) -> str:
    """Raises Unreadable where the fields are of nothing that Langfuse writes."""
    found = set(fields)
    if {"exportSource", "files"} <= found:
        return "manifest"
    if {"id", "startTime"} <= found:
        return "ui"
    if {"id", "start_time"} <= found:
        return "observations_v2" if found & _ONLY_V2 else "observations"
    if {"id", "timestamp"} <= found:
        if found & {"data_type", "dataType"}:
            return "scores"
        if found & {"project_id", "projectId", "user_id", "userId", "session_id", "sessionId", "tags", "bookmarked"}:
            return "traces"
    raise Unreadable(f"records with the fields {', '.join(sorted(found)[:12])[:200] or 'of no name'}, {_EXPECTED}")


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row an observation, a trace, a score or a manifest, whatever exit it came by."""
    con.execute(_MACROS)
    layout = files[0].layout
    if layout in ("document", "notice"):
        selects = [elements_of(file, _parts_of(file), COLUMNS, ()) for file in files]
        con.execute(f"create or replace temp view rows_as_read as {' union all '.join(selects)}")
    else:
        create_records(con, files, COLUMNS, (), view="rows_as_read", repeated_columns="first")
        for file in files:
            _refuse_strangers(con, file)
    # Two shapes read them, and their names are many: they are worked out once.
    con.execute(f"create or replace temp table langfuse_rows as {_RECORDS}")
    con.execute("create or replace temp view records as select * from langfuse_rows")


def _refuse_strangers(con: duckdb.DuckDBPyConnection, file: Readable) -> None:
    if file.layout == "parquet":
        rows = con.execute(
            f"select name from parquet_schema('{str(file.path).replace(chr(39), chr(39) * 2)}')"
        ).fetchall()
        _version({row[0] for row in rows})


def _parts_of(file: Readable) -> str:
    """A download's trace, its observations and scores; a page's data. A notice has none."""
    if file.layout == "notice":
        return "select cast(null as json) as element, 0 as place where false"
    # The trace repeats its observations and scores; they are read once.
    return f"""
        select element, row_number() over (order by document_no, part_no) as place
        from (
            select document_no, unnest(parts) as element, generate_subscripts(parts, 1) as part_no
            from (
                select
                    place as document_no,
                    list_concat(
                        case when json_exists(element, '$.trace') then [json_extract(element, '$.trace')] else [] end,
                        parts_at(element, '$.observations'),
                        parts_at(element, '$.trace.scores'),
                        parts_at(element, '$.data'),
                        case when not json_exists(element, '$.trace') and not json_exists(element, '$.observations')
                            and not json_exists(element, '$.data') then [cast(null as json)] else [] end
                    ) as parts,
                from ({array_elements(file)})
            )
        )"""


def withheld(files: Sequence[Path], settled: Collection[Path]) -> Mapping[Path, str]:
    """Files of an export with manifests that none of them names: a failed attempt may leave some, and its retry others.

    The manifest is written last, so a file without one may still get it. Only manifests that can decide are opened: of a
    file that counted at the last look and has a manifest of its own stamp, none.
    """
    exports: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in files:
        if path.parent.name == "manifests" and path.suffix == ".json":
            exports[path.parent.parent][path.stem] = path
    found: dict[Path, str] = {}
    for path in files:
        manifests = exports.get(path.parent.parent)
        if path.parent.name not in TABLES or not manifests:
            continue
        own = manifests.get(path.name.split(".")[0])
        if own is not None and (path in settled or _names(own, path)):
            continue
        if not any(_names(manifest, path) for manifest in manifests.values()):
            found[path] = "no manifest names it"
    return found


def _names(manifest: Path, path: Path) -> bool:
    return any(_is_entry_of(entry, path.as_posix()) for entry in _opened(manifest)["files"])


def _is_entry_of(entry: Mapping[str, Any], path: str) -> bool:
    folder, name = path.split("/")[-2:]
    return str(entry.get("key", "")).endswith(f"{folder}/{name}")


def _opened(manifest: Path) -> dict[str, Any]:
    """A manifest; one that cannot be read names nothing."""
    content: Any = None
    with suppress(OSError, ValueError):
        content = json_of(head_of(manifest, _MANIFEST_BYTES))
    content = content if isinstance(content, dict) else {}
    files = content.get("files")
    window = content.get("window")
    return {
        "files": [entry for entry in files if isinstance(entry, dict)] if isinstance(files, list) else [],
        "window": window if isinstance(window, dict) else {},
    }


def remarks(versions: Sequence[FileVersion], data_root: Path) -> list[str]:
    """Exports without manifests, holes between windows, files that hold nothing between full ones or less than was written."""
    found: list[str] = []
    exports: dict[str, dict[str, list[FileVersion]]] = defaultdict(lambda: defaultdict(list))
    manifests: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for version in sorted(versions, key=lambda version: version.path):
        *above, folder, _ = version.path.split("/")
        if folder in TABLES and version.state == "current":
            exports["/".join(above)][folder].append(version)
        elif version.schema_version == "manifest":
            manifests["/".join(above)].append(_opened(data_root / version.path))
    for export, tables in exports.items():
        if export not in manifests:
            found.append(
                f"{export}: it has no manifests/, so every file of its tables counts, those of a failed attempt too. "
                "Copy the manifests as well."
            )
        for files in tables.values():
            for before, version, after in zip(files, files[1:], files[2:], strict=False):
                if before.records and after.records and not version.records:
                    found.append(
                        f"{version.path}: it holds no record, and the files before and after it do. Langfuse may have "
                        "overwritten it (langfuse#15617): compare with the API and add what is missing."
                    )
        found += _holes(export, manifests[export])
        found += _short_files(tables, manifests[export])
    return found


def _holes(export: str, manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Stretches of time that no manifest covers. Instants are of one form, so that their texts compare."""
    windows = sorted(
        (str(opened["window"].get("minTimestamp", "")), str(opened["window"].get("maxTimestamp", "")))
        for opened in manifests
        if opened["window"]
    )
    found, covered = [], ""
    for start, end in windows:
        if covered and start > covered:
            found.append(
                f"{export}: no manifest covers {covered} to {start}. Look for the missing files in the bucket."
            )
        covered = max(covered, end)
    return found


def _short_files(tables: Mapping[str, Sequence[FileVersion]], manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Files whose records are not as many as their manifest says; of Parquet it says nothing."""
    counted = {
        "/".join(str(entry.get("key", "")).split("/")[-2:]): entry["rowCount"]
        for opened in manifests
        for entry in opened["files"]
        if isinstance(entry.get("rowCount"), int)
    }
    return [
        f"{version.path}: it holds {version.records} records, its manifest says {counted[name]}. Copy it anew."
        for files in tables.values()
        for version in files
        if (name := "/".join(version.path.split("/")[-2:])) in counted and version.records != counted[name]
    ]


SOURCE = Source(
    name="langfuse",
    folder=_FOLDER,
    about="Traces and scores of Langfuse: blob storage export, UI export, trace download.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
    withheld=withheld,
    remarks=remarks,
    is_known_by_little=True,
)
