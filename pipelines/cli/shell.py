"""The shell of ``tokenbooks sql``: history, completion of tables and columns, and what a table means."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipelines.cli.printing import complain, print_table
from pipelines.contract import Column, shapes
from pipelines.export_contract import unit_of
from pipelines.models import Model, models, star
from pipelines.paths import DataRoot
from pipelines.words import meant

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completion

FORMATS = ("table", "csv", "json", "markdown")
HELP = """\
A query ends with ; and may take several lines. Queries only: nothing can be changed.
  .tables [WORD]     tables, or those with the word in their name
  .describe TABLE    what the table holds: its columns with unit and meaning
  .format FORMAT     table, csv, json or markdown
  .help              this
  .quit              leave (or Ctrl-D)
Tab completes tables and columns. The arrow up brings back earlier queries."""
_KEYWORDS = (
    "select from where group by order by limit with as inner join left join on and or not in is null between like case when then else "
    "end sum count min max avg distinct having desc asc cast date describe explain"
).split()
_AFTER_FROM = re.compile(r"\b(?:from|join|describe|\.describe)\s+\w*$", re.IGNORECASE)
_OF_TABLE = re.compile(r"\b(\w+)\.\w*$")
_NAMED = re.compile(r"\b(?:from|join)\s+(\w+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)


class Tables:
    """The tables that can be asked, and what their columns mean."""

    def __init__(self, con: Any) -> None:
        self._con = con
        rows = con.execute(
            "select table_name, column_name, data_type from duckdb_columns() where not internal order by table_name, column_index"
        ).fetchall()
        self.columns: dict[str, list[Column]] = {}
        for table, name, type_ in rows:
            self.columns.setdefault(table, []).append(Column(name, type_, ""))

    @property
    def names(self) -> list[str]:
        return sorted(self.columns)

    def about(self, table: str) -> tuple[str, list[Column]]:
        """What a table is, and its columns with what the dictionary says of them."""
        model = _model_of(table)
        shape = next((shape for shape in shapes().values() if shape.table == table), None)
        known = {column.name: column for column in (model.columns if model else shape.columns if shape else ())}
        said = dict(
            self._con.execute(
                "select column_name, comment from duckdb_columns() where table_name = ? and comment is not null",
                [table],
            ).fetchall()
        )
        found = [
            Column(c.name, c.type, said.get(c.name) or (known[c.name].meaning if c.name in known else ""))
            for c in self.columns[table]
        ]
        comment = self._con.execute("select comment from duckdb_views() where view_name = ?", [table]).fetchone()
        text = (comment[0] if comment else None) or (model.about if model else shape.about if shape else "")
        return text, found


def _model_of(table: str) -> Model | None:
    known: Mapping[str, Model] = {**models(), **star()}
    for prefix, with_ in (("", ""), ("closed_", ""), ("published_", ""), ("published_", "mart_")):
        if table.startswith(prefix) and (model := known.get(with_ + table.removeprefix(prefix))):
            return model
    return None


def run(con: Any, root: DataRoot, format_: str, answer: Callable[[str, str], None]) -> None:
    """Read and answer until there is no more: from a person with prompt_toolkit, from a pipe line by line."""
    tables = Tables(con)
    if sys.stdin.isatty():
        print(f"{len(tables.names)} tables, read-only. .help says what there is, .quit leaves.")
    pending: list[str] = []
    for line in _typed(root, tables) if sys.stdin.isatty() else _piped():
        if not pending and line.strip().lower().rstrip(";") in (".quit", ".exit", "quit", "exit"):
            break
        if not pending and line.lstrip().startswith("."):
            format_ = command(line.strip().rstrip(";"), tables, format_)
            continue
        if pending or line.strip():
            pending.append(line)
        if line.rstrip().endswith(";"):
            answer("\n".join(pending), format_)
            pending.clear()
    answer("\n".join(pending), format_)


def command(line: str, tables: Tables, format_: str) -> str:
    """A line that begins with a dot; the format that answers have from now on comes back."""
    try:
        word, *rest = shlex.split(line)
    except ValueError:
        word, *rest = line.split()
    match word, rest:
        case ".help", _:
            print(HELP)
        case ".tables", _:
            wanted = rest[0].lower() if rest else ""
            found = [name for name in tables.names if wanted in name]
            print("\n".join(found) if found else f"No table has {wanted} in its name.")
        case ((".describe" | ".schema"), [table, *_]):
            _describe(table.lower(), tables)
        case ((".describe" | ".schema"), []):
            complain(".describe wants the name of a table: .describe mart_showback_weekly")
        case ".format", [wanted, *_] if wanted in FORMATS:
            return wanted
        case ".format", _:
            complain(
                ".format wants table, csv, json or markdown. For Parquet: tokenbooks sql QUERY --format parquet > file"
            )
        case _:
            known = (".tables", ".describe", ".format", ".help", ".quit")
            complain(f"No command {word}.{meant(word, known)} .help lists them.")
    return format_


def _describe(table: str, tables: Tables) -> None:
    if table not in tables.columns:
        complain(f"No table {table}.{meant(table, tables.names)} .tables lists them.")
        return
    about, columns = tables.about(table)
    if about:
        print(f"{table}: {about}\n")
    print_table(
        [{"column": c.name, "type": c.type, "unit": unit_of(c), "meaning": c.meaning or "-"} for c in columns],
        empty="No columns.",
    )


def _piped() -> Iterator[str]:
    for line in sys.stdin:
        yield line.rstrip("\n")


def is_whole(text: str) -> bool:
    """Whether Enter sends what was typed: a query that has its semicolon, a dot command, nothing. Else it begins a new line."""
    said = text.strip().lower()
    return not said or said.startswith(".") or said.endswith(";") or said in ("quit", "exit")


def _typed(root: DataRoot, tables: Tables) -> Iterator[str]:
    """What somebody types, a whole query at a time; Ctrl-C gives one up."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.completion import Completion as Found
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory

    class Names(Completer):
        def get_completions(self, document: Any, complete_event: Any) -> Iterable[Completion]:
            before = document.text_before_cursor
            word = document.get_word_before_cursor()
            word = "" if word in (".", "(", ",") else word
            for name, kind in completions(before, word, tables):
                yield Found(name, start_position=-len(word), display_meta=kind)

    try:
        with root.history.open("a", encoding="utf-8"):
            history: History = FileHistory(str(root.history))
    except OSError:
        history = InMemoryHistory()
    session: PromptSession[str] = PromptSession(
        history=history,
        completer=Names(),
        complete_while_typing=False,
        auto_suggest=AutoSuggestFromHistory(),
        multiline=Condition(lambda: not is_whole(get_app().current_buffer.text)),
        prompt_continuation="  ...> ",
    )
    while True:
        try:
            yield session.prompt("books> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def named_tables(query: str) -> dict[str, str]:
    """The tables that a text reads, by their names and by the words that stand behind them."""
    named = {(alias or table).lower(): table.lower() for table, alias in _NAMED.findall(query)}
    return named | {table: table for table in named.values()}


def completions(before: str, word: str, tables: Tables) -> list[tuple[str, str]]:
    """Names that may stand at the end of a text, each with what it is: tables behind from, else columns of the tables named."""
    start = word.lower()
    named = named_tables(before)
    of_table = _OF_TABLE.search(before)
    if before.lstrip().startswith(".") and " " not in before.strip():
        return []
    if of_table and (table := named.get(of_table[1].lower())) in tables.columns:
        return [(c.name, c.type) for c in tables.columns[table] if c.name.lower().startswith(start)]
    if _AFTER_FROM.search(before):
        return [(name, "table") for name in tables.names if name.startswith(start)]
    columns = {
        column.name: column.type
        for table in named.values()
        for column in tables.columns.get(table, ())
        if column.name.lower().startswith(start)
    }
    others = [(name, "table") for name in tables.names if start and name.startswith(start)]
    return [*columns.items(), *others, *((word_, "") for word_ in _KEYWORDS if start and word_.startswith(start))]
