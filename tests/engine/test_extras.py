"""Extras through a whole build: what was resolved is what is installed, and the stack is what it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from gpuimg.versions import PythonVersion
from tests.engine.commands import gpuimg, run_in

STACK = "2.6.0-cu124"
REPOSITORY = "gpuimg-test/extras"
CODE = """
import json, sys
from importlib.metadata import version
names = ["torch", "numpy", "six", "einops", "nvidia-cudnn-cu12"]
print(json.dumps({name: version(name) for name in names}))
"""


@dataclass(frozen=True)
class Built:
    """An image with extras, what the command said, and what was rendered for the same request."""

    tag: str
    stderr: str
    requirements: str


@pytest.fixture(scope="module")
def built(
    base_image: str,
    wheel_index_url: Callable[..., str],
    build_network: str | None,
    test_label: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """einops by option and six by file: small, and neither is of the stack."""
    folder = tmp_path_factory.mktemp("extras")
    (folder / "requirements.txt").write_text("six==1.16.0  # as some file asks for\ntorch>=2.5\n")
    index = wheel_index_url(STACK, python=PythonVersion(3, 11))
    bundle = os.environ.get("SSL_CERT_FILE")
    request: list[str | Path] = [STACK, "--base", base_image, "--extra", "einops"]
    request += ["--requirements", folder / "requirements.txt"]
    request += ["--index-url", index, *(["--ca-bundle", bundle] if bundle else [])]
    network = ["--build-network", build_network] if build_network else []
    label = ["--label", test_label, "--repository", REPOSITORY]
    done = gpuimg("build", *request, *network, *label, "--gpus", "none")
    assert done.returncode == 0, done.stderr
    rendered = gpuimg("render", *request, "--output", folder / "context")
    assert rendered.returncode == 0, rendered.stderr
    tag = next(line for line in done.stderr.splitlines() if line.startswith("built ")).split()[1]
    return Built(
        tag=tag,
        stderr=done.stderr,
        requirements=(folder / "context/layers/extras/requirements.txt").read_text(),
    )


def test_what_was_resolved_is_installed_and_the_stack_is_untouched(
    built: Built, engine_client: docker.DockerClient
) -> None:
    assert f"resolved extras against {STACK}: einops " in built.stderr
    code, output = run_in(engine_client, built.tag, ["python", "-c", CODE])
    assert code == 0, output
    versions = json.loads(output)
    assert versions["torch"] == "2.6.0"
    assert versions["nvidia-cudnn-cu12"] == "9.1.0.70"
    assert versions["six"] == "1.16.0"
    assert f"einops=={versions['einops']} \\\n    --hash=sha256:" in built.requirements
    assert built.requirements.count("==") == built.requirements.count("--hash=sha256:") == 2


@pytest.mark.parametrize(
    "command", [["pip", "check"], ["uv", "pip", "check"], ["python", "-c", "import torch, einops"]]
)
def test_nothing_is_broken_for_any_uid(built: Built, engine_client: docker.DockerClient, command: list[str]) -> None:
    for user in (None, "12345"):
        code, output = run_in(engine_client, built.tag, command, user=user)
        assert code == 0, output


def test_the_label_says_what_was_asked_for_and_how_far_it_is_locked(
    built: Built, engine_client: docker.DockerClient
) -> None:
    labels = engine_client.images.get(built.tag).labels
    assert labels["io.gpuimg.extras"] == "einops six==1.16.0"
    assert labels["io.gpuimg.locked"] == "yes"


def test_an_extra_against_the_stack_builds_nothing(
    base_image: str, wheel_index_url: Callable[..., str], tmp_path: Path
) -> None:
    index = wheel_index_url(STACK, python=PythonVersion(3, 11))
    for extra, message in {
        "torch==2.5.1": "contradicts the stack",
        "xformers==0.0.28": "it depends on torch==2.4.1",
    }.items():
        done = gpuimg("build", STACK, "--base", base_image, "--extra", extra, "--index-url", index)
        assert done.returncode == 2, done.stderr
        assert message in " ".join(done.stderr.split())
