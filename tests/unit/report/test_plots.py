"""Numbers → places: scales and their ticks, and what the plots draw."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuimg.model import Check, Report
from gpuimg.report import products, savings, speeds
from gpuimg.report.plots import rows, scales, svg
from gpuimg.report.plots.bars import plot_rates
from gpuimg.report.plots.errors import plot_errors
from gpuimg.report.plots.memory import plot_memory, thinned
from gpuimg.report.plots.savings import plot_bytes, plot_percent
from tests.unit.report import made_up

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200)


class TestScales:
    @given(st.lists(finite, max_size=5))
    def test_a_linear_scale_holds_zero_and_all_values_between_its_ends(self, values: list[float]) -> None:
        scale = scales.linear(values, start=10, end=110)
        for value in (0.0, *values):
            assert 10 <= scale.place(value) <= 110
        found = scales.ticks(scale)
        assert 2 <= len(found) <= 9
        assert list(found) == sorted(set(found))
        assert math.isclose(scale.place(found[0]), 10, abs_tol=0.01)
        assert math.isclose(scale.place(found[-1]), 110, abs_tol=0.01)

    @given(st.lists(st.floats(min_value=1e-3, max_value=1e6), max_size=5))
    def test_decades_hold_all_values_and_have_few_ticks(self, values: list[float]) -> None:
        scale = scales.decades(values, start=0, end=1)
        assert all(scale.low * (1 - 1e-9) <= value <= scale.high * (1 + 1e-9) for value in values)
        assert 2 <= len(scales.ticks(scale)) <= 7

    def test_places_are_in_proportion(self) -> None:
        scale = scales.linear([40], start=0, end=200)
        assert [scale.place(value) for value in (0, 10, 40, 99)] == [0, 50, 200, 200]
        log = scales.decades([1, 100], start=0, end=200)
        assert [log.place(value) for value in (1, 10, 100, 0)] == [0, 100, 200, 0]


class TestMemory:
    def test_curves_start_and_end_where_their_numbers_do(self, measured: Report) -> None:
        """24.7 of 40 GiB is the height that the tuned curve ends at."""
        figure = _memory(measured)
        (tuned,) = _marks(figure, "path", "tuned")
        places = [tuple(map(float, place.split())) for place in tuned["d"].removeprefix("M").split("L")]
        assert [x for x, _ in (places[0], places[-1])] == [44, 350]
        assert places[-1][1] == pytest.approx(200 - (200 - 22) * 24.7 / 40, abs=0.1)

    def test_each_step_with_a_retry_has_a_stroke(self, measured: Report) -> None:
        figure = _memory(measured)
        assert len(_marks(figure, "line", "default-retry")) == 6
        assert not _marks(figure, "line", "tuned-retry")

    def test_a_limit_in_sight_is_a_line_and_one_far_above_is_told(self, measured: Report) -> None:
        bert = savings.read_savings(measured)[0]
        assert bert.course is not None
        near = plot_memory(replace(bert, budget_bytes=40 << 30), bert.course, name="m")
        far = plot_memory(replace(bert, budget_bytes=70 << 30), bert.course, name="m")
        none = plot_memory(replace(bert, budget_bytes=None), bert.course, name="m")
        assert [len(_marks(figure, "line", "cap")) for figure in (near, far, none)] == [1, 0, 0]
        assert far.notes == ("The limit, 70 GiB, lies above this plot.",)

    def test_2000_points_are_thinned_and_keep_their_peaks(self) -> None:
        points = [(step, 5.0) for step in range(2000)]
        points[777] = (777, 9.0)
        kept = thinned(points)
        assert len(kept) == 300
        assert (777, 9.0) in kept
        assert (kept[0], kept[-1]) == (points[0], points[-1])
        assert list(kept) == sorted(kept)

    @given(st.integers(3, 5000), st.integers(3, 400))
    def test_thinning_keeps_the_order_and_the_number(self, count: int, most: int) -> None:
        kept = thinned([(step, step % 7) for step in range(count)], most)
        assert len(kept) == min(count, most)
        assert [step for step, _ in kept] == sorted({step for step, _ in kept})

    @pytest.mark.parametrize(
        "series",
        [
            {"step": [0, 1], "default_reserved": [], "tuned_reserved": [1, 2]},
            {"step": [0, 0], "default_reserved": [0, 0], "tuned_reserved": [0, 0]},
            {"step": [5, 1000000], "default_reserved": [1 << 59, 1], "tuned_reserved": ["nan", None]},
            {"step": list(range(2000)), "default_reserved": [1] * 2000, "default_retries": list(range(2000))},
        ],
    )
    def test_strange_courses_are_drawn_within_the_plot(self, series: dict[str, Any]) -> None:
        good = made_up.saving("bert", peaks=[(1, 1)])
        saving = savings.read_saving(replace(good, data={**good.data, "series": series}))
        assert saving is not None
        assert saving.course is not None
        _within(plot_memory(saving, saving.course, name="m"))


class TestSavings:
    def test_the_claim_is_a_band_from_its_low_end_to_its_high_end(self, measured: Report) -> None:
        figure = plot_percent(savings.read_savings(measured), name="p")
        bands = _marks(figure, "rect", "claim")
        assert len(bands) == 4  # both savings of bert, and both of long
        scale = scales.linear([-1, 40], start=rows.START, end=rows.END)  # moe goes below 0, bert above 30
        left, width = float(bands[0]["x"]), float(bands[0]["width"])
        assert (left, left + width) == pytest.approx((scale.place(12), scale.place(18)), abs=0.2)
        left, width = float(bands[2]["x"]), float(bands[2]["width"])
        assert left + width == rows.END, "a claim without an end goes to the edge"

    def test_each_pair_is_a_dot(self, measured: Report) -> None:
        figure = plot_percent(savings.read_savings(measured), name="p")
        assert len(_marks(figure, "circle", "pair")) == 20
        assert len(_marks(figure, "circle", "tuned-dot")) == 4

    def test_a_tuned_allocator_that_takes_more_stands_left_of_zero(self) -> None:
        figure = plot_percent(_savings([(10, 12)]), name="p")
        assert figure is not None
        (zero,) = {line["x1"] for line in _marks(figure, "line", "zero")}
        assert float(_marks(figure, "circle", "tuned-dot")[0]["cx"]) < float(zero)
        assert figure.notes == ("Left of 0 the tuned allocator takes more.",)

    def test_one_pair_has_no_range(self) -> None:
        figure = plot_percent(_savings([(10, 8)]), name="p")
        assert all(line["x1"] == line["x2"] for line in _marks(figure, "line", "tuned-range"))

    def test_bytes_are_paired_by_workload(self, measured: Report) -> None:
        figure = plot_bytes(savings.read_savings(measured), name="b")
        assert [len(_marks(figure, "circle", f"{arm}-dot")) for arm in ("default", "tuned")] == [6, 6]
        assert "26.1 GiB → ≤ 23.9 GiB" in _words(figure)

    def test_a_cap_that_only_one_setting_has_is_drawn_alone(self) -> None:
        (one,) = _savings([(10, 8)], caps=(9, 8))
        figure = plot_bytes([replace(one, pairs=(), default_cap=None)], name="b")
        assert not _marks(figure, "circle", "default-dot")
        assert "none found → ≤ 8 GiB" in _words(figure)

    def test_nothing_measured_draws_nothing(self) -> None:
        assert plot_percent([], name="p") is None
        assert plot_bytes([], name="b") is None


class TestBars:
    def test_bar_tick_and_outline_end_at_their_numbers(self) -> None:
        rates = speeds.read_matmul(_report(made_up.matmul("bf16", best=75, median=50, peak=100)))
        figure = plot_rates(rates, title="t", name="r")
        (bar,), (peak,), (best,) = (
            _marks(figure, *kind) for kind in (("rect", "bar"), ("rect", "peak"), ("line", "best"))
        )
        width = rows.END - rows.START
        assert float(bar["width"]) == width / 2
        assert float(peak["width"]) == width
        assert float(best["x1"]) == rows.START + width * 0.75

    def test_an_unknown_chip_has_no_outline(self) -> None:
        rates = speeds.read_matmul(_report(made_up.matmul("bf16", best=75, median=50)))
        figure = plot_rates(rates, title="t", name="r")
        assert figure is not None
        assert not _marks(figure, "rect", "peak")
        assert figure.notes == ("No datasheet figure is known for this chip.",)

    def test_nothing_measured_draws_nothing(self) -> None:
        assert plot_rates([], title="t", name="r") is None


class TestErrors:
    def test_dot_and_bound_stand_on_a_logarithmic_axis(self) -> None:
        check = made_up.rounding("fp32", unit=2**-24, bounds={"max_z": 1000}, values={"max_z": 10})
        figure = plot_errors(products.read_errors(_report(check)), name="e")
        (dot,), (bound,) = _marks(figure, "circle", "tuned-dot"), _marks(figure, "line", "bound")
        assert (float(dot["cx"]), float(bound["x1"])) == (rows.START, rows.END)

    def test_an_error_over_its_bound_looks_and_reads_otherwise(self) -> None:
        check = made_up.rounding("bf16", unit=2**-8, bounds={"max_z": 8}, values={"max_z": 46})
        figure = plot_errors(products.read_errors(_report(check)), name="e")
        assert len(_marks(figure, "circle", "over-dot")) == 1
        assert "✗ 46 u, bound 8 u" in _words(figure)

    def test_an_error_that_is_no_number_is_not_drawn(self, strange: Report) -> None:
        errors = products.read_errors(strange)
        figure = plot_errors(errors, name="e")
        assert len(errors) == 3
        assert len(_marks(figure, "circle", "tuned-dot")) == 2
        assert plot_errors([error for error in errors if error.max_z is None], name="e") is None

    def test_an_error_of_zero_stands_on_the_edge_and_it_is_said(self, strange: Report) -> None:
        figure = plot_errors([error for error in products.read_errors(strange) if error.max_z == 0], name="e")
        assert figure is not None
        assert float(_marks(figure, "circle", "tuned-dot")[0]["cx"]) == rows.START
        assert figure.notes


@pytest.mark.parametrize("name", ["measured", "strange"])
def test_every_mark_lies_within_its_plot(name: str, request: pytest.FixtureRequest) -> None:
    for figure in _all(request.getfixturevalue(name)):
        _within(figure)


@pytest.mark.parametrize("name", ["measured", "strange"])
def test_every_plot_says_in_words_what_it_shows(name: str, request: pytest.FixtureRequest) -> None:
    for figure in _all(request.getfixturevalue(name)):
        root = ET.fromstring(figure.picture)
        title, description = root[0], root[1]
        assert (title.tag, description.tag) == ("title", "desc")
        assert title.text
        assert description.text
        assert root.attrib["aria-labelledby"] == title.attrib["id"]
        assert root.attrib["aria-describedby"] == description.attrib["id"]


def test_texts_of_images_are_only_texts(strange: Report) -> None:
    for figure in _all(strange):
        tags = {element.tag for element in ET.fromstring(figure.picture).iter()}
        assert tags <= {"svg", "title", "desc", "line", "rect", "circle", "path", "text"}
        assert "\u202e" not in figure.picture


def test_names_and_numbers_of_a_row_do_not_meet() -> None:
    """What does not fit beside its number is cut."""
    scale = scales.linear([1], start=rows.START, end=rows.END)
    parts = rows.frame([("n" * 99, "7" * 20)], scale, unit="u")
    name, said = re.findall(r'class="(?:name|said)"[^>]*>([^<]*)<', "".join(parts))
    assert len(name) + len(said) <= 50


def _report(*checks: Check) -> Report:
    return Report(image=None, torch=None, python=None, gpus=(), checks=checks, seconds=0)


def _savings(peaks: Sequence[tuple[float, float]], **settings: Any) -> tuple[savings.Saving, ...]:
    return savings.read_savings(_report(made_up.saving("bert", peaks=peaks, **settings)))


def _memory(report: Report) -> svg.Figure:
    saving = savings.read_savings(report)[0]
    assert saving.course is not None
    return plot_memory(saving, saving.course, name="m")


def _all(report: Report) -> list[svg.Figure]:
    from gpuimg.report.sections import sections

    found = [figure for section in sections(report, name="i") for figure in section.figures]
    assert found
    return found


def _marks(figure: svg.Figure | None, tag: str, kind: str) -> list[dict[str, str]]:
    assert figure is not None
    return [
        element.attrib for element in ET.fromstring(figure.picture).iter(tag) if element.attrib.get("class") == kind
    ]


def _words(figure: svg.Figure | None) -> list[str]:
    assert figure is not None
    return [element.text or "" for element in ET.fromstring(figure.picture).iter("text")]


def _within(figure: svg.Figure) -> None:
    root = ET.fromstring(figure.picture)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in {"x", "x1", "x2", "cx"}:
                assert 0 <= float(value) <= width, (element.tag, name, value)
            elif name in {"y", "y1", "y2", "cy"}:
                assert 0 <= float(value) <= height, (element.tag, name, value)
        for x, y in re.findall(r"[ML]([-\d.e+]+) ([-\d.e+]+)", element.attrib.get("d", "")):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
