"""Where a file belongs that lies in the wrong place, and what it is where it is no export at all."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from pipelines.paths import DataRoot
from pipelines.records.files import STREAM_ERRORS, Unreadable, head_of
from pipelines.sources import recognise, sources
from pipelines.words import listed, nearest

# Of a folder that no source claims so many files are looked at.
_LOOKED_AT = 3
_ZIP, _OLD_EXCEL, _PDF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF"
# Packed with what is not unpacked here, by how it begins.
_OTHERWISE_PACKED = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "rar"}
_TEXTS = (".md", ".rst", ".adoc")


def belongs(path: Path) -> list[str]:
    """The sources that know a file by its first bytes; those that take much for their own only where no other does."""
    found = []
    with suppress(*STREAM_ERRORS, OSError):
        if not head_of(path, 1):
            # A stream that is torn at once tells nothing of who wrote it.
            return []
    for source in sources().values():
        with suppress(Unreadable, *STREAM_ERRORS):
            if recognise(source, path).schema_version != "empty":
                found.append(source)
    return [source.name for source in found if not source.is_known_by_little] or [source.name for source in found]


def looks_like(path: Path) -> str:
    """``" It looks like litellm: move it to landing/litellm/."``, to be put behind what is wrong; empty where nobody knows it."""
    names = belongs(path)
    return f" It looks like {' or '.join(names)}: move it to {_folders(names)}." if names else ""


def may_be(path: Path, but: str) -> str:
    """The same of a file that its source knows and of which it can book no record."""
    names = [name for name in belongs(path) if name != but]
    return f" If it is of {' or '.join(names)}, move it to {_folders(names)}." if names else ""


def _folders(names: Sequence[str]) -> str:
    return " or ".join(f"landing/{name}/" for name in names)


def no_export(path: Path) -> str:
    """What a file is that no source can read whatever it holds, and what to do; empty for others."""
    with suppress(OSError):
        head = head_of(path, 512).lstrip()
        if head.startswith(_ZIP):
            return _packed(path)
        if head.startswith(_OLD_EXCEL):
            return "an Excel workbook; save its sheet as CSV (UTF-8) and put that in its place"
        if head.startswith(_PDF):
            return "a PDF; export CSV or JSON in its place"
        if head[:15].lower().startswith((b"<!doctype html", b"<html")):
            return "a web page, such as a sign-in page saved in place of the export; export it again"
        for begins, packer in _OTHERWISE_PACKED.items():
            if head.startswith(begins):
                return f"packed with {packer}; unpack it, or pack it with gzip or zstd, and put that in its place"
        if path.suffix.lower() in _TEXTS:
            return f"a text for people ({path.suffix}), expected an export; take it out of landing/"
    return ""


def _packed(path: Path) -> str:
    with suppress(zipfile.BadZipFile, OSError):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
        if any(name.startswith("xl/") for name in names):
            return "an Excel workbook; save its sheet as CSV (UTF-8) and put that in its place"
        if names:
            return f"a zip archive with {listed(names, 3)}; unpack it and put the files in its place"
    return "a zip archive that is not whole; copy it again and unpack it"


def stranger(root: DataRoot, name: str) -> str:
    """What is said of something in ``landing/`` that lies below no source's folder."""
    path = root.path / name
    known = sources()
    if path.is_dir():
        found = list(dict.fromkeys(source for file in islice(_files(path), _LOOKED_AT) for source in belongs(file)))
        found = found or nearest(path.name.lower(), known)
        what = f"{name}/: no source has that name, so nothing in it is read."
    else:
        if said := no_export(path):
            return f"{name}: {said}, below landing/<source>/."
        found = belongs(path)
        what = f"{name}: it lies beside the folders of the sources, so it is not read."
    if found:
        it = "its files" if path.is_dir() else "it"
        return f"{what} Move {it} to {_folders(found)}."
    return f"{what} Move it below one of {', '.join(sorted(known))}."


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
