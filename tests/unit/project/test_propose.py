"""What a folder and a machine have decides what is suggested; what files bind to is never suggested away."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from gpuimg.errors import RequestError
from gpuimg.facts import Matrix
from gpuimg.machine import Machine
from gpuimg.matrix.query import Host
from gpuimg.matrix.wishes import read_host
from gpuimg.project.draft import Draft, draft_text
from gpuimg.project.propose import Wanted, propose
from gpuimg.project.read import read_project
from gpuimg.project.survey import Findings, survey
from gpuimg.versions import Platform, PythonVersion

Value = TypeVar("Value")
TRAIN = {"train.py": ""}
FROM = "FROM pytorch/pytorch:2.6.0-cuda12.4-cudnn9-devel"


def look(folder: Path, files: Mapping[str, str], *, python3: str = "exit 1", arch: str = "x86_64") -> Findings:
    """The findings of a folder with `files`, on a machine whose python3 does `python3`."""
    project, programs = folder / "bert", folder / "bin"
    for name, text in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project.mkdir(exist_ok=True)
    programs.mkdir(exist_ok=True)
    (programs / "python3").write_text(f"#!/bin/sh\n{python3}\n", encoding="utf-8")
    (programs / "python3").chmod(0o755)
    machine = Machine(root=folder, environ={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder)})
    return survey(project, machine, arch=arch)


def draft(findings: Findings, matrix: Matrix, host: Host | None = None, **wanted: object) -> Draft:
    """What is proposed where every question gets its default."""

    def ask(question: str, *, default: str, read: Callable[[str], Value]) -> Value:
        return read(default)

    options = dataclasses.replace(Wanted(platform=findings.platform), **wanted)  # type: ignore[arg-type]  # by name
    return propose(findings, host or Host(), matrix, options, ask=ask, say=say_nothing)


def say_nothing(what: str, text: str, /) -> None:
    pass


# --- the stack -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "python3", "spec"),
    [
        ({"requirements.txt": "torch==2.5.1\n"}, "exit 1", "2.5.1-cu124"),
        ({"requirements.txt": "torch~=2.4.0\n"}, "echo 2.6.0", "2.4.1-cu121"),
        ({"requirements.txt": "torch\n"}, "echo 2.6.0", "2.6.0-cu124"),
        ({}, "echo 2.6.0+cu126", "2.6.0-cu126"),
        ({}, "echo 1.13.1", None),
        ({}, "echo 2.6.0a0+git", None),
        ({".venv/lib/python3.11/site-packages/torch-2.5.1+cu121.dist-info/METADATA": ""}, "echo 2.6.0", "2.5.1-cu121"),
        ({"Dockerfile": "FROM pytorch/pytorch:2.5.1-cuda11.8-cudnn9-runtime\n"}, "exit 1", "2.5.1-cu118"),
        ({"Dockerfile": "FROM pytorch/pytorch:2.6-cuda12.1-devel\n"}, "exit 1", "2.6.0-cu124"),
        ({"Dockerfile": "FROM gpuimg:2.6.0-cu126-py311-runtime\n"}, "exit 1", "2.6.0-cu126"),
        ({"Dockerfile": "FROM debian:12\nRUN pip install torch==2.4.1\n"}, "exit 1", "2.4.1-cu121"),
        (
            {"requirements.txt": "torch==2.4.1\n", "Dockerfile": "FROM pytorch/pytorch:2.6-cuda12.4-devel\n"},
            "exit 1",
            "2.4.1-cu121",
        ),
    ],
)
def test_the_torch_that_is_asked_for_or_usual_here_decides(
    files: Mapping[str, str], python3: str, spec: str | None, tmp_path: Path, matrix: Matrix
) -> None:
    newest = max(matrix.stacks, key=lambda stack: stack.torch).torch
    found = draft(look(tmp_path, files, python3=python3), matrix).spec
    assert found == spec if spec is not None else found.startswith(f"{newest}-")


def test_the_active_environment_is_asked_before_all_others(tmp_path: Path, matrix: Matrix) -> None:
    findings = look(tmp_path, {})
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 2.5.1\n")
    python.chmod(0o755)
    machine = Machine(root=tmp_path, environ={"PATH": "/usr/bin:/bin", "VIRTUAL_ENV": str(tmp_path / "venv")})
    findings = survey(tmp_path / "bert", machine, arch="x86_64")
    assert [(str(pin.requirement), pin.source) for pin in findings.torch] == [
        ("torch==2.5.1", "the active environment")
    ]


@pytest.mark.parametrize(
    ("driver", "gpu", "requirement", "spec"),
    [
        ("535.104.05", "H100", "torch<2.7", "2.6.0-cu124"),
        ("470.82.01", "RTX 3090", "torch<2.7", "2.6.0-cu118"),
        ("570.86.15", "RTX 5090", "torch==2.7.*", "2.7.1-cu128"),
    ],
)
def test_of_those_the_newest_that_runs_here_is_chosen(
    driver: str, gpu: str, requirement: str, spec: str, tmp_path: Path, matrix: Matrix
) -> None:
    findings = look(tmp_path, {"requirements.txt": f"{requirement}\n"})
    found = draft(findings, matrix, read_host(matrix, driver=driver, gpus=[gpu]))
    assert found.spec == spec


def test_what_speaks_against_the_stack_is_in_the_file(tmp_path: Path, matrix: Matrix) -> None:
    host = read_host(matrix, driver="450.80.02", gpus=["RTX 5090"])
    text = draft_text(draft(look(tmp_path, {}), matrix, host))
    assert "though none of them runs on" in text
    assert "can't run there: driver 450.80.02 is below" in text


def test_a_torch_that_no_stack_has_is_refused_where_a_file_asks_for_it(tmp_path: Path, matrix: Matrix) -> None:
    findings = look(tmp_path, {"requirements.txt": "torch<2\n"})
    with pytest.raises(RequestError, match=r"requirements\.txt asks for torch<2, and no stack"):
        draft(findings, matrix)


def test_a_named_stack_must_have_the_torch_of_the_files(tmp_path: Path, matrix: Matrix) -> None:
    findings = look(tmp_path, {"requirements.txt": "torch==2.5.1\n"})
    with pytest.raises(RequestError, match=r"requirements\.txt asks for torch==2\.5\.1, and the spec `2\.6-cu124`"):
        draft(findings, matrix, spec="2.6-cu124")


def test_on_an_arm_machine_the_stack_has_wheels_for_it(tmp_path: Path, matrix: Matrix) -> None:
    found = draft(look(tmp_path, {}, arch="aarch64"), matrix)
    assert found.platform == "linux/arm64"
    stack = next(stack for stack in matrix.stacks if stack.name == found.spec)
    assert any(on.platform is Platform.ARM64 for on in stack.platforms)


# --- Python, files, flavor, command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "python"),
    [
        ({}, None),
        ({".python-version": "3.12\n"}, "3.12"),
        ({".python-version": "3.11.4\n"}, None),
        ({".python-version": "pypy3.10\n"}, None),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.12'\n"}, "3.13"),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.10,<3.11'\n"}, "3.10"),
        ({"pyproject.toml": "[project]\nrequires-python = 'three'\n"}, None),
    ],
)
def test_a_python_is_named_where_the_folder_wants_another(
    files: Mapping[str, str], python: str | None, tmp_path: Path, matrix: Matrix
) -> None:
    assert draft(look(tmp_path, files), matrix, spec="2.6-cu124").python == python


def test_a_lock_says_all_that_the_files_beside_it_do(tmp_path: Path, matrix: Matrix) -> None:
    package = '[[package]]\nname = "bert"\nversion = "0"\nsource = { virtual = "." }\n'
    lock = f'version = 1\nrequires-python = ">=3.10"\n{package}'
    project = "[project]\nname = 'bert'\nversion = '0'\ndependencies = []\n"
    findings = look(tmp_path, {"uv.lock": lock, "pyproject.toml": project, "requirements.txt": "six\n"})
    assert findings.requirements == ("uv.lock",)


def test_files_are_found_once_and_only_where_they_say_something(tmp_path: Path, matrix: Matrix) -> None:
    files = {
        "pyproject.toml": "[project]\nname = 'bert'\n",
        "requirements.txt": "six\n",
        "more.txt": "einops\n",
        "Dockerfile": "FROM debian:12\nRUN pip install -r ./requirements.txt -r more.txt -r /etc/x.txt -r absent.txt\n",
    }
    assert look(tmp_path, files).requirements == ("requirements.txt", "more.txt")


@pytest.mark.parametrize(
    ("files", "flavor", "command"),
    [
        (TRAIN, None, ("python", "train.py")),
        ({"app.py": "", "main.py": ""}, None, ("python", "main.py")),
        ({"x.ipynb": ""}, "jupyter", ()),
        ({"x.ipynb": "", **TRAIN}, None, ("python", "train.py")),
        ({"requirements.txt": "flash-attn\n", **TRAIN}, "devel", ("python", "train.py")),
        ({"Dockerfile": f"{FROM}\nRUN make kernels\n"}, "devel", ()),
        ({"Dockerfile": f"{FROM}\nCMD python -m bert\n"}, None, ("python", "-m", "bert")),
        ({}, None, ()),
    ],
)  # fmt: skip
def test_flavor_and_command_follow_from_what_is_there(
    files: Mapping[str, str], flavor: str | None, command: tuple[str, ...], tmp_path: Path, matrix: Matrix
) -> None:
    found = draft(look(tmp_path, files), matrix)
    assert (found.flavor, found.command) == (flavor, command)


def test_the_article_needs_nothing_else(tmp_path: Path, matrix: Matrix) -> None:
    text = """\
FROM pytorch/pytorch:2.6-cuda12.1-devel
RUN pip install --no-cache-dir transformers==4.40.0 datasets accelerate peft bitsandbytes torch==2.6.0
WORKDIR /app
COPY . /app
CMD ["python", "train.py"]
"""
    found = draft(look(tmp_path, {"Dockerfile": text, **TRAIN}), matrix)
    assert found.extras == ("transformers==4.40.0", "datasets", "accelerate", "peft", "bitsandbytes")
    assert (found.spec, found.code, found.workdir, found.command) == ("2.6.0-cu124", ".", None, ("python", "train.py"))


def test_a_server_gets_a_hint_and_no_other_flavor(tmp_path: Path, matrix: Matrix) -> None:
    found = draft(look(tmp_path, {"requirements.txt": "LitServe\n", "server.py": ""}), matrix)
    assert found.flavor is None
    assert "`flavor: serve`" in draft_text(found)


def test_options_are_not_asked_for(tmp_path: Path, matrix: Matrix) -> None:
    asked: list[str] = []

    def ask(question: str, *, default: str, read: Callable[[str], Value]) -> Value:
        asked.append(question)
        return read(default)

    wanted = Wanted(
        spec="2.6-cu124",
        flavor="devel",
        python=PythonVersion(3, 10),
        platform=Platform.AMD64,
        name="glue",
        command="python x.py",
        code=False,
    )
    found = propose(look(tmp_path, TRAIN), Host(), matrix, wanted, ask=ask, say=say_nothing)
    assert asked == []
    assert (found.name, found.flavor, found.python, found.code) == ("glue", "devel", "3.10", None)
    assert found.command == ("python", "x.py")


# --- the text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "3.10",
        "2.6",
        "yes",
        "null",
        "~",
        "1:30",
        "2026-11-25",
        "a: b",
        "a #b",
        "- x",
        "-",
        "*x",
        "&x",
        "@x",
        "'",
        '"',
        "é",
        "0x1",
    ],
)
def test_every_value_is_read_back_as_it_was(value: str, tmp_path: Path) -> None:
    file = tmp_path / "gpuimg.yaml"
    written = Draft(name="bert", spec="2.6-cu124", command=(value, "x"), comments={"command": ["a\nb: c", value]})
    file.write_text(draft_text(written), encoding="utf-8")
    (image,) = read_project(file).images
    assert image.command == (value, "x")
