"""The Sphinx extension of the site: generated pages before Sphinx reads, and pages of gpuimg's own after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docs.ext.pages import write_pages
from docs.ext.repository import relink
from docs.ext.samples import write_samples


def setup(app: Any) -> dict[str, Any]:
    """What Sphinx calls."""
    app.connect("builder-inited", _before)
    app.connect("source-read", _read)
    app.connect("build-finished", _after)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _before(app: Any) -> None:
    write_pages(Path(app.srcdir))


def _read(app: Any, name: str, source: list[str]) -> None:
    """Links of guides lead out of docs/, to files that have a page on the site."""
    del app
    source[0] = relink(source[0], document=f"docs/{name}.md", page=f"{name}.md")


def _after(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        write_samples(Path(app.outdir))
