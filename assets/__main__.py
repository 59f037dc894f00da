"""Runs both jobs in this process, as ``tokenbooks run`` does: ``python -m assets run --root DIR --report FILE``.

The runs are kept in the instance of the data root, so that Dagster's pages show them. Exit codes are those of the command:
0 done; 1 failed; 2 wrong usage; 3 done but a check failed, so nothing was published.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pipelines import __version__, paths
from pipelines.books import Books, RunReport, open_books
from pipelines.lake import LakeError, replace_text
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.planner import Span
from pipelines.settings import SettingsError

DONE, FAILED, WRONG_USAGE, BLOCKED = 0, 1, 2, 3
