"""What work takes: processor and wall seconds, and of a command as a whole process the peak memory too."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
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


# A process begins with the peak memory of the one that started it: a small one stands between.
_WATCH = """
import json, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024], file)
sys.stdout.buffer.write(done.stdout)
sys.exit(done.returncode)
"""


def measure(arguments: Sequence[str | Path]) -> Cost:
    """Run a program to its end.

    Raises RuntimeError, with what it printed, where it fails.
    """
    with tempfile.NamedTemporaryFile() as said:
        watched = [sys.executable, "-I", "-S", "-c", _WATCH, said.name, *arguments]
        done = subprocess.run(watched, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}")
        return Cost(*json.loads(Path(said.name).read_text(encoding="utf-8")))


def measure_work(work: Callable[[], object]) -> Cost:
    """Processor and wall seconds of a call in this process; its memory is not told apart from the rest's."""
    cpu, began = time.process_time(), time.monotonic()
    work()
    return Cost(time.process_time() - cpu, time.monotonic() - began, 0)
