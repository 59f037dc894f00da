"""What a person is told of an error that they can act on: the thing, the place and the remedy, in place of a traceback."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from pipelines.paths import DataRoot

_REMEDIES = {
    errno.ENOSPC: "the disk is full. Make room, then run the same command again; what was written before is whole.",
    errno.EDQUOT: "the quota of the disk is used up. Make room, then run the same command again.",
    errno.EROFS: "the disk is read-only. Name a data root that can be written with --root.",
    errno.EACCES: "it may not be read or written by this user. Change its permissions, or run as its owner.",
    errno.EPERM: "it may not be changed by this user. Change its permissions, or run as its owner.",
    errno.ENOTDIR: "a file stands where a folder is expected. Move it away, or name another folder.",
    errno.EISDIR: "a folder stands where a file is expected. Move it away.",
    errno.EEXIST: "a file stands where a folder is expected. Move it away.",
}


def for_people(error: Exception, roots: Sequence[DataRoot]) -> str | None:
    """The sentence for a person, or None where the error is a fault of ours."""
    from pipelines.lake import LakeError
    from pipelines.models import ModelError
    from pipelines.settings import SettingsError

    if isinstance(error, (LakeError, ModelError, SettingsError)):
        return str(error)
    if isinstance(error, OSError):
        remedy = _REMEDIES.get(error.errno or 0)
        if remedy and error.filename is not None:
            return f"{error.filename}: {remedy}"
        # Those of ours are sentences; those of libraries say more than we know.
        return f"{error} ({remedy})" if remedy and remedy not in str(error) else str(error)
    return _of_the_engine(error, roots)


def is_interrupt(error: Exception) -> bool:
    """Ctrl-C within a query reaches us as the engine's error."""
    return str(error).startswith(("Query interrupted", "INTERRUPT Error"))


def _of_the_engine(error: Exception, roots: Sequence[DataRoot]) -> str | None:
    import duckdb

    from pipelines.upgrade import RUN_ONCE, lacks_columns
    from pipelines.views import are_of_another_version

    said = str(error)
    if isinstance(error, duckdb.IOException):
        if "No space left" in said:
            return f"{_places(roots)}: {_REMEDIES[errno.ENOSPC]}"
        for root in roots:
            if "not a valid DuckDB database file" in said and str(root.views) in said:
                return f"{root.views} is damaged. Remove it, then 'tokenbooks run': it holds views only, and is written anew."
    if isinstance(error, duckdb.OutOfMemoryException):
        return (
            f"{_places(roots)}: the memory or the disk for temporary files does not suffice. Raise memory_limit in "
            "settings.toml or make room on the disk, then run again."
        )
    if isinstance(error, duckdb.PermissionException) and any(
        root.views.is_file() and are_of_another_version(root) for root in roots
    ):
        return RUN_ONCE
    if any(lacks_columns(root) for root in roots):
        return RUN_ONCE
    return None


def _places(roots: Sequence[DataRoot]) -> str:
    return ", ".join(str(root.path) for root in roots) or "this folder"
