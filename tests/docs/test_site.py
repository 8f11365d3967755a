"""The site is whole, needs nothing but its own files, and has a place for all that the program has."""

from __future__ import annotations

import inspect
import re
import shlex
import urllib.parse
from pathlib import Path
from typing import Final

import pytest

from docs.ext.commandline import read_command_line
from docs.ext.fact_pages import exit_codes
from docs.ext.repository import relink
from gpuimg import errors
from gpuimg.cli.app import INTERRUPTED
from gpuimg.doctor.registry import CHECKS as HOST_CHECKS
from gpuimg.matrix import load_matrix
from gpuimg.paths import SCHEMAS
from gpuimg.smoke.guest.registry import CHECKS
from tests.docs.documents import ROOT
from tests.docs.html_links import anchors_in_html, links_in_html
from tests.docs.site import BUILD, build_site

LOADED: Final = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?https?:|<link\b[^>]*\brel=["']?(?:stylesheet|preload|icon)[^>]*\bhref=["']?https?:"""
)
"""What a browser would fetch from elsewhere. A link that a reader follows is another matter."""
WRITTEN_BY_GPUIMG: Final = ("matrix.html", "report.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("site"))


def pages(site: Path) -> dict[str, str]:
    return {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}


def text_of(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def test_it_fetches_nothing_from_elsewhere(site: Path) -> None:
    for name, text in pages(site).items():
        assert not LOADED.search(text), name
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\s*[\"']?https?:", style.read_text(encoding="utf-8")), style


def test_each_link_leads_to_a_page_and_a_place(site: Path) -> None:
    """Sphinx looks at most; raw HTML and the pages that gpuimg writes are ours to look at."""
    found = pages(site)
    assert set(WRITTEN_BY_GPUIMG) < found.keys()
    for name, text in found.items():
        for target, _ in links_in_html(text):
            address = urllib.parse.urlsplit(target)
            if address.scheme or not (address.path or address.fragment):
                continue
            path = (site / name).parent / urllib.parse.unquote(address.path) if address.path else site / name
            assert path.is_file(), f"{name}: {target}"
            if address.fragment and path.suffix == ".html":
                anchors = anchors_in_html(path.read_text(encoding="utf-8"))
                assert urllib.parse.unquote(address.fragment) in anchors, f"{name}: {target}"


def test_every_command_and_option_is_told(site: Path) -> None:
    root = read_command_line()
    for top in root.commands:
        anchors = anchors_in_html(text_of(site, f"reference/commands/{top.name}.html"))
        for command in top.walk():
            for option in command.options:
                slug = f"cmdoption-{command.path.replace(' ', '-')}-{option.names[0].lstrip('-')}"
                assert slug in anchors or f"cmdoption-{command.path.replace(' ', '-')}{option.names[0]}" in anchors, (
                    slug
                )


def test_every_check_flavor_and_field_is_told(site: Path) -> None:
    checks, hosts = text_of(site, "reference/checks.html"), text_of(site, "reference/host-checks.html")
    assert all(f">{name}</span>" in checks for name in CHECKS)
    assert all(f">{name}</span>" in hosts for name in HOST_CHECKS)
    flavors = text_of(site, "reference/flavors.html")
    assert all(f">{flavor.name}</span>" in flavors for flavor in load_matrix().flavors)
    schemas = {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.schema.json")} - {"project"}
    assert {path.stem for path in (site / "reference" / "matrix-files").glob("*.html")} == schemas


def test_the_exit_codes_are_those_that_the_readme_names(site: Path) -> None:
    codes = re.findall(r"<td><p>(\d+)</p></td>", text_of(site, "reference/exit-codes.html"))
    named = re.search(
        r"Exit codes: (.*?interrupted)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert named
    assert codes == re.findall(r"(?:^|, )(\d+) ", " ".join(named[1].split()))


def test_every_error_has_an_exit_code_that_is_told() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.GpuimgError)]
    assert {kind.exit_code for kind in kinds} | {0, 1, INTERRUPTED} == exit_codes().keys()


def test_the_sample_says_that_no_gpu_was_there(site: Path) -> None:
    assert "with no GPUs" in text_of(site, "reference/sample-report.html")


def test_the_chore_builds_it_as_the_tests_do() -> None:
    words = shlex.split((ROOT / "scripts" / "docs").read_text(encoding="utf-8"), comments=True)
    assert set(BUILD) < set(words)


def test_links_between_documents_become_links_between_pages() -> None:
    text = "[a](../../README.md#use) [b](../concepts.md) [c](../../LICENSE) [d](https://example.com/a.md) [e](#here)"
    assert relink(text, document="docs/guides/x.md", page="guides/x.md") == (
        "[a](../repository/README.md#use) [b](../concepts.md) c [d](https://example.com/a.md) [e](#here)"
    )
    fenced = "```console\n$ echo [a](b)\n```\n"
    assert relink(fenced, document="README.md", page="repository/README.md") == fenced
