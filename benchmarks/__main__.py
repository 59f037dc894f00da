"""``python -m benchmarks [--rows N] [--files N]``: every benchmark, one after the other."""

from __future__ import annotations

import argparse

from benchmarks import books, main_job, pricing, small_files


def main() -> None:
    """Run the benchmarks and print their figures."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="calls in the log (2,000,000)")
    parser.add_argument("--files", type=int, default=100_000, help="files of one call each (100,000)")
    arguments = parser.parse_args()
    main_job.run(arguments.rows)
    pricing.run(5 * arguments.rows)
    books.run(5 * arguments.rows)
    small_files.run(arguments.files)


if __name__ == "__main__":
    main()
