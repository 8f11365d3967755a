"""The engine as such: there, answering, for this user, able to build."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gpuimg.doctor.engine_state import EngineState, read_engine
from gpuimg.doctor.examine import examine
from gpuimg.doctor.finding import Mend, Status
from gpuimg.engine.info import EngineInfo
from gpuimg.errors import EngineForbiddenError
from tests.unit.doctor.hosts import answers, engine, make_host


@pytest.mark.parametrize(
    ("distribution", "command"),
    [
        ("debian", "apt-get install -y docker.io"),
        ("ubuntu", "apt-get install -y docker.io"),
        ("fedora", "dnf install -y moby-engine"),
        ("rocky", "dnf install -y docker-ce "),
        ("suse", "zypper install -y docker"),
        ("arch", "pacman -S docker"),
    ],
)
def test_a_host_without_an_engine_gets_the_commands_of_its_distribution(
    tmp_path: Path, distribution: str, command: str
) -> None:
    finding = make_host(tmp_path, distribution).find("engine")
    assert finding.status is Status.FAIL
    assert any(command in line for line in finding.mend.commands)


def test_an_unknown_distribution_gets_the_documentation(tmp_path: Path) -> None:
    finding = make_host(tmp_path, "nixos").find("engine")
    assert finding.mend.commands == ()
    assert "https://docs.docker.com/engine/install/" in finding.mend.hints[0]


def test_wsl_is_pointed_to_docker_desktop(tmp_path: Path) -> None:
    finding = make_host(tmp_path, "ubuntu", kernel="5.15.153.1-microsoft-standard-WSL2").find("engine")
    assert "Docker Desktop" in finding.mend.hints[0]


@pytest.mark.parametrize(
    ("systemd", "command"), [(True, "sudo systemctl enable --now docker"), (False, "sudo service docker start")]
)
def test_an_engine_that_is_installed_is_started(tmp_path: Path, systemd: bool, command: str) -> None:
    host = make_host(tmp_path, systemd=systemd)
    host.write("usr/sbin/dockerd")
    finding = host.find("engine")
    assert finding.why == "Docker is installed here and doesn't run"
    assert finding.mend == Mend(commands=(command,))


def test_podman_alone_is_told_apart(tmp_path: Path) -> None:
    host = make_host(tmp_path, "fedora")
    host.program("podman")
    finding = host.find("engine")
    assert "not BuildKit's" in finding.why
    assert any("podman.socket" in hint for hint in finding.mend.hints)


@pytest.mark.parametrize(
    ("group", "command"),
    [("docker:x:998:", "sudo usermod -aG docker $USER"), ("docker:x:998:bob,ada", "newgrp docker")],
)
def test_a_forbidden_socket_tells_whether_the_group_or_the_login_is_missing(
    tmp_path: Path, group: str, command: str
) -> None:
    host = make_host(tmp_path)
    host.write("etc/group", f"root:x:0:\n{group}\n")
    host.engine = EngineState(host="unix:///x", problem=EngineForbiddenError("this user may not talk to it"))
    finding = host.find("engine")
    assert finding.status is Status.FAIL
    assert finding.mend.commands == (command,)


def test_docker_host_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.environ["DOCKER_HOST"] = "unix:///elsewhere.sock"
    assert host.find("engine").mend.commands == ("unset DOCKER_HOST",)


def test_a_remote_engine_that_is_away_is_no_matter_of_this_machine(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.environ["DOCKER_HOST"] = "tcp://ada:secret@127.0.0.1:9"
    host.engine = read_engine(host.environ)
    finding = host.find("engine")
    assert (finding.status, finding.why) == (Status.FAIL, "DOCKER_HOST names it")
    assert "secret" not in repr(finding)
    assert finding.mend.commands == ()
    assert {host.find(name).status for name in ("driver", "stacks", "disk")} == {Status.SKIP}


def test_an_engine_that_answers_is_named_with_release_and_address(tmp_path: Path) -> None:
    with engine(make_host(tmp_path), "docker-28.5-cdi") as host:
        finding = host.find("engine")
    assert finding.status is Status.OK
    assert finding.what.startswith("Docker 28.5.2+dfsg4, API 1.51, at unix://")
    assert finding.why == ""


def test_an_engine_with_another_kernel_runs_elsewhere(tmp_path: Path) -> None:
    """A socket that leads to another machine, by ssh or out of a virtual one."""
    with engine(make_host(tmp_path), "docker-28.5-cdi") as host:
        host.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        assert "another machine" in host.find("engine").why
        assert host.find("disk").status is Status.SKIP


def test_a_container_that_was_given_the_socket_is_not_the_engine_s_machine(tmp_path: Path) -> None:
    """It sees the same kernel and other files, under another name; an engine inside of it has its name."""
    with engine(make_host(tmp_path), "docker-28.5-cdi") as host:
        host.write(".dockerenv")
        host.write("proc/sys/kernel/hostname", "3f1c0a9be2d7\n")
        assert host.find("disk").what == "the engine's machine is another one"
        host.write("proc/sys/kernel/hostname", "recorded\n")
        assert host.find("disk").what != "the engine's machine is another one"


def test_what_is_no_engine_is_said_in_the_client_s_words(tmp_path: Path) -> None:
    with engine(make_host(tmp_path), "docker-28.5-cdi", version={"ApiVersion": "1.24"}) as host:
        finding = host.find("engine")
    assert finding.status is Status.FAIL
    assert finding.what


def test_windows_containers_are_refused(tmp_path: Path) -> None:
    """`OSType` is changed by hand: no Windows was asked."""
    with engine(make_host(tmp_path), "docker-28.5-cdi", info={"OSType": "windows"}) as host:
        assert host.find("engine").status is Status.FAIL


def test_buildkit_is_there_by_request_in_20_10(tmp_path: Path) -> None:
    with engine(make_host(tmp_path), "docker-20.10") as host:
        finding = host.find("buildkit")
    assert (finding.status, finding.what) == (Status.OK, "there, by request")
    with engine(host, "docker-26.1-cdi") as host:
        assert host.find("buildkit").what == "there"


def test_podman_has_no_buildkit(tmp_path: Path) -> None:
    """Podman's name among the components is written by hand, as its API reports it; no Podman was asked."""
    podman = {"Version": "5.3.1", "Components": [{"Name": "Podman Engine", "Version": "5.3.1"}]}
    with engine(make_host(tmp_path, "fedora"), "docker-28.5-cdi", version=podman) as host:
        assert host.find("engine").what.startswith("Podman 5.3.1")
        assert host.find("buildkit").status is Status.FAIL


@pytest.mark.parametrize("nonsense", [None, 7, "text", [7], {"a": 7}, [{"ID": 7}, None], {"nvidia": None}])
def test_nonsense_in_an_answer_is_no_crash(tmp_path: Path, nonsense: object) -> None:
    """Each field that is asked for has it in turn; memory alone must be a number, or no engine answers there."""
    fields = {*answers("docker-28.5-cdi")["info"], "CDISpecDirs", "DiscoveredDevices"} - {"MemTotal"}
    host = make_host(tmp_path)
    host.driver("570.133.20")
    subject = host.look()
    for name in sorted(fields):
        raw = {**answers("docker-28.5-cdi")["info"], name: nonsense}
        state = EngineState(host="unix:///x", info=EngineInfo(raw=raw, release="28.5.2", api="1.51"))
        assert examine(dataclasses.replace(subject, engine=state))
