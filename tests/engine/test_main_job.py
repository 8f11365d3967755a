"""The main job for real: 2.6 with CUDA 12.4 from the matrix to a verified image, and what the image promises."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from gpuimg.report import as_json
from gpuimg.versions import PythonVersion
from tests.engine.commands import GPUIMG, gpuimg, run_in

STACK = "2.6.0-cu124"
REPOSITORY = "gpuimg-test/main"
TAG = f"{REPOSITORY}:2.6.0-cu124-py311-runtime"
BUILDKIT = {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
PLAIN_TAG = "gpuimg-test/plain:latest"


@dataclass(frozen=True)
class Built:
    """The image of the main job, what the command said, and its report."""

    tag: str
    stderr: str
    tags: set[str]
    """Those that the report says."""
    checks: dict[str, dict[str, Any]]
    junit: str


@pytest.fixture(scope="module")
def built(
    base_image: str,
    wheel_index_url: Callable[..., str],
    build_network: str | None,
    test_label: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """``gpuimg build 2.6-cu121``: the name that was never published, which 2.6.0-cu124 serves."""
    folder = tmp_path_factory.mktemp("reports")
    index = wheel_index_url(STACK, python=PythonVersion(3, 11))
    network = ["--build-network", build_network] if build_network else []
    done = gpuimg(
        *("build", "2.6-cu121", "--base", base_image, "--index-url", index, *network, "--label", test_label),
        *(
            "--repository",
            REPOSITORY,
            "--gpus",
            "none",
            "--json",
            folder / "report.json",
            "--junit",
            folder / "report.xml",
        ),
    )
    assert done.returncode == 0, done.stderr
    text = (folder / "report.json").read_text()
    assert as_json.loads(text)
    (report,) = json.loads(text)["reports"]
    return Built(
        tag=TAG,
        stderr=done.stderr,
        tags=set(report["image"]["tags"]),
        checks={check["name"]: check for check in report["checks"]},
        junit=(folder / "report.xml").read_text(),
    )


def test_the_substitution_is_said_and_no_tag_lies(built: Built, engine_client: docker.DockerClient) -> None:
    assert "notice: 2.6.0-cu121 was never published; this is 2.6.0-cu124 instead" in built.stderr
    image = engine_client.images.get(built.tag)
    short = {f"{REPOSITORY}:{tag}" for tag in ("2.6.0-cu124-runtime", "2.6.0-cu124", "2.6-cu124", "2.6-cu121-compat")}
    assert {TAG, *short} == built.tags <= set(image.tags)
    assert not [tag for tag in image.tags if "cu121" in tag and "compat" not in tag]
    assert image.labels["io.gpuimg.requested"] == "2.6-cu121"
    assert image.labels["io.gpuimg.cuda"] == "12.4"
    assert "2.6.0-cu121" in image.labels["io.gpuimg.substitution"]


@pytest.mark.parametrize(
    ("check", "value", "version"),
    [
        ("stack.cudart", "cudart", "12.4"),
        ("stack.cudnn", "cudnn", "9.1.0"),
        ("stack.nccl", "nccl", "2.21.5"),
        ("stack.torch", "torch", "2.6.0+cu124"),
    ],
)
def test_versions_come_from_the_libraries_own_functions(built: Built, check: str, value: str, version: str) -> None:
    assert built.checks[check]["status"] == "PASS"
    assert built.checks[check]["measured"][value]["value"] == version


def test_what_needs_no_gpu_passed_and_the_rest_says_why_not(built: Built) -> None:
    statuses = {name: check["status"] for name, check in built.checks.items()}
    assert "FAIL" not in statuses.values()
    for name in ("load.dlopen", "load.single_copy", "compiler.toolchain", "compiler.inductor_cpu", "dataloader.shm"):
        assert statuses[name] == "PASS", name
    assert statuses["numerics.matmul_bf16_exact"] == "PASS"
    for name in ("host.gpu", "allocator.churn", "allocator.leak", "allocator.oom_recovery"):
        assert statuses[name] == "SKIP", name
    assert all(check["reason"] for check in built.checks.values() if check["status"] == "SKIP")
    assert "<testsuite " in built.junit


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["python", "-c", "import torch; print(torch.version.cuda)"], "12.4"),
        (["torchrun", "--help"], "usage: torchrun"),
        (["python", "-m", "torch.distributed.run", "--help"], "usage:"),
        (["pip", "check"], "No broken requirements found"),
        (["uv", "pip", "check"], "All installed packages are compatible"),
        (["uv", "pip", "list"], "nvidia-cudnn-cu12"),
        (["pip", "list"], "nvidia-cudnn-cu12"),
        (["sh", "-c", "command -v python"], "/opt/venv/bin/python"),
        (["sh", "-c", "echo $PYTORCH_CUDA_ALLOC_CONF"], "expandable_segments:True"),
    ],
)
def test_programs_work_as_the_user_and_as_any_uid(
    built: Built, engine_client: docker.DockerClient, command: list[str], expected: str
) -> None:
    for user in (None, "12345"):
        code, output = run_in(engine_client, built.tag, command, user=user)
        assert expected in output
        assert code == 0, output


def test_torch_compile_works_for_a_uid_without_a_name(built: Built, engine_client: docker.DockerClient) -> None:
    """As a user of README's command has it: torch names its cache after the user, whom no file knows."""
    code = (
        "import torch; f = torch.compile(lambda x: (x.sin() + x.cos()).sum()); print(round(float(f(torch.zeros(8)))))"
    )
    exit_code, output = run_in(engine_client, built.tag, ["python", "-c", code], user="12345")
    assert exit_code == 0, output
    assert output.strip().endswith("8")


def test_a_tag_that_would_lie_is_refused(base_image: str) -> None:
    done = gpuimg("build", "2.6-cu124", "--base", base_image, "--tag", "gpuimg-test/lie:2.6-cu121")
    assert done.returncode == 2
    assert "would lie: inside is cu124, not cu121" in done.stderr


def test_any_uid_may_install_but_not_replace_torch(
    built: Built, engine_client: docker.DockerClient, wheel_index_url: Callable[..., str], build_network: str | None
) -> None:
    index = wheel_index_url(STACK, python=PythonVersion(3, 11))
    host = index.split("/")[2].partition(":")[0]
    pip = f"pip install --no-cache-dir --index-url {index} --trusted-host {host}"

    def run(script: str, user: str | None = None) -> tuple[int, str]:
        return run_in(engine_client, built.tag, ["sh", "-c", script], user=user, network=build_network)

    for user in ("1000:0", "12345"):
        code, output = run(f"{pip} six && touch $HOME/x /tmp/y", user)
        assert code == 0, output
    code, output = run(f"{pip} torch==2.5.1")
    assert code != 0
    assert "constraint" in output


def test_nothing_of_the_build_stays_in_the_image(built: Built, engine_client: docker.DockerClient) -> None:
    script = "ls -A /tmp; ls -A /opt /opt/cuda /opt/venv /usr/local/bin; env"
    _, output = run_in(engine_client, built.tag, ["sh", "-c", script])
    assert output.startswith("/opt:\ncuda\nvenv\n")
    assert ".lock" not in output
    assert ".uv" not in output
    assert "LD_LIBRARY_PATH" not in output
    history = json.dumps(engine_client.images.get(built.tag).history())
    assert "http://" not in history


def test_a_small_shm_is_found_and_named(built: Built) -> None:
    done = gpuimg("verify", built.tag, "--gpus", "none", "--only", "dataloader.shm", "--shm-size", "64m")
    assert done.returncode == 1
    assert "--shm-size 8g" in done.stderr


def test_asking_for_a_gpu_where_there_is_none_is_no_pass(built: Built) -> None:
    done = gpuimg("verify", built.tag, "--gpus", "all", "--only", "host.gpu")
    assert done.returncode in {1, 3}
    assert "error:" in done.stderr or "FAIL" in done.stderr


def test_verify_finds_the_image_by_spec_and_by_name(built: Built) -> None:
    for reference in ("2.6-cu124", built.tag):
        done = gpuimg("verify", reference, "--gpus", "none", "--only", "stack.torch")
        assert done.returncode == 0, done.stderr
        assert "PASS 1" in done.stderr or "PASS 2" in done.stderr


@pytest.fixture
def second(built: Built, engine_client: docker.DockerClient) -> Iterator[str]:
    """The same image by another name."""
    name = "gpuimg-test/second:latest"
    engine_client.images.get(built.tag).tag(name)
    yield name
    engine_client.images.remove(name, noprune=True)


def test_two_images_are_verified_at_once(built: Built, second: str, tmp_path: Path) -> None:
    """Each on a connection and in a thread of its own; their reports stand in the order of the request."""
    target = tmp_path / "reports.json"
    checks = ("--only", "stack.torch", "--only", "host.user", "--json", target)
    done = gpuimg("verify", second, built.tag, "--gpus", "none", "--jobs", "2", *checks)
    assert done.returncode == 0, done.stderr
    assert "0 of 2 images failed" in done.stderr
    assert [report.image.reference for report in as_json.loads(target.read_text()) if report.image] == [
        second,
        built.tag,
    ]
    again = gpuimg("verify", built.tag, "--gpus", "none", *checks[:4], "--baseline", target)
    assert again.returncode == 0, again.stderr
    assert "nothing got worse" in again.stderr


def test_ctrl_c_ends_both_of_two_images(built: Built, second: str, engine_client: docker.DockerClient) -> None:
    def left() -> set[str]:
        found = engine_client.containers.list(all=True, filters={"label": "io.gpuimg.container"})
        return {str(container.id) for container in found}

    before = left()
    process = subprocess.Popen(
        [GPUIMG, "verify", built.tag, second, "--gpus", "none", "--jobs", "2"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process.stderr as stderr:
        running: set[str] = set()
        while len(running) < 2 and (line := stderr.readline()):
            running |= {line.split()[0]} if " running " in line else set()
        process.send_signal(signal.SIGINT)
        said = stderr.read()
    assert process.wait(timeout=60) == 130
    assert running == {f"[{built.tag}]", f"[{second}]"}
    assert "interrupted" in said
    assert left() <= before


def test_a_name_that_lies_fails(built: Built, engine_client: docker.DockerClient) -> None:
    """As in the field: images called 1.13.1 that held 1.13.0, py3.8 that held 3.7."""
    lie = "gpuimg-test:2.5.1-cuda12.1-cudnn9-runtime"
    image = engine_client.images.get(built.tag)
    image.tag(*lie.split(":"))
    try:
        done = gpuimg("verify", lie, "--gpus", "none", "--only", "stack.torch")
    finally:
        engine_client.images.remove(lie, noprune=True)
    assert done.returncode == 1
    assert "inside is torch 2.6.0, not 2.5.1" in " ".join(done.stderr.split())


def test_a_broken_image_fails_by_the_library_that_is_missing(built: Built, engine_client: docker.DockerClient) -> None:
    """A foreign image in effect: built on ours, with one CUDA library removed."""
    container = engine_client.containers.create(
        built.tag, ["sh", "-c", "rm /opt/cuda/nvidia/cufft/lib/libcufft.so.11"], user="0"
    )
    container.start()
    container.wait()
    broken = container.commit("gpuimg-test", "broken")
    try:
        done = gpuimg(
            "verify", "gpuimg-test:broken", "--gpus", "none", "--only", "load.dlopen", "--only", "stack.torch"
        )
    finally:
        container.remove(force=True)
        engine_client.images.remove(str(broken.id), force=True)
    assert done.returncode == 1
    assert "libcufft" in done.stderr


def test_a_rendered_folder_builds_without_gpuimg(
    built: Built,
    base_image: str,
    wheel_index_url: Callable[..., str],
    build_network: str | None,
    test_label: str,
    tmp_path: Path,
) -> None:
    """`docker build FOLDER` alone: and its layers are the ones that `gpuimg build` made, by the engine's cache."""
    index = wheel_index_url(STACK, python=PythonVersion(3, 11))
    context = tmp_path / "context"
    bundle = os.environ.get("SSL_CERT_FILE")
    trust = ["--ca-bundle", bundle] if bundle else []
    done = gpuimg("render", "2.6-cu121", "--base", base_image, "--index-url", index, *trust, "-o", context)
    assert done.returncode == 0, done.stderr
    network = ["--network", build_network] if build_network else []
    plain = subprocess.run(
        [_docker_command(), "build", "--label", test_label, *network, "--tag", PLAIN_TAG, context],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **BUILDKIT},
    )
    assert plain.returncode == 0, plain.stderr
    assert plain.stderr.count("CACHED") >= 4


def _docker_command() -> str:
    """A docker command that can run BuildKit: one of 23 or newer needs its buildx, an older one nothing."""
    for command in filter(None, (shutil.which("docker"), "/usr/bin/docker")):
        shown = subprocess.run(
            [command, "build", "--progress=plain", "--help"],
            capture_output=True,
            check=False,
            env={**os.environ, **BUILDKIT},
        )
        if shown.returncode == 0 and b"missing" not in shown.stderr:
            return command
    pytest.fail("no docker command here can run BuildKit: install docker-buildx")
