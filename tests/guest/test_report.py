"""What the guest tells is what the reports show: lines of real runs, on the allocator's model, as page and summary."""

from __future__ import annotations

import datetime as dt

from gpuimg.model import Status
from gpuimg.report import as_json, html, markdown
from gpuimg.report.savings import read_savings
from tests.guest.conftest import Guest, by_name


def test_arms_of_a_run_are_plotted_and_told(guest: Guest) -> None:
    only = ["allocator.saving_bert", "numerics.matmul_fp32_rounding"]
    report = guest({"only": only, "inject": {"allocator.saving_bert": "healthy"}})
    (saved,) = as_json.loads(as_json.dumps([report]))
    assert {check.status for check in saved.checks} == {Status.PASS}
    (saving,) = read_savings(saved)
    assert (saving.workload, saving.claim) == ("bert", (12, 18))
    assert saving.course is not None
    assert len(saving.pairs) == 2
    page = html.dumps([saved], made=dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc))
    assert "Memory over steps" in page
    assert page.count("<svg") >= 3  # memory, savings, errors
    median = float(by_name(report)["allocator.saving_bert"].measured["peak_saving"].value)
    assert f"{median:.1f}" in page
    assert "12 to 18 %" in markdown.dumps([saved])
