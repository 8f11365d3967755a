"""The summary of a CI's step: what it says, that nothing in it is more than text, and that it is never too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gpuimg.model import Check, Report, Status
from gpuimg.report import markdown

REPORTS = ("healthy", "measured", "without_gpu", "failing", "hostile", "strange")


@pytest.mark.parametrize("name", ["measured", "failing", "strange"])
def test_summary_is_the_golden_file(
    name: str, request: pytest.FixtureRequest, golden: Callable[[str, str], None]
) -> None:
    golden(markdown.dumps([request.getfixturevalue(name)]), f"{name}.md")


def test_summary_of_several_is_the_golden_file(
    measured: Report, without_gpu: Report, failing: Report, golden: Callable[[str, str], None]
) -> None:
    golden(markdown.dumps([measured, without_gpu, failing]), "several.md")


def test_failures_stand_before_measurements_and_those_before_skips(measured: Report, failing: Report) -> None:
    text = markdown.dumps([measured, failing])
    places = [text.index(title) for title in ("## ❌", "| verdict |", "### What failed", "### Measured", "### Skipped")]
    assert places == sorted(places)
    assert "remedy    unset LD_LIBRARY_PATH" in text


def test_an_image_without_measurements_has_no_table_of_them(without_gpu: Report) -> None:
    text = markdown.dumps([without_gpu])
    assert "### Measured" not in text
    assert "18 checks: `no GPU was asked for`" in text


def test_the_summary_of_nothing_is_short() -> None:
    assert markdown.dumps([]) == "## ⏭️ gpuimg: SKIP, 0 of 0 images failed\n\n"


@pytest.mark.parametrize("name", REPORTS)
def test_what_images_say_is_code_and_nothing_else(name: str, request: pytest.FixtureRequest) -> None:
    """Outside of code there are only our own words: no HTML but our line break, no link, no mention."""
    text = markdown.dumps([request.getfixturevalue(name)])
    for token in _tokens(text):
        assert token.type not in {"html_block", "link_open", "image", "code_block"}
        assert token.type != "html_inline" or token.content == "<br>"
        assert token.type != "text" or not set("@`|<[\\") & set(token.content), token.content
    assert "\u202e" not in text
    assert not {character for character in text if ord(character) < 32 and character != "\n"}


@pytest.mark.parametrize("name", REPORTS)
def test_every_row_has_as_many_cells_as_its_head(name: str, request: pytest.FixtureRequest) -> None:
    report: Report = request.getfixturevalue(name)
    tokens = list(_tokens(markdown.dumps([report])))
    kinds = [token.type for token in tokens]
    assert kinds.count("tr_open") >= 2, "there is a table, with a row"
    assert not [token for token in tokens if token.type == "text" and token.content.startswith("|")]


@given(st.text() | st.text(alphabet="`|\\ \n<@a"))
@example("`")
@example("a``b```c")
@example("\\|`|")
def test_inline_code_shows_any_text_and_ends_where_it_ends(text: str) -> None:
    for cell in (False, True):
        line = markdown.code(text, cell=cell)
        source = f"| a | b |\n| --- | --- |\n| {line} | end |\n" if cell else f"{line} end"
        tokens = [token for token in _tokens(source) if token.type in {"code_inline", "text"}]
        assert tokens[-1].content.endswith("end")
        assert len([token for token in tokens if token.type == "code_inline"]) == (line != "–")


@given(st.lists(st.text(alphabet="`~ a\\"), max_size=4))
def test_no_line_ends_a_fenced_block(lines: list[str]) -> None:
    (token,) = MarkdownIt("commonmark").parse(markdown.fenced(lines))
    assert token.type == "fence"
    assert token.content == "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("limit_bytes", [0, 10, 200, 1000, 5000, 20_000])
def test_a_summary_is_never_longer_than_its_limit(limit_bytes: int, measured: Report, failing: Report) -> None:
    text = markdown.dumps([measured, failing], limit_bytes=limit_bytes)
    assert len(text.encode()) <= limit_bytes
    assert not text or "The rest is left out" in text or text == markdown.dumps([measured, failing])


def test_github_takes_what_a_thousand_hostile_failures_leave(failing: Report) -> None:
    loud = Check(name="a.b", group="a", status=Status.FAIL, reason="é" * 100_000, remedy="é\n" * 50_000)
    text = markdown.dumps([replace(failing, checks=(loud,) * 1000)])
    assert len(text.encode()) <= 1 << 20
    assert text.endswith("have all.*\n")


def _tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()
