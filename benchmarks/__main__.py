"""``python -m benchmarks [--rows N]``: every benchmark, one after the other."""

from __future__ import annotations

import argparse

from benchmarks import main_job, pricing


def main() -> None:
    """Run the benchmarks and print their figures."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="calls in the log (2,000,000)")
    rows = parser.parse_args().rows
    main_job.run(rows)
    pricing.run(5 * rows)


if __name__ == "__main__":
    main()
