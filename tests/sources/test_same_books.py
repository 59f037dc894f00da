"""The books follow from what was recorded, and not from how it was packed: the examples of all sources, laid down in other ways.

Each way is one data root with all sources. Compared are whole rows of the ledger, but for the columns that say where a row was
read. What a source received (``raw``, ``usage_raw``, ``cost_raw``) is compared as JSON, for its blanks and its order are kept.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines import paths
from pipelines.books import open_books
from pipelines.paths import DataRoot
from pipelines.sources import sources
from tests.sources.landed import read

LEDGER = ("ledger_requests", "ledger_bills", "ledger_usage", "ledger_scores")
TABLES = (
    "ledger_models",
    "ledger_pulls",
    "ledger_bills",
    "ledger_billing_accounts",
    "ledger_superseded_requests",
    "ledger_span_roles",
    "ledger_span_owners",
    "ref_limits",
    "ledger_same_calls",
    "ledger_usage",
    "ledger_usage_votes",
    "ledger_usage_basis",
    "ledger_requests",
    "ledger_superseded_scores",
    "ledger_scores",
    "ledger_record_fates",
    "ledger_files",
)
# Where a row was read.
LINEAGE = {"source_file", "source_file_sha256", "source_row"}
RAW = {"raw", "usage_raw", "cost_raw"}
# Files whose records are parts of a whole by their order: a session, and an export that names its files.
IN_ORDER = ("coding_agents/*", "langfuse/*")
# Bills of clouds come in numbered files that count together. Other reports are one answer, whole as it is.
NUMBERED = ("aws_bedrock/*/cur-*", "azure_openai/*/actual-*", "google_vertex/*/billing-*", "focus/*/*")
WHOLE = (
    "anthropic_usage/*/*",
    "openai_usage/*/*.csv",
    "openai_usage/*/*.json",
    "openrouter/*/*",
    # What two records of a log tell of one call is put together where they lie in one file.
    "azure_openai/*/requestresponse*",
)
Files = dict[str, bytes]


def examples() -> Files:
    """The examples of all sources. One whose rows are as new as their file gets a stamp in its name."""
    return {
        f"{source}/{path.relative_to(paths.SOURCES / source / 'example').as_posix()}".replace(
            "/runs.jsonl", "/runs.pulled-20261120T060000Z.jsonl"
        ): path.read_bytes()
        for source in sources()
        for path in sorted((paths.SOURCES / source / "example").rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with its reference tables and price book, to be copied."""
    root = DataRoot(tmp_path_factory.mktemp("references"))
    with open_books(root) as opened:
        opened.refresh_references()
    return root.path


def books_of(root: DataRoot, files: Files) -> dict[str, list[tuple[Any, ...]]]:
    landed = read(root, files, TABLES)
    assert landed.is_conserved()
    return {table: sorted(map(_comparable, landed.rows(table)), key=repr) for table in LEDGER}


def _comparable(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        (name, json.dumps(json.loads(value), sort_keys=True) if name in RAW and value is not None else value)
        for name, value in row.items()
        if name not in LINEAGE
    )


@pytest.fixture(scope="module")
def as_they_are(tmp_path_factory: pytest.TempPathFactory, references: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Table -> its rows."""
    root = shutil.copytree(references, tmp_path_factory.mktemp("plain") / "books")
    found = books_of(DataRoot(root), examples())
    assert all(found.values())
    return found.__getitem__


def is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(PurePosixPath(name).match(pattern) or name.startswith(pattern.removesuffix("*")) for pattern in patterns)


# ---- ways to lay a file down
def records_of(name: str, content: bytes) -> tuple[str, list[str]] | None:
    """The header and the records of a file of rows, as texts; None for one document."""
    text = content.decode("utf-8").removeprefix("\ufeff")
    if name.endswith(".csv"):
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        return _row(header), [_row(row) for row in rows if row]
    if name.endswith(".jsonl"):
        return "", [line + "\n" for line in text.splitlines() if line.strip()]
    return None


def _row(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def parted(name: str, content: bytes, at: Callable[[int], int]) -> Iterator[tuple[str, bytes]]:
    """A file as two: numbered ones of one delivery, or two of their own in two folders."""
    rows = records_of(name, content)
    if rows is None or is_one_of(name, IN_ORDER + WHOLE):
        yield name, content
        return
    header, records = rows
    cut = at(len(records))
    for number, part in enumerate((records[:cut], records[cut:]), 1):
        path = PurePosixPath(name)
        if is_one_of(name, NUMBERED):
            place = path.with_name(path.name.replace(".pulled-", f"-0000{number}.pulled-"))
        else:
            place = path.parent / f"hour={number}" / path.name
        yield str(place), (header + "".join(part)).encode()


def reordered(name: str, content: bytes, order: Callable[[list[str]], list[str]]) -> bytes:
    rows = records_of(name, content)
    if rows is None or is_one_of(name, IN_ORDER):
        return content
    return (rows[0] + "".join(order(rows[1]))).encode()


def with_columns_turned(name: str, content: bytes) -> bytes:
    """Columns of a table, and fields of a record, from the last to the first."""
    if name.endswith(".csv"):
        rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
        return "".join(_row(row[::-1]) for row in rows).encode()
    return _rewritten(content, lambda value: json.dumps(_turned(value), ensure_ascii=False))


def with_blanks(name: str, content: bytes) -> bytes:
    if name.endswith(".csv"):
        return b"\xef\xbb\xbf" + content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return _rewritten(content, lambda value: json.dumps(value, separators=(" ,  ", " :\t")), end="\r\n")


def _turned(value: Any) -> Any:
    return {key: value[key] for key in reversed(value)} if isinstance(value, dict) else value


def _rewritten(content: bytes, write: Callable[[Any], str], end: str = "\n") -> bytes:
    """One document, or lines; a line that is broken stays as it is."""
    text = content.decode("utf-8")
    try:
        return write(json.loads(text)).encode()
    except ValueError:
        return "".join(_line(line, write) + end for line in text.splitlines()).encode()


def _line(line: str, write: Callable[[Any], str]) -> str:
    try:
        return write(json.loads(line)) if line.strip() else line
    except ValueError:
        return line


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "zstd": zstd,
}


def laid(seed: int) -> Files:
    """The examples, each in a way of its own."""
    files: Files = {}
    dice = random.Random(seed)
    for whole, original in examples().items():
        # Of a bill in parts all are repeated: some alone would be a newer and smaller bill.
        is_parted, is_repeated = dice.random() < 0.6, dice.random() < 0.4 and not whole.startswith("langfuse/")
        for name, piece in parted(whole, original, lambda n: dice.randint(0, n)) if is_parted else [(whole, original)]:
            content = piece
            if dice.random() < 0.6:
                content = reordered(name, content, lambda records: dice.sample(records, len(records)))
            if dice.random() < 0.5:
                content = with_columns_turned(name, content)
            if dice.random() < 0.5:
                content = with_blanks(name, content)
            files[name] = PACKED[dice.choice(list(PACKED))](content)
            # Once more: the same bytes, or the same records in other bytes.
            if is_repeated:
                path = PurePosixPath(name)
                again = files[name] if dice.random() < 0.5 else gzip.compress(piece, 1, mtime=1)
                files[str(path.parent / "again=1" / path.name)] = again
    return dict(dice.sample(list(files.items()), len(files)))


@settings(
    # Forty files are laid down in ways of their own each time; a further seed takes a reading of all sources.
    max_examples=1,
    deadline=None,
    derandomize=True,
    database=None,
    # A seed has no smaller one that would say more.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_the_ledger_is_the_same_however_the_examples_are_laid_down(tmp_path_factory, references, as_they_are, seed):
    """Split, reordered, repeated, packed, with other blanks and line ends, with columns in another order."""
    root = shutil.copytree(references, tmp_path_factory.mktemp("laid") / "books")

    found = books_of(DataRoot(root), laid(seed))

    for table in LEDGER:
        assert found[table] == as_they_are(table), table
