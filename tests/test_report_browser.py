"""The weekly pages in a browser: nothing is cut on a phone, nothing is asked for, and all can be read. Skipped where Chromium is not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.paths import DataRoot

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
MEASURE = (Path(__file__).parent / "report_page.js").read_text(encoding="utf-8")
DARK = "--blink-settings=preferredColorScheme=0"


def seen(page: Path, folder: Path, width: int, *options: str) -> dict[str, Any]:
    """What a browser of a width makes of a page: an iframe is as wide as it says, where a window has a least width."""
    copy = folder / "page.html"
    copy.write_text(
        page.read_text(encoding="utf-8").replace("</body>", f"<script>{MEASURE}</script></body>"), encoding="utf-8"
    )
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe><p id="said"></p>'
        "<script>document.querySelector('iframe').onload = event => {"
        "document.getElementById('said').textContent = event.target.contentDocument.title}</script>",
        encoding="utf-8",
    )
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--hide-scrollbars",
        "--disable-gpu",
        "--allow-file-access-from-files",
    ]
    command += [*options, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    found = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    said = re.search(r'<p id="said">(.*?)</p>', found.stdout, re.DOTALL)
    assert said is not None, found.stderr[-2000:]
    told: dict[str, Any] = json.loads(said[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return told


@pytest.mark.parametrize(
    ("width", "options"), [(390, ()), (820, (DARK,)), (1400, ())], ids=["phone", "tablet dark", "desk"]
)
def test_a_page_fits_its_width_and_can_be_read(
    golden_books: DataRoot, tmp_path: Path, width: int, options: tuple[str, ...]
) -> None:
    """No scrolling sideways, no request, headings one level at a time, a table for each drawing, contrast of 4.5 at least."""
    page = sorted(golden_books.report(date.min).parent.glob("*.html"))[-1]

    said = seen(page, tmp_path, width, *options)

    assert said["width"] == width
    assert said["scrolled"] == width, said["cut"]
    assert said["cut"] == []
    assert said["asked"] == []
    assert said["headings"][0] == 1
    assert said["headings"].count(1) == 1
    assert all(after - before <= 1 for before, after in zip(said["headings"], said["headings"][1:], strict=False))
    assert (said["loose"], said["unnamed"]) == (0, 0)
    assert said["faint"] == []
