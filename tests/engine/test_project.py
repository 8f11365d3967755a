"""A folder with a Dockerfile of PyTorch's image → project file → image; and what a changed line of code costs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from gpuimg.versions import PythonVersion
from tests.engine.commands import gpuimg, run_in

STACK = "2.6.0-cu124"
IMAGE = "gpuimg-test/project:latest"
DOCKERFILE = """\
FROM pytorch/pytorch:2.6-cuda12.1-devel
RUN pip install --no-cache-dir transformers==4.40.0 datasets accelerate peft bitsandbytes
WORKDIR /app
COPY . /app
CMD ["python", "train.py"]
"""
TRAIN = """\
import os
from importlib.metadata import version
print(os.getcwd(), os.getuid(), version("torch"), version("transformers"), "{word}")
import accelerate, peft, transformers
"""
"""datasets is not imported: the index of these tests offers the stack's own fsspec alone, which only a datasets of 2023
takes, and that fails beside today's pyarrow."""


@dataclass(frozen=True)
class Project:
    """The folder, and the function that builds it."""

    folder: Path
    build: Callable[..., str]


@pytest.fixture(scope="module")
def project(
    base_image: str,
    wheel_index_url: Callable[..., str],
    build_network: str | None,
    test_label: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    folder = tmp_path_factory.mktemp("project") / "bert"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    (folder / "train.py").write_text(TRAIN.format(word="first"), encoding="utf-8")
    (folder / ".env").write_text("HF_TOKEN=secret", encoding="utf-8")
    written = gpuimg("init", folder, "--yes")
    assert written.returncode == 0, written.stderr
    with (folder / "gpuimg.yaml").open("a", encoding="utf-8") as file:
        file.write(f"repository: {IMAGE.partition(':')[0]}\n")
    index = wheel_index_url(STACK, python=PythonVersion(3, 11))
    bundle = os.environ.get("SSL_CERT_FILE")
    site: list[str] = ["--base", base_image, "--index-url", index, *(["--ca-bundle", bundle] if bundle else [])]
    site += ["--build-network", build_network] if build_network else []

    def build(*options: str) -> str:
        file = str(folder / "gpuimg.yaml")
        done = gpuimg("build", "--file", file, *site, "--label", test_label, "--gpus", "none", *options)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return Project(folder=folder, build=build)


def _write(project: Project, word: str) -> None:
    """A program that says `word`."""
    (project.folder / "train.py").write_text(TRAIN.format(word=word), encoding="utf-8")


def test_the_folder_becomes_an_image_that_runs_it(project: Project, engine_client: docker.DockerClient) -> None:
    _write(project, "first")
    stderr = project.build()
    assert f"built {IMAGE} (" in stderr
    image = engine_client.images.get(IMAGE)
    assert image.tags == [IMAGE]
    assert image.labels["io.gpuimg.stack"] == STACK
    code, output = run_in(engine_client, IMAGE, image.attrs["Config"]["Cmd"])
    assert code == 0, output
    assert output.splitlines()[0] == "/app 1000 2.6.0 4.40.0 first"
    code, output = run_in(engine_client, IMAGE, ["ls", "-A", "/app"])
    assert (code, output.split()) == (0, ["Dockerfile", "gpuimg.yaml", "train.py"])


def test_run_without_a_name_runs_the_program_of_the_image(project: Project) -> None:
    """Not that of the folder, which is mounted beside it."""
    _write(project, "built")
    project.build("--no-verify")
    _write(project, "mounted")
    done = gpuimg("run", "--gpus", "none", "--no-caches", folder=project.folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("/app ")
    assert done.stdout.splitlines()[0].endswith(" 2.6.0 4.40.0 built")


def test_a_changed_line_of_code_costs_its_own_layer_alone(project: Project, engine_client: docker.DockerClient) -> None:
    _write(project, "first")
    project.build("--no-verify")
    before = engine_client.images.get(IMAGE).attrs["RootFS"]["Layers"]
    _write(project, "second")
    project.build("--no-verify")
    after = engine_client.images.get(IMAGE).attrs["RootFS"]["Layers"]
    assert (after[:-1], after[-1] == before[-1]) == (before[:-1], False)
    code, output = run_in(engine_client, IMAGE, ["python", "train.py"])
    assert code == 0, output
    assert output.splitlines()[0] == "/app 1000 2.6.0 4.40.0 second"


def test_verify_without_an_image_is_about_the_project(project: Project) -> None:
    project.build("--no-verify")
    done = gpuimg("verify", "--file", project.folder / "gpuimg.yaml", "--gpus", "none", "--only", "stack.torch")
    assert done.returncode == 0, done.stderr
    assert IMAGE in done.stderr
