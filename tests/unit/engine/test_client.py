"""Whatever stands where an engine should: one error with exit code 3, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import docker.transport
import pytest

from gpuimg.engine.client import Engine, gpu_requests, proxy_arguments
from gpuimg.engine.images import find_image, list_images
from gpuimg.errors import HostError

VERSION = {"ApiVersion": "1.47", "Version": "28.0", "MinAPIVersion": "1.24"}


class FakeEngine(BaseHTTPRequestHandler):
    """Answers each path with what `answers` has for the last part of it."""

    answers: ClassVar[dict[str, str]] = {}
    address: ClassVar[str] = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        body = next((text for end, text in self.answers.items() if path.endswith(end)), "null").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine_that_says() -> Iterator[type[FakeEngine]]:
    """A server on the loopback interface; set ``answers`` on what the fixture gives."""

    class Handler(FakeEngine):
        answers: ClassVar[dict[str, str]] = {"/version": json.dumps(VERSION)}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    Handler.address = f"tcp://127.0.0.1:{server.server_port}"
    yield Handler
    server.shutdown()
    server.server_close()


def environ(handler: type[FakeEngine]) -> dict[str, str]:
    return {"DOCKER_HOST": handler.address}


@pytest.mark.parametrize(
    "host",
    ["tcp://127.0.0.1:abc", "tcp://127.0.0.1:99999", "http://[::1", "tcp://x\x1b[2J:1", "nonsense"],
)
def test_an_address_that_is_none_is_said(host: str) -> None:
    with pytest.raises(HostError) as caught:
        Engine(environ={"DOCKER_HOST": host})
    assert "\x1b" not in caught.value.message


def test_tls_settings_that_lead_nowhere_are_said() -> None:
    with pytest.raises(HostError, match="DOCKER_HOST and its TLS settings can't be read"):
        Engine(
            environ={"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nonexistent"}
        )


def test_an_unknown_context_is_said() -> None:
    with pytest.raises(HostError, match="there is no docker context `gpuimg-no-such`"):
        Engine(environ={"DOCKER_CONTEXT": "gpuimg-no-such"})


def test_a_password_in_the_address_is_not_repeated() -> None:
    with pytest.raises(HostError) as caught:
        Engine(environ={"DOCKER_HOST": "tcp://me:secret@127.0.0.1:1"})
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("answer", ["<html>", "null", "[]", '{"ApiVersion": "abc"}', '{"ApiVersion": 5}'])
def test_a_server_that_is_no_engine_is_said(engine_that_says: type[FakeEngine], answer: str) -> None:
    engine_that_says.answers = {"/version": answer}
    with pytest.raises(HostError):
        Engine(environ=environ(engine_that_says))


@pytest.mark.parametrize("answer", ["null", "[1]", "{}", '{"Id": "x"}'])
def test_an_image_that_is_none_is_said(engine_that_says: type[FakeEngine], answer: str) -> None:
    engine_that_says.answers["/json"] = answer
    with Engine(environ=environ(engine_that_says)) as engine, pytest.raises(HostError):
        find_image(engine, "x")


@pytest.mark.parametrize("answer", ["null", "[1]", '[{"Id": "x"}]'])
def test_a_list_of_images_that_is_none_is_said(engine_that_says: type[FakeEngine], answer: str) -> None:
    engine_that_says.answers["/images/json"] = answer
    with Engine(environ=environ(engine_that_says)) as engine, pytest.raises(HostError):
        list_images(engine)


def test_remote_engines_over_ssh_have_their_adapter() -> None:
    """Without its `ssh` extra the SDK lacks it, and every ssh:// address would be "no engine"."""
    assert hasattr(docker.transport, "SSHHTTPAdapter")


def test_proxies_become_build_arguments_unless_they_hold_a_password() -> None:
    arguments = proxy_arguments(
        {
            "https_proxy": "http://proxy:3128",
            "HTTP_PROXY": "http://me:secret@proxy:3128",
            "NO_PROXY": "",
            "PATH": "/bin",
        }
    )
    assert arguments == {"https_proxy": "http://proxy:3128"}


def test_gpus_are_asked_for_as_docker_run_does() -> None:
    assert gpu_requests(None) is None
    assert gpu_requests("all") == [
        {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
    ]
    (by_index,) = gpu_requests("0,GPU-1") or []
    assert by_index["DeviceIDs"] == ["0", "GPU-1"]
    (cdi,) = gpu_requests("nvidia.com/gpu=all") or []
    assert (cdi["Driver"], cdi["DeviceIDs"]) == ("cdi", ["nvidia.com/gpu=all"])
