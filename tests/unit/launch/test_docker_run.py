"""The docker command of a few diverse launches, whole: read them as a reviewer would."""

from __future__ import annotations

import shlex
import subprocess
from typing import Final

import pytest

from gpuimg.launch.docker_run import docker_arguments, shell_command
from gpuimg.launch.launch import Launch, Mount, Port

GIB: Final = 2**30
CASES: Final = {
    "docker run --init --interactive gpuimg:2.6.0-cu124": Launch(image="gpuimg:2.6.0-cu124", remove=False),
    """docker run --rm --init --interactive --tty --gpus '"device=0,GPU-3d4a"' --cap-add SYS_PTRACE
    --device /dev/infiniband --shm-size 8g --ulimit memlock=-1 --ulimit stack=67108864 --memory 32g --cpus 7.5
    --user 1000:0 --group-add 2000 --mount type=bind,source=/home/ann/project,target=/workspace --workdir /workspace
    --env HF_TOKEN --env NCCL_DEBUG=INFO gpuimg:2.6.0-cu124 python train.py '--name=a b'""": Launch(
        image="gpuimg:2.6.0-cu124",
        command=("python", "train.py", "--name=a b"),
        gpus="0,GPU-3d4a",
        capabilities=("SYS_PTRACE",),
        devices=("/dev/infiniband",),
        shm_bytes=8 * GIB,
        ulimits=(("memlock", -1), ("stack", 67108864)),
        memory_bytes=32 * GIB,
        cpus="7.5",
        user="1000:0",
        groups=(2000,),
        mounts=(Mount(source="/home/ann/project", target="/workspace"),),
        workdir="/workspace",
        environment=(("HF_TOKEN", None), ("NCCL_DEBUG", "INFO")),
        tty=True,
    ),
    """docker run --detach --rm --init --name lab --label io.gpuimg.container=run --gpus all --shm-size 1536m
    --publish 127.0.0.1:8889:8888 --publish '[::1]::6006/udp' --env JUPYTER_TOKEN gpuimg:2.6.0-cu124-jupyter""": Launch(
        image="gpuimg:2.6.0-cu124-jupyter",
        name="lab",
        labels=(("io.gpuimg.container", "run"),),
        gpus="all",
        shm_bytes=1536 * 2**20,
        ports=(
            Port(container=8888, host=8889, address="127.0.0.1"),
            Port(container=6006, host=None, address="::1", protocol="udp"),
        ),
        environment=(("JUPYTER_TOKEN", None),),
        interactive=False,
        detach=True,
    ),
    """docker run --rm --init --interactive --device nvidia.com/gpu=0 --device nvidia.com/gpu=1 --shm-size 1000b
    --ipc host --userns host --security-opt label=disable --network host
    --mount type=volume,source=data,target=/data,readonly debian:12""": Launch(
        image="debian:12",
        gpus="nvidia.com/gpu=0,nvidia.com/gpu=1",
        shm_bytes=1000,
        ipc="host",
        user_namespace="host",
        security=("label=disable",),
        network="host",
        mounts=(Mount(source="data", target="/data", read_only=True, volume=True),),
    ),
}
HOSTILE: Final = (
    "",
    "a b",
    "$(id)",
    "`id`",
    "it's",
    '"',
    "\\",
    "\x1b[2J\x1b]0;pwned\x07",
    "line\nline",
    "--rm",
    "é\udcff",
)


@pytest.mark.parametrize("expected", CASES)
def test_command_is_the_one_that_was_reviewed(expected: str) -> None:
    assert docker_arguments(CASES[expected]) == tuple(shlex.split(expected))
    assert shell_command(CASES[expected], several_lines=False) == " ".join(expected.split())


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("several_lines", [False, True])
def test_a_shell_reads_back_what_was_given(text: str, several_lines: bool) -> None:
    launch = Launch(image="debian:12", command=("echo", text), environment=(("A", text),))
    shown = shell_command(launch, program="argv", several_lines=several_lines)
    assert "\x1b" not in shown
    script = f"argv() {{ printf '%s\\0' argv \"$@\"; }}\n{shown}\n"
    done = subprocess.run(["bash"], input=script.encode("utf-8", "surrogateescape"), capture_output=True, check=True)
    read = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert tuple(read) == docker_arguments(launch, program="argv")


@pytest.mark.parametrize("path", ["/data,set", '/my "data"', "/a b"])
def test_a_path_may_have_what_csv_has(path: str) -> None:
    import csv

    *_, option, _ = docker_arguments(Launch(image="debian:12", mounts=(Mount(source=path, target="/data"),)))
    (fields,) = csv.reader([option], strict=True)
    assert fields == ["type=bind", f"source={path}", "target=/data"]


def test_a_container_that_is_only_made_is_not_detached() -> None:
    """`docker create` knows no --detach."""
    made = docker_arguments(Launch(image="debian:12", detach=True), program="podman", verb="create")
    assert made[:2] == ("podman", "create")
    assert "--detach" not in made
