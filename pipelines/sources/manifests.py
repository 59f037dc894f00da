"""Manifests of AWS: the list of files that belong to a report (CUR) or an export (Data Exports: CUR 2.0, FOCUS)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from pipelines.landing import account_below
from pipelines.records.files import Readable, Unreadable, head_of, json_of
from pipelines.words import things

if TYPE_CHECKING:
    from pipelines.landing import FileVersion

# The lists of columns in it make it long.
_MANIFEST_BYTES = 16 << 20
_LISTS = ("reportKeys", "dataFiles")
_NAMED = re.compile(rb'"(' + "|".join(_LISTS).encode() + rb')"\s*:\s*\[')
_PACKED = re.compile(r"\.(gz|zip|zst)$")
_MARK = r"(\.pulled-[0-9]{8}T[0-9]{6}Z)?"
_PERIOD = re.compile(
    r"(?:billing_period=|year=)(20\d\d)(?:-|/month=)(\d\d?)(?!\d)|/(20\d\d)(\d\d)01-20\d{4}01/", re.IGNORECASE
)


def is_manifest(name: str, head: bytes) -> bool:
    """Whether a file is a manifest of AWS: a JSON object that lists files, or one that is called so."""
    return head.lstrip()[:1] == b"{" and (_is_called_manifest(name) or _NAMED.search(head) is not None)


def _is_called_manifest(name: str) -> bool:
    return re.search(r"Manifest(\.pulled-[0-9TZ]+)?\.json$", name) is not None


def create_manifests(con: duckdb.DuckDBPyConnection, files: Sequence[Readable]) -> list[Readable]:
    """``manifests``: one row a manifest: its report, the first day of the billing period, and a line for each file that it names.

    Such a line is the file's key in the bucket, a tab and the pattern of its path below ``landing/``. The files that are none
    come back. Raises Unreadable for a manifest that names no file or no period.
    """
    rows, others = [], []
    for file in files:
        if file.layout != "manifest":
            others.append(file)
            continue
        keys, period = _opened(file.path)
        if not keys or period is None:
            raise Unreadable(
                "a manifest that names no files of a billing period, expected reportKeys or dataFiles with their keys"
            )
        named = "\n".join(f"{key}\t{_pattern(key, file.path)}" for key in keys)
        rows.append(
            {"file_no": file.number, "report": report_of(keys[0]), "period_start_date": period, "named_files": named}
        )
    schema = pa.schema(
        [
            ("file_no", pa.int32()),
            ("report", pa.string()),
            ("period_start_date", pa.date32()),
            ("named_files", pa.string()),
        ]
    )
    con.register("manifest_rows", pa.Table.from_pylist(rows, schema))
    con.execute("create or replace temp table manifests as select * from manifest_rows")
    con.unregister("manifest_rows")
    return others


def withheld(files: Sequence[Path], settled: Collection[Path]) -> Mapping[Path, str]:
    """Numbered files of a report that its manifest does not name: what an earlier, longer refresh left under its path."""
    manifests = [path for path in files if _is_called_manifest(path.name)]
    named: dict[str, list[str]] = defaultdict(list)
    kin: dict[str, list[str]] = defaultdict(list)
    for path in manifests:
        for key in _opened(path)[0]:
            named[_account(path)].append(_pattern(key, path))
            kin[_account(path)].append(_pattern(key, path, any_number=True))
    found: dict[Path, str] = {}
    for account, patterns in kin.items():
        of_kin, of_named = (re.compile("|".join(dict.fromkeys(some))) for some in (patterns, named[account]))
        for path in files:
            name = path.as_posix()
            if _account(path) == account and of_kin.search(name) and not of_named.search(name):
                found[path] = "its manifest does not name it"
    return found


def report_of(key: str) -> str:
    """A report's name: that of its files without their number."""
    return _number(_PACKED.sub("", key.rsplit("/", 1)[-1]))[0]


def _number(name: str) -> tuple[str, str, str]:
    """A file's name before its number, the number, and its ends."""
    match = re.fullmatch(r"(.*?)(-?\d+)?((?:\.\w+)*)", name, re.DOTALL)
    return (match[1], match[2] or "", match[3]) if match else (name, "", "")


def _account(path: Path) -> str:
    inner = path.as_posix().rpartition("/landing/")[2].split("/")
    return account_below(tuple(inner[1:]))


def _pattern(key: str, manifest: Path, *, any_number: bool = False) -> str:
    """The path of a file that lies in the folder of its key, or beside its manifest; packed or not, with the stamp of a pull or not."""
    *folders, name = key.split("/")
    name = _PACKED.sub("", name)
    before, number, after = _number(name)
    stem = re.escape(before) + (r"-?[0-9]+" if any_number and number else re.escape(number))
    ends = "".join(_MARK + re.escape(end) for end in re.findall(r"\.\w+", after))
    # Of a partition by year and month the month alone would name that of each year.
    own = "/".join(folders[-2:] if folders[-1:] and folders[-1].startswith("month=") else folders[-1:])
    places = "|".join(dict.fromkeys(re.escape(place) for place in (own, manifest.parent.name) if place))
    return rf"(^|/)({places})/{stem}{ends}{_MARK}(\.(gz|zip|zst))?{_MARK}$"


def _opened(manifest: Path) -> tuple[list[str], date | None]:
    """The keys that a manifest names and the first day of its billing period; one that cannot be read names nothing."""
    with suppress(OSError):
        return _read(manifest, manifest.stat().st_mtime_ns)
    return [], None


@lru_cache(maxsize=1024)
def _read(manifest: Path, mtime_ns: int) -> tuple[list[str], date | None]:
    content: Any = None
    with suppress(OSError, ValueError):
        content = json_of(head_of(manifest, _MANIFEST_BYTES))
    content = content if isinstance(content, dict) else {}
    keys = [
        re.sub(r"^s3://[^/]+/", "", key)
        for name in _LISTS
        for key in (content.get(name) if isinstance(content.get(name), list) else [])
        if isinstance(key, str) and key
    ]
    period = content.get("billingPeriod")
    start = re.match(r"(20\d\d)-?(\d\d)", str(period.get("start"))) if isinstance(period, dict) else None
    found = start or next((match for key in keys if (match := _PERIOD.search(f"/{key}"))), None)
    if found is None:
        return keys, None
    year, month = (int(part) for part in found.groups() if part is not None)
    return keys, date(year, month, 1)


def remarks(versions: Sequence[FileVersion], data_root: Path) -> list[str]:
    """Manifests none of whose files is there with a line: no bill would miss them."""
    newest: dict[tuple[str, str, date], tuple[FileVersion, list[str]]] = {}
    for version in sorted(versions, key=lambda one: (one.pulled_at, one.path)):
        if version.state == "current" and _is_called_manifest(version.path):
            keys, period = _opened(data_root / version.path)
            if keys and period is not None:
                newest[version.source_account, report_of(keys[0]), period] = version, keys
    files = [(one.source_account, one.path) for one in versions if one.state in ("current", "copy") and one.records]
    found = []
    for (account, _, period), (version, keys) in sorted(newest.items()):
        named = re.compile("|".join(_pattern(key, Path(version.path)) for key in keys))
        if not any(of == account and path != version.path and named.search(path) for of, path in files):
            found.append(
                f"{version.path} names {things(len(keys), 'file')} of {period:%Y-%m}, and none of them is there with a line: copy them"
            )
    return found
