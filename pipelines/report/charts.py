"""Drawings as SVG text, for light and dark pages: what colours mean stands in the style sheet, what they show in a table beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

Number = float
_SPARK_WIDTH, _SPARK_HEIGHT = 112.0, 30.0
_CURVE_WIDTH, _CURVE_HEIGHT = 340.0, 230.0


def sparkline(values: Sequence[Number | None], tick: Number | None = None, *, label: str = "") -> Markup:
    """A line through the weeks with a dot on the last, gaps where nothing is known, the threshold as a dashed line."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = (
        min([*known, *([tick] if tick is not None else [])]),
        max([*known, *([tick] if tick is not None else [])]),
    )
    wide = high - low or abs(high) or 1.0

    def x(place: int) -> float:
        return 3 + place * (_SPARK_WIDTH - 8) / max(len(values) - 1, 1)

    def y(value: Number) -> float:
        return _SPARK_HEIGHT - 4 - (value - low) / wide * (_SPARK_HEIGHT - 8)

    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{x(place):.1f},{y(value):.1f}")
    lines = "".join(
        f'<polyline class="line" points="{" ".join(run)}"/>'
        if len(run) > 1
        else _dot(run[0].split(",")[0], run[0].split(",")[1], "line-dot")
        for run in runs
        if run
    )
    if tick is not None:
        lines += f'<line class="limit" x1="0" x2="{_SPARK_WIDTH:g}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
    if values[-1] is not None:
        lines += _dot(f"{x(len(values) - 1):.1f}", f"{y(values[-1]):.1f}", "last")
    seen = f'role="img" aria-label="{_text(label)}"' if label else 'aria-hidden="true"'
    return Markup(f'<svg class="spark" width="{_SPARK_WIDTH:g}" height="{_SPARK_HEIGHT:g}" {seen}>{lines}</svg>')


def bar(
    share: Number,
    tick: Number | None = None,
    kind: str = "spend",
    *,
    low: Number | None = None,
    high: Number | None = None,
) -> Markup:
    """A part of a whole from the left edge, with a threshold as a tick and a range as a thin line."""
    drawn = _rect(0, share, kind)
    if low is not None and high is not None:
        drawn += _range(low, high)
    if tick is not None:
        drawn += _upright(tick, "limit")
    return _row(drawn)


def floating(first: Number, second: Number, kind: str, zero: Number | None = None) -> Markup:
    """A bar between two places of a common axis: a step of a bridge."""
    left, right = min(first, second), max(first, second)
    return _row(_rect(left, right - left, kind) + (_upright(zero, "axis") if zero is not None else ""))


def interval(
    low: Number | None, middle: Number, high: Number | None, zero: Number, kind: str, beside: Number | None = None
) -> Markup:
    """A dot with its interval around a zero line; ``beside`` in grey as a hollow diamond."""
    drawn = _upright(zero, "axis")
    if beside is not None:
        drawn += (
            f'<rect class="beside" x="{_percent(beside)}" y="6" width="7" height="7" transform="translate(-3.5 0)"/>'
        )
    if low is not None and high is not None:
        drawn += _range(low, high, kind)
    drawn += f'<circle class="dot {kind}" cx="{_percent(middle)}" cy="9.5" r="4.5"/>'
    return _row(drawn, height=19)


def ranged(low: Number, middle: Number, high: Number, zero: Number | None = None) -> Markup:
    """A range bar from low to high with the middle as a tick."""
    drawn = (_upright(zero, "axis") if zero is not None else "") + _rect(low, high - low, "range")
    return _row(drawn + _upright(middle, "middle"))


def projection(spent: Number, low: Number | None, middle: Number | None, high: Number | None, budget: Number) -> Markup:
    """What was spent, where the month is heading with its band, and the budget as a tick."""
    drawn = ""
    if low is not None and high is not None:
        drawn += _rect(low, max(high - low, 0.004), "range")
    drawn += _rect(0, spent, "spend")
    if middle is not None:
        drawn += _upright(middle, "middle")
    return _row(drawn + _upright(budget, "limit"))


def curve(
    points: Sequence[tuple[Number, Number]],
    mark: Number,
    claim: Number,
    fifth: tuple[Number, Number, str],
    interval_of_fifth: tuple[Number, Number] | None,
) -> Markup:
    """How much of the cost the dearest types make: both axes from 0 to 100 %, the mark, the claim as a line.

    ``fifth`` is the point of the dearest fifth in whole types, with its words.
    """
    left, top, right, bottom = 44.0, 10.0, _CURVE_WIDTH - 12, _CURVE_HEIGHT - 40

    def x(part: Number) -> float:
        return left + part * (right - left)

    def y(part: Number) -> float:
        return bottom - part * (bottom - top)

    line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in [(0.0, 0.0), *points])
    drawn = ""
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawn += f'<line class="grid" x1="{left}" x2="{right}" y1="{y(part):.1f}" y2="{y(part):.1f}"/>'
        drawn += f'<text x="{left - 6}" y="{y(part) + 4:.1f}" text-anchor="end">{part * 100:.0f} %</text>'
        anchor = "end" if part == 1 else "middle"
        drawn += f'<text x="{x(part):.1f}" y="{bottom + 16:.1f}" text-anchor="{anchor}">{part * 100:.0f} %</text>'
    drawn += f'<text x="{(left + right) / 2:.1f}" y="{_CURVE_HEIGHT - 6}" text-anchor="middle">request types, dearest first</text>'
    drawn += f'<line class="limit" x1="{left}" x2="{right}" y1="{y(claim):.1f}" y2="{y(claim):.1f}"/>'
    drawn += f'<text class="soft" x="{right:.1f}" y="{y(claim) + 15:.1f}" text-anchor="end">claim: {claim * 100:.0f} % of the cost</text>'
    drawn += f'<line class="axis" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{top}" y2="{bottom}"/>'
    drawn += f'<polyline class="line" points="{line}"/>'
    drawn += f'<text class="soft" x="{x(mark) + 5:.1f}" y="{bottom - 6:.1f}">{mark * 100:.0f} % of the types</text>'
    place, height, said = fifth
    if interval_of_fifth is not None:
        low, high = interval_of_fifth
        drawn += f'<line class="whisker" x1="{x(place):.1f}" x2="{x(place):.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>'
        for end in interval_of_fifth:
            drawn += f'<line class="whisker" x1="{x(place) - 5:.1f}" x2="{x(place) + 5:.1f}" y1="{y(end):.1f}" y2="{y(end):.1f}"/>'
    drawn += _dot(f"{x(place):.1f}", f"{y(height):.1f}", "last")
    drawn += f'<text x="{x(place) + 12:.1f}" y="{y(height * 0.62):.1f}">{_text(said)}</text>'
    said = "Share of the cost by share of the request types; the same figures stand in the table below."
    return Markup(
        f'<svg class="curve" viewBox="0 0 {_CURVE_WIDTH:g} {_CURVE_HEIGHT:g}" role="img" aria-label="{said}">{drawn}</svg>'
    )


def _row(drawn: str, height: int = 14) -> Markup:
    return Markup(f'<svg class="row" width="100%" height="{height}" aria-hidden="true">{drawn}</svg>')


def _rect(left: Number, width: Number, kind: str) -> str:
    return f'<rect class="{kind}" x="{_percent(left)}" y="2" width="{_percent(max(width, 0.004))}" height="10"/>'


def _range(low: Number, high: Number, kind: str = "spend") -> str:
    return f'<line class="whisker {kind}" x1="{_percent(low)}" x2="{_percent(high)}" y1="9.5" y2="9.5"/>'


def _upright(place: Number, kind: str) -> str:
    return f'<line class="{kind}" x1="{_percent(place)}" x2="{_percent(place)}" y1="0" y2="100%"/>'


def _dot(x: str, y: str, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="3"/>'


def _percent(part: Number) -> str:
    return f"{min(max(part, 0.0), 1.0) * 100:.2f}%"


def _text(label: str) -> str:
    return label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def scaled(values: Sequence[Number | None], *, zero: bool = True) -> tuple[float, float]:
    """Low end and width of an axis that holds all of some values, and 0."""
    known = [value for value in values if value is not None] + ([0.0] if zero else [])
    low, high = min(known, default=0.0), max(known, default=1.0)
    return low, (high - low) or 1.0


def range_bars(rows: Sequence[dict[str, Any]], low: str, middle: str, high: str) -> None:
    """Ranges of several rows on one axis that holds 0."""
    ends = [float(row[name]) for row in rows for name in (low, middle, high) if row[name] is not None]
    least, width = scaled(ends)
    for row in rows:
        row["bar"] = Markup("")
        if row[middle] is not None:
            places = [
                (float(row[name] if row[name] is not None else row[middle]) - least) / width
                for name in (low, middle, high)
            ]
            row["bar"] = ranged(places[0], places[1], places[2], -least / width)
