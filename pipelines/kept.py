"""What the installation has worked out before and would work out again, kept beside the bytecode of the package.

A new data root then costs no more than an old one. The key of a thing names all that decides it, so nothing here grows stale.
What is missing, torn or unreadable is made anew; where the folder cannot be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

FOLDER = Path(importlib.util.cache_from_source(__file__)).parent
# Of each name the newest few: reference tables that people edit make a price book a save.
_AT_MOST = 12
_SUFFIX = ".kept"
_HASH_BYTES = 32


def read(name: str, key: str) -> dict[str, bytes] | None:
    """The files that were kept under a name and a key; None where they are not there or not whole."""
    path = _path(name, key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if content[:_HASH_BYTES] != hashlib.sha256(content[_HASH_BYTES:]).digest():
        return None
    with suppress(OSError):
        # What is in use is not the oldest.
        os.utime(path)
    start = content.index(b"\n", _HASH_BYTES) + 1
    files = {}
    for file, size in json.loads(content[_HASH_BYTES:start]).items():
        files[file] = content[start : start + size]
        start += size
    return files


def keep(name: str, key: str, files: Mapping[str, bytes]) -> bool:
    """Keep some files together, whole or not at all. Whether they could be."""
    path = _path(name, key)
    sizes = json.dumps({file: len(content) for file, content in files.items()})
    content = b"".join([sizes.encode() + b"\n", *files.values()])
    # Of this process alone: several may keep the same thing at once.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    with suppress(OSError):
        _forget_oldest(name)
    return True


def _forget_oldest(name: str) -> None:
    found = sorted(FOLDER.glob(f"tokenbooks.{name}.*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
    for path in found[:-_AT_MOST]:
        path.unlink(missing_ok=True)


def _path(name: str, key: str) -> Path:
    return FOLDER / f"tokenbooks.{name}.{hashlib.sha256(key.encode()).hexdigest()[:32]}{_SUFFIX}"
