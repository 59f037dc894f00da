"""What runs tokenbooks by itself: the unit files, the container file and the cron line name commands and paths that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.test_docs import commands

CHECKOUT = Path(__file__).resolve().parent.parent
DEPLOY = CHECKOUT / "deploy"


def lines_of(name: str) -> dict[str, list[str]]:
    """The settings of a unit file by their names."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, said = line.partition("=")
            found.setdefault(key, []).append(said)
    return found


def test_the_container_file_copies_what_an_installation_needs_and_starts_a_command_of_ours():
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    copied = {word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]}
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        project["project"]["readme"],
        *project["project"]["license-files"],
    }

    assert {name for name in copied if not (CHECKOUT / name).exists()} == set()
    assert needed | {"pyproject.toml", "requirements.lock", "dagster.yaml"} <= copied
    assert "--require-hashes -r requirements.lock" in text
    [program] = re.findall(r'^ENTRYPOINT \["/app/\.venv/bin/(\w+)"\]$', text, re.MULTILINE)
    assert program in project["project"]["scripts"]
    assert set(re.findall(r'^CMD \["(\w+)"\]$', text, re.MULTILINE)) <= set(commands())
    # The data root of the checkout stays out of the image.
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"data/*", "!data/shipped", ".venv", ".git"} <= set(ignored)


@pytest.mark.parametrize(
    ("name", "wanted"), [("tokenbooks", ["run"]), ("tokenbooks-month-end", ["run", "close --due"])]
)
def test_each_service_runs_commands_of_ours_on_the_data_root_that_it_may_write(name, wanted):
    service, timer = lines_of(f"{name}.service"), lines_of(f"{name}.timer")

    started = [line.split(maxsplit=1) for line in service["ExecStart"]]
    assert {program for program, _ in started} == {f"{service['WorkingDirectory'][0]}/.venv/bin/tokenbooks"}
    assert [command for _, command in started] == wanted
    assert {command.split()[0] for command in wanted} <= set(commands())
    assert service["Environment"] == [f"TOKENBOOKS_DATA={service['ReadWritePaths'][0]}"]
    assert service["Documentation"][0].endswith("/docs/scheduling.md")
    assert timer["WantedBy"] == ["timers.target"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_reads_all_units_without_a_complaint(tmp_path):
    """With the paths of this checkout, and a user that every machine has."""
    for path in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")):
        text = path.read_text(encoding="utf-8").replace("User=tokenbooks", "User=daemon")
        (tmp_path / path.name).write_text(text.replace("/srv/tokenbooks", str(CHECKOUT)), encoding="utf-8")

    units = sorted(map(str, tmp_path.iterdir()))
    assert len(units) == 4
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if "tokenbooks" in line]) == (0, [])


def test_the_cron_lines_run_commands_of_ours_once_at_a_time():
    page = (CHECKOUT / "docs" / "scheduling.md").read_text(encoding="utf-8")
    hourly, monthly = re.findall(r"^[\d*/,-]+(?: +[\d*/,-]+){4} +(.+)$", page, re.MULTILINE)

    assert 'flock -n "$TOKENBOOKS_DATA/.cron.lock" .venv/bin/tokenbooks run >' in hourly
    # The end of a month waits for a run at work in place of being left out.
    assert 'flock "$TOKENBOOKS_DATA/.cron.lock" sh -c ' in monthly
    assert monthly.endswith(".venv/bin/tokenbooks close --due'")
    for line in (hourly, monthly):
        # A cron table ends a command at the first per cent sign.
        assert "%" not in line
        assert subprocess.run(["sh", "-n", "-c", line], check=False).returncode == 0
