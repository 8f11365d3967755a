"""``gpuimg run`` on a real engine: whose files, which limits, whose exit code, and what is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import tarfile
import termios
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docker
import pytest

from gpuimg.engine.client import Engine
from gpuimg.launch.place import ask_place
from gpuimg.machine import this_machine
from tests.engine.commands import GPUIMG, gpuimg

_SERVER: Final = Path(__file__).with_name("jupyter_stand_in.pl")
_LIMIT_S: Final = 120
_SOMEBODY: Final = 12345
"""Who ran sudo, where the tests run as root."""
_LABELS: Final = {
    "io.gpuimg.stack": "2.6.0-cu124",
    "io.gpuimg.torch": "2.6.0+cu124",
    "io.gpuimg.cuda": "12.4",
    "io.gpuimg.python": "3.11",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with a folder and caches of their own."""

    uid: int
    folder: Path
    caches: Path
    environ: dict[str, str]

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """``gpuimg run ARGUMENTS`` in their folder."""
        return subprocess.run(
            [GPUIMG, "run", *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.environ,
            timeout=_LIMIT_S,
        )


@pytest.fixture
def user(tmp_path: Path) -> User:
    uid = os.getuid() or _SOMEBODY
    folder, caches = tmp_path / "my project", tmp_path / "caches"
    for path in (folder, caches):
        path.mkdir()
        os.chown(path, uid, -1)
    kept = {name: value for name, value in os.environ.items() if name not in {"HF_HOME", "TORCH_HOME", "JUPYTER_TOKEN"}}
    environ = {**kept, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(caches), "NO_COLOR": "1"}
    if os.getuid() == 0:
        environ |= {"SUDO_UID": str(uid), "SUDO_GID": str(uid)}
    return User(uid=uid, folder=folder, caches=caches, environ=environ)


@pytest.fixture(scope="module")
def images(engine_client: docker.DockerClient, base_image: str) -> Iterator[dict[str, str]]:
    """Small images with the labels of two flavors; the later is ``jupyter``."""
    found = {}
    for flavor, command in (("runtime", ["bash"]), ("jupyter", ["jupyter", "lab"])):
        tag = f"gpuimg-test/run-{flavor}:{os.getpid()}"
        labels = {**_LABELS, "io.gpuimg.flavor": flavor}
        context = _context(base_image, command, labels)
        engine_client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
        found[flavor] = tag
        time.sleep(1.1)  # the engine lists images by the second in which they were made
    yield found
    for tag in found.values():
        engine_client.images.remove(tag, force=True)


@pytest.fixture(autouse=True)
def nothing_is_left(engine_client: docker.DockerClient) -> Iterator[None]:
    """No test here may leave a container."""
    before = _containers(engine_client)
    yield
    left = _containers(engine_client) - before
    for container in left:
        engine_client.containers.get(container).remove(force=True)
    assert not left


def test_files_that_a_container_makes_are_the_user_s(user: User, images: dict[str, str]) -> None:
    script = "id -u; id -g; pwd; touch made; mkdir -p deep/er; touch $HF_HOME/model $TORCH_HOME/model"
    done = user.run(images["runtime"], "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    uid, gid, folder = done.stdout.split()
    assert (uid, folder) == ("0" if _is_rootless() else str(user.uid), "/workspace")
    assert gid == "0", "images of gpuimg are for any uid with group 0"
    made = [user.folder / "made", user.folder / "deep" / "er"]
    made += [user.caches / "huggingface", user.caches / "huggingface" / "model", user.caches / "torch" / "model"]
    assert {path.stat().st_uid for path in made} == {user.uid}


def test_limits_hold_inside(user: User, images: dict[str, str]) -> None:
    script = (
        "df --output=size -B1 /dev/shm | tail -1; ulimit -s; ulimit -l;"
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
    )
    done = user.run(images["runtime"], "--shm-size", "96m", "--memory", "256m", "--", "bash", "-c", script)
    shm, stack, locked, memory = done.stdout.split()
    assert (int(shm), int(stack), int(memory)) == (96 * 2**20, 64 * 1024, 256 * 2**20)
    with Engine(environ=os.environ) as engine:
        unlimited = ask_place(engine, this_machine(os.environ)).raises_limits
    assert (locked == "unlimited") == unlimited


def test_shared_memory_is_8_gib_or_half_of_the_memory(
    user: User, images: dict[str, str], engine_client: docker.DockerClient
) -> None:
    done = user.run(images["runtime"], "--", "df", "--output=size", "-B1", "/dev/shm")
    half = engine_client.info()["MemTotal"] // 2 >> 20 << 20
    assert int(done.stdout.split()[-1]) == min(8 * 2**30, half)


def test_exit_code_and_streams_are_the_command_s(user: User, images: dict[str, str]) -> None:
    done = user.run(images["runtime"], "--", "sh", "-c", "cat; echo oops >&2; exit 7", text="hello\n")
    assert (done.returncode, done.stdout) == (7, "hello\n")
    assert "oops" in done.stderr


def test_variables_come_in_without_their_values_on_the_command_line(user: User, images: dict[str, str]) -> None:
    user.environ["HF_TOKEN"] = "hush"
    shown = user.run(images["runtime"], "-e", "HF_TOKEN", "-e", "A=b c", "--print", "--", "env")
    assert "hush" not in shown.stdout + shown.stderr
    done = user.run(images["runtime"], "-e", "HF_TOKEN", "-e", "A=b c", "--", "env")
    assert {"HF_TOKEN=hush", "A=b c"} <= set(done.stdout.splitlines())


def test_the_printed_command_does_the_same(user: User, images: dict[str, str]) -> None:
    command = ("--no-caches", "--", "sh", "-c", "id; pwd; echo \"$0\"; echo 'it''s'", "a  b")
    shown = user.run(images["runtime"], "--print", *command)
    by_hand = subprocess.run(
        ["bash", "-c", shown.stdout], capture_output=True, text=True, check=False, env=user.environ, timeout=_LIMIT_S
    )
    assert by_hand.stdout == user.run(images["runtime"], *command).stdout != ""


def test_ctrl_c_leaves_no_container(user: User, images: dict[str, str]) -> None:
    """The fixture sees that none is left."""
    with subprocess.Popen(
        [GPUIMG, "run", images["runtime"], "--", "bash", "-c", "echo started; exec sleep 600"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=user.folder,
        env=user.environ,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def test_a_terminal_is_the_user_s_own(user: User, images: dict[str, str]) -> None:
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    with subprocess.Popen(
        [GPUIMG, "run", images["runtime"]],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        cwd=user.folder,
        env=user.environ,
        start_new_session=True,
    ) as process:
        os.close(inside)
        said = _read_until(outside, r"[$#] $")
        # docker tells the terminal's size just after the start
        os.write(outside, b"until [ $(stty size | cut -d' ' -f1) -gt 0 ]; do sleep 0.1; done\n")
        os.write(outside, b"echo size-$(stty size | tr ' ' x)\n")
        said += _read_until(outside, r"size-\d+x\d+\r\n")
        os.write(outside, b"exit 3\n")
        assert process.wait(timeout=_LIMIT_S) == 3
    os.close(outside)
    assert "size-33x101" in said


def test_jupyter_answers_to_who_has_the_printed_url(
    user: User, images: dict[str, str], engine_client: docker.DockerClient
) -> None:
    done = user.run(images["jupyter"], "--detach")
    assert done.returncode == 0, done.stderr
    url = done.stdout.strip()
    match = re.fullmatch(r"http://127\.0\.0\.1:\d+/lab\?token=(?P<token>\S{32,})", url)
    assert match is not None, done.stdout
    stop = re.search(r"`docker stop (\S+)`", done.stderr)
    assert stop is not None
    container = engine_client.containers.get(stop[1])
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.read() == b"lab\n" if user.uid else b"lab --allow-root\n"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url.partition("?")[0], timeout=10)
        ports = container.attrs["NetworkSettings"]["Ports"]["8888/tcp"]
        assert {port["HostIp"] for port in ports} == {"127.0.0.1"}, "nobody else can reach it"
        assert match["token"] not in repr((container.attrs["Args"], container.attrs["Config"]["Cmd"]))
        another = user.run(images["jupyter"], "--print")
        assert f":{ports[0]['HostPort']}:8888" not in another.stdout, "the next gets another port"
    finally:
        container.stop(timeout=10)
        _wait_until_gone(engine_client, str(container.id))


def test_jupyter_as_root_is_told_that_it_may(
    user: User, images: dict[str, str], engine_client: docker.DockerClient
) -> None:
    done = user.run(images["jupyter"], "--root", "--detach")
    stop = re.search(r"`docker stop (\S+)`", done.stderr)
    assert stop is not None, done.stderr
    container = engine_client.containers.get(stop[1])
    try:
        with urllib.request.urlopen(done.stdout.strip(), timeout=10) as answer:
            assert answer.read() == b"lab --allow-root\n"
    finally:
        container.stop(timeout=10)
        _wait_until_gone(engine_client, str(container.id))


def test_a_server_that_ends_is_an_error_with_its_last_words(user: User, images: dict[str, str]) -> None:
    done = user.run(images["jupyter"], "--detach", "-e", "BROKEN=1")
    assert done.returncode == 3
    assert "no space for the kernel" in done.stderr
    assert done.stdout == ""


def test_a_job_in_the_background_is_named_and_stops(
    user: User, images: dict[str, str], engine_client: docker.DockerClient
) -> None:
    name = f"gpuimg-test-{os.getpid()}"
    done = user.run(images["runtime"], "--detach", "--name", name, "--", "sleep", "600")
    assert done.stdout == f"{name}\n"
    container = engine_client.containers.get(name)
    assert container.status == "running"
    assert f"`docker stop {name}`" in done.stderr
    container.kill()
    _wait_until_gone(engine_client, str(container.id))


def test_a_spec_starts_the_newest_that_fits_and_says_so(user: User, images: dict[str, str]) -> None:
    done = user.run("2.6-cu124", "--print")
    assert images["jupyter"] in done.stdout
    assert f"this is the newest, {images['jupyter']}" in done.stderr
    done = user.run("2.6-cu121-runtime-py311", "--print")
    assert images["runtime"] in done.stdout
    assert "was never published" in done.stderr, "no substitution in silence"


def test_a_spec_without_an_image_says_how_to_build_it(user: User) -> None:
    done = user.run("2.0-cu117", "--gpus", "none")
    assert done.returncode == 3
    assert "`gpuimg build 2.0-cu117`" in done.stderr


def _context(base: str, command: list[str], labels: dict[str, str]) -> io.BytesIO:
    lines = [
        f"FROM {base}",
        "COPY jupyter /usr/local/bin/jupyter",
        "WORKDIR /workspace",
        f"LABEL {' '.join(f'{name}={value}' for name, value in labels.items())}",
        f"CMD {str(command).replace(chr(39), chr(34))}",
    ]
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, content in (("Dockerfile", "\n".join(lines).encode()), ("jupyter", _SERVER.read_bytes())):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    context.seek(0)
    return context


def _containers(client: docker.DockerClient) -> set[str]:
    found = client.containers.list(all=True, filters={"label": "io.gpuimg.container=run"}, ignore_removed=True)
    return {str(container.id) for container in found}


def _wait_until_gone(client: docker.DockerClient, container: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and container in _containers(client):
        time.sleep(0.1)


def _is_rootless() -> bool:
    with Engine(environ=os.environ) as engine:
        return ask_place(engine, this_machine(os.environ)).rootless


def _read_until(descriptor: int, pattern: str) -> str:
    """What the terminal shows until `pattern` comes."""
    said = ""
    until = time.monotonic() + _LIMIT_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            said += os.read(descriptor, 65536).decode(errors="replace")
        if re.search(pattern, said):
            return said
    pytest.fail(f"the terminal never showed {pattern}: {said!r}")


def test_a_projects_image_that_was_not_built_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "gpuimg.yaml").write_text("schema: 1\nname: gpuimg-test-unbuilt\nspec: 2.6-cu124\n", encoding="utf-8")
    done = gpuimg("run", "--gpus", "none", folder=tmp_path)
    assert done.returncode == 3
    assert "gpuimg-test-unbuilt:latest was not built on this engine" in done.stderr
    assert "hint: `gpuimg build`" in done.stderr
