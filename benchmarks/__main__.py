"""``python -m benchmarks [--rows N] [--files N] [--records N] [--megabytes N] [--only NAME]``: every benchmark, one after the other."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    anomalies,
    books,
    detection,
    light,
    marts,
    pricing,
    records,
    runaways,
    small_files,
    sources,
    whatif,
)

_BENCHMARKS: dict[str, Callable[[argparse.Namespace], None]] = {
    "light": lambda given: light.run(given.rows, given.base, given.busy_rows, given.part),
    "pricing": lambda given: pricing.run(5 * given.rows),
    "books": lambda given: books.run(5 * given.rows),
    "marts": lambda given: marts.run(given.rows // 2),
    "detection": lambda given: detection.run(given.servegen),
    "anomalies": lambda given: anomalies.run(given.servegen),
    "small_files": lambda given: small_files.run(given.files),
    "records": lambda given: records.run(given.records, given.source),
    "sources": lambda given: sources.run(given.megabytes * 1_000_000, given.source),
    "runaways": lambda given: runaways.run(),
    "whatif": lambda given: whatif.run(6 * given.rows),
}


def main() -> None:
    """Run the benchmarks and print their figures."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="calls in the log (2,000,000)")
    parser.add_argument("--files", type=int, default=100_000, help="files of one call each (100,000)")
    parser.add_argument("--megabytes", type=int, default=1_000, help="size of the file of each source (1,000)")
    parser.add_argument(
        "--records", type=int, default=10_000, help="records of each source, and four times as many (10,000)"
    )
    parser.add_argument("--source", default="", help="measure the file of this source alone")
    parser.add_argument("--base", type=Path, help="a checkout, installed in its .venv, to measure beside this one")
    parser.add_argument("--busy-rows", type=int, default=0, help="calls of one day, such as 10,000,000 (left out)")
    parser.add_argument("--part", default="", choices=["", *light.PARTS], help="measure this part of light alone")
    parser.add_argument("--servegen", type=Path, help="the folder of ServeGen's traces, for alarms on real traffic")
    parser.add_argument("--only", default="", choices=["", *_BENCHMARKS], help="run this benchmark alone")
    arguments = parser.parse_args()
    for name, benchmark in _BENCHMARKS.items():
        if arguments.only in ("", name):
            benchmark(arguments)


if __name__ == "__main__":
    main()
