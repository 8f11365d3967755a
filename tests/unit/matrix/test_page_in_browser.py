"""The page where it runs: in a browser, and its rules against those of the commands."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuimg.facts import UNKNOWN, Matrix, Stack
from gpuimg.matrix.cells import lay_out
from gpuimg.matrix.document import matrix_as_json
from gpuimg.matrix.page import render_page
from gpuimg.matrix.query import Answer, Host, HostGpu, Verdict, Wishes, judge, select
from gpuimg.paths import TEMPLATES
from gpuimg.versions import ComputeCapability, DriverVersion, Platform
from tests.unit.browser import dumped
from tests.unit.html_page import Page
from tests.unit.matrix.pages import hostile_matrix


def test_the_policy_lets_the_page_run(matrix: Matrix, tmp_path: Path) -> None:
    """A wrong hash, or an error in a script, would leave the page without filters."""
    file = tmp_path / "matrix.html"
    file.write_text(render_page(matrix), encoding="utf-8")
    after = dumped(file)
    assert '<html lang="en" class="js">' in after
    assert after.count('<button type="button" class="build ') == len(matrix.stacks) + len(matrix.compatible)


def test_hostile_texts_run_nothing(matrix: Matrix, tmp_path: Path) -> None:
    file = tmp_path / "matrix.html"
    file.write_text(render_page(hostile_matrix(matrix)), encoding="utf-8")
    after = dumped(file)
    assert '<html lang="en" class="js">' in after
    assert "<title>owned" not in after


def test_a_person_filters_moves_opens_and_closes(matrix: Matrix, tmp_path: Path) -> None:
    oldest, newest = lay_out(matrix).rows[-1], lay_out(matrix).rows[0]
    script = """
      const byId = (id) => document.getElementById(id);
      const key = (key, options) => document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...options }));
      const type = (text) => {
        byId("driver").value = text;
        byId("filters").dispatchEvent(new Event("input"));
      };
      const said = [];
      const say = (value) => said.push(String(value));
      const focused = () => document.activeElement.dataset.name || document.activeElement.id;
      document.querySelector("button.build[tabindex='0']").focus();
      say(focused());
      key("End", { ctrlKey: true });
      say(focused());
      key("ArrowUp");
      say(focused());
      key("Home", { ctrlKey: true });
      document.activeElement.click();
      say(focused());
      say(document.querySelector("dialog .command code").textContent);
      byId("close").click();
      say(byId("panel").open);
      type("1");
      say(byId("driver").getAttribute("aria-invalid"));
      type("100");
      say(byId("summary").textContent);
      say(document.querySelectorAll("[data-answer=cannot] .why:not(:empty)").length);
    """
    first, last = (next(cell for cells in row.columns for cell in cells) for row in (newest, oldest))
    final = [cell for cells in oldest.columns for cell in cells][-1]
    said = _said(render_page(matrix), script, tmp_path)
    count = len(matrix.stacks)
    assert said[:2] == [first.name, final.name]
    assert said[2] not in {first.name, last.name, final.name}
    assert said[3:] == [
        f"t-{first.name}",
        f"gpuimg build {first.name}",
        "false",
        "true",
        f"0 of {count} builds fit.",
        str(count + len(matrix.compatible)),
    ]


@pytest.mark.parametrize("engine", ["chromium", "node"])
def test_the_page_answers_as_the_commands_do(matrix: Matrix, engine: str, tmp_path: Path) -> None:
    """The same answer, in the same words, for hosts at and around every driver that a row names."""
    rows = _with_gaps(matrix)
    cases = list(_cases(rows, random.Random(20)))
    expected = [_answer(case, rows) for case in cases]
    assert {answer["answer"] for answer in expected} == {answer.value for answer in Answer}
    program = (
        f"{(TEMPLATES / 'pages' / 'matrix.rules.js').read_text(encoding='utf-8')}\n"
        f"const matrix = {json.dumps(matrix_as_json(rows))};\n"
        f"const asked = {json.dumps([case.as_json() for case in cases])};\n"
        "const answers = asked.map(({ stack, wish }) => {\n"
        "  const row = matrix.stacks.find((each) => each.name === stack);\n"
        "  const { short, ...rest } = gpuimgRules.judge(row, wish, matrix);\n"
        "  return rest;\n"
        "});\n"
    )
    for case, ours, theirs in zip(cases, expected, _run(engine, program, tmp_path), strict=True):
        assert theirs["answer"] == ours["answer"], case
        assert case.is_refused(rows) or theirs == ours, case


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One question to both. The page gets the driver as it is typed."""

    stack: Stack
    driver: str | None
    gpus: tuple[HostGpu, ...]
    wishes: Wishes

    def as_json(self) -> dict[str, Any]:
        gpus = [
            {
                "label": gpu.label,
                "capability": str(gpu.compute_capability),
                "platforms": [str(platform) for platform in gpu.platforms],
            }
            for gpu in self.gpus
        ]
        python, platform = self.wishes.python, self.wishes.platform
        wish = {
            "driver": self.driver,
            "gpus": gpus,
            "python": python and str(python),
            "platform": platform and str(platform),
        }
        return {"stack": self.stack.name, "wish": wish}

    def is_refused(self, matrix: Matrix) -> bool:
        """Whether `select` leaves the stack out, so that the commands have no words for it."""
        return self.stack not in select(matrix, self.wishes)


def _answer(case: Case, matrix: Matrix) -> dict[str, Any]:
    if case.is_refused(matrix):
        return {"answer": Answer.CANNOT.value}
    host = Host(driver=DriverVersion.parse(case.driver) if case.driver else None, gpus=case.gpus)
    verdict: Verdict = judge(case.stack, host, matrix, wishes=case.wishes)
    return {
        "answer": verdict.answer.value,
        "reasons": list(verdict.reasons),
        "notes": list(verdict.notes),
        "platforms": [str(platform) for platform in verdict.platforms],
    }


def _with_gaps(matrix: Matrix) -> Matrix:
    """The matrix with what rows may say and few do: PTX, unknown chips and drivers, a Jetson, weak sources."""
    stacks = []
    for n, stack in enumerate(matrix.stacks):
        platforms = []
        for on in stack.platforms:
            known = on.compute_capabilities
            if known is UNKNOWN:
                platforms.append(on)
                continue
            last = max(known)
            with_ptx = (*(code for code in known if code != last), ComputeCapability(last.major, last.minor, ptx=True))
            changed = (known, with_ptx, UNKNOWN)[n % 3]
            platforms.append(dataclasses.replace(on, compute_capabilities=changed))
        stacks.append(dataclasses.replace(stack, platforms=tuple(platforms)))
    weak = tuple(
        dataclasses.replace(
            chip,
            min_driver=(UNKNOWN, chip.min_driver, chip.min_driver)[n % 3],
            last_driver=DriverVersion.parse("580") if n % 4 == 0 else None,
            sources=tuple(
                dataclasses.replace(source, confidence=("derived", "stated")[n % 2]) for source in chip.sources
            ),
        )
        for n, chip in enumerate(matrix.chips)
    )
    cudas = tuple(
        dataclasses.replace(row, toolkit_driver=UNKNOWN) if n % 5 == 0 else row for n, row in enumerate(matrix.cudas)
    )
    return dataclasses.replace(matrix, stacks=tuple(stacks), chips=weak, cudas=cudas)


def _cases(matrix: Matrix, chance: random.Random) -> Iterator[Case]:
    pythons = sorted({python for stack in matrix.stacks for on in stack.platforms for python in on.pythons})
    drivers = list(_drivers(matrix))
    for _ in range(1000):
        gpus = [
            HostGpu(
                label=chance.choice([gpu.name, None]),
                compute_capability=gpu.compute_capability,
                platforms=chance.choice([(), (Platform.AMD64,), (Platform.ARM64,)]),
            )
            for gpu in chance.sample(matrix.gpus, k=chance.choice([0, 1, 1, 1, 2]))
        ]
        if chance.random() < 0.1:
            gpus.append(HostGpu(label=None, compute_capability=ComputeCapability(chance.randrange(3, 15), 0)))
        yield Case(
            stack=chance.choice(matrix.stacks),
            driver=chance.choice(drivers) if chance.random() < 0.8 else None,
            gpus=tuple(gpus),
            wishes=Wishes(
                python=chance.choice(pythons) if chance.random() < 0.3 else None,
                platform=chance.choice(list(Platform)) if chance.random() < 0.3 else None,
            ),
        )


def _drivers(matrix: Matrix) -> Iterator[str]:
    """Drivers that rows name, their branches, and those just beside them."""
    named = {row.min_driver for row in matrix.cudas} | {row.toolkit_driver for row in matrix.cudas}
    named |= {chip.min_driver for chip in matrix.chips}
    for driver in sorted({driver for driver in named if isinstance(driver, DriverVersion)}):
        branch, *rest = driver.parts
        yield from (str(driver), str(branch), f"{branch - 1}", f"{branch}.{(rest or [1])[0]}", f"{branch + 1}.5.3")


def _run(engine: str, program: str, folder: Path) -> Any:
    """What `program` left in ``answers``."""
    if engine == "chromium":
        return json.loads(_in_page(f"{program}\ndocument.body.textContent = JSON.stringify(answers);", "", folder))
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    file = folder / "answers.js"
    file.write_text(f"{program}\nconsole.log(JSON.stringify(answers));", encoding="utf-8")
    return json.loads(subprocess.run([node, file], check=True, capture_output=True, text=True, timeout=60).stdout)


def _said(page: str, script: str, folder: Path) -> list[str]:
    """What a script that is added to the page, whose policy is taken away for it, left in ``said``."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    body = _in_page(f"{{{script}\ndocument.body.textContent = JSON.stringify(said); }}", page, folder)
    said: list[str] = json.loads(body)
    return said


def _in_page(script: str, page: str, folder: Path) -> str:
    """The text of the body after `script` ran at the end of `page`."""
    file = folder / "page.html"
    page = page.replace("</body>\n</html>", "") or "<!DOCTYPE html><meta charset=utf-8><body>"
    file.write_text(f"{page}<script>{script}</script>", encoding="utf-8")
    after = dumped(file)
    return " ".join(text for _, text in Page(after[after.index("<body") :].replace("</html>", "")).all("body"))
