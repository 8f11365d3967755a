"""Values of `gpuimg run`: what is taken, and what is refused before anything starts."""

from __future__ import annotations

import pytest

from gpuimg.errors import RequestError
from gpuimg.launch import values
from gpuimg.launch.launch import Mount, Port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("./data:/data", Mount(source="data", target="/data")),
        ("/mnt/x:/data/:ro", Mount(source="/mnt/x", target="/data", read_only=True)),
        ("data:/data", Mount(source="data", target="/data", volume=True)),
        ("sub/data:/data:rw", Mount(source="sub/data", target="/data")),
        ("..:/up", Mount(source="..", target="/up")),
    ],
)
def test_mount_is_read(text: str, expected: Mount) -> None:
    assert values.mount(text) == expected


@pytest.mark.parametrize(
    "text", ["", "/data", ":/data", "/a:", "/a:b", "/a:/", "/a://", "/a:/b/../..", "/a:/b:rx", "/a:/b:ro:z", "/\x1b:/b"]
)
def test_no_mount_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.mount(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6006", Port(container=6006, host=None, address="127.0.0.1")),
        ("16006:6006/udp", Port(container=6006, host=16006, address="127.0.0.1", protocol="udp")),
        ("0.0.0.0:80:8000", Port(container=8000, host=80, address="0.0.0.0")),
        ("[::1]:80:8000", Port(container=8000, host=80, address="::1")),
        ("localhost::8000", Port(container=8000, host=None, address="127.0.0.1")),
    ],
)
def test_port_is_read(text: str, expected: Port) -> None:
    assert values.port(text, listen="127.0.0.1") == expected


@pytest.mark.parametrize("text", ["", "x", "0", "70000", "1:70000", "host:80:80", "80:80/sctp", "1:2:3:4", "-1:80"])
def test_no_port_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.port(text, listen="127.0.0.1")


def test_variable_has_a_value_or_takes_the_user_s() -> None:
    assert values.variable("A=b=c\n") == ("A", "b=c\n")
    assert values.variable("HF_TOKEN") == ("HF_TOKEN", None)


@pytest.mark.parametrize("text", ["", "=x", "1A=x", "A B=x", "--privileged"])
def test_no_variable_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.variable(text)


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "8,5", "1.234", "all"])
def test_no_number_of_cpus_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.cpus(text)


@pytest.mark.parametrize("text", ["", "-d", "a", "a/b", "a b"])
def test_no_container_name_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.container_name(text)
