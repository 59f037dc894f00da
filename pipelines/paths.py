"""Where everything is. The only module that builds a path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

_PACKAGE = Path(__file__).resolve().parent
# Beside the checkout when run from it; inside the package when installed as a wheel.
_SHIPPED = _PACKAGE / "_shipped"
_IN_WHEEL = _SHIPPED.is_dir()

SQL = _SHIPPED / "sql" if _IN_WHEEL else _PACKAGE.parent / "sql"
SHIPPED_DATA = _SHIPPED / "data" if _IN_WHEEL else _PACKAGE.parent / "data" / "shipped"
SOURCES = _PACKAGE / "sources"
USAGE = _PACKAGE / "usage"


def default_root() -> Path:
    """The data root: ``$TOKENBOOKS_DATA``, else ``data/`` of the checkout, else ``data/`` here."""
    given = os.environ.get("TOKENBOOKS_DATA")
    if given:
        return Path(given).expanduser().resolve()
    checkout = _PACKAGE.parent
    if not _IN_WHEEL and (checkout / "pyproject.toml").is_file():
        return checkout / "data"
    return Path.cwd() / "data"


@dataclass(frozen=True)
class DataRoot:
    """One data root and the paths in it."""

    path: Path

    @property
    def is_made(self) -> bool:
        """Whether the folder is a data root: something of one lies in it, if only a folder for files to land in."""
        return any(path.exists() for path in (self.landing, self.settings, self.reference, self.lake, self.closed))

    @property
    def landing(self) -> Path:
        return self.path / "landing"

    @property
    def quarantine(self) -> Path:
        return self.path / "quarantine"

    @property
    def lake(self) -> Path:
        return self.path / "lake"

    @property
    def closed(self) -> Path:
        return self.path / "closed"

    def closed_month(self, month: date) -> Path:
        """The set of files of a closed month: ``closed/<YYYY-MM>``."""
        return self.closed / f"{month:%Y-%m}"

    @property
    def audit_log(self) -> Path:
        return self.closed / "audit_log.jsonl"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    @property
    def reference(self) -> Path:
        return self.path / "reference"

    @property
    def dagster(self) -> Path:
        return self.path / "dagster"

    @property
    def views(self) -> Path:
        return self.path / "tokenbooks.duckdb"

    @property
    def outbox(self) -> Path:
        """What alerts are to be sent and were."""
        return self.path / "outbox" / "alerts.db"

    @property
    def history(self) -> Path:
        """What was typed into the shell of ``tokenbooks sql``."""
        return self.path / ".sql_history"

    @property
    def settings(self) -> Path:
        return self.path / "settings.toml"

    @property
    def lock(self) -> Path:
        return self.lake / ".lock"

    @property
    def index(self) -> Path:
        """Cache of what the lake's files say of themselves; any run can rebuild it."""
        return self.lake / ".index.json"

    @property
    def query_inputs(self) -> Path:
        """Cache of which tables each query reads; any run can rebuild it."""
        return self.lake / ".query_inputs.json"

    @property
    def views_version(self) -> Path:
        """Cache of what the file of views was made of; any run can rebuild it."""
        return self.lake / ".views_version.json"

    @property
    def scratch(self) -> Path:
        """Files of the run under way; emptied when a run starts."""
        return self.lake / ".scratch"

    def table(self, table: str) -> Path:
        return self.lake / table

    def whole(self, table: str) -> Path:
        """The only file of a table without periods: ``lake/<table>/part.parquet``."""
        return self.table(table) / "part.parquet"

    def stored(self, table: str, storage: str, start: date) -> Path:
        """The folder of what is stored together: ``lake/<table>/<storage>=<first day>``, by month or year."""
        return self.table(table) / f"{storage}={start.isoformat()}"

    def fragment(self, table: str, month: date, fragment_id: str) -> Path:
        return self.stored(table, "month", month) / f"{fragment_id}.parquet"

    def refusals(self, source: str, file_name: str) -> Path:
        """Readable list of what was refused of one landing file."""
        return self.quarantine / source / f"{file_name}.jsonl"

    def showback_export(self, week: date) -> Path:
        return self.exports / "showback" / "v1" / f"week={week.isoformat()}"

    @property
    def star_export(self) -> Path:
        return self.exports / "star" / "v1"

    @property
    def set_under_way(self) -> Path:
        """A set that is being put together; its name goes when it is whole."""
        return self.closed / ".under_way.tmp"

    def monthly_export(self, export: str, version: str, month: date) -> Path:
        """``exports/focus/1.4/month=2026-08``, ``exports/statements/v1/month=2026-08``."""
        return self.exports / export / version / f"month={month:%Y-%m}"

    @property
    def whatif_answers(self) -> Path:
        """What ``whatif --export`` keeps: ``exports/whatif/<scenario>.parquet``."""
        return self.exports / "whatif"

    def report(self, week: date) -> Path:
        return self.exports / "report" / f"{week.isoformat()}.html"

    def report_of_team(self, team: str, week: date) -> Path:
        """``exports/report/teams/<team>/<Monday>.html``; signs of a name that a path gives a meaning to are written as %2F."""
        folder = quote(team, safe=" *") if team.strip(".") else team.replace(".", "%2E")
        return self.exports / "report" / "teams" / folder / f"{week.isoformat()}.html"

    def report_mail(self, week: date, ending: str) -> Path:
        """``exports/report/email/<Monday>.html`` and ``.txt``."""
        return self.exports / "report" / "email" / f"{week.isoformat()}.{ending}"

    def relative(self, path: Path) -> str:
        """As it is written in tables and messages: below the data root, with forward slashes."""
        return path.relative_to(self.path).as_posix()
