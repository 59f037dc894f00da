"""``alerts``: what is open, and sending it to those who own it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.arguments import EXIT_CHECK_FAILED, EXIT_FAILED, AsJson, Group, Root, books_root
from pipelines.cli.printing import complain, money, print_json, print_table, progress
from pipelines.words import meant, things

if TYPE_CHECKING:
    from pipelines.alerting import Sent
    from pipelines.paths import DataRoot

app = typer.Typer(
    cls=Group,
    help="See what is beyond a limit, with owner and dollars, the dearest first; 'alerts send' tells those who own it.",
    invoke_without_command=True,
)


@app.callback()
def alerts(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """See what is beyond a limit, with owner and dollars, the dearest first; 'alerts send' tells those who own it."""
    if context.invoked_subcommand is not None:
        return
    from pipelines.alerting import open_alerts
    from pipelines.alerting.changes import entity_of
    from pipelines.books import reading_books

    with reading_books(books_root(root)) as books:
        found = [row for row in open_alerts(books) if all_ or row["alert_state"] == "open"]
    found.sort(
        key=lambda row: (
            row["alert_state"] != "open",
            row["dollars_at_stake_usd"] is None,
            -(row["dollars_at_stake_usd"] or 0),
        )
    )
    if as_json:
        print_json(found)
        return
    rows: list[dict[str, Any]] = [
        {
            "severity": ("possible " if row["is_possible"] else "") + row["severity"],
            "dollars": money(row["dollars_at_stake_usd"]),
            "owner": row["owner"],
            "known since": str(row["last_opened_date"]),
            **({"over": str(row["resolved_date"] or "")} if all_ else {}),
            "what": f"{row['rule'].replace('_', ' ')}: {entity_of(row)}",
        }
        for row in found
    ]
    print_table(rows, "No alert is open.")
    for row in found:
        if row["alert_state"] == "open":
            print(f"\n{row['sentence']}\n  To do: {row['remedy']}\n  Query: {row['evidence_query']}")


@app.command("send")
def send_alerts(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print exactly what would be sent; send and keep nothing.")
    ] = False,
    to: Annotated[str | None, typer.Option("--to", help="Only this channel.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Tell the channels of reference/alert_channels.csv what is new and what is over, and send what still waits."""
    from pipelines import alerting

    data = books_root(root)
    if to is not None:
        _must_be_a_channel(data, to)
    if dry_run:
        previews, result = alerting.preview(data, only=to)
        if as_json:
            print_json({"messages": [one.__dict__ for one in previews], "problems": result.problems})
        else:
            for one in previews:
                print(f"--- channel {one.channel}, to {one.where}")
                for name, value in one.headers.items():
                    print(f"{name}: {value}")
                print(f"\n{one.body}" if one.headers else one.body)
            _print_end(result, f"{things(len(previews), 'message')} would be sent; nothing was.")
    else:
        with progress() as say:
            result = alerting.send(data, only=to, progress=say)
        if as_json:
            print_json(result.as_dict())
        else:
            print_sent(result)
    raise typer.Exit(exit_code(result))


def _must_be_a_channel(data: DataRoot, name: str) -> None:
    from pipelines.alerting.channels import TABLE
    from pipelines.reference.files import current_frame

    frame, problems = current_frame(data, TABLE)
    names = sorted(set(frame["channel"].to_list()))
    if not problems and name not in names:
        known = f" Known are {', '.join(names)}." if names else " reference/alert_channels.csv names none."
        raise typer.BadParameter(f"no such channel: {name}.{meant(name, names)}{known}", param_hint="--to")


def exit_code(result: Sent) -> int:
    return EXIT_FAILED if result.problems else EXIT_CHECK_FAILED if result.held_back else 0


def print_sent(result: Sent) -> None:
    for one in result.sent:
        print(f"Sent         {one['channel']}: {one['subject']}")
    for one in result.dropped:
        print(
            f"Dropped      {one['subject']}: its channel {one['channel']} is not in reference/alert_channels.csv any more"
        )
    _print_end(result, "" if result.sent or result.dropped or result.waiting else "Nothing is new, and nothing waits.")


def _print_end(result: Sent, said: str) -> None:
    from pipelines.alerting import NO_CHANNELS

    if result.held_back:
        complain(f"Nothing new is told: {result.held_back}. See 'tokenbooks status', mend it and run again.")
    for problem in result.problems:
        complain(problem)
    if result.waiting:
        waiting = f"{things(len(result.waiting), 'message')} wait{'s' * (len(result.waiting) == 1)} in the outbox"
        complain(f"{waiting}; the next 'tokenbooks alerts send' tries again.")
    if not (result.channels or result.problems or result.dropped):
        print(NO_CHANNELS)
    elif said and not result.problems and not result.held_back:
        print(said)
