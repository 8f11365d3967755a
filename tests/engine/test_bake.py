"""The exported bake file and its contexts, built: by buildx where there is one, else by the engine as the file says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import docker
import pytest

from tests.engine.commands import gpuimg, run_in

REPOSITORY: Final = "gpuimg-test/bake"
TEMPLATE: Final = """\
FROM {{ plan.base_image }}
COPY layers/torch/requirements.txt /requirements.txt
RUN echo {{ plan.flavor.name }} > /flavor
{% for name, value in labels.items() %}
LABEL {{ name }}={{ value | quoted }}
{% endfor %}
"""
"""In the place of ours: seconds to build, with files of the context in it."""


def has_buildx() -> bool:
    command = ["docker", "buildx", "version"]
    return (
        shutil.which("docker") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def build(client: docker.DockerClient, folder: Path, targets: dict[str, Any]) -> None:
    if has_buildx():
        done = subprocess.run(
            ["docker", "buildx", "bake", "--load"], cwd=folder, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        return
    for target in targets.values():
        image, _ = client.images.build(
            path=str(folder / target["context"]),
            dockerfile=target["dockerfile"],
            platform=target["platforms"][0],
            rm=True,
        )
        for tag in target["tags"]:
            assert image.tag(tag)


@pytest.fixture
def engine(engine_client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    """The images go with the test: others look for images of the same stack, and these have no torch."""
    yield engine_client
    for image in engine_client.images.list(name=REPOSITORY):
        engine_client.images.remove(str(image.id), force=True)


def test_images_are_built_and_called_as_the_file_says(
    engine: docker.DockerClient, base_image: str, tmp_path: Path
) -> None:
    templates, folder = tmp_path / "templates", tmp_path / "bake"
    templates.mkdir()
    (templates / "Dockerfile.j2").write_text(TEMPLATE, encoding="utf-8")
    options = ["--base", base_image, "--repository", REPOSITORY, "--template-dir", str(templates), "-o", str(folder)]
    done = gpuimg("export", "2.6-cu124", "2.6-cu124-serve", "--format", "bake", *options)
    assert done.returncode == 0, done.stderr
    targets = json.loads((folder / "docker-bake.json").read_text(encoding="utf-8"))["target"]
    build(engine, folder, targets)
    for target, flavor in zip(targets.values(), ("runtime", "serve"), strict=True):
        images = {engine.images.get(tag).id for tag in target["tags"]}
        assert len(images) == 1
        labels = engine.images.get(target["tags"][0]).labels
        assert (labels["io.gpuimg.stack"], labels["io.gpuimg.flavor"]) == ("2.6.0-cu124", flavor)
        assert run_in(engine, target["tags"][0], ["cat", "/flavor"]) == (0, f"{flavor}\n")
        code, wheels = run_in(engine, target["tags"][0], ["cat", "/requirements.txt"])
        assert (code, "torch==2.6.0" in wheels) == (0, True)
