"""The examples of the guides, docs/examples: they validate, render, and make Dockerfiles that hold."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import dockerfile
import pytest

from gpuimg.doctor.examine import examine
from gpuimg.errors import RequestError
from gpuimg.matrix import load_matrix, load_wheels
from gpuimg.matrix.load import load_hosts
from gpuimg.model import Context, Plan
from gpuimg.naming import labels
from gpuimg.pipeline.plan import make_plan
from gpuimg.pipeline.render import render
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform, PythonVersion
from tests.unit.doctor.hosts import make_host

_ROOT: Final = Path(__file__).parents[2]
_EXAMPLES: Final = _ROOT / "docs" / "examples"
_SPECS: Final = {"own-flavor": "2.6-cu124-board", "own-stack": "2.6-cu125"}
"""What the guide of each example builds."""
by_example: Final = pytest.mark.parametrize("name", sorted(_SPECS))


def _rendered(name: str, spec: str | None = None) -> tuple[Plan, Context]:
    folder = _EXAMPLES / name
    matrix = load_matrix([folder / "matrix"])
    templates = [path for path in [folder / "templates"] if path.is_dir()]
    plan = make_plan(resolve(parse_spec(spec or _SPECS[name]), matrix), matrix)
    return plan, render(plan, matrix, template_dirs=templates)


def _instructions(context: Context) -> Any:
    return dockerfile.parse_string(context.files["Dockerfile"].decode())


def test_each_example_is_looked_at() -> None:
    assert {path.name for path in _EXAMPLES.iterdir()} == set(_SPECS)


@by_example
def test_it_validates(name: str) -> None:
    """As the guide says it is checked: with the sources and the wheel sets of all rows."""
    gpuimg = Path(sys.executable).with_name("gpuimg")
    command = [str(gpuimg), "matrix", "validate", "--matrix-dir", str(_EXAMPLES / name / "matrix")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("all hold\n")


@by_example
def test_its_dockerfile_parses_and_hadolint_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    _, context = _rendered(name)
    first, *_ = [i.value for i in _instructions(context) if i.cmd.lower() == "from"]
    assert first[1:] == ("AS", "tools")
    (tmp_path / "Dockerfile").write_bytes(context.files["Dockerfile"])
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--config", _ROOT / ".hadolint.yaml", tmp_path / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_flavor_starts_what_its_template_copies() -> None:
    plan, context = _rendered("own-flavor")
    program = context.files["layers/files/board"].decode()
    copies = [i.value for i in _instructions(context) if i.cmd.lower() == "copy"]
    assert ("layers/files/board", "/usr/local/bin/board") in copies
    assert plan.flavor.command == ("board",)
    assert program.startswith("#!/bin/sh\n")
    assert f"--port {plan.flavor.ports[0]} " in program
    assert plan.flavor.health == f"http://127.0.0.1:{plan.flavor.ports[0]}/"
    checked = subprocess.run(["/bin/sh", "-n"], input=program, text=True, check=False)
    assert checked.returncode == 0
    assert plan.extras == ("tensorboard",), "nobody locked them, so they are resolved as extras are"


def test_the_flavor_needs_its_template() -> None:
    """What a newcomer forgets first."""
    matrix = load_matrix([_EXAMPLES / "own-flavor" / "matrix"])
    plan = make_plan(resolve(parse_spec("2.6-cu124-board"), matrix), matrix)
    with pytest.raises(RequestError, match=r"there is no template `flavors/board\.j2`"):
        render(plan, matrix)


def test_the_stack_has_the_companys_torch_base_and_name() -> None:
    plan, context = _rendered("own-stack")
    said = labels(plan, digest="")
    assert plan.base_image == "registry.example.com:5000/base/debian:12"
    assert said["io.gpuimg.substitution"].startswith("2.6.0-cu125: Our job files")
    assert said["io.gpuimg.torch"] == "2.6.0+cu124"
    assert b"torch==2.6.0+cu124 \\\n    --hash=sha256:0123456789" in context.files["layers/torch/requirements.txt"]
    assert any(tag.endswith(":2.6-cu125-compat") for tag in context.tags)
    with pytest.raises(RequestError, match=r"no wheel for Python 3\.12 \(it has 3\.11\)"):
        _rendered("own-stack", "2.6-cu124-py312")


def test_the_stack_is_ours_but_for_torch() -> None:
    """The guide says to copy the set: the copy has to be whole, and to have the libraries that torch was built with."""
    overlays = [_EXAMPLES / "own-stack" / "matrix"]
    ours = load_wheels("2.6.0-cu124", Platform.AMD64, PythonVersion(3, 11))
    own = load_wheels("2.6.0-cu124", Platform.AMD64, PythonVersion(3, 11), overlays=overlays)
    assert own.cuda == ours.cuda
    assert [wheel.name for wheel in own.torch] == [wheel.name for wheel in ours.torch]
    (torch,) = [wheel for wheel in own.torch if wheel.name == "torch"]
    assert torch not in ours.torch


def test_doctor_names_the_companys_remedy(tmp_path: Path) -> None:
    """On a Debian with a GPU and without NVIDIA's toolkit."""
    host = make_host(tmp_path)
    host.driver("550.54.14")
    subject = dataclasses.replace(host.look(), hosts=load_hosts([_EXAMPLES / "own-stack" / "matrix"]))
    (finding,) = examine(subject, only=["toolkit"])
    commands = "\n".join(finding.mend.commands)
    assert finding.what == "NVIDIA's Container Toolkit is not installed"
    assert "https://mirror.example.com/nvidia/deb" in commands
    assert "github.io" not in commands
