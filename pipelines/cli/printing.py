"""What a person or a program reads: tables that fit the terminal, money and shares in words, JSON, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


# Lines of a table that a terminal shows where there may be thousands; --json gives all.
MOST_LINES = 40
# What a long text is folded to, at least, where a table is wider than the terminal.
_FOLDED = 12
_WIDTH_OF_PIPE = 240
# Of what stands in front of a line.
_LABEL = 13


def complain(text: str) -> None:
    """A sentence on standard error, as it is and unbroken."""
    print(text, file=sys.stderr)


def terminal() -> Console:
    """Plain where it goes into a pipe: no colour, and wide enough that no table is cut."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    return (
        console if console.is_terminal else Console(highlight=False, markup=False, soft_wrap=True, width=_WIDTH_OF_PIPE)
    )


@contextmanager
def progress() -> Iterator[Any]:
    """Progress on a terminal as one changing line; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("") as line:
        yield lambda text: line.update(text)


@contextmanager
def printed_to_stderr() -> Iterator[None]:
    """What a run says, out of the way of an answer on standard output."""
    with redirect_stdout(sys.stderr):
        yield


def print_said(label: str, text: str) -> None:
    """A line that begins with what it is about; on a terminal folded below itself."""
    margin = _LABEL if label else 0
    lines = [text]
    if sys.stdout.isatty():
        import shutil
        import textwrap

        lines = textwrap.wrap(text, max(shutil.get_terminal_size().columns - margin - 1, _FOLDED))
    for place, line in enumerate(lines):
        print(f"{'' if place else label:{margin}s}{line}")


def print_table(rows: Sequence[dict[str, Any]], empty: str, console: Console | None = None) -> None:
    """Rows under the names of their columns. ``empty`` is what is said where there are none."""
    if not rows:
        if empty:
            print(empty)
        return
    names = list(rows[0])
    cells = {name: [cell_text(row[name]) for row in rows] for name in names}
    widths = {name: max(map(len, (name, *cells[name]))) for name in names}
    if console is None and not sys.stdout.isatty() and _width_of(widths) <= _WIDTH_OF_PIPE:
        # As below, without the time that rich takes to import.
        for line in zip(*([name, *cells[name]] for name in names), strict=True):
            print(
                "  ".join(_aligned(text, widths[name], rows[0][name]) for name, text in zip(names, line, strict=True))
            )
        return
    from rich.table import Table

    console = console or terminal()
    if _width_of(widths) > console.width and len(rows) > 1:
        # What every row says is said once, above them.
        alike = [name for name in names if len(set(cells[name])) == 1 and not isinstance(rows[0][name], Decimal)]
        said = ", ".join(f"{name} {cells[name][0]}" for name in alike if cells[name][0])
        if said:
            console.print(f"All rows: {said}")
        names = [name for name in names if name not in alike]
    kept = {name: widths[name] for name in names}
    if _width_of(kept) > console.width:
        # Sentences such as a source are folded; names and figures are never cut.
        texts = {name for name in names if isinstance(rows[0][name], str) and any(" " in cell for cell in cells[name])}
        kept |= {name: min(widths[name], max(_FOLDED, len(name))) for name in names if name in texts}
    if _width_of(kept) > console.width:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for place in range(len(rows)):
            for name in names:
                if cells[name][place]:
                    table.add_row(name, cells[name][place])
            table.add_row()
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in names:
            table.add_column(
                name,
                justify="right" if _is_number(rows[0][name]) else "left",
                no_wrap=kept[name] == widths[name],
                min_width=kept[name],
                overflow="fold",
            )
        for row in zip(*(cells[name] for name in names), strict=True):
            table.add_row(*row)
    console.print(table)


def _aligned(text: str, width: int, like: object) -> str:
    return text.rjust(width) if _is_number(like) else text.ljust(width)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal))


def _width_of(columns: Mapping[str, int]) -> int:
    """Of a table of such columns, with the two blanks between them."""
    return sum(columns.values()) + 2 * max(len(columns) - 1, 0)


def cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def print_json(content: object) -> None:
    print(json.dumps(content, default=json_value, indent=2))


def json_value(value: object) -> object:
    """JSON keeps money as text: a float would not be exact."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (date, datetime)):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def money(value: Decimal | None) -> str:
    if value is None:
        return "unknown"
    # What is not nothing is not shown as 0.
    return "under $0.01" if 0 < value < Decimal("0.005") else f"${value:,.2f}"


def exact(value: Decimal | None) -> str:
    return "unknown" if value is None else f"${value.normalize():f}"


def percent(share: float | None) -> str:
    """Cut, not rounded: 100 % means all of it, and 0.0 % nothing."""
    if share is None:
        return "unknown"
    return "under 0.1 %" if 0 < share < 0.001 else f"{int(share * 1000) / 10:.1f} %"
