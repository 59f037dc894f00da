"""The data dictionary: a page made of the headers of the SQL files, the staged shapes and the reference tables.

Nothing in it is written twice: a sentence that is wrong there is mended where its table is described.

``python -m pipelines.dictionary --write FILE`` writes it; ``--check FILE`` exits 1 where FILE is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import duckdb
import polars as pl

from pipelines.contract import Shape, shapes
from pipelines.models import Model, models, whatif_answers
from pipelines.prices.book import BOOK_SCHEMA, NAMES_SCHEMA
from pipelines.reference import REPORTING, REPORTING_SCHEMA
from pipelines.reference.tables import TABLES, ReferenceTable

# How the kinds of a CSV's cells are written by people, and what they are in the lake.
KINDS: Mapping[str, tuple[str, str]] = {
    "text": ("text", "VARCHAR"),
    "date": ("date, 2026-09-01", "DATE"),
    "instant": ("date or instant, 2026-09-01T00:00:00Z", "TIMESTAMP WITH TIME ZONE"),
    "whole": ("whole number", "BIGINT"),
    "amount": ("decimal number", "DECIMAL(38,15)"),
    "price": ("decimal number of 0 or more, at most nine places", "DECIMAL(38,15)"),
    "value": ("decimal number, at most nine places", "DECIMAL(38,15)"),
    "unit": ("what is counted: input, output, cache_read ...", "VARCHAR"),
    "rate": ("decimal number above 0", "DECIMAL(38,15)"),
    "currency": ("three capitals", "VARCHAR"),
    "scope": ("billing_account_id=, project_id=, feature= or customer_id=, and which; blank for all", "VARCHAR"),
}
# What every reference table has beside the columns of its file.
REFERENCE_EXTRAS: Mapping[str, str] = {
    "why": "VARCHAR",
    "source_ref": "VARCHAR",
    "reference_file": "VARCHAR",
    "reference_row": "BIGINT",
}

_LAYERS = (
    ("ledger", "Ledger", "The facts: what was called, what it costs, what was billed."),
    ("statistics", "Statistics", "One long table for each method; marts pick their measure from it."),
    ("marts", "Marts", "The answers."),
    ("whatif", "What-ifs", "Scenarios replayed on the rows of the ledger."),
    ("exports", "Exports", "Shapes for other people's tools."),
)
_CLAUSES = re.compile(r" (?=(?:from|where|group by|having|qualify|order by|limit|(?:left |inner |cross )?join) )")

_OPENING = """\
# Data dictionary

Every table of tokenbooks, in the order in which a row travels: staged, reference, ledger, statistics, marts. This page is made from
the headers of the SQL files (`make docs`); do not edit it.

- Each table is a folder `lake/<table>/` of plain Parquet below the data root, and a view in `tokenbooks.duckdb`.
- Tables say what the books know now. `published_showback_weekly` is the showback as it is published: closed months as they were closed
  (`closed_mart_showback_weekly`, `closed_months`), the others from `mart_showback_weekly`. In the same way there are
  `published_statements_monthly`, `published_postings_monthly` and one for each `focus_` table that is exported: after a close,
  add up these.
- Ask with `tokenbooks sql "<query>"`, or open `tokenbooks.duckdb` read-only in any tool that speaks DuckDB.
- Instants (`_at`) and days (`_date`) are UTC. A week begins on Monday; where a column says so, in the reporting time zone.
- `_usd` is money in US dollars, always a DECIMAL. An empty value is not known; it is never 0.
- `_share` and `_rate` lie between 0 and 1.
"""


def dictionary() -> str:
    """The whole page. The same headers give the same text."""
    sections = list(_sections())
    contents = []
    for title, about, tables in sections:
        contents.append(f"\n**{title}.** {about}\n")
        contents += [f"- [{name}](#{name}): {_first_sentence(text)}" for name, text, _ in tables]
    pages = []
    for title, about, tables in sections:
        pages += [f"## {title}", about, *(page for _, _, page in tables)]
    return _OPENING + "\n".join(contents) + "\n\n" + "\n\n".join(pages) + "\n"


@cache
def table_types() -> dict[str, dict[str, str]]:
    """Every table of the dictionary with the types of its columns, by name."""
    staged = {shape.table: shape.types for shape in shapes().values()}
    references = {table.table: reference_types(table) for table in TABLES.values()}
    references |= {name: types for name, (_, types) in _book_tables().items()}
    references |= {name: model.types for name, model in models().items() if model.layer == "reference"}
    made = {model.name: model.types for layer, _, _ in _LAYERS for model in _made(layer)}
    return {**staged, **references, **made}


def _made(layer: str) -> list[Model]:
    """The tables of SQL files of a layer, inputs first."""
    return [model for model in (*models().values(), whatif_answers()) if model.layer == layer]


def reference_types(table: ReferenceTable) -> dict[str, str]:
    """The columns of ``ref_<name>``: those of the file, and where each row stands."""
    return {**{field.name: KINDS[field.kind][1] for field in table.fields}, **REFERENCE_EXTRAS}


def _sections() -> Iterator[tuple[str, str, list[tuple[str, str, str]]]]:
    """Title, a sentence, and for each table its name, its sentence and its page."""
    staged = [(shape.table, shape.about, _shape_page(shape)) for shape in shapes().values()]
    yield "Staged", "What the sources read out of the landing files, before anything is decided.", staged
    references = [(table.table, table.about, _reference_page(table)) for table in TABLES.values()]
    references += [(name, about, _book_page(name, about)) for name, (about, _) in _book_tables().items()]
    references += [
        (name, model.about, _model_page(model)) for name, model in models().items() if model.layer == "reference"
    ]
    yield (
        "Reference",
        "Tables that people edit, `reference/<name>.csv` of the data root over what is shipped.",
        references,
    )
    for layer, title, about in _LAYERS:
        # models() gives inputs first, so a layer reads from top to bottom.
        found = [(model.name, model.about, _model_page(model)) for model in _made(layer)]
        if found:
            yield title, about, found


def _shape_page(shape: Shape) -> str:
    facts = [
        ("Partition", f"day, by `{shape.day_of}`; one file for each batch of landing files"),
        ("Filled by", "the sources (`pipelines/sources`)" + _read_by(shape.table)),
    ]
    rows = [(f"`{column.name}`", column.type, column.meaning) for column in shape.columns]
    return _page(shape.table, shape.about, facts, _grid(("column", "type", "meaning"), rows))


def _reference_page(table: ReferenceTable) -> str:
    key = _names(table.key) if table.key else "none: rows are added, never replaced"
    facts = [
        ("File", f"`reference/{table.name}.csv`; every row may end with `why` or `source_ref`"),
        ("Key", f"{key}; on equal keys your row wins" if table.key else key),
        ("Used by", (_links(_readers(table.table)) or "no table yet") + "."),
    ]
    rows = []
    for field in table.fields:
        written, type_ = KINDS[field.kind]
        said = "one of " + ", ".join(f"`{word}`" for word in field.allowed) if field.allowed else written
        rows.append((f"`{field.name}`", type_, "required" if field.required else "may be blank", said))
    return _page(table.table, table.about, facts, _grid(("column", "type", "", "written as"), rows))


def _book_tables() -> dict[str, tuple[str, dict[str, str]]]:
    """Reference tables that no one edits: a sentence and the types of their columns."""
    about = {
        "ref_price_book": (
            "The price book: the prices of the installed package, over them the shipped rows, over them yours.",
            BOOK_SCHEMA,
        ),
        "ref_model_names": ("Every name of a model that the price book knows, with yours in front.", NAMES_SCHEMA),
        REPORTING: ("The time zone that days and weeks of marts begin in; one row.", REPORTING_SCHEMA),
    }
    found = {}
    for name, (text, schema) in about.items():
        relation = duckdb.from_arrow(pl.DataFrame(schema=schema).to_arrow())
        found[name] = (
            text,
            {column: str(type_) for column, type_ in zip(relation.columns, relation.types, strict=True)},
        )
    return found


def _book_page(name: str, about: str) -> str:
    book = "genai-prices, [ref_prices](#ref_prices), [ref_model_aliases](#ref_model_aliases)"
    made_of = ("`settings.toml`" if name == REPORTING else book) + _read_by(name)
    rows = [(f"`{column}`", type_) for column, type_ in _book_tables()[name][1].items()]
    return _page(name, about, [("Made of", made_of)], _grid(("column", "type"), rows))


def _model_page(model: Model) -> str:
    facts = [("One row per", _names(model.grain))]
    if model.partition:
        facts.append(("Partition", f"{model.partition}, by `{model.partition_column}`" + _reach(model)))
    asked = model.layer == "whatif"
    if asked:
        facts.append(("Kept by", "`tokenbooks whatif SCENARIO --export`; no run makes it"))
    else:
        facts.append(("Reads", _links(sorted(model.inputs - {model.name})) + _read_by(model.name)))
    rows = [(f"`{column.name}`", column.type, column.meaning) for column in model.columns]
    parts = [_grid(("column", "type", "meaning"), rows)]
    if model.notes:
        parts.insert(0, "\n".join(f"> {note}" for note in model.notes))
    if model.checks:
        checks = [f"- {c.text}" + ("" if c.severity == "critical" else f" ({c.severity})") for c in model.checks]
        when = "before it is kept" if asked else "on every run"
        parts.append(f"Checked {when}:\n\n" + "\n".join(checks))
    if model.answer:
        parts.append(f"**{model.question}**\n\n```sql\n{_laid_out(model.answer)}\n```")
    return _page(model.name, model.about, facts, *parts)


def _page(name: str, about: str, facts: Sequence[tuple[str, str]], *parts: str) -> str:
    return "\n\n".join([f"### {name}", about, "\n".join(f"- {title}: {text}" for title, text in facts), *parts])


def _reach(model: Model) -> str:
    """What of other partitions a table reads, in words."""
    spans = ((model.reads_back, "back"), (model.reads_around, "around"), (model.reads_self, "of itself"))
    return "".join(f"; reads {span.days} days {where}" for span, where in spans if span)


def _read_by(table: str) -> str:
    readers = _readers(table)
    return f"; read by {_links(readers)}" if readers else ""


def _readers(table: str) -> list[str]:
    return sorted(name for name, model in models().items() if table in model.inputs and name != table)


def _links(tables: Iterable[str]) -> str:
    known = table_names()
    return ", ".join(f"[{table}](#{table})" if table in known else f"`{table}`" for table in tables)


def table_names() -> frozenset[str]:
    """Names of all tables that have a section."""
    return frozenset(table_types())


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _grid(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0]


def _laid_out(query: str) -> str:
    """A query with its outermost clauses on lines of their own."""
    depth = 0
    hidden = []
    for letter in query:
        depth += (letter == "(") - (letter == ")")
        hidden.append("\x00" if depth and letter == " " else letter)
    return _CLAUSES.sub("\n", "".join(hidden)).replace("\x00", " ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check a file; 0 where it is up to date, 1 where it is not."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.dictionary", description="Write or check docs/data_dictionary.md."
    )
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", type=Path, metavar="FILE", help="write the dictionary to FILE")
    choice.add_argument("--check", type=Path, metavar="FILE", help="exit 1 where FILE is not what the headers give")
    given = parser.parse_args(arguments)
    text = dictionary()
    if given.write is not None:
        given.write.parent.mkdir(parents=True, exist_ok=True)
        given.write.write_text(text, encoding="utf-8", newline="\n")
        return 0
    if given.check.is_file() and given.check.read_text(encoding="utf-8") == text:
        return 0
    print(f"{given.check}: not what the headers give. Run 'make docs'.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
