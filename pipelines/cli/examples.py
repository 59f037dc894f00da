"""What the help of each command ends with: commands to copy. The tests hold them to the options that there are."""

from __future__ import annotations

from collections.abc import Mapping

import typer

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "init": ("tokenbooks init ~/books",),
    "demo": ("tokenbooks demo --root ~/sample",),
    "run": (
        "tokenbooks run",
        "tokenbooks run --root ~/books --json",
        "tokenbooks run --select mart_showback_weekly --from 2026-11-01",
    ),
    "status": ("tokenbooks status", "tokenbooks status --json"),
    "doctor": ("tokenbooks doctor", "tokenbooks doctor --json"),
    "explain": ("tokenbooks explain chatcmpl-7",),
    "compare": (
        "tokenbooks compare release=4.1 release=4.2",
        "tokenbooks compare base.jsonl head.jsonl --fail-on +30% --format markdown",
    ),
    "estimate": (
        "tokenbooks estimate --requests 50k --input-tokens 3000 --output-tokens 400 --model gpt-4o-mini --per month",
    ),
    "close": (
        "tokenbooks close 2026-09",
        'tokenbooks close 2026-09 --accept "the invoice of org-eu comes in November"',
        "tokenbooks close --due",
        "tokenbooks close --verify",
    ),
    "corrections": ("tokenbooks corrections --month 2026-09",),
    "whatif": ("tokenbooks whatif", "tokenbooks whatif routing", "tokenbooks whatif routing+batch --json"),
    "alerts send": ("tokenbooks alerts send --dry-run", "tokenbooks alerts send --to costs"),
    "prices show": ("tokenbooks prices show gpt-4o", "tokenbooks prices show gpt-4o --at 2026-09-01 --tier batch"),
    "prices check": ("tokenbooks prices check",),
    "prices sync": ("tokenbooks prices sync",),
    "prices diff": ("tokenbooks prices diff 2026-09-01 2026-11-01",),
    "prices reprice": ("tokenbooks prices reprice --as-of 2026-09-01",),
    "quarantine list": ("tokenbooks quarantine list", "tokenbooks quarantine list --source litellm --json"),
    "quarantine retry": ("tokenbooks quarantine retry",),
    "export focus": ("tokenbooks export focus", "tokenbooks export focus --version 1.2"),
    "export statements": ("tokenbooks export statements",),
}


def add_examples(app: typer.Typer, of: str = "") -> None:
    """Have the help of each command end with its examples."""
    for command in app.registered_commands:
        command.epilog = _epilog(f"{of}{command.name or getattr(command.callback, '__name__', '')}")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_examples(group.typer_instance, f"{group.name} ")


def _epilog(name: str) -> str | None:
    """The lines as they stand: \\b keeps them from being filled."""
    examples = EXAMPLES.get(name)
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in examples)]) if examples else None
