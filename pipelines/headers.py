"""How the YAML in the headers of SQL files is read."""

from __future__ import annotations

import yaml

# The parser in C, where the package was built with it, is ten times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
