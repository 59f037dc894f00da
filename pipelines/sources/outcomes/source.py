"""What came of the work: one record an outcome of a task, session or trace."""

from __future__ import annotations

from pathlib import Path

from pipelines.sources import Recognised, RowFormat, Source, recognise_rows

FORMAT = RowFormat(
    columns=dict.fromkeys(
        ("task_id", "session_id", "trace_id", "outcome", "recorded_at", "unit", "quantity"), "VARCHAR"
    ),
    required=("outcome", "recorded_at"),
)


def recognise(name: str, head: bytes) -> Recognised:
    """Records with an outcome and an instant. Raises Unreadable for others."""
    return Recognised("1", recognise_rows(head, FORMAT, "outcomes"))


SOURCE = Source(
    name="outcomes",
    folder=Path(__file__).parent,
    about="Outcomes of tasks, sessions or traces.",
    recognise=recognise,
    read=FORMAT.read,
    is_known_by_little=True,
)
