"""The page of reports: whole, safe to open, readable."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Final

import html5lib
import pytest

import gpuimg
from gpuimg.model import Check, Report, Status
from gpuimg.report import html
from tests.unit.browser import dumped
from tests.unit.html_page import Page, contrast

MADE: Final = dt.datetime(2026, 12, 1, 14, 3, tzinfo=dt.timezone.utc)
WIDTHS: Final = (360, 1280)
PAGES: Final = ("measured", "without_gpu", "failing", "hostile", "strange", "several", "none")


def page(*reports: Report) -> str:
    return html.dumps(reports, made=MADE)


@pytest.fixture
def several(measured: Report, without_gpu: Report, failing: Report) -> Sequence[Report]:
    return (measured, without_gpu, failing)


@pytest.fixture
def text(request: pytest.FixtureRequest) -> str:
    """The page of the reports that a test is parametrised with."""
    if request.param == "none":
        return page()
    found: Report | Sequence[Report] = request.getfixturevalue(request.param)
    return page(found) if isinstance(found, Report) else page(*found)


every_page = pytest.mark.parametrize("text", PAGES, indirect=True)


@pytest.mark.parametrize("text", ["several", "strange"], indirect=True)
def test_page_is_the_golden_file(text: str, golden: Callable[[str, str], None], request: pytest.FixtureRequest) -> None:
    """But for its style, which is a file of its own."""
    text = re.sub(r"<style>.*?</style>", "<style>STYLE</style>", text, flags=re.DOTALL)
    text = re.sub(r"'sha256-[^']*'", "'sha256-HASH'", text)
    name = request.node.callspec.params["text"]
    golden(text.replace(f"gpuimg {gpuimg.__version__}", "gpuimg VERSION"), f"{name}.html")


class TestContent:
    def test_every_check_of_every_image_stands_in_the_matrix(self, several: Sequence[Report]) -> None:
        (table,) = re.findall('<table class="matrix">.*?</table>', page(*several), re.DOTALL)
        marks = [text for _, text in Page(table).all("td")]
        names = {check.name for report in several for check in report.checks}
        assert len(marks) == len(names) * len(several)
        assert sum(mark.startswith("✗") for mark in marks) == 3

    def test_the_worst_of_several_gpus_stands_in_the_matrix(self, failing: Report) -> None:
        found = Page(page(failing))
        failed = [text for _, text in found.all("a", class_="FAIL")]
        assert any("numerics.matmul_bf16_exact: 1 of 1048576 differs" in text for text in failed)

    def test_each_mark_with_a_reason_leads_to_where_it_is_told(self, several: Sequence[Report]) -> None:
        found = Page(page(*several))
        for attrs, text in found.all("a", class_="SKIP"):
            (item,) = found.all("li", id=attrs["href"][1:])
            assert text.split(": ", 1)[1] in item[1]
        for attrs, text in found.all("a", class_="FAIL"):
            (article,) = found.all("article", id=attrs["href"][1:])
            assert text.split(": ", 1)[1] in article[1]

    def test_failures_come_first_with_reason_and_remedy(self, several: Sequence[Report]) -> None:
        text = page(*several)
        assert text.index('id="failed"') < text.index('id="matrix"') < text.index('id="image-1"')
        articles = [text for _, text in Page(text).all("article", class_="failure")]
        assert len(articles) == 3
        assert articles[0].endswith("remedyunset LD_LIBRARY_PATH")

    def test_what_was_skipped_is_never_plotted_and_says_why(self, without_gpu: Report, measured: Report) -> None:
        found = Page(page(without_gpu))
        assert not found.all("svg")
        said = " ".join(text for _, text in found.all("p"))
        assert "Memory over steps, savings of the tuned allocator, rates: no GPU was asked for." in said
        skipped = tuple(replace(check, status=Status.SKIP, reason="not here") for check in measured.checks)
        assert not Page(page(replace(measured, checks=skipped))).all("svg")

    def test_a_measured_image_has_all_plots(self, measured: Report) -> None:
        found = Page(page(measured))
        titles = [text for _, text in found.all("h3")]
        assert titles[:4] == [
            "Memory over steps",
            "What the tuned allocator saves",
            "Rates",
            "Errors of matrix products",
        ]
        assert len(found.all("figure")) == 4 + 2 + 2 + 1
        assert "Not measured" not in titles

    def test_the_output_of_a_failed_check_is_shown(self, healthy: Report) -> None:
        died = Check(
            name="guest", group="guest", status=Status.FAIL, reason="guest died", data={"output": "<b>last</b>\nwords"}
        )
        found = Page(page(replace(healthy, checks=(died,))))
        assert found.all("pre")[0][1] == "<b>last</b> words"

    def test_no_report_is_a_page_that_says_so(self) -> None:
        found = Page(page())
        assert "nothing was checked" in found.all("title")[0][1]
        assert found.all("h1")

    def test_the_same_reports_give_the_same_bytes(self, several: Sequence[Report]) -> None:
        assert page(*several) == page(*map(replace, several))


class TestSafety:
    @every_page
    def test_the_page_is_html5_without_a_parse_error(self, text: str) -> None:
        html5lib.HTMLParser(strict=True).parse(text)
        Page(text)

    @every_page
    def test_the_page_asks_for_nothing_and_runs_nothing(self, text: str) -> None:
        found = Page(text)
        tags = {tag for tag, _, _ in found.elements}
        assert not tags & {
            "script",
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
            "audio",
            "video",
            "image",
            "use",
        }
        for tag, attrs, _ in found.elements:
            assert not [name for name in attrs if name.startswith("on") or name in {"src", "style", "xlink:href"}]
            assert tag != "link" or attrs["href"] == "data:,"
            assert tag != "a" or attrs["href"].startswith("#image-")
        style = found.all("style")[0][1]
        assert "url(" not in style
        assert "@import" not in style

    @every_page
    def test_the_policy_allows_the_page_its_own_style_only(self, text: str) -> None:
        policy = Page(text).all("meta", **{"http-equiv": "Content-Security-Policy"})[0][0]["content"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        assert rules["default-src"] == "'none'"
        assert "script-src" not in rules
        assert rules["style-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"

    @pytest.mark.parametrize("text", ["hostile", "strange"], indirect=True)
    def test_nothing_deceives_the_eye(self, text: str) -> None:
        assert not {character for character in text if ord(character) < 32 and character != "\n"}
        assert "\u202e" not in text
        assert "\x9b" not in text

    def test_a_template_in_a_name_is_a_text(self, strange: Report) -> None:
        assert "{{ 7*7 }}" in page(strange)


class TestReadability:
    @every_page
    def test_each_id_stands_once_and_each_reference_leads_somewhere(self, text: str) -> None:
        found = Page(text)
        ids = [attrs["id"] for _, attrs, _ in found.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        for _, attrs, _ in found.elements:
            for name in ("aria-describedby", "aria-labelledby"):
                assert attrs.get(name, ids[0]) in ids
            if attrs.get("href", "").startswith("#"):
                assert attrs["href"][1:] in ids

    @every_page
    def test_headings_leave_no_level_out(self, text: str) -> None:
        levels = [int(tag[1]) for tag, _, _ in Page(text).elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))

    @every_page
    def test_tables_have_heads_with_a_scope(self, text: str) -> None:
        heads = Page(text).all("th")
        assert all(attrs.get("scope") in {"row", "col", "rowgroup"} for attrs, _ in heads)

    @every_page
    def test_no_status_is_told_by_colour_or_symbol_alone(self, text: str) -> None:
        for status in ("PASS", "FAIL", "SKIP"):
            for tag in ("span", "a", "b"):
                assert all(status in words for _, words in Page(text).all(tag, class_=status))

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_and_marks_stand_out_from_what_is_behind_them(self, measured: Report, scheme: str) -> None:
        """WCAG 2: 4.5 to 1 for text, 3 to 1 for what a plot is read by."""
        style = Page(page(measured)).all("style")[0][1]
        dark = " ".join(re.findall(r"@media screen and \(prefers-color-scheme: dark\) \{ :root \{(.*?)\} \}", style))
        light = " ".join(re.findall(r":root \{(.*?)\}", style.replace(dark, "")))
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
        colours |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark)) if scheme == "dark" else {}
        for text in ("ink", "muted", "accent", "pass", "fail", "skip"):
            for behind in ("page", "surface", *(["fail-tint"] if text in {"ink", "muted", "fail"} else [])):
                assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
        for mark in ("default", "tuned", "fail", "control"):
            assert contrast(colours[mark], colours["surface"]) >= 3, mark

    @pytest.mark.parametrize("text", ["several", "hostile", "strange"], indirect=True)
    def test_the_page_never_scrolls_sideways(self, text: str, tmp_path: Path) -> None:
        """In a browser, whose narrowest window is wider than a phone: frames stand in for windows."""
        frames = "".join(f'<iframe srcdoc="{escape(text)}" width="{width}" height="800"></iframe>' for width in WIDTHS)
        script = """onload = () => {
          const roots = [...pages].map((frame) => frame.contentDocument.documentElement);
          document.body.textContent = JSON.stringify(roots.map((root) => [root.clientWidth, root.scrollWidth]));
        };"""
        file = tmp_path / "frames.html"
        file.write_text(
            f"<!DOCTYPE html><style>iframe {{ border: 0 }}</style>{frames}"
            f"<script>const pages = document.querySelectorAll('iframe'); {script}</script>",
            encoding="utf-8",
        )
        body = Page(dumped(file)).all("body")[0][1]
        sizes = json.loads(body)
        assert len(sizes) == len(WIDTHS)
        for width, (shown, needed) in zip(WIDTHS, sizes, strict=True):
            assert width - 20 <= shown <= width, "the frame has that width, but for a scroll bar"
            assert needed <= shown, f"at {width} pixels it needs {needed}"
