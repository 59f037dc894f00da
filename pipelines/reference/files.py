"""What the files that people edit say now: rows held to their form, ours and theirs merged, and what is wrong with them."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import polars as pl

from pipelines import paths
from pipelines.paths import DataRoot
from pipelines.reference.tables import TABLES, TOKEN_UNITS, UNITS, Field, ReferenceTable
from pipelines.words import listed, nearest, things


@dataclass(frozen=True)
class Problem:
    """What is wrong in a reference file. ``rule`` says it without the value found; further ``lines`` may break the same one."""

    file: str
    line: int | None
    column: str
    text: str
    rule: str = ""
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        more = ""
        if self.lines:
            first = ", ".join(f"{line}" for line in self.lines[:_LINES_NAMED])
            rest = f" and {len(self.lines) - _LINES_NAMED:,} more" if len(self.lines) > _LINES_NAMED else ""
            more = f". The same in {things(len(self.lines), 'further line')}: {first}{rest}"
        return f"{self.place}: {self.text}{more}"

    @property
    def place(self) -> str:
        """File, line and column, as far as known."""
        line = f", line {self.line}" if self.line else ""
        column = f", column{'s' * (' and ' in self.column)} {self.column}" if self.column else ""
        return f"{self.file}{line}{column}"


_LINES_NAMED = 3


def grouped(problems: Sequence[Problem]) -> list[Problem]:
    """One problem for each rule that a column breaks, with all its lines: a wrong column is one message, not one a line."""
    found: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        found.setdefault((problem.file, problem.column, problem.rule or problem.text), []).append(problem)
    return [
        replace(first, lines=tuple(dict.fromkeys(p.line for p in rest if p.line is not None and p.line != first.line)))
        for first, *rest in found.values()
    ]


# A price holds nine places before the point, a factor one.
_PRICE_END = 10**9
_MILLION = 1_000_000
_FACTOR_END = 10
_TYPES: Mapping[str, pl.DataType] = {
    "text": pl.String(),
    "date": pl.Date(),
    "instant": pl.Datetime("us", "UTC"),
    "whole": pl.Int64(),
    "amount": pl.Decimal(38, 15),
    "price": pl.Decimal(38, 15),
    "value": pl.Decimal(38, 15),
    "unit": pl.String(),
    "rate": pl.Decimal(38, 15),
    "currency": pl.String(),
    "scope": pl.String(),
}
_EXPECTED = {
    "date": "a date such as 2026-09-01",
    "instant": "a date or an instant such as 2026-09-01T00:00:00Z",
    "whole": "a whole number",
    "amount": "a decimal number such as 0.25",
    "price": "a decimal number of 0 or more such as 0.25, with at most nine places (a smaller price is quoted for more units) "
    "and less than 1000000000",
    "value": "a decimal number such as 0.25, with at most nine places",
    "unit": f"{' or '.join(UNITS)}, or a unit of your own that is no count of tokens",
    "rate": "a decimal number above 0 such as 1.08",
    "currency": "a code of three capitals such as USD",
    "scope": "billing_account_id=..., project_id=..., feature=... or customer_id=...",
}


def read(table: ReferenceTable, path: Path, shown_as: str) -> tuple[list[dict[str, object]], list[Problem]]:
    """The rows of one file as values, each with its line, and what is wrong with them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return [], [Problem(shown_as, None, "", f"not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8")]
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    fields = {field.name: field for field in table.fields}
    problems: list[Problem] = []
    found: list[dict[str, object]] = []
    try:
        header = next((row for row in rows if not _is_comment(row)), None)
        if header is None:
            return [], []
        header = [name.strip() for name in header]
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            return [], [
                Problem(shown_as, rows.line_num, "", "cells are set apart by semicolons or tabs, expected commas")
            ]
        problems = _wrong_columns(table, header, shown_as, rows.line_num)
        if problems:
            return [], problems
        columns = [fields.get(name) or Field(name, "text") for name in header]
        for row in rows:
            if _is_comment(row):
                continue
            if len(row) != len(header):
                text = f"{len(row)} cells, expected {len(header)}"
                if len(row) < len(header):
                    missing = "," * (len(header) - len(row))
                    text += f": a blank cell has its comma too, so end the row with {missing}"
                problems.append(Problem(shown_as, rows.line_num, "", text, "cells"))
                continue
            values: dict[str, object] = {"reference_file": shown_as, "reference_line": rows.line_num}
            for field, cell in zip(columns, row, strict=True):
                value, expected = _value(field, cell.strip())
                if expected:
                    text = f"{cell.strip()!r}, expected {expected}" if cell.strip() else f"blank, expected {expected}"
                    problems.append(Problem(shown_as, rows.line_num, field.name, text, expected))
                values[field.name] = value
            problems += [Problem(shown_as, rows.line_num, "", text, rule) for rule, text in _disorder(values)]
            problems += [Problem(shown_as, rows.line_num, name, text, name) for name, text in _out_of_bounds(values)]
            found.append(values)
    except csv.Error as error:
        problems.append(Problem(shown_as, rows.line_num, "", f"not CSV ({error})"))
    return found, problems


def _wrong_columns(table: ReferenceTable, header: Sequence[str], shown_as: str, line: int) -> list[Problem]:
    """What is wrong with the names of the columns: a problem for each way in which they are, whatever their number."""
    known = [*(field.name for field in table.fields), "why", "source_ref"]
    unknown = [name for place, name in enumerate(header) if name not in known and name not in header[:place]]
    twice = list(dict.fromkeys(name for place, name in enumerate(header) if name in header[:place]))
    missing = [field.name for field in table.fields if field.required and field.name not in header]
    found = []
    if unknown:
        hints = [f"{name} may be {hint[0]}" for name in unknown if (hint := nearest(name, set(known) - set(header)))]
        meant = f". {listed(hints)}" if hints else ""
        text = f"{'an unknown column' if len(unknown) == 1 else 'unknown columns'}. Known are {', '.join(known)}{meant}"
        found.append(Problem(shown_as, line, listed(unknown), text))
    if twice:
        found.append(Problem(shown_as, line, listed(twice), "a second column of that name"))
    if missing:
        text = "the column is missing" if len(missing) == 1 else "the columns are missing"
        found.append(Problem(shown_as, line, listed(missing), text))
    return found


def _is_comment(row: Sequence[str]) -> bool:
    return not row or not any(cell.strip() for cell in row) or row[0].lstrip().startswith("#")


def _value(field: Field, cell: str) -> tuple[object, str]:
    """The value of a cell, and what was expected where it is none."""
    if not cell:
        return None, "a value" if field.required else ""
    if field.allowed and cell not in field.allowed:
        return None, " or ".join(field.allowed)
    try:
        return _READ_AS[field.kind](cell), ""
    except (ValueError, OverflowError, InvalidOperation):
        return None, _EXPECTED[field.kind]


def _whole(cell: str) -> int:
    value = int(cell)
    if not -(2**63) <= value < 2**63:
        raise ValueError(cell)
    return value


def _amount(cell: str) -> Decimal:
    value = Decimal(cell)
    if not value.is_finite() or value != round(value, 15):
        raise ValueError(cell)
    return value


def _nine_places(cell: str) -> Decimal:
    value = _amount(cell)
    if value != round(value, 9):
        raise ValueError(cell)
    return value


def _price(cell: str) -> Decimal:
    value = _nine_places(cell)
    if not 0 <= value < _PRICE_END:
        raise ValueError(cell)
    return value


def _unit(cell: str) -> str:
    """A unit of one's own may have any name but one that looks like a count of tokens written wrong."""
    if cell not in UNITS and difflib.get_close_matches(cell, TOKEN_UNITS, n=1, cutoff=0.8):
        raise ValueError(cell)
    return cell


def _rate(cell: str) -> Decimal:
    value = _amount(cell)
    if value <= 0:
        raise ValueError(cell)
    return value


def _currency(cell: str) -> str:
    if not re.fullmatch("[A-Z]{3}", cell):
        raise ValueError(cell)
    return cell


def _scope(cell: str) -> str:
    if not re.fullmatch("(billing_account_id|project_id|feature|customer_id)=.+", cell):
        raise ValueError(cell)
    return cell


def _instant(cell: str) -> datetime:
    value = datetime.fromisoformat(cell)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_READ_AS: Mapping[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "instant": _instant,
    "whole": _whole,
    "amount": _amount,
    "price": _price,
    "value": _nine_places,
    "unit": _unit,
    "rate": _rate,
    "currency": _currency,
    "scope": _scope,
    "text": str,
}


def _disorder(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """Ends before their starts: the name of the end, and what is wrong with it."""
    found = []
    for first, last in (
        ("valid_from_date", "valid_to_date"),
        ("effective_from", "effective_to"),
        ("period_start_date", "period_end_date"),
    ):
        start, end = values.get(first), values.get(last)
        if start is not None and end is not None and end <= start:  # type: ignore[operator]
            found.append((last, f"{last} {end} is not after {first} {start} (ends are exclusive)"))
    return found


def _out_of_bounds(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """Columns whose bounds depend on another one, each with what is wrong."""
    found = []
    if values.get("per_units") == _MILLION and (unit := values.get("unit")) is not None and unit not in UNITS:
        found.append(("unit", f"{unit!r}, expected {_EXPECTED['unit']}, which is priced by 1 or 1000"))
    value = values.get("value")
    if isinstance(value, Decimal):
        low, end, what = {
            "multiplier": (0, _FACTOR_END, "a multiplier of 0 or more and less than 10 (0.9 is ten per cent off)"),
            "uplift": (-1, _FACTOR_END - 1, "an uplift of -1 or more and less than 9 (0.1 is ten per cent more)"),
            "absolute": (0, _PRICE_END, f"a price of 0 or more and less than {_PRICE_END}"),
        }.get(str(values.get("kind")), (value, value + 1, ""))
        # Factors have eight places.
        if not low <= value or not round(value, 8) < end:
            found.append(("value", f"{value}, expected {what}"))
    return found


_SAME_PRICE = (
    "provider model_id unit scope service_tier processing ctx_min_tokens ctx_max_tokens region_class window_from_s "
    "window_to_s weekday_mask effective_from known_at sequence"
).split()


def price_remarks(root: DataRoot, providers: Collection[str]) -> list[str]:
    """What the user's prices and contracts say that is no fault and yet hardly meant: a contract with a seller of no model,
    two prices of one thing. Line by line, as a person reads it.
    """
    found: list[Problem] = []
    for name, price in (("prices", "unit_price"), ("price_overrides", "value")):
        path, shown_as = root.reference / f"{name}.csv", f"reference/{name}.csv"
        if not path.is_file():
            continue
        rows, problems = read(TABLES[name], path, shown_as)
        if problems:
            continue
        first: dict[tuple[object, ...], dict[str, object]] = {}
        for row in rows:
            line, provider = row["reference_line"], str(row["provider"])
            if name == "price_overrides" and provider not in providers:
                close = nearest(provider.lower(), providers)
                hint = f"; nearest: {', '.join(close)}" if close else ""
                text = f"no price or model of provider {provider!r} is known, so the row changes nothing{hint}"
                found.append(Problem(shown_as, line, "provider", text))  # type: ignore[arg-type]
            # Multipliers and uplifts add up; of two prices one holds.
            if row.get("kind", "absolute") != "absolute":
                continue
            key = tuple(row.get(column) for column in _SAME_PRICE)
            other = first.setdefault(key, row)
            mine, theirs = ([one[price], one.get("per_units"), one.get("currency")] for one in (row, other))
            if mine != theirs:
                text = f"{row[price]} where line {other['reference_line']} says {other[price]} for the same; the later line is taken"
                found.append(Problem(shown_as, line, price, text))  # type: ignore[arg-type]
    return [f"{problem}." for problem in grouped(found)]


def files_of(root: DataRoot, table: ReferenceTable) -> tuple[Path, Path]:
    return paths.SHIPPED_DATA / f"{table.name}.csv", root.reference / f"{table.name}.csv"


def _merge(
    table: ReferenceTable, ours: list[dict[str, object]], theirs: list[dict[str, object]], problems: list[Problem]
) -> list[dict[str, object]]:
    if not table.key:
        return [*ours, *theirs]
    seen: dict[tuple[object, ...], object] = {}
    for row in theirs:
        key = tuple(row.get(name) for name in table.key)
        if key in seen:
            named = ", ".join(
                f"{name}={value}" for name, value in zip(table.key, key, strict=True) if value is not None
            )
            text = f"a second row for {named} (first in line {seen[key]})"
            problems.append(Problem(str(row["reference_file"]), row["reference_line"], "", text, "key"))  # type: ignore[arg-type]
        seen[key] = row["reference_line"]
    kept = [row for row in ours if tuple(row.get(name) for name in table.key) not in seen]
    return [*kept, *theirs]


def current_frame(root: DataRoot, name: str) -> tuple[pl.DataFrame, list[Problem]]:
    """A table as its files say it now, ours and theirs, without the lake. Of a file with a fault nothing is taken."""
    table = TABLES[name]
    rows: list[dict[str, object]] = []
    problems: list[Problem] = []
    for path, shown_as in _shown(root, table):
        more, wrong = read(table, path, shown_as)
        problems += wrong
        if not wrong:
            rows = _merge(table, rows, more, problems)
    return frame_of_rows(table, rows), grouped(problems)


def _shown(root: DataRoot, table: ReferenceTable) -> list[tuple[Path, str]]:
    """The files of a table that are there, with the names that messages use."""
    names = (f"data/shipped/{table.name}.csv", f"reference/{table.name}.csv")
    return [(path, name) for path, name in zip(files_of(root, table), names, strict=True) if path.is_file()]


def frame_of_rows(table: ReferenceTable, rows: Sequence[dict[str, object]], first_row: int = 1) -> pl.DataFrame:
    """Rows as ``read`` gives them, as a frame of the table's types."""
    schema = {field.name: _TYPES[field.kind] for field in table.fields}
    schema |= {
        "why": pl.String(),
        "source_ref": pl.String(),
        "reference_file": pl.String(),
        "reference_row": pl.Int64(),
    }
    return pl.DataFrame(
        [{**row, "reference_row": number} for number, row in enumerate(rows, first_row)],
        schema=schema,
        orient="row",
        strict=False,
    ).select(list(schema))
