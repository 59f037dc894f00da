"""One run over a data root: read what landed, rebuild what is out of date, check, publish.

``Books`` holds what a run needs; its methods are the steps. The command line and Dagster call the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from pipelines import audit, export_contract, exports, reference, star, upgrade, views
from pipelines.checks import CheckResult
from pipelines.contract import DIMENSIONS
from pipelines.engine import connect
from pipelines.exports import MonthlyExport
from pipelines.lake import Lake, LakeError, digest, months_closed, run_lock, sweep
from pipelines.models import Model, models, remembering
from pipelines.paths import DataRoot
from pipelines.periods import EVER, Span
from pipelines.planner import Plan, Planner
from pipelines.prices.book_kept import book_of
from pipelines.prices.version import source_version
from pipelines.quarantine import list_of_refusals
from pipelines.reading import Reader, ReadReport
from pipelines.reference.files import Problem, price_remarks
from pipelines.report import publish as publish_pages
from pipelines.report import source_text
from pipelines.report import tables as tables_of_pages
from pipelines.results import Results
from pipelines.runner import Built, build, count_checks, label
from pipelines.settings import Settings
from pipelines.settings import load as load_settings
from pipelines.sources import sources
from pipelines.whatif import kept as kept_answers
from pipelines.words import listed, things

_BOOK_INPUTS = ("ref_prices", "ref_model_aliases", "ref_gpu_pools")


@dataclass
class RunReport:
    """What a run did, for a person to read."""

    read: ReadReport = field(default_factory=ReadReport)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    built: list[Built] = field(default_factory=list)
    results: Sequence[CheckResult] | Results = ()
    published: list[str] = field(default_factory=list)
    is_blocked: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready values: what the command line prints, and what a run in another process hands back."""
        return {
            "warnings": [*self.remarks, *self.read.warnings],
            "notes": self.notes,
            "problems": [str(problem) for problem in self.problems],
            "files_read": len(self.read.files_read),
            "tables": len(self.built),
            "partitions": sum(len(built.partitions) for built in self.built),
            "changed": sum(len(built.changed) for built in self.built),
            "checks": len(self.results),
            "failed": [asdict(result) for result in self.failed],
            "warned": [asdict(result) for result in self._missed if result.severity != "critical"],
            "published": self.published,
            "is_blocked": self.is_blocked,
            "cause": self.cause,
        }

    @property
    def cause(self) -> str | None:
        """Why nothing is published, by name, and what to do; None where nothing stands in the way."""
        causes = []
        if self.problems:
            files = list(dict.fromkeys(problem.file for problem in self.problems))
            places = listed([problem.place for problem in self.problems], 2)
            causes.append(f"a fault in {places}: mend {listed(files, 2)}")
        if failed := self.failed:
            broken = list(dict.fromkeys(f"{result.table} ({result.text or result.message})" for result in failed))
            causes.append(
                f"{things(len(failed), 'failed check')} of {listed(broken, 2)}: mend the landed files or reference rows behind it"
            )
        return f"{'; and '.join(causes)}; then run again" if causes else None

    @property
    def failed(self) -> list[CheckResult]:
        """The checks that block publishing."""
        return [result for result in self._missed if result.severity == "critical"]

    @property
    def _missed(self) -> list[CheckResult]:
        if isinstance(self.results, Results):
            return self.results.missed
        return [result for result in self.results if result.status != "passed"]


class Books:
    """The tables of one data root, opened for a run. Get one from ``open_books``."""

    def __init__(
        self, root: DataRoot, settings: Settings, con: duckdb.DuckDBPyConnection, progress: Callable[[str], None]
    ) -> None:
        self.root, self.settings, self.con, self._progress = root, settings, con, progress
        self.lake = Lake(root)
        self.models: Mapping[str, Model] = models()
        self.planner = Planner(self.lake, self.models, con)
        self.results = Results(self.lake, self.models.keys())
        self._counted: dict[str, tuple[Model, pl.DataFrame]] = {}
        self._looked_at: dict[str, list[str]] = {}
        self._has_begun = False

    # ---- steps
    def refresh_references(self) -> tuple[list[Problem], list[str]]:
        """Bring reference tables and price book up to date. Faults of the files, and what the book has to say."""
        problems = reference.refresh(self.con, self.root, self.lake)
        notes = self._refresh_book()
        audit.note_changes(self.root, self.lake, self.settings)
        self.lake.save_index()
        return problems, notes

    def read_landing(self, *, full: bool = False, only: str | None = None, now: datetime | None = None) -> ReadReport:
        """Stage what is new in ``landing/``, of one source or of all."""
        reader = self._reader(now)
        report = reader.read(full=full, only=only)
        self._ensure_register(reader)
        self.lake.save_index()
        return report

    def stale_references(self) -> bool:
        """Whether a reference table or the price book is out of date, or has a fault to report."""
        return reference.is_stale(self.root, self.lake) or self._book_fingerprint() != self._book_built()

    def price_remarks(self) -> list[str]:
        """What people's prices and contracts say that is no fault and yet hardly meant."""
        providers: set[str] = set()
        for table in ("ref_price_book", "ref_model_names"):
            if (part := self.lake.part(table, None)) is not None:
                providers |= set(pl.read_parquet(self.lake.absolute(part), columns=["provider"])["provider"].unique())
        return price_remarks(self.root, providers - {""})

    def remarks(self) -> list[str]:
        """What is worth knowing of the prices, and of the sources' files as a whole, such as a gap between them."""
        live = self._reader().register.live().values()
        return self.price_remarks() + [
            remark
            for source in sources().values()
            if source.remarks is not None
            for remark in source.remarks([one for one in live if one.source == source.name], self.root.path)
        ]

    def news(self) -> list[str]:
        """Files of ``landing/`` that a run would read."""
        return self.look().news()

    def look(self) -> Reader:
        """One look at ``landing/``, for what is new in it and what of it belongs to no source."""
        return self._reader()

    def refused(self) -> list[dict[str, Any]]:
        """Of each file with refused records: its path, source and records, and what the readable list says of each."""
        found = []
        for version in self._reader().refused():
            path = self.root.path / version.path
            listed = list_of_refusals(self.root, version.source, path)
            lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
            found.append(
                {
                    "file": version.path,
                    "source": version.source,
                    "is_there": path.is_file(),
                    "records": version.records,
                    "quarantined": version.quarantined,
                    "refusals": [json.loads(line) for line in lines],
                }
            )
        return found

    def retry(self, paths: Collection[str]) -> None:
        """Have these files read again by the next run."""
        self._reader().retry(paths)
        self.lake.save_index()

    def outlook(self) -> dict[str, Plan]:
        """What a run would rebuild, as far as it can be told now."""
        return self.planner.outlook()

    def plan(self, table: str, *, full: bool = False, window: Span = EVER) -> Plan:
        return self.planner.plan(self.models[table], full=full, window=window)

    def build(self, table: str, *, full: bool = False, window: Span = EVER) -> Built:
        """Build what of a table is out of date and count its checks; ``judge`` gives the verdict on them."""
        plan = self.plan(table, full=full, window=window)
        if plan.stale:
            place = f"table {list(self.models).index(table) + 1} of {len(self.models)}"
            self._progress(f"building {table} ({place}): {things(len(plan.stale), 'partition')}")
            self._prepare_verdict()
        built = build(self.con, self.lake, self.planner, plan, self._progress)
        self._count(plan.model)
        return built

    def judge(self) -> None:
        """Have great-expectations judge what was counted since the last time; the verdicts are kept with the lake."""
        if self._looked_at:
            from pipelines.judge import judge_all

            found = judge_all(list(self._counted.values())) if self._counted else []
            self.results.put(found, self._looked_at)
            self._counted, self._looked_at = {}, {}
            self.results.save()
        self.lake.save_index()

    def results_of(self, table: str) -> list[CheckResult]:
        """The newest result of every check of every period of a table; by the counts alone where they are not judged yet."""
        from pipelines.judge import provisional

        found = self.results.of(table)
        if table in self._counted:
            model, counts = self._counted[table]
            counted = set(counts["partition"])
            found = [result for result in found if result.partition not in counted] + provisional(model, counts)
        if table in self._looked_at:
            found = [result for result in found if result.partition in self._looked_at[table]]
        return found

    def publish(self, problems: Sequence[Problem]) -> list[str]:
        """Write views and exports, if nothing critical has failed; what was written comes back."""
        self.judge()
        views.refresh(self.root, self.lake, self.models)
        if problems or self.results.worst() == "failed":
            return []
        tables = {name for name in self.models if name.startswith(("mart_", "focus_"))} | set(tables_of_pages())
        state = digest(
            [
                source_text(),
                *(f"{table} {self.lake.state(table)}" for table in sorted(tables)),
                *(str(month) for month in months_closed(self.root)),
                *self.results.state(),
                *kept_answers.state(self.root),
            ]
        )
        if exports.is_published(self.root, state):
            return []
        weeks, written = exports.publish(self.con, self.root, self.lake)
        written += exports.publish_months(self.con, self.root, self.lake)
        written += star.publish(self.con, self.root, self.lake)
        written += export_contract.publish(self.root)
        written += publish_pages(self.con, self.root, self.lake, list(self.results), weeks=weeks)
        corrections = self.lake.part("mart_corrections_weekly", None)
        audit.note_corrections(
            self.root, pl.read_parquet(self.lake.absolute(corrections)).to_dicts() if corrections else []
        )
        exports.note_published(self.root, state)
        return written

    def export(self, wanted: Sequence[MonthlyExport]) -> list[str] | None:
        """Write the months of some exports; what was written comes back, None where a critical check has failed."""
        self.judge()
        if self.results.worst() == "failed":
            return None
        return exports.publish_months(self.con, self.root, self.lake, wanted)

    # ---- parts of steps
    def _reader(self, now: datetime | None = None) -> Reader:
        return Reader(
            self.con,
            self.root,
            self.lake,
            self.settings,
            sources(),
            self._kept_attributes(),
            now,
            self._progress,
            self._dimension_keys(),
        )

    def _book_fingerprint(self) -> str:
        hashes = [part.content_hash for table in _BOOK_INPUTS if (part := self.lake.part(table, None))]
        return digest([source_version(), *hashes])

    def _book_built(self) -> str:
        part = self.lake.part("ref_price_book", None)
        return part.fingerprint if part is not None and self.lake.part("ref_model_names", None) is not None else ""

    def _refresh_book(self) -> list[str]:
        fingerprint = self._book_fingerprint()
        if fingerprint == self._book_built():
            return []
        self._progress("building the price book")
        book = book_of(*(reference.frame_of(self.lake, table) for table in _BOOK_INPUTS))
        for table, frame in reversed(book.tables.items()):
            reference.write_frame(self.con, self.root, self.lake, table, frame, fingerprint)
        return list(book.problems)

    def _kept_attributes(self) -> list[str]:
        """Names that a dimension, an attribution rule or a contract asks to keep (BOOKS: attributes are kept by name)."""
        tables = ("ref_dimensions", "ref_attribution_rules", "ref_price_overrides")
        if any(self.lake.part(table, None) is None for table in tables):
            return []
        further = reference.frame_of(self.lake, "ref_dimensions").filter(~pl.col("dimension").is_in(DIMENSIONS))
        kept = set(further["attribute"].to_list())
        fields = reference.frame_of(self.lake, "ref_attribution_rules")["match_field"].to_list()
        kept |= {name.removeprefix("attributes.") for name in fields if name and name.startswith("attributes.")}
        scopes = reference.frame_of(self.lake, "ref_price_overrides")["scope"].to_list()
        kept |= {"project_id" for scope in scopes if scope and scope.startswith("project_id=")}
        return sorted(name for name in kept if name)

    def _dimension_keys(self) -> dict[str, list[str]]:
        """Names under which metadata and tags may give a dimension that every call has: theirs first, then in file order."""
        if self.lake.part("ref_dimensions", None) is None:
            return {}
        rows = reference.frame_of(self.lake, "ref_dimensions").filter(pl.col("dimension").is_in(DIMENSIONS))
        rows = rows.sort(pl.col("reference_file").str.starts_with("data/"), "reference_row")
        keys: dict[str, list[str]] = {}
        for dimension, attribute in rows.select("dimension", "attribute").iter_rows():
            keys.setdefault(dimension, []).append(attribute)
        return keys

    def _ensure_register(self, reader: Reader) -> None:
        if self.lake.part("staged_files", None) is None:
            reader.register.save()

    def _prepare_verdict(self) -> None:
        """Begin to import what gives the verdict, once something is built: it takes seconds, beside other work."""
        if not self._has_begun:
            from pipelines.judge import import_beside

            import_beside()
            self._has_begun = True

    def _count(self, model: Model) -> None:
        """Count the checks of the periods that have not been checked as they are."""
        parts = self.lake.parts(model.name)
        self._looked_at[model.name] = [label(part.start) for part in parts]
        due = self.results.due(model, parts)
        if due:
            counts = count_checks(self.con, self.lake, self.planner, model, due)
            self._counted[model.name] = (model, counts)
        else:
            self._counted.pop(model.name, None)


@contextmanager
def open_books(root: DataRoot, progress: Callable[[str], None] = lambda text: None) -> Iterator[Books]:
    """The books of a data root, under the run lock; what a killed run left is swept first.

    Raises LakeError where another run is at work, SettingsError where settings.toml cannot be used.
    """
    settings = load_settings(root.settings)
    with run_lock(root):
        sweep(root)
        if sentence := upgrade.bring_forward(root):
            progress(sentence)
        audit.complete(root)
        with connect(settings, root.scratch) as con:
            with remembering(root.query_inputs):
                books = Books(root, settings, con, progress)
            yield books
            # What a job was held back from publishing is judged all the same.
            books.judge()
        sweep(root)


@contextmanager
def reading_books(root: DataRoot) -> Iterator[Books]:
    """The books to look at only: without the lock, and nothing is written.

    Raises OSError where a run at work takes away a file that is just being looked at, LakeError where another version wrote them.
    """
    if upgrade.is_of_earlier_version(root):
        raise LakeError(upgrade.RUN_ONCE)
    settings = load_settings(root.settings)
    with connect(settings, None) as con:
        yield Books(root, settings, con, lambda text: None)


def run(
    root: DataRoot,
    *,
    full: bool = False,
    window: Span = EVER,
    select: Sequence[str] = (),
    now: datetime | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> RunReport:
    """The whole job in this process: references, landing, tables in order, checks, exports."""
    report = RunReport()
    with open_books(root, progress) as books:
        work(books, report, full=full, window=window, select=select, now=now)
    return report


def work(
    books: Books,
    report: RunReport,
    *,
    full: bool = False,
    window: Span = EVER,
    select: Sequence[str] = (),
    now: datetime | None = None,
) -> None:
    """The steps of a run in their order. ``report`` is filled as they are done, so that it tells of a run that fails too."""
    report.problems, report.notes = books.refresh_references()
    report.remarks = books.price_remarks()
    report.read = books.read_landing(full=full, now=now)
    for table in books.models:
        if not select or table in select:
            built = books.build(table, full=full, window=window)
            if built.partitions or built.removed:
                report.built.append(built)
    report.published = books.publish(report.problems)
    report.results = books.results
    report.is_blocked = bool(report.problems or report.failed)
