"""What is installed: the wheel, and the lock that .venv is made from."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
DIRECT = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]

NAME = r"(?P<name>[a-z0-9][a-z0-9._-]*)"
# One requirement of the lock and nothing else: a URL, a path, a host or an option of an index does not fit.
LOCKED = re.compile(
    rf"^{NAME}(\[[a-z0-9,_-]+\])?==(?P<version>[0-9a-z.!+]+)( ; (?P<marker>[a-zA-Z0-9_ .'<>=!()]+))?"
    r"(?P<hashes>( \\\n    --hash=sha256:[0-9a-f]{64})*)\n",
    re.MULTILINE,
)


def lock_text() -> str:
    return (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")


def locked() -> list[re.Match[str]]:
    return list(LOCKED.finditer(lock_text()))


def pinned(requirement: str) -> tuple[str, str]:
    """Name and version of ``name==version``; anything looser is refused."""
    match = re.fullmatch(rf"{NAME}==(?P<version>[0-9][0-9a-z.]*)", requirement)
    assert match, f"{requirement!r} is not an exact pin"
    return canonicalize_name(match["name"]), match["version"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Each file of the wheel, built as a user's installer builds it but without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [path] = folder.iterdir()
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_takes_two_top_level_names_and_no_other(wheel):
    """Other packages own ``sql``, ``data`` and ``tests``."""
    version = PROJECT["project"]["version"]

    assert {name.split("/")[0] for name in wheel} == {"pipelines", "assets", f"tokenbooks-{version}.dist-info"}


@pytest.mark.parametrize(
    ("folder", "shipped_as"),
    [("sql", "sql"), ("data/shipped", "data")],
)
def test_the_wheel_ships_every_file_of_a_folder_unchanged(wheel, folder, shipped_as):
    """Under ``pipelines/_shipped``, where ``pipelines/paths.py`` looks."""
    root = CHECKOUT / folder
    files = {
        f"pipelines/_shipped/{shipped_as}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }

    assert files
    assert {name: wheel.get(name) for name in files} == files


def test_the_wheel_has_every_file_of_the_packages(wheel):
    """Queries and examples of the sources too, which no import would miss."""
    files = {
        path.relative_to(CHECKOUT).as_posix()
        for package in ("pipelines", "assets")
        for path in (CHECKOUT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert files <= wheel.keys()
    assert {name for name in wheel if ".dist-info/" not in name and "/_shipped/" not in name} == files


def test_the_wheel_brings_the_command_and_the_licence(wheel):
    [entry_points] = [text.decode() for name, text in wheel.items() if name.endswith(".dist-info/entry_points.txt")]

    assert "tokenbooks = pipelines.cli:main" in entry_points
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)


def test_the_version_is_the_one_the_package_states(wheel):
    stated = re.search(r'^__version__ = "(.+)"$', wheel["pipelines/__init__.py"].decode(), re.MULTILINE)

    assert stated is not None
    assert stated[1] == PROJECT["project"]["version"]


def test_the_lock_holds_hashed_requirements_and_nothing_else():
    """Read whole by one pattern: names, versions, markers, sha256; no URL, no path, no index, no comment."""
    assert "".join(match[0] for match in locked()) == lock_text()
    assert [match["name"] for match in locked() if not match["hashes"]] == []


def test_the_lock_names_no_place():
    """Said again without the pattern, as the pattern may be changed."""
    for word in ("://", "file:", " @ ", "--index", "--extra", "--find-links", "git+"):
        assert word not in lock_text(), word


def test_every_direct_requirement_is_pinned_as_in_the_lock():
    """One line without a marker: the same version on every Python and every system."""
    in_lock = {(match["name"], match["version"]) for match in locked() if match["marker"] is None}

    assert {pinned(requirement) for requirement in DIRECT} <= in_lock


def test_what_builds_the_wheel_is_what_the_lock_installs():
    """``--no-build-isolation`` uses the installed hatchling, an isolated build the one of [build-system]."""
    for requirement in PROJECT["build-system"]["requires"]:
        assert requirement in PROJECT["dependency-groups"]["dev"]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_gives_one_version_of_each_package(python):
    """Where a package has a version for older Pythons and one for newer, exactly one of them applies."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    names = [
        match["name"] for match in locked() if match["marker"] is None or Marker(match["marker"]).evaluate(environment)
    ]

    assert len(names) == len(set(names))
    assert "numpy" in names
