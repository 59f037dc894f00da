"""What sources of cloud bills share: the columns that a file's first bytes name, and rows without words for nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

import duckdb

from pipelines.records import create_records
from pipelines.records.files import Readable, header_of, json_of, layout_of


def columns_in(head: bytes, known: Iterable[str]) -> set[str]:
    """Names of columns or fields that a file's first bytes show: all of them, or of Parquet those that are ``known``."""
    layout = layout_of(head)
    if layout == "parquet":
        return {name for name in known if _is_named(head, name.encode())}
    text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if layout == "csv":
        return set(header_of(text))
    if layout == "jsonl":
        for line in text.splitlines()[:50]:
            with suppress(ValueError):
                record = json_of(line)
                if isinstance(record, dict):
                    return set(record)
    return {name for name in known if f'"{name}"' in text}


def _is_named(footer: bytes, name: bytes) -> bool:
    """Whether a Parquet footer holds a name as a whole: its length stands before it."""
    return bytes([len(name)]) + name in footer


def short_list(names: Collection[str]) -> str:
    """The first columns of a file that is not known, for a message."""
    return ", ".join(sorted(names)[:12])[:200]


def create_rows(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Readable],
    columns: Sequence[str],
    keep: Sequence[str],
    *,
    renamed: Mapping[str, str] | None = None,
) -> None:
    """The view ``bill_rows``: columns as text without blanks around, null where they say NULL or nothing.

    ``renamed`` gives further spellings of columns, {spelling: column}; the first that has a value counts.
    """
    spellings = renamed or {}
    names = [*columns, *spellings]
    if not files:
        texts = [f'cast(null as varchar) as "{name}"' for name in ("problem", *columns)]
        con.execute(
            "create or replace temp view bill_rows as select cast(null as integer) as file_no, "
            f"cast(null as bigint) as source_row, {', '.join(texts)}, cast(null as json) as further where false"
        )
        return
    create_records(
        con,
        files,
        dict.fromkeys(names, "VARCHAR"),
        (),
        keep,
        view="bill_texts",
        repeated_columns="first",
    )
    texts = []
    for name in columns:
        found = [name, *(spelling for spelling, of in spellings.items() if of == name)]
        cells = ", ".join(f"nullif(nullif(trim(\"{cell}\"), 'NULL'), '')" for cell in found)
        texts.append(f'coalesce({cells}) as "{name}"' if len(found) > 1 else f'{cells} as "{name}"')
    con.execute(
        "create or replace temp view bill_rows as "
        f"select file_no, source_row, problem, {', '.join(texts)}, further from bill_texts"
    )
