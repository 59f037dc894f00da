"""What is said of refused records: the readable list of a file in ``quarantine/``, the sentence of a run, the reason of an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.lake import digest, replace_text
from pipelines.landing import FileVersion, Found
from pipelines.paths import DataRoot

# Longer names of lists in quarantine/ are shortened.
_NAME_BYTES = 200


def list_refusals(root: DataRoot, file: Found, lines: Sequence[Mapping[str, object]]) -> None:
    """The readable list of what is refused of a file now; none where nothing is."""
    path = list_of_refusals(root, file.source, file.path)
    if not lines:
        path.unlink(missing_ok=True)
        return
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with suppress(OSError):
        replace_text(path, text)


def list_of_refusals(root: DataRoot, source: str, path: Path) -> Path:
    """Where it stands what is refused of a landing file."""
    name = "__".join(path.relative_to(root.landing / source).parts)
    if len(name.encode()) > _NAME_BYTES:
        name = f"{digest([name])[:20]}__{path.name[:60]}"
    return root.refusals(source, name)


def reason_of(error: Exception, root: DataRoot) -> str:
    """What an error says, without what the file holds and where the data root is."""
    text = str(error).splitlines()[0].replace(f"{root.path}/", "")
    if torn := re.search(r"Malformed JSON .*at byte (\d+) .*?: (.*)", text):
        return f"not JSON at byte {torn[1]} ({torn[2].strip(' .')}); expected it whole"
    text = re.sub(r" +Input: .*|, but got (\w+):.*", lambda found: f", but got {found[1]}" if found[1] else "", text)
    return re.sub(r'"([^"]{40})[^"]*"', r'"\1..."', text).strip(" .")


def sentence_of(version: FileVersion, first: Mapping[str, object] | None) -> str:
    """What a run says of a file with refused records; ``first`` is the first of its list."""
    where = f"{version.path}, line {first['line']}: {first['reason']}" if first else version.path
    others = version.records - version.quarantined
    booked = f"The other {others} were booked. " if others > 1 else "The other was booked. " * others
    return (
        f"{where}. {version.quarantined} of {version.records} records were refused; they are noted, without their text, in "
        f"quarantine/{version.source}/. {booked}"
        "Put a mended file in its place, then run again."
    )
