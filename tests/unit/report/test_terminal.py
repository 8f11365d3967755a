"""The report on a terminal. Whole pages are in ``tests/golden/reports``: read them when they change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from gpuimg.model import Check, Report, Status
from gpuimg.report.terminal import render_failures, render_report, render_summary
from gpuimg.text import cell_width

STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def reports(healthy: Report, failing: Report, hostile: Report, strange: Report) -> Mapping[str, Report]:
    return {"healthy": healthy, "failing": failing, "hostile": hostile, "strange": strange}


@pytest.mark.parametrize("name", ["healthy", "failing", "hostile", "measured"])
def test_report_is_the_golden_page(
    name: str, request: pytest.FixtureRequest, golden: Callable[[str, str], None]
) -> None:
    report: Report = request.getfixturevalue(name)
    golden(render_report(report, width=80, colour=False, unicode=True), f"{name}.txt")


def test_summary_is_the_golden_page(reports: Mapping[str, Report], golden: Callable[[str, str], None]) -> None:
    page = render_summary([reports["healthy"], reports["failing"]], width=80, colour=False, unicode=True)
    golden(page, "summary.txt")


@pytest.mark.parametrize("name", ["healthy", "failing", "hostile", "strange"])
@pytest.mark.parametrize("width", [1, 40, 60, 80, 132])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("unicode", [False, True])
def test_page_fits_and_holds_nothing_that_steers(
    name: str, width: int, colour: bool, unicode: bool, reports: Mapping[str, Report]
) -> None:
    subjects = list(reports.values())
    page = render_report(reports[name], width=width, colour=colour, unicode=unicode)
    page += render_summary(subjects, width=width, colour=colour, unicode=unicode)
    page += render_failures(subjects, width=width, colour=colour, unicode=unicode)
    plain = STYLE.sub("", page) if colour else page
    assert max(map(cell_width, plain.splitlines())) <= max(width, 40)
    assert not any((ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160 or char == "\u202e" for char in plain)
    assert unicode or plain.isascii()
    assert not any(line.endswith(" ") for line in plain.splitlines())


def test_colour_changes_nothing_but_colour(failing: Report) -> None:
    coloured = render_report(failing, width=80, colour=True, unicode=True)
    assert "\x1b[1;31m" in coloured
    assert STYLE.sub("", coloured) == render_report(failing, width=80, colour=False, unicode=True)


def test_verdict_is_the_first_line_and_the_last(failing: Report) -> None:
    lines = render_report(failing, width=80, colour=False, unicode=True).splitlines()
    assert lines[0] == lines[-1] == "✗ FAIL: 3 of 14 checks failed  (PASS 11  FAIL 3  SKIP 8)"


def test_nothing_that_ran_is_no_pass(healthy: Report) -> None:
    skipped = replace(healthy, checks=tuple(check for check in healthy.checks if check.status is Status.SKIP))
    assert render_report(skipped, width=80, colour=False, unicode=False).startswith("- SKIP: no check could run")
    assert "- SKIP  0 of 1 image failed" in render_summary([skipped], width=80, colour=False, unicode=False)


def test_equal_reasons_are_told_once_and_every_check_is_named(healthy: Report) -> None:
    page = render_report(healthy, width=80, colour=False, unicode=True)
    assert page.count("no GPU was asked for") == 1
    assert "– SKIP  7 checks: no GPU was asked for" in page
    for check in healthy.checks:
        assert check.name in page or check.name.partition(".")[2] in page


def test_markup_of_rich_is_text(hostile: Report) -> None:
    page = render_report(hostile, width=400, colour=True, unicode=True)
    assert "[bold red]PASS[/]" in page
    assert ":smile:" in page


def test_a_saving_shows_both_numbers_with_the_claim_beside(measured: Report) -> None:
    page = " ".join(render_report(measured, width=80, colour=False, unicode=True).split())
    assert (
        "peak reserved saves 29.2 % (5.26 to 32.1 %); smallest memory that fits saves 8.43 %; the claim is 12" in page
    )


def test_failure_without_any_explanation_still_shows(healthy: Report) -> None:
    bare = Check(name="load.dlopen", group="load", status=Status.FAIL)
    page = render_report(replace(healthy, checks=(bare,)), width=80, colour=False, unicode=True)
    assert "✗ FAIL  load.dlopen\n" in page


def test_report_of_the_host_names_no_image(healthy: Report) -> None:
    page = render_report(replace(healthy, image=None, torch=None, python=None), width=80, colour=False, unicode=True)
    assert "  checked  this host\n" in page


def test_no_check_at_all_is_no_crash(healthy: Report) -> None:
    page = render_report(replace(healthy, checks=()), width=80, colour=False, unicode=True)
    assert page.startswith("– SKIP: no check could run")
    assert render_summary([], width=80, colour=False, unicode=True) == "\n– SKIP  0 of 0 images failed\n"
