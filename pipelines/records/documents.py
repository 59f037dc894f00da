"""JSON as rows: arrays, documents one after the other, and pages of an API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import duckdb

from pipelines.engine import listed, quoted, quoted_name
from pipelines.records.files import BOM, Readable, head_of

# What an API's page says of those that follow.
CONTINUED = {"has_more": "VARCHAR", "next_page": "VARCHAR"}


def form_of(file: Readable) -> str:
    """``array``, or ``unstructured``: documents one after the other; empty where there are none."""
    first = head_of(file.path, 64).removeprefix(BOM).lstrip()[:1]
    return "" if not first else "array" if first == b"[" else "unstructured"


def options_of(files: Sequence[Readable]) -> str:
    """What the engine has to know of files of one compression to read them."""
    compression = files[0].compression
    largest = max(file.path.stat().st_size for file in files)
    # A compressed file holds more than its size says.
    at_most = max(16 << 20, min(largest * (2 if compression == "none" else 64), 1 << 30))
    return (
        f"compression = '{'uncompressed' if compression == 'none' else compression}', maximum_object_size = {at_most}"
    )


def array_elements(file: Readable) -> str:
    """The elements of one JSON array, or the documents that stand one after the other: ``element`` and ``place``, from 1."""
    form = form_of(file)
    if not form:
        return "select cast(null as json) as element, 0 as place where false"
    return (
        f"select element, row_number() over () as place from read_json({listed([str(file.path)])}, "
        f"columns = {{element: 'JSON'}}, records = false, format = '{form}', {options_of([file])})"
    )


def select_documents(
    files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str], *, in_pages: bool
) -> Iterator[str]:
    """Records of many files at once: arrays, documents one after the other, or the ``data`` of an API's pages."""
    forms: dict[tuple[str, str], list[Readable]] = {}
    for file in files:
        if form := form_of(file):
            forms.setdefault((form, file.compression), []).append(file)
    for (form, _), chosen in forms.items():
        numbers = ", ".join(f"{quoted(str(file.path))}: {file.number}" for file in chosen)
        elements = (
            f"select element, map {{{numbers}}}[filename] as file_no, row_number() over () as place "
            f"from read_json({listed([str(file.path) for file in chosen])}, columns = {{element: 'JSON'}}, records = false, "
            f"format = '{form}', {options_of(chosen)}, filename = true)"
        )
        if in_pages:
            # An answer without data, an error for one, is read as a record, and lacks what a record must have.
            elements = (
                "select element, file_no, row_number() over (order by page_no, nth) as place from ("
                "select file_no, page_no, unnest(parts) as element, generate_subscripts(parts, 1) as nth from ("
                "select file_no, place as page_no, case when json_type(element, '$.data') = 'ARRAY' "
                "then from_json(json_extract(element, '$.data'), '[\"JSON\"]') else [element] end as parts from ("
                f"{elements})))"
            )
        yield _elements("file_no", "place - min(place) over (partition by file_no) + 1", elements, columns, nullable)
    if not forms:
        yield _elements("0", "0", "select cast(null as json) as element where false", columns, nullable)


def create_pages(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], fields: Mapping[str, str]) -> None:
    """The table ``pages``: file_no, page_no and the named fields of each page of an API that was saved to a file.

    A file is one page, a list of pages, or pages one after the other; an answer of another kind has nulls.
    """
    types = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in fields.items())
    names = ", ".join(quoted_name(name) for name in fields)
    pages = []
    for file in files:
        form = form_of(file)
        if not form:
            continue
        pages.append(
            f"select cast({file.number} as integer) as file_no, row_number() over () as page_no, {names} "
            f"from read_json({listed([str(file.path)])}, columns = {{{types}}}, records = true, "
            f"format = '{form}', {options_of([file])})"
        )
    nothing = ", ".join(f"cast(null as {type_}) as {quoted_name(name)}" for name, type_ in fields.items())
    empty = f"select 0 as file_no, 0 as page_no, {nothing} where false"
    con.execute(f"create or replace temp table pages as {' union all '.join(pages) or empty}")


def create_continued(con: duckdb.DuckDBPyConnection) -> None:
    """The table ``continued``: file_no and next_page of each file whose last page says that more follows; '' where it names no page."""
    con.execute(
        "create or replace temp table continued as select file_no, coalesce(next_page, '') as next_page from pages "
        "where coalesce(try_cast(has_more as boolean), next_page is not null) "
        "and page_no = (select max(p.page_no) from pages as p where p.file_no = pages.file_no)"
    )


def elements_of(file: Readable, elements: str, columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    """Records that are JSON values (``element``, ``place``), with the columns of ``create_records``."""
    return _elements(str(file.number), "place", elements, columns, nullable)


def _elements(file_no: str, row: str, elements: str, columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    types = ", ".join(f'{json.dumps(name)}:"{type_}"' for name, type_ in columns.items())
    fields = ", ".join(f"parsed.{quoted_name(name)}" for name in columns)
    has = "".join(f", coalesce(json_exists(element, {quoted('$.' + name)}), false) as has_{name}" for name in nullable)
    return (
        f"select cast({file_no} as integer) as file_no, cast({row} as bigint) as source_row, "
        "case when json_type(element) is distinct from 'OBJECT' "
        "then 'a JSON ' || lower(coalesce(json_type(element), 'null')) || ', expected an object' end as problem, "
        f"{fields}{has} from (select *, from_json(case when json_type(element) = 'OBJECT' then element end, "
        f"{quoted('{' + types + '}')}) as parsed from ({elements}))"
    )
