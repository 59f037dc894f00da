"""What reading SQL files comes to, as an earlier process left it: texts with Jinja written out, headers, the tables that queries read.

All of it takes a second. Each is found by the hash of what it was made of, so that a changed file is read anew. It is kept for the
installation; in a file of the data root where that cannot be written. What is broken, or of another DuckDB, is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from pipelines import kept
from pipelines.lake import replace_text

# What an answer of each kind is to, all by hash: a query, a file with Jinja and all that it may take in, a header.
KINDS = ("inputs", "texts", "headers")
known: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
_KEPT_AS = "catalogue"


def recall(path: Path | None = None) -> Mapping[str, Mapping[str, Any]]:
    """Take in what is kept for the installation, or else in a file; what was found comes back."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    with suppress(OSError, ValueError, KeyError, TypeError):
        files = kept.read(_KEPT_AS, _version())
        text = files[_KEPT_AS] if files else path.read_bytes() if path else b"{}"
        content = json.loads(text)
        if content["version"] == _version():
            found = {kind: dict(content[kind]) for kind in KINDS}
    for kind in KINDS:
        known[kind].update(found[kind])
    return found


def keep(path: Path, found: Mapping[str, Mapping[str, Any]], used: Mapping[str, Iterable[str]]) -> None:
    """Keep what is in use and no more. Nothing is written where that is what was found."""
    due = {kind: {key: known[kind][key] for key in sorted(set(used[kind]))} for kind in KINDS}
    # A header with values that JSON does not know is read each time.
    due["headers"] = {key: header for key, header in due["headers"].items() if _survives(header)}
    if due != found:
        text = json.dumps({"version": _version(), **due}, indent=0)
        if not kept.keep(_KEPT_AS, _version(), {_KEPT_AS: text.encode()}):
            replace_text(path, text)


def _survives(header: object) -> bool:
    with suppress(TypeError, ValueError):
        return bool(json.loads(json.dumps(header)) == header)
    return False


def _version() -> str:
    return f"3 {duckdb.__version__}"
