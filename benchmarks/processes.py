"""What work takes: processor and wall seconds, and of a command as a whole process the peak memory too."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one process took. Memory is the largest it held."""

    cpu_s: float
    wall_s: float
    peak_mib: float


def measure(arguments: Sequence[str | Path]) -> Cost:
    """Run a program to its end.

    Raises RuntimeError, with what it printed, where it fails.
    """
    began = time.monotonic()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))} ended with {process.returncode}:\n{printed}")
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024)


def measure_work(work: Callable[[], object]) -> Cost:
    """Processor and wall seconds of a call in this process; its memory is not told apart from the rest's."""
    cpu, began = time.process_time(), time.monotonic()
    work()
    return Cost(time.process_time() - cpu, time.monotonic() - began, 0)
