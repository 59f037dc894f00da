"""What commands are given: the data root, days, months and instants, and what a process ends with."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer._coercion import RuntimeParam
from typer.core import TyperGroup

from pipelines.cli.printing import complain
from pipelines.paths import DataRoot, default_root

# README.md says what they mean. The last is what shells give a process that was stopped by Ctrl-C.
EXIT_FAILED, EXIT_USAGE, EXIT_CHECK_FAILED, EXIT_GATE, EXIT_STOPPED = 1, 2, 3, 4, 130

Root = Annotated[
    Path | None,
    typer.Option("--root", help="The data root. Default: $TOKENBOOKS_DATA, else data/ of the checkout, else ./data."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]


class _AsGiven(RuntimeParam):
    """A word of the command line as a text or a path; a flag as it is."""

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        return Path(value) if self.annotation is Path else value


def _as_given(params: list[Any]) -> list[Any]:
    """The same options and arguments, past pydantic: it takes longer to import than typer and rich together."""
    for param in params:
        described = param.type_descriptor
        if described.annotation in (bool, str, Path, list[str]):
            param._runtime_param = _AsGiven(described.parameter_info, described.annotation)
    return params


class Group(TyperGroup):
    """A group whose help says of each command all that its own help begins with, not as much as one line holds."""

    def get_params(self, ctx: Any) -> Any:
        return _as_given(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _as_given(command.get_params(ctx))
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, str(command.help)) for name, command in self.commands.items()])


# The data roots that this process was asked about.
asked: list[DataRoot] = []


def data_root(given: Path | None, *, may_be_made: bool = False) -> DataRoot:
    root = DataRoot(given.expanduser().resolve() if given else default_root())
    asked.append(root)
    if not may_be_made and not root.path.is_dir():
        # A name typed wrong would be a new and empty set of books.
        complain(f"There is no data root at {root.path}: make one with 'tokenbooks init {root.path}'.")
        raise typer.Exit(EXIT_USAGE)
    return root


def books_root(given: Path | None) -> DataRoot:
    """The data root of a command that reads what is there. A folder that is none is named as that, and left as it is."""
    root = data_root(given)
    if not root.is_made:
        complain(
            f"{root.path} is not a data root: it has no landing/, no settings.toml and no lake/. "
            f"Make one with 'tokenbooks init {root.path}', or name another with --root."
        )
        raise typer.Exit(EXIT_USAGE)
    return root


def day_of(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}, expected a day such as 2026-11-02", param_hint=option) from None


def days_of(first: str | None, end: str | None) -> tuple[date | None, date | None]:
    """``--from`` and ``--to``, which is the first day that is left out."""
    start, stop = day_of(first, "--from"), day_of(end, "--to")
    if start is not None and stop is not None and start >= stop:
        raise typer.BadParameter(f"{end} is not after --from {first}; it is the first day left out", param_hint="--to")
    return start, stop


def month_of(text: str, option: str) -> date:
    try:
        # Two digits each: 2026-9 would be found in no table.
        return date.fromisoformat(f"{text}-01" if re.fullmatch(r"\d{4}-\d{2}", text) else "")
    except ValueError:
        raise typer.BadParameter(f"{text!r}, expected a month such as 2026-09", param_hint=option) from None


def instant_of(text: str | None, option: str) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r}, expected a day or an instant such as 2026-11-02T14:00Z", param_hint=option
        ) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def must_be_there(path: Path | None, option: str) -> None:
    if path is not None and not path.is_file():
        raise typer.BadParameter(f"{path}: no such file", param_hint=option)
