"""All pages that are generated: by whom, and how they get into docs/ before Sphinx reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from docs.ext import fact_pages
from docs.ext.command_pages import command_pages
from docs.ext.repository import repository_pages
from docs.ext.samples import sample_report_page, stacks_page
from docs.ext.schema_pages import schema_pages

_REFERENCE: Final = "reference"


def generated_pages() -> Mapping[str, str]:
    """Path below docs/ → text."""
    reference = {
        **{f"commands/{name}": text for name, text in command_pages().items()},
        **schema_pages(),
        "checks.md": fact_pages.checks_page(),
        "exit-codes.md": fact_pages.exit_codes_page(),
        "flavors.md": fact_pages.flavors_page(),
        "host-checks.md": fact_pages.doctor_page(),
        "labels.md": fact_pages.labels_page(),
        "sample-report.md": sample_report_page(),
        "stacks.md": stacks_page(),
    }
    return {**{f"{_REFERENCE}/{name}": text for name, text in reference.items()}, **repository_pages()}


def write_pages(folder: Path) -> None:
    """Make `folder` have the generated pages, and none from an earlier time. What is as it should be is left alone."""
    pages = generated_pages()
    for top in {name.partition("/")[0] for name in pages}:
        for path in (folder / top).rglob("*.md"):
            if path.relative_to(folder).as_posix() not in pages:
                path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
