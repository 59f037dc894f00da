"""``doctor``: what may stand in the way of a run, and what mends it."""

from __future__ import annotations

import typer

from pipelines.cli.arguments import EXIT_FAILED, AsJson, Root, data_root
from pipelines.cli.printing import print_json
from pipelines.words import things


def doctor(root: Root = None, as_json: AsJson = False) -> None:
    """Look over the installation and the data root, and say what mends what is wrong. Ends with 1 where something fails."""
    from pipelines.doctor import examine

    found = examine(data_root(root, may_be_made=True))
    failed = sum(one.state == "fail" for one in found)
    warned = sum(one.state == "warn" for one in found)
    if as_json:
        print_json({"failed": failed, "warned": warned, "findings": [one.as_dict() for one in found]})
    else:
        for one in found:
            print(f"{one.state:<5}{one.subject:<12}{one.found}")
            if one.remedy:
                print(f"{'':17}-> {one.remedy}")
        print("All is well." if not failed and not warned else f"{failed} failed, {things(warned, 'warning')}.")
    if failed:
        raise typer.Exit(EXIT_FAILED)
