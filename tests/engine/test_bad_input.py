"""What goes wrong on a real engine: one clear error, the right exit code, and nothing half-made."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docker
import pytest

from gpuimg.versions import PythonVersion
from tests.engine.commands import GPUIMG, gpuimg, untagged_images

STACK = "2.6.0-cu124"
_LIMIT_S = 300


@pytest.fixture(autouse=True)
def nothing_is_left(engine_client: docker.DockerClient, base_image: str) -> Iterator[None]:
    """No test here may leave a container, a dangling image or one of gpuimg's tags."""
    before = _left(engine_client)
    yield
    assert _left(engine_client) <= before


def _left(client: docker.DockerClient) -> set[str]:
    containers = client.containers.list(all=True, filters={"label": "io.gpuimg.container"})
    tags = {tag for image in client.images.list("gpuimg") for tag in image.tags}
    return tags | untagged_images(client) | {str(container.id) for container in containers}


def test_no_engine_is_exit_3_with_the_way_out() -> None:
    done = subprocess.run(
        [GPUIMG, "build", "2.6-cu124"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"},
    )
    assert done.returncode == 3
    assert "no engine answers at unix:///nonexistent/docker.sock" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr


def test_a_missing_base_is_exit_3() -> None:
    done = gpuimg("build", "2.6-cu124", "--base", "127.0.0.1:1/no/such:image")
    assert done.returncode == 3
    assert "the base image" in done.stderr
    assert "--base" in done.stderr


def test_a_base_with_another_python_says_what_to_choose(base_image: str) -> None:
    done = gpuimg("build", "2.6-cu124", "--base", base_image, "--python", "3.13")
    assert done.returncode == 4
    assert "the base has Python 3.11" in done.stderr
    assert "--python" in done.stderr


def test_an_unreachable_index_is_exit_4_with_the_way_out(base_image: str) -> None:
    done = gpuimg("build", "2.6-cu124", "--base", base_image, "--index-url", "http://127.0.0.1:9/simple")
    assert done.returncode == 4
    assert "--index-url" in done.stderr


def test_a_wheel_that_is_not_the_locked_one_stops_the_build(base_image: str, lying_index: str) -> None:
    """The index offers a file of the right name with other bytes."""
    done = gpuimg("build", "2.6-cu124", "--base", base_image, "--index-url", lying_index, "--build-network", "host")
    assert done.returncode == 4
    assert "not the one that the matrix has" in done.stderr


def test_an_image_without_torch_is_exit_2(base_image: str) -> None:
    done = gpuimg("verify", base_image)
    assert done.returncode == 2
    assert "has no torch to check" in done.stderr


def test_an_unknown_image_is_exit_3_and_names_the_nearest() -> None:
    done = gpuimg("verify", "gpuimg-test/no-such-image:1")
    assert done.returncode == 3
    assert "the engine has no image" in done.stderr


def test_ctrl_c_cancels_the_build_in_the_engine(base_image: str, tmp_path: Path) -> None:
    """The build is stopped while it waits for an index that never answers, and the engine drops that connection too."""
    with socket.create_server(("127.0.0.1", 0)) as index, (tmp_path / "stderr").open("w+") as stderr:
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        process = subprocess.Popen(
            [GPUIMG, "build", "2.6-cu124", "--base", base_image, "--build-network", "host", "--index-url", url],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        index.settimeout(_LIMIT_S)
        connection, _ = index.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=_LIMIT_S) == 130
            connection.settimeout(_LIMIT_S)
            while connection.recv(65536):  # the request, then the end: nobody in the engine waits on
                pass
        stderr.seek(0)
        said = stderr.read()
    assert "interrupted" in said
    assert "Traceback" not in said


@pytest.fixture
def lying_index() -> Iterator[str]:
    """An index on the loopback interface whose every wheel is one and the same small file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = (b"not a wheel", "application/octet-stream")
            if self.path.endswith("/"):
                project = self.path.strip("/").rpartition("/")[2]
                body, kind = _page(project).encode(), "text/html"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


def _page(project: str) -> str:
    from gpuimg.matrix import load_wheels
    from gpuimg.versions import Platform

    wheels = load_wheels(STACK, Platform.AMD64, PythonVersion(3, 11))
    wheel = next(wheel for wheel in (*wheels.torch, *wheels.cuda) if wheel.name == project)
    name = f"{project.replace('-', '_')}-{wheel.version}-py3-none-any.whl"
    return f'<a href="/files/{name}">{name}</a>'
