"""``doctor``, exit codes, and mistakes of a person: each is a sentence with the thing, the place and the remedy."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipelines import cli, doctor
from pipelines.cli import arguments
from pipelines.cli.examples import EXAMPLES
from pipelines.cli.faults import for_people, is_interrupt
from pipelines.paths import DataRoot
from tests.test_cli import CHECKOUT, tokenbooks


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A data root as init makes it."""
    data = tmp_path / "books"
    assert tokenbooks("init", str(data), data=data).returncode == 0
    return data


def found_by(data: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for one in json.loads(tokenbooks("doctor", "--json", data=data).stdout)["findings"]:
        found.setdefault(one["subject"], []).append(one)
    return found


def test_a_new_data_root_lacks_files_and_a_first_run_and_nothing_else(
    books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # make test sets them for the checkout's own data root.
    monkeypatch.delenv("TOKENBOOKS_DAGSTER", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    done = tokenbooks("doctor", data=books)
    wrong = {subject for subject, found in found_by(books).items() for one in found if one["state"] != "ok"}

    assert done.returncode == 0
    # The machine of the tests may be short of disk, and the price book grows old.
    assert wrong - {"Disk", "Price book", "Packages"} == {"Landing", "Tables"}
    assert "-> put exports into landing/<source>/" in done.stdout


def test_each_fault_of_a_data_root_has_its_line_and_its_remedy(books: Path) -> None:
    (books / "reference" / "feature.csv").write_text("feature\n", encoding="utf-8")
    (books / "reference" / "prices.csv").write_text("provider;model_id\n", encoding="utf-8")
    (books / "landing" / "litelm").mkdir()
    (books / "pseudonym.key").chmod(0o644)
    (books / "settings.toml").write_text("treads = 2\n", encoding="utf-8")

    done, found = tokenbooks("doctor", data=books), found_by(books)

    assert done.returncode == 1
    assert [one["found"].split(".")[0] for one in found["Reference"]] == ["reference/feature", "reference/prices"]
    assert "Nearest: features" in found["Reference"][0]["found"]
    assert found["Landing"][0]["remedy"] == "Move its files to landing/litellm/"
    assert "unknown key 'treads'" in found["Settings"][0]["found"]
    assert all(one["remedy"] for one in [*found["Reference"], *found["Landing"]])


def test_without_a_data_root_the_installation_is_looked_over(tmp_path: Path) -> None:
    done = tokenbooks("doctor", data=tmp_path / "nosuch")

    assert done.returncode == 1
    assert f"tokenbooks init {tmp_path / 'nosuch'}" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_as_the_lock_says_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.0.1")

    [found] = doctor._packages()

    assert found.state == "warn"
    assert re.search(r"0\.0\.1, expected \d", found.found)


# ---- mistakes
def test_a_file_in_place_of_the_data_root_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "books").write_text("", encoding="utf-8")
    done = tokenbooks("init", str(tmp_path / "books"), data=tmp_path / "books")

    assert done.returncode == 1
    assert "a file stands where a folder is expected" in done.stderr


def test_a_file_of_views_that_is_damaged_is_named_with_what_to_do(books: Path) -> None:
    (books / "tokenbooks.duckdb").write_text("junk", encoding="utf-8")
    done = tokenbooks("sql", "select 1", data=books)

    assert done.returncode == 1
    assert done.stderr.startswith(f"tokenbooks: {books / 'tokenbooks.duckdb'} is damaged. Remove it, then")


def test_days_in_the_wrong_order_are_refused(books: Path) -> None:
    done = tokenbooks("run", "--from", "2026-11-10", "--to", "2026-11-01", data=books)

    assert done.returncode == 2
    assert "2026-11-01 is not after --from 2026-11-10" in done.stderr


def test_errors_of_the_machine_say_what_to_do(tmp_path: Path) -> None:
    roots = [DataRoot(tmp_path)]

    assert "Make room" in str(for_people(OSError(errno.ENOSPC, "No space left on device"), roots))
    assert str(for_people(PermissionError(errno.EACCES, "Permission denied", "a.csv"), roots)).startswith(
        "a.csv: it may"
    )
    assert "Make room" in str(for_people(duckdb.IOException("Could not write: No space left on device"), roots))
    assert "memory_limit" in str(for_people(duckdb.OutOfMemoryException("failed to allocate"), roots))
    assert for_people(ValueError("a fault of ours"), []) is None
    assert is_interrupt(RuntimeError("Query interrupted"))


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch, books: Path) -> None:
    for error in (KeyboardInterrupt(), RuntimeError("Query interrupted")):

        def stop(root: DataRoot, error: BaseException = error) -> list[doctor.Finding]:
            raise error

        monkeypatch.setattr(doctor, "examine", stop)
        done = tokenbooks("doctor", data=books)
        assert (done.returncode, done.stderr.strip()) == (arguments.EXIT_STOPPED, cli.STOPPED)


# ---- what the help and the README say
def test_the_readme_has_every_exit_code() -> None:
    said = re.findall(r"^\| (\d+) \| ", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    codes = {value for name, value in vars(arguments).items() if name.startswith("EXIT_")}
    assert sorted(map(int, said)) == sorted({0, *codes})


def test_the_help_of_a_command_ends_with_its_examples(tmp_path: Path) -> None:
    for name, lines in EXAMPLES.items():
        done = tokenbooks(*name.split(), "--help", data=tmp_path)
        assert done.returncode == 0, name
        assert done.stdout.rstrip().endswith("\n".join(f"    {line}" for line in lines)), name


def test_help_imports_nothing_that_is_heavy() -> None:
    code = (
        "import sys\nfrom pipelines import cli\nsys.argv = ['tokenbooks', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'dagster', 'duckdb', 'great_expectations', 'jinja2', 'numpy', 'polars', 'pyarrow', 'pydantic', 'rich', 'scipy'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT)

    assert "heavy: []" in done.stdout
