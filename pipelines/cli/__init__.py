"""The command ``tokenbooks``. Each command is a thin layer over one function; heavy imports stand inside the commands."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Annotated

import typer

from pipelines import __version__
from pipelines.cli import (
    alerts,
    compare,
    doctor,
    estimate,
    explain,
    export,
    months,
    prices,
    quarantine,
    query,
    run,
    status,
    whatif,
)
from pipelines.cli.arguments import EXIT_FAILED, EXIT_STOPPED, Group, asked
from pipelines.cli.examples import add_examples
from pipelines.cli.printing import complain

STOPPED = "tokenbooks: stopped. What was written is whole; the same command takes up the work again."

app = typer.Typer(
    cls=Group,
    name="tokenbooks",
    help="Keeps the books of LLM spend: reads bills and traces, prices them, and says who spent what, to the cent.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    # Help and errors as plain text: with its frames, rich takes longer to import than all else that --help needs.
    rich_markup_mode=None,
)
for command in (
    run.init,
    run.demo,
    run.run,
    status.status,
    doctor.doctor,
    query.sql,
    explain.explain,
    compare.compare,
    estimate.estimate,
    months.close,
    months.corrections,
    whatif.whatif,
):
    app.command()(command)
app.add_typer(alerts.app, name="alerts")
app.add_typer(prices.app, name="prices")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(export.app, name="export")


add_examples(app)


def main() -> None:
    """Entry point of a process of its own, which ends without a look at what is left in memory: that is a tenth of a short command."""
    code: object = EXIT_FAILED

    def leave() -> None:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except (AttributeError, OSError, ValueError):
            # Nobody reads it: the interpreter ends as ever, and says what there is to say.
            return
        os._exit(code if isinstance(code, int) else EXIT_FAILED if code else 0)

    # Registered first, it comes behind all else that is to be done at the end.
    atexit.register(leave)
    try:
        command_line()
        code = 0
    except SystemExit as end:
        code = end.code
        raise


def command_line() -> None:
    """A command as its words ask: errors that a person can act on are one message, not a traceback."""
    # What imports make is no garbage: to look for some after every 700 objects, or 50,000, takes a tenth of a start.
    gc.set_threshold(1_000_000)
    try:
        app()
    except SystemExit as end:
        if end.code == EXIT_STOPPED:
            complain(STOPPED)
        raise
    except Exception as error:
        # Not above: most commands end well, and --help needs none of what this imports.
        from pipelines.cli.faults import for_people, is_interrupt

        if is_interrupt(error):
            complain(STOPPED)
            raise SystemExit(EXIT_STOPPED) from None
        said = for_people(error, asked)
        if said is None:
            raise
        complain(f"tokenbooks: {said}")
        raise SystemExit(EXIT_FAILED) from None


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tokenbooks {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
