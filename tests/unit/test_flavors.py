"""Flavors: what the locked ones add to a stack, and one of a user's own, from its rows and templates."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from packaging.version import Version

from gpuimg.errors import MatrixError, RequestError
from gpuimg.facts import Matrix, WheelSet
from gpuimg.matrix import load_matrix, load_wheels
from gpuimg.matrix.flavors import locked_wheels
from gpuimg.naming import labels
from gpuimg.pipeline.plan import make_plan
from gpuimg.pipeline.render import render
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform, PythonVersion

PYTHON = PythonVersion(3, 11)
ROW = """\
schema: 1
flavors:
- name: audio
  summary: runtime with ffmpeg and a tagger.
  packages: [ca-certificates, ffmpeg, g++, gcc, libc6-dev]
  toolkit: false
  compiles: true
  requirements: ["mutagen>=1.47"]
  command: [python, -m, tagger]
  ports: [9000]
"""


def _wheels(matrix: Matrix, flavor: str, wheels: WheelSet) -> object:
    row = next(row for row in matrix.flavors if row.name == flavor)
    stack = next(stack for stack in matrix.stacks if stack.name == "2.6.0-cu124")
    return locked_wheels(row, stack, wheels, platform=Platform.AMD64, python=PYTHON)


def test_what_the_stack_has_stays_as_it_is(matrix: Matrix) -> None:
    plan = make_plan(resolve(parse_spec("2.6-cu124-jupyter"), matrix), matrix)
    of_the_stack = {wheel.name for wheel in plan.wheels.torch}
    added = {wheel.name for wheel in plan.wheels.flavor}
    assert {"jupyterlab", "ipykernel", "matplotlib", "ipywidgets"} <= added
    assert {"numpy", "jinja2", "pillow"} <= of_the_stack
    assert not added & of_the_stack
    assert "numpy" not in render(plan, matrix).files["layers/flavor/requirements.txt"].decode().split()
    assert all(wheel.sha256 for wheel in plan.wheels.flavor)


def test_a_stack_with_an_older_numpy_than_the_flavor_takes_is_refused(matrix: Matrix) -> None:
    wheels = load_wheels("2.6.0-cu124", Platform.AMD64, PYTHON)
    old = [dataclasses.replace(w, version=Version("1.20.0")) if w.name == "numpy" else w for w in wheels.torch]
    with pytest.raises(RequestError, match=r"`jupyter` asks for numpy>=1\.\d+, and 2.6.0-cu124 has numpy 1.20.0"):
        _wheels(matrix, "jupyter", dataclasses.replace(wheels, torch=tuple(old)))


def test_a_row_that_asks_for_something_else_than_was_locked_does_not_load(matrix: Matrix) -> None:
    flavors = [dataclasses.replace(f, requirements=(*f.requirements, "pandas")) for f in matrix.flavors]
    wheels = load_wheels("2.6.0-cu124", Platform.AMD64, PYTHON)
    with pytest.raises(MatrixError, match=r"scripts/derive_flavor_wheels\.py"):
        _wheels(dataclasses.replace(matrix, flavors=tuple(flavors)), "jupyter", wheels)


def test_a_python_without_a_set_is_refused_with_the_reason(matrix: Matrix) -> None:
    with pytest.raises(RequestError, match=r"can't be had with Python 3\.13t on linux/amd64: .*pyzmq"):
        make_plan(resolve(parse_spec("2.9-cu128-py313t-jupyter"), matrix), matrix)


def test_serve_has_no_compiler_and_says_so(matrix: Matrix) -> None:
    plan = make_plan(resolve(parse_spec("2.6-cu124-serve"), matrix), matrix)
    text = render(plan, matrix).files["Dockerfile"].decode()
    assert labels(plan, digest="")["io.gpuimg.torch.compile"] == "no"
    assert "python3-dev" not in text
    assert "gcc" not in text.partition("ARG REFRESHED_AT")[2]
    assert "HEALTHCHECK" in text
    assert "USER 1000:1000" in text, "of no group that the venv belongs to"


def test_a_flavor_of_ones_own_comes_from_a_row_a_template_and_its_files(tmp_path: Path) -> None:
    """The contract of CONTRIBUTING: nothing of gpuimg's own need be changed for it."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "flavors.yaml").write_text(ROW, encoding="utf-8")
    (tmp_path / "templates" / "flavors").mkdir(parents=True)
    template = '{% include "flavors/runtime.j2" %}\nCOPY layers/files/tagger.toml /etc/\n'
    (tmp_path / "templates" / "flavors" / "audio.j2").write_text(template, encoding="utf-8")
    (tmp_path / "templates" / "files" / "audio").mkdir(parents=True)
    (tmp_path / "templates" / "files" / "audio" / "tagger.toml").write_text("x = 1\n", encoding="utf-8")
    matrix = load_matrix([tmp_path / "rows"])
    plan = make_plan(resolve(parse_spec("2.6-cu124-audio"), matrix), matrix)
    context = render(plan, matrix, template_dirs=[tmp_path / "templates"])
    text = context.files["Dockerfile"].decode()
    assert plan.extras == ("mutagen>=1.47",), "nobody locked them, so they are resolved as extras are"
    assert context.files["layers/files/tagger.toml"] == b"x = 1\n"
    assert "      ffmpeg \\\n" in text
    assert 'CMD ["python", "-m", "tagger"]' in text
    assert "EXPOSE 9000" in text
    assert labels(plan, digest="")["io.gpuimg.ports"] == "9000"
    assert context.plan_digest != render(plan, matrix, template_dirs=_changed(tmp_path)).plan_digest


def _changed(tmp_path: Path) -> list[Path]:
    (tmp_path / "templates" / "files" / "audio" / "tagger.toml").write_text("x = 2\n", encoding="utf-8")
    return [tmp_path / "templates"]
