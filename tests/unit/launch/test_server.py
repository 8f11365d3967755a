"""A server in a container: its port, whether it answers, and the way to it from another machine."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.launch.launch import Port, Target
from gpuimg.launch.server import Server, new_token, no_answer, tunnel, wait_for_answer
from gpuimg.launch.wishes import Wishes
from tests.unit.launch.places import REMOTE, decided

LOCAL = "unix:///var/run/docker.sock"


@contextlib.contextmanager
def _answering(reply: bytes) -> Iterator[str]:
    """A server that answers each connection with `reply`, then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/lab"
        listener.shutdown(socket.SHUT_RDWR)


def test_any_answer_is_one() -> None:
    with _answering(b"HTTP/1.0 403 Forbidden\r\n\r\n") as url:
        assert wait_for_answer(url, ended=lambda: False, limit_s=5)
    with _answering(b"\x00\x01 another protocol\r\n\r\n") as url:
        assert wait_for_answer(url, ended=lambda: False, limit_s=5)


def test_a_proxy_that_finds_nobody_is_no_answer() -> None:
    """The engine's own proxy takes connections from the start, and drops them until the server listens."""
    with _answering(b"") as url:
        assert not wait_for_answer(url, ended=lambda: False, limit_s=0.6)


def test_the_wait_ends_with_the_container() -> None:
    assert not wait_for_answer("http://127.0.0.1:9/", ended=lambda: True, limit_s=60)


def test_the_next_free_port_is_taken_unless_one_was_named(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    taken = server.server_port
    with contextlib.closing(server.socket):
        serve = Target(reference="x:1", labels={"io.gpuimg.ports": str(taken)})
        decision = decided(tmp_path, Wishes(cwd=tmp_path), serve)
        assert decision.server is not None
        found = decision.server.ports[0].host
        assert found is not None
        assert taken < found <= taken + 100
        with pytest.raises(RequestError, match="is taken"):
            decided(tmp_path, Wishes(cwd=tmp_path, port=taken), serve)
        elsewhere = decided(tmp_path, Wishes(cwd=tmp_path, port=taken), serve, place=REMOTE)
        assert elsewhere.launch.ports[0].host == taken, "what is taken here says nothing of another machine"


def _server(address: str = "127.0.0.1", port: int = 8888) -> Server:
    return Server(ports=(Port(container=8888, host=port, address=address),), token="t", jupyter=True)


def test_who_came_by_ssh_is_told_the_way_back() -> None:
    environ = {"SSH_CONNECTION": "10.0.0.1 51234 10.0.0.2 22"}
    assert tunnel(_server(), environ, address=LOCAL, user="ann") == "ssh -N -L 8888:127.0.0.1:8888 ann@10.0.0.2"
    environ = {"SSH_CONNECTION": "fe80::1 51234 fe80::2 2222"}
    line = tunnel(_server("::1", 8889), environ, address=LOCAL, user="ann")
    assert line == "ssh -N -L 8889:[::1]:8889 -p 2222 ann@fe80::2"


def test_of_a_remote_engine_the_way_is_to_its_machine() -> None:
    line = tunnel(_server(), {}, address="ssh://ann@gpu-box:2200", user="bob")
    assert line == "ssh -N -L 8888:127.0.0.1:8888 -p 2200 ann@gpu-box"


@pytest.mark.parametrize("environ", [{}, {"SSH_CONNECTION": "x"}, {"SSH_CONNECTION": "a 1 $(id) 22"}])
def test_nobody_else_is_told_a_way(environ: dict[str, str]) -> None:
    assert tunnel(_server(), environ, address=LOCAL, user="ann") is None


def test_a_server_that_all_can_reach_needs_no_tunnel() -> None:
    environ = {"SSH_CONNECTION": "10.0.0.1 51234 10.0.0.2 22"}
    assert tunnel(_server("0.0.0.0"), environ, address=LOCAL, user="ann") is None


def test_tokens_are_long_and_no_two_are_the_same() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 32


def test_a_server_that_ended_is_told_by_its_last_words() -> None:
    error = no_answer("gpuimg:2.6", "http://127.0.0.1:8888/lab", ["Traceback", "OSError: no space"])
    assert "| OSError: no space" in error.message
