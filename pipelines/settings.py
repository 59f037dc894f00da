"""``settings.toml`` of a data root: the few things a person sets that are no rows of a table."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TEMPLATE = """\
# Settings of this data root. A line that begins with # is a default; take the # away to change it.

# Time zone of the days and weeks of reports. Ledger, bills and showback are always UTC.
# reporting_time_zone = "UTC"

# File with the secret that user ids are pseudonymised with. Without one, a fixed key is used.
# pseudonym_key_file = "pseudonym.key"

# true keeps user ids as they are in the sources.
# keep_user_ids = false

# Metadata keys and tags to keep by name, beside those that dimensions.csv and attribution_rules.csv name.
# keep_attributes = ["language", "framework"]

# When Dagster looks for what is overdue, has the week just ended published, and looks whether a month that is over can be
# closed, as five cron fields in UTC.
# daily_schedule = "0 6 * * *"
# weekly_schedule = "0 7 * * 1"
# month_end_schedule = "30 7 * * *"

# true closes a month that is over once its books are up to date, every invoice is complete and agrees with its calls, and no
# check has failed. false proposes it: 'tokenbooks close MONTH' stays with a person.
# close_reconciled_months = false

# true sends alerts to the channels of reference/alert_channels.csv after each run. false: only 'tokenbooks alerts send' does.
# send_alerts = false

# Share of the machine for one run.
# memory_limit = "1500MB"
# threads = 2
"""


_CRON = re.compile(r"[\d*/,-]+( [\d*/,-]+){4}")
_MEMORY = re.compile(r"[1-9]\d*(\.\d+)? ?([KMGT]i?)?B", re.IGNORECASE)


class SettingsError(ValueError):
    """settings.toml cannot be used; the message names the key."""


@dataclass(frozen=True)
class Settings:
    """What settings.toml says, or the defaults."""

    reporting_time_zone: str = "UTC"
    pseudonym_key_file: str = ""
    keep_user_ids: bool = False
    keep_attributes: tuple[str, ...] = ()
    memory_limit: str = "1500MB"
    threads: int = max(1, os.cpu_count() or 1)
    daily_schedule: str = "0 6 * * *"
    weekly_schedule: str = "0 7 * * 1"
    month_end_schedule: str = "30 7 * * *"
    close_reconciled_months: bool = False
    send_alerts: bool = False
    pseudonym_key: str = "tokenbooks"

    @property
    def reading_version(self) -> str:
        """What of the settings decides how landing files are read."""
        return f"{self.keep_user_ids}|{'' if self.keep_user_ids else self.pseudonym_key}"


def load(path: Path) -> Settings:
    """The settings of a data root; defaults where the file is absent.

    Raises SettingsError with the key, what was found and what is expected.
    """
    if path.is_dir():
        raise SettingsError(f"{path.name}: a folder, expected a file. Move it away.")
    if not path.is_file():
        return Settings()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name}: not TOML ({error}). Mend that line, then run again.") from error
    kinds = {field.name: type(field.default) for field in fields(Settings) if field.name != "pseudonym_key"}
    values: dict[str, object] = {}
    for key, value in given.items():
        if key not in kinds:
            raise SettingsError(f"{path.name}: unknown key {key!r}. Known are {', '.join(kinds)}.")
        wanted = list if kinds[key] is tuple else kinds[key]
        if type(value) is not wanted:
            raise SettingsError(f"{path.name}: {key} is {value!r}, expected a {wanted.__name__}.")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{path.name}: {key} is {value!r}, expected a list of texts.")
        values[key] = tuple(value) if isinstance(value, list) else value
    if (threads := values.get("threads")) is not None and int(str(threads)) < 1:
        raise SettingsError(f"{path.name}: threads is {threads}, expected 1 or more.")
    if (limit := values.get("memory_limit")) is not None and not _MEMORY.fullmatch(str(limit)):
        raise SettingsError(f"{path.name}: memory_limit is {limit!r}, expected a size such as '2GB' or '800MB'.")
    for key in ("daily_schedule", "weekly_schedule", "month_end_schedule"):
        if key in values and not _CRON.fullmatch(str(values[key])):
            raise SettingsError(
                f"{path.name}: {key} is {values[key]!r}, expected five cron fields such as '0 7 * * 1'."
            )
    if "reporting_time_zone" in values:
        try:
            ZoneInfo(str(values["reporting_time_zone"]))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(
                f"{path.name}: reporting_time_zone {values['reporting_time_zone']!r} is not a known time zone."
            ) from error
    if key_file := values.get("pseudonym_key_file"):
        key_path = path.parent / str(key_file)
        if not key_path.is_file():
            raise SettingsError(f"{path.name}: pseudonym_key_file {key_file!r} does not exist beside it.")
        key_text = key_path.read_bytes().decode("utf-8", "replace").strip()
        if not key_text or "\ufffd" in key_text:
            raise SettingsError(f"{path.name}: pseudonym_key_file {key_file!r} is empty or no text, expected one line.")
        values["pseudonym_key"] = key_text
    return Settings(**values)  # type: ignore[arg-type]
