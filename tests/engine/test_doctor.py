"""``gpuimg doctor`` beside real engines: the one that is there, and others that tests start with settings of their own.

The machine around them is the real one, or a folder that has a driver and the toolkit, which no test machine has.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import docker
import pytest

from gpuimg.doctor.engine_state import read_engine
from gpuimg.doctor.finding import Finding, Status
from gpuimg.smoke.gpus import wanted_gpus
from tests.engine.commands import gpuimg
from tests.unit.doctor.hosts import Host, make_host

_PATIENCE_S: Final = 60
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"


def doctor(*arguments: str) -> dict[str, dict[str, Any]]:
    """What it says by check, on this machine."""
    done = gpuimg("doctor", "--json", *arguments)
    assert done.returncode in {0, 3}, done.stderr
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == (3 if any(finding["status"] == "FAIL" for finding in found) else 0)
    return {finding["check"]: finding for finding in found}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Debian with a driver and no toolkit, on the kernel that runs here, so that a local engine is its own."""
    host = make_host(tmp_path, kernel=Path("/proc/sys/kernel/osrelease").read_text(encoding="utf-8").strip())
    host.driver("570.133.20")
    return host


def find(host: Host, check: str, *, environ: dict[str, str]) -> Finding:
    host.engine = read_engine(environ)
    return host.find(check)


@contextlib.contextmanager
def own_engine(*options: str, environ: Sequence[str] = (), data_bytes: int | None = None) -> Iterator[dict[str, str]]:
    """An engine beside the machine's own, which touches neither that one nor the network; gives what leads to it.

    Args:
        environ: variables of its own, as ``NAME=VALUE``.
        data_bytes: the size of a file system of its own for its images.
    """
    dockerd = shutil.which("dockerd", path=f"{os.environ['PATH']}:{_SBIN}")
    if dockerd is None:
        pytest.skip("no dockerd is installed here")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    folder = Path(tempfile.mkdtemp(prefix="gpuimg-test-"))  # a socket's path is short
    data, pid = folder / "data", folder / "pid"
    data.mkdir()
    if data_bytes is not None:
        _run(*as_root, "mount", "-t", "tmpfs", "-o", f"size={data_bytes}", "gpuimg-test", str(data))
    # an engine without a bridge removes docker0, which is another engine's: so it gets a network of its own
    alone = [*as_root, "unshare", "--net", "env", *environ, dockerd]
    command = [
        *(*alone, "--host", f"unix://{folder}/docker.sock", "--group", str(os.getgid())),
        *("--data-root", str(data), "--exec-root", f"{folder}/exec", "--pidfile", str(pid)),
        *("--config-file", f"{folder}/none.json", "--bridge=none", "--iptables=false", *options),
    ]
    (folder / "none.json").write_text("{}", encoding="utf-8")
    log = folder / "log"
    try:
        with log.open("w") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
            try:
                _wait(folder / "docker.sock", process, log)
                yield {"DOCKER_HOST": f"unix://{folder}/docker.sock"}
            finally:
                if pid.exists():
                    _run(*as_root, "kill", f"-{signal.SIGTERM.value}", pid.read_text(encoding="utf-8").strip())
                process.wait(timeout=_PATIENCE_S)
    finally:
        for target in _mounts_below(folder):
            _run(*as_root, "umount", target)
        _run(*as_root, "rm", "-rf", "--one-file-system", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _wait(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if socket.exists():
            client = docker.DockerClient(base_url=f"unix://{socket}")
            try:
                client.ping()
                return
            except docker.errors.DockerException:
                pass
            finally:
                client.close()
        time.sleep(0.2)
    pytest.fail(f"the engine didn't start: {log.read_text(encoding='utf-8')[-1000:]}")


def _mounts_below(folder: Path) -> list[str]:
    rows = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    found = [row.split()[1] for row in rows if row.split()[1].startswith(f"{folder}/")]
    return sorted(found, key=len, reverse=True)


# --- the engine that is there -----------------------------------------------------------------------------------------


def test_this_machine_can_build(engine_client: docker.DockerClient) -> None:
    found = doctor()
    assert found["engine"]["status"] == "OK"
    assert str(engine_client.version()["Version"]) in found["engine"]["what"]
    assert {found[name]["status"] for name in ("buildkit", "clock")} == {"OK"}


def test_an_engine_without_the_toolkit_hands_on_no_gpu(engine_client: docker.DockerClient, host: Host) -> None:
    environ = dict(os.environ)
    if wanted_gpus("auto", engine_client.info()) is not None:  # a machine for GPUs: nothing is amiss there
        assert "the engine" in find(host, "toolkit", environ=environ).what
        return
    assert "is not installed" in find(host, "toolkit", environ=environ).what
    host.program("nvidia-ctk")
    assert "the engine doesn't know of it" in find(host, "toolkit", environ=environ).what
    assert find(host, "cgroups", environ=environ).status is Status.SKIP


# --- engines with settings of their own -------------------------------------------------------------------------------


def test_a_runtime_counts_as_long_as_its_program_is_there(host: Host) -> None:
    with own_engine("--add-runtime", "nvidia=/usr/bin/nvidia-container-runtime") as environ:
        assert "that is not there" in find(host, "toolkit", environ=environ).what
        host.program("nvidia-container-runtime")
        assert find(host, "toolkit", environ=environ).status is Status.OK
        assert find(host, "cgroups", environ=environ).status in {Status.OK, Status.WARN}


def test_a_proxy_of_the_engine_is_compared_with_the_shell_s(host: Host) -> None:
    proxy = "http://proxy.example.com:3128"
    with own_engine(environ=[f"HTTPS_PROXY={proxy}"]) as environ:
        assert "this shell has none" in find(host, "proxy", environ=environ).what
        host.environ["HTTPS_PROXY"] = proxy
        assert find(host, "proxy", environ=environ).status is Status.OK


def test_a_full_disk_of_the_engine_fails(tmp_path: Path) -> None:
    """The machine is the real one: a file system's room is nothing that a folder could pretend."""
    with own_engine(data_bytes=2**30) as environ:
        host = make_host(tmp_path)
        host.root = Path("/")
        finding = find(host, "disk", environ=environ)
    assert finding.status is Status.FAIL
    assert finding.what.startswith(("1.0 GB free in", "1.1 GB free in"))
    assert "docker system df" in finding.mend.commands
