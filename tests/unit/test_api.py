"""The library: what `from gpuimg import …` gives, and that it is what the command line does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import gpuimg
from gpuimg import load_matrix, plan, render, resolve, write_context
from gpuimg.errors import RequestError, SpecError, UnknownStackError
from gpuimg.paths import MATRICES


def test_all_that_is_announced_is_there() -> None:
    assert set(gpuimg.__all__) <= set(dir(gpuimg))
    for name in gpuimg.__all__:
        assert getattr(gpuimg, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'biuld'"):
        _ = gpuimg.biuld  # type: ignore[attr-defined]


def test_the_names_are_functions_whatever_was_imported_before() -> None:
    """A module of the same name would take a function's place as soon as somebody imports it."""
    code = (
        "import pkgutil, importlib, gpuimg\n"
        "for module in pkgutil.walk_packages(gpuimg.__path__, 'gpuimg.'):\n"
        "    if '__main__' not in module.name and '.guest' not in module.name: importlib.import_module(module.name)\n"
        "assert all(callable(getattr(gpuimg, name)) for name in gpuimg.__all__ if name != '__version__')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, gpuimg; print([name for name in sys.modules if name.startswith('gpuimg.')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_it_writes_what_the_command_writes(tmp_path: Path) -> None:
    image = plan("2.6-cu124", flavor="devel", python="3.12", packages=["git"], command=["python", "train.py"])
    write_context(render(image, repository="registry.example.com/team/gpuimg"), str(tmp_path / "library"))
    dockerfile = (tmp_path / "library" / "Dockerfile").read_text(encoding="utf-8")
    assert 'CMD ["python", "train.py"]' in dockerfile
    write_context(render(plan("2.6-cu124-devel")), tmp_path / "library")
    command = [sys.executable, "-m", "gpuimg", "render", "2.6-cu124-devel", "-o", str(tmp_path / "command")]
    subprocess.run(command, check=True, capture_output=True)
    assert _files(tmp_path / "library") == _files(tmp_path / "command")


def test_a_substitution_is_told() -> None:
    resolution = resolve("2.6-cu121")
    assert resolution.substitution is not None
    assert (resolution.substitution.name, resolution.stack.name) == ("2.6.0-cu121", "2.6.0-cu124")


def test_rows_of_ones_own_go_all_the_way(tmp_path: Path) -> None:
    """Rows, wheel set and tags: the matrix is named once."""
    (tmp_path / "wheels").mkdir()
    wheels = (MATRICES / "wheels" / "2.6.0-cu124.yaml").read_text(encoding="utf-8")
    mine = wheels.replace('"2.6.0-cu124"', '"2.6.9-cu124"').replace(
        '{name: torch, version: "2.6.0"', '{name: torch, version: "2.6.9"'
    )
    (tmp_path / "wheels" / "2.6.9-cu124.yaml").write_text(mine, encoding="utf-8")
    torch = yaml.safe_load((MATRICES / "torch.yaml").read_text(encoding="utf-8"))
    (row,) = (stack for stack in torch["stacks"] if stack["name"] == "2.6.0-cu124")
    stacks = [{**row, "name": "2.6.9-cu124", "torch": "2.6.9"}]
    (tmp_path / "torch.yaml").write_text(yaml.safe_dump({**torch, "stacks": stacks}), encoding="utf-8")
    matrix = load_matrix([tmp_path])
    image = plan(resolve("2.6-cu124", matrix=matrix))
    assert {str(wheel.version) for wheel in image.wheels.torch if wheel.name == "torch"} == {"2.6.9"}
    assert "gpuimg:2.6-cu124" in render(image).tags, "2.6.9 is the newest 2.6 of these rows"
    with pytest.raises(UnknownStackError):
        resolve("2.6.9-cu124")


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (SpecError, lambda: plan("torch")),
        (UnknownStackError, lambda: plan("9.9-cu999")),
        (UnknownStackError, lambda: plan("2.6-cu124", python="3.7")),
        (UnknownStackError, lambda: plan("2.6-cu124", platform="linux/arm64")),
        (RequestError, lambda: plan("2.6-cu124", platform="windows")),
        (RequestError, lambda: plan("2.6-cu124", python="three")),
        (RequestError, lambda: plan("2.6-cu124", flavor="x")),
        (RequestError, lambda: plan("2.6-cu124", base="debian\nRUN id")),
        (RequestError, lambda: plan("2.6-cu124", packages=["a;id"])),
        (RequestError, lambda: plan("2.6-cu124", environment={"A B": "1"})),
        (RequestError, lambda: plan("2.6-cu124", environment={"HTTPS_PROXY": "http://user:password@proxy:3128"})),
        (RequestError, lambda: plan("2.6-cu124", index_url="https://user:password@example.com/simple")),
        (RequestError, lambda: render(plan("2.6-cu124"), repository="No Name")),
        (RequestError, lambda: plan("2.6-cu124", extras="peft")),
        (RequestError, lambda: plan("2.6-cu124", command="python train.py")),
        (RequestError, lambda: plan("2.6-cu124", packages="git")),
        (RequestError, lambda: load_matrix("matrices")),
        (RequestError, lambda: render(plan("2.6-cu124"), template_dirs="templates")),
    ],
)
def test_what_cannot_be_is_an_error_of_gpuimgs(error: type[RequestError], call: object) -> None:
    assert callable(call)
    with pytest.raises(error) as raised:
        call()
    assert raised.value.message


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
