"""What decides the price book, told without building it: a run without work asks only this."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

from pipelines import paths

# Bumped when this package makes other rows out of the same sources.
CODE_VERSION = 3
# Files of ours that decide the book: its layers, and what the package said in the past.
LAYER_FILES = ("prices.csv", "model_aliases.csv", "genai_prices/versions.csv", "genai_prices/observed.csv")


def package_version() -> str:
    """Version of the installed price package."""
    return version("genai-prices")


def source_version() -> str:
    """Hash of what decides the book apart from the CSV rows handed in: the package's version, our layer files, this code."""
    said = [f"genai-prices {package_version()}", f"code {CODE_VERSION}"]
    for name in LAYER_FILES:
        path = paths.SHIPPED_DATA / name
        said.append(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else '-'}")
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
