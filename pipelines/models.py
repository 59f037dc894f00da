"""A SQL file: its header, its inputs, and the law that the result is what the header says.

A model is one file below ``sql/``, named like its table. It begins with a comment that holds its description
(see ``Header``); below it stands one query. Nothing about a table is written anywhere else.

What is the same for each of a list, such as a column for each token class, is written once, as Jinja. It is written out before
anything else reads the file (``expanded``): a model's columns, checks, query and fingerprint are those of the whole text.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from pipelines import contract, paths, remembered
from pipelines.contract import Column, columns_of
from pipelines.engine import one_row
from pipelines.headers import Check as Check
from pipelines.headers import ModelError as ModelError
from pipelines.headers import checks_of, read_yaml

if TYPE_CHECKING:
    import jinja2

GRAINS = ("day", "week", "month")
_PREFIXES = {
    "ledger": ("ledger_",),
    "reference": ("ref_",),
    "statistics": ("stat_",),
    "exports": ("focus_",),
    "star": ("fact_", "dim_"),
    "whatif": ("whatif_",),
}
_HEADER = re.compile(r"\A\s*/\*\n(?P<header>.*?)\n\*/\n(?P<query>.*)\Z", re.DOTALL)
_COLUMNS = re.compile(r"^columns:\n(?P<lines>(?:[ ]{2}.*\n?)+)", re.MULTILINE)
# What belongs to models and is none: expressions that several write, and parts of a long query.
_INCLUDED = frozenset({"macros", "parts"})
# Queries that are written out with the settings that somebody asks with (pipelines/whatif/): a run builds none of them.
_ASKED = "whatif"
# Views over the tables, published as files (pipelines/star.py): a run builds none of them either.
_STAR = "star"
_JINJA = ("{%", "{{", "{#")
_KNOWN = frozenset(
    (
        "about grain partition partition_column reads_back reads_around reads_self clock_stops meets lies_on leads "
        "order_by joins checks question answer notes"
    ).split()
)
_SPAN = re.compile(r"(?P<count>\d+) (?P<unit>day|week|month)s?")
# Of what was remembered or is to be: the hashes that the headers and texts of files are known by.
_header_of: dict[Path, str] = {}
_text_of: dict[Path, str] = {}


@dataclass(frozen=True)
class Dated:
    """What says to which period a row of a table belongs: a DATE, or an instant in UTC."""

    column: str
    type: str
    grain: str


@dataclass(frozen=True)
class Model:
    """One table: everything its SQL file says."""

    name: str
    path: Path
    layer: str
    subject: str
    about: str
    grain: tuple[str, ...]
    partition: str | None
    partition_column: str | None
    columns: tuple[Column, ...]
    checks: tuple[Check, ...]
    query: str
    inputs: frozenset[str]
    reads_back: timedelta = timedelta()
    reads_around: timedelta = timedelta()
    reads_self: timedelta = timedelta()
    clock_stops: timedelta | None = None
    meets: str = ""
    lies_on: str = ""
    leads: frozenset[str] = frozenset()
    order_by: tuple[str, ...] = ()
    joins_as_written: bool = False
    question: str = ""
    answer: str = ""
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.columns}

    @cached_property
    def dated(self) -> Dated | None:
        """What says to which period a row belongs; None for a table without periods."""
        if self.partition is None or self.partition_column is None:
            return None
        return Dated(self.partition_column, self.types[self.partition_column], self.partition)

    @property
    def reads_itself(self) -> bool:
        """Whether a partition reads earlier ones of the same table."""
        return self.name in self.inputs

    @property
    def sort_columns(self) -> tuple[str, ...]:
        return self.order_by or self.grain

    @cached_property
    def version(self) -> str:
        """Hash of all that decides the table's bytes: the query and what of the header shapes the result."""
        shaping = [
            self.query,
            *(f"{column.name} {column.type}" for column in self.columns),
            str(self.partition),
            str(self.partition_column),
            *self.sort_columns,
            *([f"clock stops {self.clock_stops}"] if self.clock_stops is not None else []),
        ]
        return hashlib.sha256("\n".join(shaping).encode()).hexdigest()

    @cached_property
    def checks_version(self) -> str:
        return hashlib.sha256(
            "\n".join(f"{c.id}|{c.severity}|{c.condition}|{c.query}" for c in self.checks).encode()
        ).hexdigest()


@cache
def models() -> Mapping[str, Model]:
    """Every model below ``sql/``, by table name, in an order in which each stands behind its inputs.

    Raises ModelError where a file breaks the law or two models read each other.
    """
    if not any(remembered.known.values()):
        remembered.recall()
    return load(paths.SQL)


def load(folder: Path) -> dict[str, Model]:
    """The models of a folder, inputs first."""
    found: dict[str, Model] = {}
    included = _included(folder)
    for path in sorted(folder.rglob("*.sql")):
        if path.relative_to(folder).parts[0] in _INCLUDED | {_ASKED, _STAR}:
            continue
        model = parse(path, folder, included)
        if model.name in found:
            raise ModelError(
                f"{path}: the table {model.name} is also made by {found[model.name].path}. Rename one of them."
            )
        found[model.name] = model
    return _in_order(found)


@cache
def star() -> Mapping[str, Model]:
    """The facts and dimensions of ``sql/star/``, each behind what it reads: views over tables and over one another."""
    models()
    included = _included(paths.SQL)
    found = [parse(path, paths.SQL, included) for path in sorted((paths.SQL / _STAR).glob("*.sql"))]
    return _in_order({model.name: model for model in found})


@cache
def whatif_answers() -> Model:
    """What a what-if keeps as a file: a table of its own, which no run builds."""
    return parse(paths.SQL / _ASKED / "whatif_answers.sql", paths.SQL)


def parse(path: Path, folder: Path, included: str | None = None) -> Model:
    """One SQL file. ``included``: as of ``expanded``."""
    where = path.relative_to(folder.parent).as_posix()
    match = _HEADER.match(expanded(path, folder, included))
    if match is None:
        raise ModelError(
            f"{where}: a model begins with /* its description */ on lines of their own. Add it: CONTRIBUTING.md shows one."
        )
    header_text, query = match["header"] + "\n", match["query"].strip().removesuffix(";")
    lines = _COLUMNS.search(header_text)
    if lines is None:
        raise ModelError(f"{where}: the header has no 'columns:' with lines 'name: TYPE; meaning'.")
    try:
        columns = columns_of(lines["lines"])
        header = _header(path, _COLUMNS.sub("", header_text))
    except ValueError as error:
        raise ModelError(f"{where}: the header cannot be read: {error}") from error

    if unknown := sorted(set(header) - _KNOWN):
        raise ModelError(
            f"{where}: the header has unknown entries {', '.join(unknown)}; known are {', '.join(sorted(_KNOWN))}."
        )
    for needed in ("about", "grain"):
        if needed not in header:
            raise ModelError(f"{where}: the header has no '{needed}:'.")
    names = [column.name for column in columns]
    grain = tuple(header["grain"])
    if missing := [name for name in grain if name not in names]:
        raise ModelError(f"{where}: the grain names {', '.join(missing)}, which is not among the columns.")

    parts = path.relative_to(folder).parts
    layer = parts[0] if len(parts) > 1 else "marts"
    prefixes = _PREFIXES.get(layer, ("mart_",))
    if not path.stem.startswith(prefixes):
        raise ModelError(f"{where}: tables of sql/{layer} are named {' or '.join(prefixes)}<noun>. Rename the file.")
    partition = header.get("partition")
    if partition is not None and partition not in GRAINS:
        raise ModelError(f"{where}: partition is {partition!r}, expected one of {', '.join(GRAINS)}.")

    read = inputs(query, where) - ({path.stem} if "reads_self" not in header else set())
    return Model(
        name=path.stem,
        path=path,
        layer=layer,
        subject=parts[1] if len(parts) > 2 else layer,
        about=" ".join(str(header["about"]).split()),
        grain=grain,
        partition=partition,
        partition_column=_partition_column(where, header, columns, grain) if partition else None,
        columns=columns,
        checks=checks_of(where, header.get("checks") or [], grain, names),
        query=query,
        inputs=read,
        reads_back=_span(where, header.get("reads_back")),
        reads_around=_span(where, header.get("reads_around")),
        reads_self=_span(where, header.get("reads_self")),
        clock_stops=_span(where, header["clock_stops"]) if "clock_stops" in header else None,
        meets=(meets := _meets(where, header, read)),
        lies_on=_lies_on(where, header, meets),
        leads=_leads(where, header, read),
        order_by=tuple(header.get("order_by") or ()),
        joins_as_written=_joins(where, header.get("joins")),
        question=str(header.get("question", "")).strip(),
        answer=str(header.get("answer", "")).strip(),
        notes=tuple(header.get("notes") or ()),
    )


def _header(path: Path, text: str) -> dict[str, Any]:
    """The YAML of a header as values. Raises ValueError where it is none."""
    key = _header_of[path] = _key(text)
    if key not in remembered.known["headers"]:
        remembered.known["headers"][key] = read_yaml(text) or {}
    found: dict[str, Any] = remembered.known["headers"][key]
    return found


def _joins(where: str, said: object) -> bool:
    if said not in (None, "as_written"):
        raise ModelError(f"{where}: joins is {said!r}, expected as_written, or nothing where the engine may choose.")
    return said is not None


def expanded(path: Path, folder: Path, included: str | None = None) -> str:
    """The text of a SQL file with its Jinja written out.

    It may loop over ``token_classes``, ``token_types``, ``token_units`` and ``service_tiers`` (pipelines/contract.py), and take in files of
    ``macros`` and ``parts``; ``included`` is their hash, for who asks of many files. Raises ModelError with file and line where the
    template is wrong.
    """
    text = path.read_text(encoding="utf-8")
    if not any(mark in text for mark in _JINJA):
        return text
    lists = _lists()
    key = _key("\0".join([text, repr(lists), included or _included(folder)]))
    if key not in remembered.known["texts"]:
        remembered.known["texts"][key] = _render(path, folder, lists)
    _text_of[path] = key
    return str(remembered.known["texts"][key])


def _included(folder: Path) -> str:
    """A hash of all that a SQL file may take in."""
    files = [file for name in sorted(_INCLUDED) for file in sorted((folder / name).glob("*.sql"))]
    return _key("\0".join(f"{file.name}\0{file.read_text(encoding='utf-8')}" for file in files))


def _lists() -> dict[str, object]:
    return {
        "token_classes": contract.TOKEN_CLASSES,
        "token_types": contract.TOKEN_TYPES,
        "token_units": contract.TOKEN_UNITS,
        "service_tiers": contract.SERVICE_TIERS,
    }


def asked(name: str, **settings: object) -> str:
    """A query of ``sql/whatif/``, written out with the settings that it is asked with."""
    return _render(paths.SQL / _ASKED / f"{name}.sql", paths.SQL, {**_lists(), **settings})


def _render(path: Path, folder: Path, lists: Mapping[str, object]) -> str:
    try:
        return _templates(folder).get_template(path.relative_to(folder).as_posix()).render(lists)
    except Exception as error:
        # Jinja names its templates in the traceback; a fault of syntax has no frame in one but says where it is.
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        places.append((getattr(error, "filename", None) or "", getattr(error, "lineno", None)))
        within = [(Path(name), line) for name, line in places if Path(name).is_relative_to(folder)]
        file, line = within[-1] if within else (path, 1)
        raise ModelError(f"{file.relative_to(folder.parent).as_posix()}, line {line}: {error}") from error


@cache
def _templates(folder: Path) -> jinja2.Environment:
    # Imported where it is needed: a run that has the texts of an earlier one does without.
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _leads(where: str, header: Mapping[str, Any], read: frozenset[str]) -> frozenset[str]:
    """The inputs without whose rows a period has none; all of them where the header names none."""
    leads = frozenset(header.get("leads") or ())
    if strange := sorted(leads - read):
        raise ModelError(f"{where}: leads names {', '.join(strange)}, which the query does not read.")
    return leads


def _meets(where: str, header: Mapping[str, Any], read: frozenset[str]) -> str:
    """The query of what rows hang together by (see pipelines/meetings.py), of inputs of a daily table that looks around."""
    query = str(header.get("meets", "")).strip()
    if query and (header.get("partition") != "day" or "reads_around" not in header or not inputs(query, where) <= read):
        raise ModelError(
            f"{where}: meets is for a table by day with reads_around, and reads nothing but what its query reads."
        )
    return query


def _lies_on(where: str, header: Mapping[str, Any], meets: str) -> str:
    """What links lie on several days, where that is cheaper to ask than ``meets`` as a whole (see pipelines/meetings.py)."""
    query = str(header.get("lies_on", "")).strip()
    if query and not (meets and inputs(query, where) <= inputs(meets, where)):
        raise ModelError(f"{where}: lies_on is for a table with meets, and reads nothing but what meets reads.")
    return query


@contextmanager
def remembering(path: Path) -> Iterator[None]:
    """What an earlier process read of the SQL files is not worked out again (pipelines/remembered.py); ``path``: where else to keep it."""
    found = remembered.recall(path)
    yield
    known = [*models().values(), *star().values(), whatif_answers()]
    read = [query for m in known for query in (m.query, m.meets, m.lies_on, *(c.query for c in m.checks)) if query]
    for query in read:
        inputs(query)
    used = {
        "inputs": map(_key, read),
        "texts": [_text_of[m.path] for m in known if m.path in _text_of],
        "headers": [_header_of[m.path] for m in known],
    }
    remembered.keep(path, found, used)


def inputs(query: str, where: str = "query") -> frozenset[str]:
    """The tables that a query reads, parsed from it (common table expressions are not tables)."""
    key = _key(query)
    if key not in remembered.known["inputs"]:
        remembered.known["inputs"][key] = sorted(_parsed_inputs(query, where))
    return frozenset(remembered.known["inputs"][key])


def _key(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()


def _parsed_inputs(query: str, where: str) -> frozenset[str]:
    tree = json.loads(one_row(_parser(), "select json_serialize_sql(?)", [query])[0])
    if tree.get("error"):
        raise ModelError(f"{where}: not a query that DuckDB can parse: {tree.get('error_message')}")
    tables: set[str] = set()
    ctes: set[str] = set()
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if node.get("type") == "BASE_TABLE":
                tables.add(node["table_name"])
            if "cte_map" in node:
                ctes |= {entry["key"] for entry in node["cte_map"]["map"]}
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return frozenset(tables - ctes)


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """One connection for parsing: opening one costs more than parsing a file."""
    return duckdb.connect()


def _partition_column(where: str, header: Mapping[str, Any], columns: Iterable[Column], grain: tuple[str, ...]) -> str:
    types = {column.name: column.type for column in columns}
    given = header.get("partition_column")
    if given is None:
        dated = [name for name in grain if types[name] == "DATE"]
        given = dated[0] if dated else "started_at"
    if types.get(given) not in ("DATE", "TIMESTAMP WITH TIME ZONE"):
        raise ModelError(
            f"{where}: the partition is decided by {given}, which is no DATE or TIMESTAMP WITH TIME ZONE column of the header."
        )
    return str(given)


def _span(where: str, text: str | None) -> timedelta:
    """``4 weeks``, ``7 days``, ``1 month`` (31 days) as a length of time."""
    if text is None:
        return timedelta()
    match = _SPAN.fullmatch(str(text))
    if match is None:
        raise ModelError(f"{where}: {text!r} is not a span such as '4 weeks' or '7 days'.")
    return timedelta(days=int(match["count"]) * {"day": 1, "week": 7, "month": 31}[match["unit"]])


def _in_order(found: dict[str, Model]) -> dict[str, Model]:
    ordered: dict[str, Model] = {}
    under_way: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name not in found:
            return
        if name in under_way:
            raise ModelError(
                f"These tables read each other: {' -> '.join([*under_way[under_way.index(name) :], name])}."
            )
        under_way.append(name)
        for table in sorted(found[name].inputs - {name}):
            visit(table)
        under_way.pop()
        ordered[name] = found[name]

    for name in sorted(found):
        visit(name)
    return ordered


def main(tables: Sequence[str]) -> None:
    """``python -m pipelines.models TABLE ...``: print the SQL file of each table with its Jinja written out."""
    for name in tables:
        print(expanded(models()[name].path, paths.SQL), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
