"""What a project asks for, in each kind of file, becomes extras of its stack; its torch must be the stack's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.extras.uv import find_uv
from gpuimg.facts import Matrix
from gpuimg.model import Plan
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.project.model import ProjectImage
from gpuimg.project.packages import Packages, project_packages
from tests.unit.loopback_index import LoopbackIndex

SPEC = "2.6-cu124"


@pytest.fixture
def plan(matrix: Matrix) -> Plan:
    return make_plan(resolve(parse_spec(SPEC), matrix), matrix, Settings())


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "uv")}


@pytest.fixture
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as index:
        yield index


def packages(
    plan: Plan, matrix: Matrix, environ: Mapping[str, str], *requirements: Path, extras: tuple[str, ...] = ()
) -> Packages:
    image = ProjectImage(
        name="bert", spec=SPEC, repository="bert", tags=("latest",), extras=extras, requirements=requirements
    )
    return project_packages(image, plan, matrix, label="gpuimg.yaml", environ=environ)


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# --- requirements and pyproject --------------------------------------------------------------------------------------


def test_a_file_without_torch_is_taken_as_it_is(
    plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path, "requirements.txt", "transformers==4.40.0\ndatasets\naccelerate\npeft\nbitsandbytes\n")
    found = packages(plan, matrix, environ, file, extras=("einops",))
    assert found.extras == ("einops", "transformers==4.40.0", "datasets", "accelerate", "peft", "bitsandbytes")
    assert found.left == ()


@pytest.mark.parametrize("torch", ["torch", "torch==2.6.0", "torch>=2.4", "torch==2.6.*", "torch==2.6.0+cu124"])
def test_a_torch_that_agrees_is_the_stacks(
    torch: str, plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path, "requirements.txt", f"{torch}\neinops\n")
    assert packages(plan, matrix, environ, file).extras == ("torch", "einops")


def test_a_pyproject_gives_its_dependencies_where_they_apply(
    plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path
) -> None:
    text = """
[project]
name = "bert"
dependencies = [
  "torch>=2.4,<3 ; sys_platform == 'linux'",
  "torch==2.2 ; sys_platform == 'darwin'",
  "tomli ; python_version < '3.11'",
  "typing_extensions ; python_version >= '3.8'",
  "uvloop ; platform_machine == 'aarch64'",
]
optional-dependencies = { test = ["pytest"] }
"""
    found = packages(plan, matrix, environ, written(tmp_path, "pyproject.toml", text))
    assert str(plan.python) == "3.11"
    assert found.extras == ("torch", "typing_extensions")


@pytest.mark.parametrize(
    ("wanted", "spec"),
    [
        ("torch==2.5.1", "2.5.1-cu124"),
        ("torch<2.6", "2.5.1-cu124"),
        ("torch==2.6.0+cu126", "2.6.0-cu126"),
        ("torch==2.3.1", "2.3.1-cu121"),
    ],
)
def test_another_torch_is_refused_with_the_spec_that_has_it(
    wanted: str, spec: str, plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        packages(plan, matrix, environ, written(tmp_path, "requirements.txt", f"{wanted}\n"))
    assert caught.value.message == (
        f"requirements.txt asks for {wanted}, and the spec `2.6-cu124` is torch 2.6.0+cu124"
    )
    assert caught.value.hints[0] == f"`spec: {spec}` has such a torch"


def test_a_torch_that_no_stack_has_is_said_to_be_none(plan: Plan, matrix: Matrix, environ: Mapping[str, str]) -> None:
    with pytest.raises(RequestError, match=r"^gpuimg\.yaml asks for torch==1\.13\.1") as caught:
        packages(plan, matrix, environ, extras=("torch==1.13.1",))
    assert caught.value.hints[0].startswith("no stack of the matrix has such a torch")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("poetry.lock", "", "poetry.lock is no file that gpuimg reads"),
        ("environment.yml", "", "environment.yml is no file that gpuimg reads"),
        ("requirements.txt", "-r other.txt\n", "requirements.txt, line 1: `-r` is an option"),
        ("pyproject.toml", "[tool.x]\n", "pyproject.toml doesn't say its dependencies"),
        ("pyproject.toml", "[project]\ndynamic = ['dependencies']\n", "doesn't say its dependencies"),
        ("pyproject.toml", "[project]\ndependencies = 'x'\n", "project.dependencies is no list of texts"),
        (
            "pyproject.toml",
            "[project]\ndependencies = ['x @ https://a:b@c/x']\n",
            "project.dependencies: `x` with a URL",
        ),
        ("pyproject.toml", "[project\n", "is not valid TOML"),
        ("uv.lock", "[project\n", "is no lock file of uv"),
        ("uv.lock", "version = 99\n", "uv can't read"),
    ],
)
def test_a_file_that_says_no_packages_is_refused(
    name: str, text: str, message: str, plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path
) -> None:
    if name == "uv.lock":
        written(tmp_path, "pyproject.toml", "[project]\nname = 'bert'\nversion = '0'\n")
    with pytest.raises(RequestError) as caught:
        packages(plan, matrix, environ, written(tmp_path, name, text))
    assert message in caught.value.message
    assert "a:b" not in caught.value.message


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml", "uv.lock"])
def test_a_file_that_isnt_there_is_refused(
    name: str, plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=f"{name} can't be read: No such file"):
        packages(plan, matrix, environ, tmp_path / name)


# --- uv.lock ---------------------------------------------------------------------------------------------------------


def locked(folder: Path, index: LoopbackIndex, environ: Mapping[str, str], dependencies: str, more: str = "") -> Path:
    """A lock that the real uv made of what the index has."""
    written(
        folder,
        "pyproject.toml",
        f"[project]\nname = 'bert'\nversion = '0'\nrequires-python = '>=3.10'\ndependencies = {dependencies}\n{more}",
    )
    subprocess.run(
        [
            *find_uv(),
            "lock",
            "--quiet",
            "--default-index",
            index.url,
            "--no-python-downloads",
            "--python",
            sys.executable,
        ],
        cwd=folder,
        env={**environ},
        check=True,
    )
    return folder / "uv.lock"


def with_torch(index: LoopbackIndex, version: str = "2.6.0") -> None:
    index.wheel("torch", version, "nvidia-cublas-cu12", "sympy", "filelock", "triton", "cuda-bindings")
    index.wheel("nvidia-cublas-cu12", "12.6.4.1", "nvidia-nvjitlink-cu12")
    for name, release in (
        ("nvidia-nvjitlink-cu12", "12.6.85"),
        ("sympy", "1.13.1"),
        ("filelock", "3.16.0"),
        ("triton", "3.2.0"),
        ("cuda-bindings", "12.9.4"),
        ("numpy", "1.26.4"),
    ):
        index.wheel(name, release)


def test_a_lock_gives_its_releases_without_torchs_own(
    plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path, index: LoopbackIndex
) -> None:
    with_torch(index)
    index.wheel("accelerate", "1.2.0", "torch", "numpy", "huggingface-hub")
    index.wheel(
        "huggingface-hub", "0.27.0", "filelock", "tomli; python_version < '3.11'", "colorama; sys_platform=='win32'"
    )
    for name in ("tomli", "colorama", "pytest"):
        index.wheel(name, "2.0")
    file = locked(tmp_path, index, environ, "['torch>=2.4', 'accelerate']", "[dependency-groups]\ndev = ['pytest']\n")
    found = packages(plan, matrix, environ, file)
    assert sorted(found.extras) == [
        "accelerate==1.2.0", "filelock==3.16.0", "huggingface-hub==0.27.0", "numpy", "torch",
    ]  # fmt: skip
    has = {wheel.name: wheel.version for wheel in plan.wheels.torch}
    assert found.left == (f"numpy 1.26.4 ({has['numpy']})",)


def test_a_lock_without_torch_is_a_list_of_releases(
    plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path, index: LoopbackIndex
) -> None:
    index.wheel("einops", "0.8.0")
    index.wheel("vision", "1.0", "soxr; extra == 'sound'")
    index.wheel("soxr", "0.5")
    file = locked(tmp_path, index, environ, "['einops', 'vision[sound]']")
    assert sorted(packages(plan, matrix, environ, file).extras) == ["einops==0.8.0", "soxr==0.5", "vision==1.0"]


def test_a_lock_of_another_torch_is_refused(
    plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path, index: LoopbackIndex
) -> None:
    with_torch(index, "2.5.1")
    with pytest.raises(
        RequestError, match=r"^uv\.lock asks for torch==2\.5\.1, and the spec `2\.6-cu124` is"
    ) as caught:
        packages(plan, matrix, environ, locked(tmp_path, index, environ, "['torch']"))
    assert caught.value.hints[0] == "`spec: 2.5.1-cu124` has such a torch"


def test_a_lock_with_a_package_from_a_folder_is_refused(
    plan: Plan, matrix: Matrix, environ: Mapping[str, str], tmp_path: Path, index: LoopbackIndex
) -> None:
    (tmp_path / "lib").mkdir()
    written(tmp_path / "lib", "pyproject.toml", "[project]\nname = 'lib'\nversion = '1'\n")
    sources = "[tool.uv.sources]\nlib = { path = 'lib' }\n"
    with pytest.raises(RequestError, match=r"uv\.lock has `.*lib` from a file, a repository or a URL"):
        packages(plan, matrix, environ, locked(tmp_path, index, environ, "['lib']", sources))
