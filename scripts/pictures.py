# /// script
# requires-python = ">=3.10"
# dependencies = ["playwright>=1.50", "pyte>=0.8", "rich>=13.7"]
# ///
"""The pictures of the README, of a real build: its terminal as SVG, its HTML report as PNG.

    script -qec "gpuimg build 2.6-cu124 --html report.html" build.typescript
    uv run scripts/pictures.py build.typescript report.html

in a terminal of 100 columns. Needs a Chromium: ``--browser PROGRAM`` names it, else Playwright's own is used.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

import pyte
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

_IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
_COLUMNS: Final = 100
_NOISE: Final = re.compile(r"^Script (?:started|done) on .*\n", re.MULTILINE)
_COLOURS: Final = {"brown": "yellow"}
"""What pyte calls otherwise than rich; the picture's colours are the sixteen of a terminal."""
_STYLES: Final = {"bold": "bold", "italics": "italic", "underscore": "underline"}
_REPORT_WIDTH: Final = 1200
"""Pixels of the report's picture: wide enough for images × checks beside each other."""


def main() -> None:
    """Write ``docs/images/build.svg`` and ``docs/images/report.png``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("typescript", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--browser", help="Chromium to use.")
    parser.add_argument(
        "--command", default="gpuimg build 2.6-cu124 --html report.html", help="What the picture says was typed."
    )
    given = parser.parse_args()
    _IMAGES.mkdir(parents=True, exist_ok=True)
    lines = _screen(_NOISE.sub("", given.typescript.read_bytes().decode(errors="replace")))
    (_IMAGES / "build.svg").write_text(_svg([Text(f"$ {given.command}", style="bold"), *lines]), encoding="utf-8")
    _photograph(given.report, browser=given.browser)


def _screen(typescript: str) -> list[Text]:
    """What stood in the terminal at the end, drawn in place or not."""
    screen = pyte.HistoryScreen(_COLUMNS, 60, history=2000)
    pyte.Stream(screen).feed(typescript)
    rows = [*screen.history.top, *(screen.buffer[number] for number in range(screen.lines))]
    lines = [_line([row[column] for column in range(_COLUMNS)]) for row in rows]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    return lines


def _line(cells: list[pyte.screens.Char]) -> Text:
    line = Text()
    for cell in cells:
        styles = [style for name, style in _STYLES.items() if getattr(cell, name)]
        if cell.fg != "default":
            styles.append(_COLOURS.get(cell.fg, cell.fg))
        line.append(cell.data, style=" ".join(styles))
    line.rstrip()
    return line


def _svg(lines: list[Text]) -> str:
    """Without the font that rich would fetch: a picture makes no request."""
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere, force_terminal=True)
        for line in lines:
            console.print(line, soft_wrap=True)
        text = console.export_svg(title="gpuimg")
    return re.sub(r"@font-face \{.*?\}\s*", "", text, flags=re.DOTALL)


def _photograph(report: Path, *, browser: str | None) -> None:
    with sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=browser, args=["--no-sandbox"] if browser else [])
        page = chromium.new_page(viewport={"width": _REPORT_WIDTH, "height": 1000}, device_scale_factor=1)
        page.goto(report.resolve().as_uri())
        page.screenshot(path=_IMAGES / "report.png")
        chromium.close()


if __name__ == "__main__":
    main()
