"""The tables that people edit: CSV files, theirs over ours, held to a form and kept in the lake as ``ref_<name>``.

A fault is reported with file, line and column. The table then keeps what it last held, so that one slip of the pen changes
no number, and nothing is published until it is mended.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import duckdb
import polars as pl

from pipelines import contract, paths, settings
from pipelines.engine import rows_of
from pipelines.lake import Lake, digest
from pipelines.paths import DataRoot

# What settings.toml says that decides tables: they read it as they read the files that people edit.
REPORTING = "ref_reporting"
REPORTING_SCHEMA: Mapping[str, pl.DataType] = {"reporting_time_zone": pl.String()}

# Raised when the tables made of the same files change.
REFERENCE_VERSION = "1"
_LAST_INSTANT = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Field:
    """A column of a reference table: its type as people write it, and whether a blank is allowed."""

    name: str
    kind: str
    required: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReferenceTable:
    """A CSV file that people edit. Rows of the data root win over ours where ``key`` is equal."""

    name: str
    about: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]

    @property
    def table(self) -> str:
        return f"ref_{self.name}"


@dataclass(frozen=True)
class Problem:
    """What is wrong in a reference file."""

    file: str
    line: int | None
    column: str
    text: str

    def __str__(self) -> str:
        place = f", line {self.line}" if self.line else ""
        return f"{self.file}{place}{f', column {self.column}' if self.column else ''}: {self.text}"


def _fields(text: str) -> tuple[Field, ...]:
    """``name[!]:kind[=word|word]`` separated by blanks; ``!`` is required, kind is text where left out."""
    found = []
    for word in text.split():
        name, _, kind = word.partition(":")
        kind, _, allowed = kind.partition("=")
        found.append(
            Field(name.rstrip("!"), kind or "text", name.endswith("!"), tuple(allowed.split("|")) if allowed else ())
        )
    return tuple(found)


_CONDITIONS = (
    "service_tier processing ctx_min_tokens:whole ctx_max_tokens:whole region_class window_from_s:whole window_to_s:whole "
    "weekday_mask:whole"
)

# What a shared charge is known by, what it is shared by, and who may bear it.
_CHARGE_FIELDS = "charge_id|line_item_raw|model_canonical|charge_category|billing_account_id|source|provider|component"
_BASES = "list_cost_usd|effective_cost_usd|requests|tasks|successes|input_total_tokens|output_total_tokens|total_tokens"
_TARGETS = "cost_centre|team|feature|customer_tier|environment|model_canonical|model_tier"

TABLES: Mapping[str, ReferenceTable] = {
    name: ReferenceTable(name, about, _fields(columns), tuple(key.split()))
    for name, about, columns, key in (
        (
            "features",
            "What the product sells, and who owns it when.",
            "feature! owner_team cost_centre description workload:text=interactive|async max_output_tokens:whole unit_of_value "
            "valid_from_date:date valid_to_date:date",
            "feature valid_from_date",
        ),
        (
            "attribution_rules",
            "Rules that give a request a value that its record lacks; the lower priority wins, then the earlier row.",
            "priority!:whole source match_field! match_kind!:text=exact|prefix|glob|regex match_value! dimension! dimension_value! "
            "valid_from_date:date valid_to_date:date",
            "priority source match_field match_kind match_value dimension valid_from_date",
        ),
        (
            "accounts",
            "Billing accounts, by id or name.",
            "provider! account_id! account_name team cost_centre environment",
            "provider account_id",
        ),
        (
            "customers",
            "Customers and their pricing tier when.",
            "customer_id! customer_name customer_tier valid_from_date:date valid_to_date:date",
            "customer_id valid_from_date",
        ),
        (
            "revenue",
            "Revenue of a period, spread evenly over its days.",
            "period_start_date!:date period_end_date!:date customer_id customer_tier feature revenue_amount!:amount currency!:currency "
            "revenue_kind!:text=recognised|arpu_month",
            "period_start_date period_end_date customer_id customer_tier feature revenue_kind",
        ),
        (
            "business_outcomes",
            "Business units done, by day and feature.",
            "outcome_date!:date feature! customer_id unit! quantity!:amount",
            "outcome_date feature customer_id unit",
        ),
        (
            "model_aliases",
            "Other names of models.",
            "provider! pattern_kind!:text=exact|prefix|regex pattern! model_id! priority:whole valid_from_date:date valid_to_date:date",
            "provider pattern_kind pattern valid_from_date",
        ),
        (
            "model_tiers",
            "Capability tier of models (not the customer's tier).",
            "provider! model_id! model_tier!:text=budget|mid|frontier valid_from_date:date valid_to_date:date",
            "provider model_id valid_from_date",
        ),
        (
            "prices",
            "Prices, one row a rate; appended, never overwritten.",
            f"provider! model_id! unit!:unit per_units!:whole=1|1000|1000000 unit_price!:price currency!:currency effective_from:instant "
            f"effective_to:instant known_at:instant {_CONDITIONS} source retrieved_at:instant "
            "confidence:text=published|derived|assumed supersedes",
            "",
        ),
        (
            "price_overrides",
            "Contracts: absolute prices, multipliers, uplifts.",
            f"provider! model_id unit:unit {_CONDITIONS} scope:scope kind!:text=absolute|multiplier|uplift value!:value currency:currency "
            "sequence:whole effective_from:instant effective_to:instant known_at:instant",
            "",
        ),
        (
            "period_charges",
            "Charges and credits of a period that no bill line lists.",
            "charge_id! provider! billing_account_id! kind!:text=credit|commitment|provisioned_throughput|subscription|minimum|tax|fee "
            "period_start_date!:date period_end_date!:date amount_usd:amount amount:amount currency:currency scope "
            f"allocation_basis:text={_BASES} known_at:instant",
            "charge_id known_at",
        ),
        (
            "gpu_pools",
            "GPUs of self-hosted models, and how fast they are: tokens a second of the whole pool, as measured.",
            "pool_id! provider model_id! valid_from_date:date valid_to_date:date gpu_count:amount gpu_hour_usd:amount capex_usd:amount "
            "amortisation_months:amount power_kw:amount pue_ratio:amount electricity_usd_per_kwh:amount ops_usd_per_month:amount "
            "utilisation_share:amount input_tokens_per_s:amount cache_read_tokens_per_s:amount output_tokens_per_s:amount",
            "pool_id valid_from_date",
        ),
        (
            "fx_rates",
            "Rates to USD; one holds until the currency's next.",
            "currency!:currency rate_date!:date fx_rate_to_usd!:rate",
            "currency rate_date",
        ),
        (
            "bill_sources",
            "Which source is the bill of an account.",
            "provider! billing_account_id! source! valid_from_date:date valid_to_date:date",
            "provider billing_account_id valid_from_date",
        ),
        (
            "outcome_labels",
            "Scores and labels as outcomes of tasks.",
            "feature score_name! label threshold:amount outcome!:text=success|failure",
            "feature score_name label threshold",
        ),
        (
            "allocation_rules",
            "How a shared charge is split.",
            f"charge_match_field!:text={_CHARGE_FIELDS} charge_match_value! method!:text=proportional|fixed|even "
            f"basis:text={_BASES} target_kind:text={_TARGETS} target_value share:amount "
            "valid_from_date:date valid_to_date:date",
            "charge_match_field charge_match_value target_kind target_value valid_from_date",
        ),
        (
            "sellers",
            "Names of sellers and their services, as exports for other tools write them.",
            "provider! seller_name! service_name!",
            "provider",
        ),
        (
            "ledger_accounts",
            "Accounts of your general ledger that statements are posted to; of one seller, or of all.",
            "line_kind!:text=expense|clearing provider ledger_account!",
            "line_kind provider",
        ),
        (
            "budgets",
            "Budgets of teams and features.",
            "scope_kind! scope_value! month budget_usd!:amount",
            "scope_kind scope_value month",
        ),
        (
            "thresholds",
            "Limits of verdicts and alerts, each with its reason.",
            "name! scope_kind scope_value threshold! unit severity owner valid_from_date:date",
            "name scope_kind scope_value valid_from_date",
        ),
        (
            "dimensions",
            "Further dimensions to break costs down by, and the names under which tools give those that every call has.",
            "dimension! attribute! description",
            "dimension attribute",
        ),
        (
            "span_pairs",
            "Spans that only wrap the call below them, by regular expressions over both names: the outer one is not billed.",
            "outer_step! inner_step!",
            "outer_step inner_step",
        ),
        ("scenarios", "What-ifs.", "scenario! lever! parameter! setting! unit", "scenario lever parameter"),
    )
}

# What tokens are priced by, those of no class of ours too. Other units have any name: a call's ``extra_units`` say how many there were.
TOKEN_UNITS = sorted({*contract.TOKEN_UNITS, "citation_out", "video_in", "video_out"})
UNITS = (
    *TOKEN_UNITS,
    *"annotated_page audio_hour character file_search page request text_message web_search web_search_preview".split(),
)
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


def template(table: ReferenceTable) -> str:
    """An empty file of a table: its header. What the columns mean is in docs/data_dictionary.md."""
    return ",".join([*(field.name for field in table.fields), "why"]) + "\n"


def refresh(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake) -> list[Problem]:
    """Bring every ``ref_<name>`` up to date with its files; what is wrong with them comes back."""
    problems: list[Problem] = []
    for path in _strangers(root):
        problems.append(Problem(root.relative(path), None, "", f"no such table. Known are {', '.join(sorted(TABLES))}"))
    for table in TABLES.values():
        problems += _refresh(con, root, lake, table)
    _refresh_reporting(con, root, lake)
    return problems


def _strangers(root: DataRoot) -> list[Path]:
    """CSV files, however their ending is written, that are the file of no table."""
    if not root.reference.is_dir():
        return []
    known = {f"{name}.csv" for name in TABLES}
    return sorted(path for path in root.reference.iterdir() if path.suffix.lower() == ".csv" and path.name not in known)


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
        for place, name in enumerate(header):
            if name not in fields and name not in ("why", "source_ref"):
                problems.append(
                    Problem(
                        shown_as,
                        rows.line_num,
                        name,
                        f"an unknown column. Known are {', '.join([*fields, 'why', 'source_ref'])}",
                    )
                )
            if name in header[:place]:
                problems.append(Problem(shown_as, rows.line_num, name, "a second column of that name"))
        for field in table.fields:
            if field.required and field.name not in header:
                problems.append(Problem(shown_as, rows.line_num, field.name, "the column is missing"))
        if problems:
            return [], problems
        for row in rows:
            if _is_comment(row):
                continue
            if len(row) != len(header):
                problems.append(Problem(shown_as, rows.line_num, "", f"{len(row)} cells, expected {len(header)}"))
                continue
            values: dict[str, object] = {"reference_file": shown_as, "reference_line": rows.line_num}
            for name, cell in zip(header, row, strict=True):
                field = fields.get(name, Field(name, "text"))
                value, problem = _value(field, cell.strip())
                if problem:
                    problems.append(Problem(shown_as, rows.line_num, name, problem))
                values[name] = value
            problems += [Problem(shown_as, rows.line_num, "", text) for text in _disorder(values)]
            problems += [Problem(shown_as, rows.line_num, name, text) for name, text in _out_of_bounds(values)]
            found.append(values)
    except csv.Error as error:
        problems.append(Problem(shown_as, rows.line_num, "", f"not CSV ({error})"))
    return found, problems


def _is_comment(row: Sequence[str]) -> bool:
    return not row or not any(cell.strip() for cell in row) or row[0].lstrip().startswith("#")


def _value(field: Field, cell: str) -> tuple[object, str]:
    if not cell:
        return None, "blank, expected a value" if field.required else ""
    if field.allowed and cell not in field.allowed:
        return None, f"{cell!r}, expected {' or '.join(field.allowed)}"
    read_as: Mapping[str, Callable[[str], object]] = {
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
    try:
        return read_as[field.kind](cell), ""
    except (ValueError, OverflowError, InvalidOperation):
        return None, f"{cell!r}, expected {_EXPECTED[field.kind]}"


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


def _disorder(values: Mapping[str, object]) -> list[str]:
    found = []
    for first, last in (
        ("valid_from_date", "valid_to_date"),
        ("effective_from", "effective_to"),
        ("period_start_date", "period_end_date"),
    ):
        start, end = values.get(first), values.get(last)
        if start is not None and end is not None and end <= start:  # type: ignore[operator]
            found.append(f"{last} {end} is not after {first} {start} (ends are exclusive)")
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
    found = []
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
                nearest = difflib.get_close_matches(provider.lower(), sorted(providers), n=3, cutoff=0.6)
                hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
                text = f"no price or model of provider {provider!r} is known, so the row changes nothing{hint}"
                found.append(f"{Problem(shown_as, line, 'provider', text)}.")  # type: ignore[arg-type]
            # Multipliers and uplifts add up; of two prices one holds.
            if row.get("kind", "absolute") != "absolute":
                continue
            key = tuple(row.get(column) for column in _SAME_PRICE)
            other = first.setdefault(key, row)
            mine, theirs = ([one[price], one.get("per_units"), one.get("currency")] for one in (row, other))
            if mine != theirs:
                text = f"{row[price]} where line {other['reference_line']} says {other[price]} for the same; the later line is taken"
                found.append(f"{Problem(shown_as, line, price, text)}.")  # type: ignore[arg-type]
    return found


def is_stale(root: DataRoot, lake: Lake) -> bool:
    """Whether a table differs from its files, or a file has a fault (then its table is never up to date)."""
    parts = {table.name: lake.part(table.table, None) for table in TABLES.values()}
    reporting = lake.part(REPORTING, None)
    return (
        bool(_strangers(root))
        or any(part is None or part.fingerprint != _fingerprint(root, TABLES[name]) for name, part in parts.items())
        or reporting is None
        or reporting.fingerprint != _reporting_fingerprint(root)
    )


def _reporting_fingerprint(root: DataRoot) -> str:
    return digest([REFERENCE_VERSION, duckdb.__version__, settings.load(root.settings).reporting_time_zone])


def _refresh_reporting(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake) -> None:
    fingerprint = _reporting_fingerprint(root)
    part = lake.part(REPORTING, None)
    if part is None or part.fingerprint != fingerprint:
        zone = settings.load(root.settings).reporting_time_zone
        write_frame(con, root, lake, REPORTING, pl.DataFrame([[zone]], REPORTING_SCHEMA, orient="row"), fingerprint)


def _files(root: DataRoot, table: ReferenceTable) -> tuple[Path, Path]:
    return paths.SHIPPED_DATA / f"{table.name}.csv", root.reference / f"{table.name}.csv"


def _fingerprint(root: DataRoot, table: ReferenceTable) -> str:
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in _files(root, table)]
    return digest([REFERENCE_VERSION, duckdb.__version__, repr(table), *contents])


def _refresh(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, table: ReferenceTable) -> list[Problem]:
    fingerprint = _fingerprint(root, table)
    part = lake.part(table.table, None)
    if part is not None and part.fingerprint == fingerprint:
        return []
    frame, problems = current_frame(root, table.name)
    if problems and part is not None:
        return problems
    write_frame(con, root, lake, table.table, frame, "faulty" if problems else fingerprint)
    return problems


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
            problems.append(Problem(str(row["reference_file"]), row["reference_line"], "", text))  # type: ignore[arg-type]
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
    return frame_of_rows(table, rows), problems


def _shown(root: DataRoot, table: ReferenceTable) -> list[tuple[Path, str]]:
    """The files of a table that are there, with the names that messages use."""
    names = (f"data/shipped/{table.name}.csv", f"reference/{table.name}.csv")
    return [(path, name) for path, name in zip(_files(root, table), names, strict=True) if path.is_file()]


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


def write_frame(
    con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, table: str, frame: pl.DataFrame, fingerprint: str
) -> None:
    """Keep a frame in the lake as an unpartitioned table, its rows in the order given."""
    con.register("frame_rows", frame.to_arrow())
    target = root.whole(table)
    try:
        types = con.execute("describe select * from frame_rows").fetchall()
        names = ", ".join(f"cast({quote_name(row[0])} as {row[1]}) as {quote_name(row[0])}" for row in types)
        rows = rows_of(con, f"select {names} from frame_rows")
    finally:
        con.unregister("frame_rows")
    lake.put(lake.write([rows], target, fingerprint, REFERENCE_VERSION), target, table)


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def frame_of(lake: Lake, table: str) -> pl.DataFrame:
    """A reference table as a frame."""
    part = lake.part(table, None)
    if part is None:
        raise KeyError(table)
    return pl.read_parquet(lake.absolute(part))
