"""The matrix as a page and as one document: whole, safe to open, readable."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re

import pytest
from packaging.version import Version

from gpuimg.facts import UNKNOWN, CompatibleName, Matrix, Stack
from gpuimg.matrix.cells import lay_out
from gpuimg.matrix.document import matrix_as_json
from gpuimg.matrix.page import render_page
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from tests.unit.html_page import Page, contrast
from tests.unit.matrix.pages import hostile_matrix, large_matrix


@pytest.fixture(scope="module")
def page(matrix: Matrix) -> Page:
    return Page(render_page(matrix))


@pytest.fixture(scope="module")
def hostile(matrix: Matrix) -> Matrix:
    return hostile_matrix(matrix)


@pytest.fixture(scope="module")
def large(matrix: Matrix) -> Matrix:
    return large_matrix(matrix)


class TestDocument:
    def test_holds_every_row(self, matrix: Matrix) -> None:
        document = matrix_as_json(matrix)
        for section in ("stacks", "compatible", "cudas", "chips", "gpus"):
            assert len(document[section]) == len(getattr(matrix, section)), section
        assert {row["name"] for row in document["stacks"]} == {stack.name for stack in matrix.stacks}

    def test_refers_only_to_rows_that_it_holds(self, matrix: Matrix) -> None:
        document = matrix_as_json(matrix)
        stacks = {row["name"] for row in document["stacks"]}
        assert {row["use"] for row in document["compatible"]} <= stacks
        assert {row["cuda"] for row in document["stacks"]} <= {row["version"] for row in document["cudas"]}
        assert {row["compute_capability"] for row in document["gpus"]} <= {
            row["compute_capability"] for row in document["chips"]
        }

    def test_every_row_has_sources(self, matrix: Matrix) -> None:
        document = matrix_as_json(matrix)
        rows = [row for section in document.values() if isinstance(section, list) for row in section]
        assert all(source["source"] and source["confidence"] for row in rows for source in row["sources"])
        assert all(row["sources"] for row in rows)


class TestPage:
    def test_the_same_matrix_gives_the_same_bytes(self, matrix: Matrix) -> None:
        assert render_page(matrix) == render_page(dataclasses.replace(matrix))

    def test_the_order_of_rows_in_the_files_does_not_show(self, matrix: Matrix) -> None:
        turned = dataclasses.replace(
            matrix,
            stacks=matrix.stacks[::-1],
            cudas=matrix.cudas[::-1],
            chips=matrix.chips[::-1],
            compatible=matrix.compatible[::-1],
        )
        assert render_page(turned) == render_page(matrix)

    @pytest.mark.parametrize("name", ["matrix", "large"])
    def test_every_stack_stands_in_its_row_and_column(self, name: str, request: pytest.FixtureRequest) -> None:
        rows: Matrix = request.getfixturevalue(name)
        page = Page(render_page(rows))
        cells = {attrs["data-name"]: text for attrs, text in page.all("a", class_="build")}
        named: list[Stack | CompatibleName] = [*rows.stacks, *rows.compatible]
        assert set(cells) == {f"{row.torch}-{row.cuda.variant}" for row in named}
        for row in named:
            assert f"torch {row.torch}, CUDA {row.cuda}:" in cells[f"{row.torch}-{row.cuda.variant}"]

    def test_rows_are_newest_first(self, matrix: Matrix, page: Page) -> None:
        heads = [text.removeprefix("torch ") for attrs, text in page.all("th", scope="row", role="rowheader")]
        torches = [str(row.torch) for row in lay_out(matrix).rows]
        assert heads[: len(torches)] == torches == sorted(torches, key=Version, reverse=True)

    @pytest.mark.parametrize("name", ["matrix", "large"])
    def test_every_command_is_one_that_resolves_to_the_cell(self, name: str, request: pytest.FixtureRequest) -> None:
        rows: Matrix = request.getfixturevalue(name)
        page = Page(render_page(rows))
        commands = [text for _, text in page.all("code") if text.startswith("gpuimg build ")]
        assert len(commands) == len(rows.stacks) + len(rows.compatible)
        serving = {attrs["data-name"]: attrs["data-stack"] for attrs, _ in page.all("a", class_="build")}
        for command in commands:
            spec = command.removeprefix("gpuimg build ")
            assert resolve(parse_spec(spec), rows).stack.name == serving[spec]

    def test_every_fact_of_a_stack_is_told_with_a_source(self, matrix: Matrix) -> None:
        for cell in lay_out(matrix).cells:
            facts = [*cell.facts, *(fact for _, facts in cell.platforms for fact in facts if fact.label != "Left out")]
            unsourced = [fact.label for fact in facts if not fact.sources]
            assert not unsourced, cell.name
            if cell.compatible is None:
                assert max(number for fact in facts for number in fact.sources) <= len(cell.sources)

    def test_what_is_unknown_is_told_as_unknown(self, large: Matrix) -> None:
        page = Page(render_page(large))
        unknown = sum(stack.cudnn is UNKNOWN for stack in large.stacks)
        unknown += sum(on.compute_capabilities is UNKNOWN for stack in large.stacks for on in stack.platforms)
        assert unknown > 80
        assert len([text for _, text in page.all("span", class_="unknown") if text == "unknown"]) >= unknown

    def test_a_left_out_python_has_its_reason(self, matrix: Matrix) -> None:
        left = [(left.python, left.reason) for row in matrix.stacks for on in row.platforms for left in on.left_out]
        text = render_page(matrix)
        assert all(f"{python}: " in text and json.dumps(reason)[1:-1] for python, reason in left)


class TestSafety:
    def test_nothing_is_fetched(self, page: Page) -> None:
        """Links stay in the page; there is no image, frame, font or other thing with an address."""
        for tag, attrs, _ in page.elements:
            for name in ("src", "srcset", "action", "poster", "data", "background"):
                assert name not in attrs, tag
            assert attrs.get("href", "#").startswith("#") or attrs["href"] == "data:,"
            assert not any(name.startswith("on") or name == "style" for name in attrs), tag
        style = page.all("style")[0][1]
        assert "url(" not in style
        assert "@import" not in style

    @pytest.mark.parametrize("name", ["matrix", "hostile"])
    def test_the_policy_allows_the_page_its_own_style_and_scripts_only(
        self, name: str, request: pytest.FixtureRequest
    ) -> None:
        text = render_page(request.getfixturevalue(name))
        policy = Page(text).all("meta", **{"http-equiv": "Content-Security-Policy"})[0][0]["content"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        for tag, rule in (("style", "style-src"), ("script", "script-src")):
            bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
            hashes = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
            assert rules[rule].split() == [f"'sha256-{value}'" for value in hashes]

    def test_hostile_texts_add_no_element(self, hostile: Matrix, page: Page) -> None:
        text = render_page(hostile)
        spoiled = Page(text)
        tags = [tag for tag, _, _ in spoiled.elements]
        assert not {"img"} & set(tags)
        assert tags.count("script") == 3
        assert "<!--" not in text
        assert "\u202e" not in text, "what turns the reading direction must be seen as an escape"
        assert "{{ 7*7 }}" in spoiled.all("article")[0][1]
        assert [text for _, text in spoiled.all("title")] == [text for _, text in page.all("title")]

    @pytest.mark.parametrize("name", ["matrix", "hostile", "large"])
    def test_the_data_is_the_document(self, name: str, request: pytest.FixtureRequest) -> None:
        rows: Matrix = request.getfixturevalue(name)
        text = render_page(rows)
        (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
        assert not set("<>&") & set(data)
        shown = json.dumps(matrix_as_json(rows)).replace("\\u202e", "\\\\u202e")
        assert json.loads(data) == json.loads(shown)


class TestReadability:
    def test_the_page_says_its_language_and_title_and_fits_phones(self, page: Page) -> None:
        assert page.all("html")[0][0]["lang"] == "en"
        assert page.all("title")[0][1]
        assert "width=device-width" in page.all("meta", name="viewport")[0][0]["content"]

    def test_each_id_stands_once_and_each_reference_leads_somewhere(self, page: Page) -> None:
        ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        for _, attrs, _ in page.elements:
            for name in ("for", "aria-describedby", "aria-labelledby"):
                assert attrs.get(name, ids[0]) in ids
            if attrs.get("href", "").startswith("#"):
                assert attrs["href"][1:] in ids

    def test_tables_have_heads_with_a_scope(self, page: Page) -> None:
        assert all(attrs.get("scope") in {"row", "col"} for attrs, _ in page.all("th"))
        assert all(page.all(tag, id=name) for tag, name in (("input", "driver"), ("select", "gpu")))

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out_from_what_is_behind_it(self, page: Page, scheme: str) -> None:
        """WCAG 2, contrast (minimum): 4.5 to 1, and 3 to 1 for borders of controls."""
        palettes = re.findall(r":root \{(.*?)\}", page.all("style")[0][1])
        assert len(palettes) == 2
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", palettes[scheme == "dark"]))
        for text in ("ink", "muted", "accent"):
            for behind in ("page", "surface", "tint"):
                assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
        assert contrast(colours["control"], colours["surface"]) >= 3

    def test_motion_is_for_those_who_want_it(self, page: Page) -> None:
        style = page.all("style")[0][1]
        before, _, _ = style.partition("@media (prefers-reduced-motion: no-preference)")
        assert "animation" not in before
        assert "transition" not in style
