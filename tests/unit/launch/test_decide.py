"""How a container is started, from what the user wants and what engine and machine have."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.launch.launch import Port
from gpuimg.launch.place import Person
from gpuimg.launch.wishes import Wishes
from tests.unit.launch.places import GIB, JUPYTER, OURS, REMOTE, TOKEN, WITH_GPUS, WITHOUT_GPUS, a_driver, decided


def test_an_image_of_ours_runs_as_the_user_with_group_0(tmp_path: Path) -> None:
    person = Person(uid=4711, gid=4711, home=None)
    launch = decided(tmp_path, person=person).launch
    assert launch.user == "4711:0"
    assert not launch.environment, "it has a home and a name for any uid"


def test_an_image_of_others_gets_a_home_and_a_name(tmp_path: Path) -> None:
    """torch.compile fails for a uid that has no name, and much else without a home to write to."""
    foreign = dataclasses.replace(OURS, reference="pytorch/pytorch:2.6.0", labels={})
    assert ("HOME", "/tmp") in decided(tmp_path, target=foreign).launch.environment
    own = Wishes(cwd=tmp_path, environment=(("HOME", "/root"),))
    assert dict(decided(tmp_path, own, foreign).launch.environment)["HOME"] == "/root"


def test_root_is_said(tmp_path: Path) -> None:
    decision = decided(tmp_path, person=Person(uid=0, gid=0, home=tmp_path))
    assert decision.launch.user == "0:0"
    assert any("as root" in text for text in decision.notices)


def test_in_a_rootless_engine_uid_0_is_the_user(tmp_path: Path) -> None:
    rootless = dataclasses.replace(WITHOUT_GPUS, rootless=True, raises_limits=False)
    launch = decided(tmp_path, place=rootless).launch
    assert launch.user == "0:0"
    assert launch.ulimits == (("stack", 67108864),), "it can't start a container that locks more than its user may"
    assert decided(tmp_path, target=JUPYTER, place=rootless).launch.command == ("jupyter", "lab", "--allow-root")


def test_an_engine_that_remaps_users_is_told_not_to(tmp_path: Path) -> None:
    assert decided(tmp_path, place=dataclasses.replace(WITHOUT_GPUS, remapped=True)).launch.user_namespace == "host"


def test_gpus_come_with_what_cuda_ipc_and_nccl_need(tmp_path: Path) -> None:
    (tmp_path / "dev" / "infiniband").mkdir(parents=True)
    launch = decided(tmp_path, place=WITH_GPUS).launch
    assert (launch.gpus, launch.capabilities, launch.devices) == ("all", ("SYS_PTRACE",), ("/dev/infiniband",))
    assert ("memlock", -1) in launch.ulimits
    without = decided(tmp_path, Wishes(cwd=tmp_path, gpus="none"), place=WITH_GPUS).launch
    assert (without.gpus, without.capabilities, without.devices) == (None, (), ())
    assert ("NVIDIA_VISIBLE_DEVICES", "void") in without.environment, "the runtime may be the engine's default"


def test_infiniband_with_little_memory_to_lock_is_said(tmp_path: Path) -> None:
    (tmp_path / "dev" / "infiniband").mkdir(parents=True)
    place = dataclasses.replace(WITH_GPUS, raises_limits=False)
    assert any("InfiniBand" in text for text in decided(tmp_path, place=place).notices)


def test_no_gpus_is_said_with_the_reason(tmp_path: Path) -> None:
    (notice,) = decided(tmp_path, Wishes(cwd=tmp_path, caches=False)).notices
    assert "no NVIDIA driver" in notice
    (notice,) = decided(tmp_path, Wishes(cwd=tmp_path, caches=False), nvidia=a_driver()).notices
    assert "nvidia-ctk" in notice


@pytest.mark.parametrize(
    ("engine_gib", "memory_gib", "shm_gib"), [(64, None, 8), (16, None, 8), (6, None, 3), (64, 8, 4), (64, 32, 8)]
)
def test_shared_memory_is_at_most_half(tmp_path: Path, engine_gib: int, memory_gib: int | None, shm_gib: int) -> None:
    place = dataclasses.replace(WITHOUT_GPUS, memory_bytes=engine_gib * GIB)
    wishes = Wishes(cwd=tmp_path, memory_bytes=memory_gib * GIB if memory_gib else None)
    decision = decided(tmp_path, wishes, place=place)
    assert decision.launch.shm_bytes == shm_gib * GIB
    assert any("shared memory" in text for text in decision.notices) == (shm_gib < 8)


def test_what_the_user_says_of_shared_memory_holds(tmp_path: Path) -> None:
    assert decided(tmp_path, Wishes(cwd=tmp_path, shm_bytes=100 * GIB)).launch.shm_bytes == 100 * GIB
    host = decided(tmp_path, Wishes(cwd=tmp_path, ipc="host")).launch
    assert (host.ipc, host.shm_bytes) == ("host", None)
    with pytest.raises(RequestError, match="--ipc host"):
        decided(tmp_path, Wishes(cwd=tmp_path, ipc="host", shm_bytes=GIB))


def test_jupyter_is_published_on_loopback_with_a_token_in_no_argument(tmp_path: Path) -> None:
    decision = decided(tmp_path, target=JUPYTER)
    assert decision.server is not None
    (port,) = decision.launch.ports
    assert (port.container, port.address) == (8888, "127.0.0.1")
    assert decision.server.url == f"http://127.0.0.1:{port.host}/lab?token={TOKEN}"
    assert ("JUPYTER_TOKEN", None) in decision.launch.environment
    assert decision.variables == (("JUPYTER_TOKEN", TOKEN),)
    assert TOKEN not in repr(decision.server), "an error's text must not tell it"


def test_a_token_of_the_user_s_own_is_taken(tmp_path: Path) -> None:
    decision = decided(tmp_path, target=JUPYTER, environ={"JUPYTER_TOKEN": "mine"})
    assert decision.variables == (("JUPYTER_TOKEN", "mine"),)
    named = decided(tmp_path, Wishes(cwd=tmp_path, environment=(("JUPYTER_TOKEN", "named"),)), JUPYTER)
    assert named.server is not None
    assert named.server.token == "named"
    assert not named.variables


def test_another_command_than_the_server_publishes_nothing(tmp_path: Path) -> None:
    assert not decided(tmp_path, Wishes(cwd=tmp_path, command=("python",)), JUPYTER).launch.ports
    assert decided(tmp_path, Wishes(cwd=tmp_path, command=("jupyter", "lab", "--debug")), JUPYTER).launch.ports


def test_ports_of_a_label_are_published_each(tmp_path: Path) -> None:
    serve = dataclasses.replace(OURS, labels={**OURS.labels, "io.gpuimg.ports": "18000 18001 x 99999"})
    decision = decided(tmp_path, Wishes(cwd=tmp_path, port=19000), serve)
    assert [(port.container, port.host) for port in decision.launch.ports] == [(18000, 19000), (18001, 18001)]
    assert decision.server is not None
    assert decision.server.url == "http://127.0.0.1:19000/"


def test_a_port_that_was_named_is_not_published_twice(tmp_path: Path) -> None:
    named = Port(container=8888, host=19999, address="127.0.0.1")
    decision = decided(tmp_path, Wishes(cwd=tmp_path, ports=(named,)), JUPYTER)
    assert decision.launch.ports == (named,)
    assert decision.server is not None
    assert ":19999/" in decision.server.url


def test_a_server_that_others_reach_is_said(tmp_path: Path) -> None:
    decision = decided(tmp_path, Wishes(cwd=tmp_path, listen="0.0.0.0"), JUPYTER)
    assert any("plain HTTP" in text for text in decision.notices)
    assert decision.server is not None
    assert decision.server.url.startswith("http://127.0.0.1:")
    on_host = decided(tmp_path, Wishes(cwd=tmp_path, network="host"), JUPYTER)
    assert not on_host.launch.ports
    assert any("all of its addresses" in text for text in on_host.notices)


def test_ports_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="serves nothing"):
        decided(tmp_path, Wishes(cwd=tmp_path, port=8888))
    with pytest.raises(RequestError, match="publishes no ports"):
        decided(tmp_path, Wishes(cwd=tmp_path, port=8888, network="none"), JUPYTER)


def test_a_remote_engine_has_nothing_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "dev" / "infiniband").mkdir(parents=True)
    decision = decided(tmp_path, Wishes(cwd=tmp_path, gpus="all"), place=REMOTE)
    launch = decision.launch
    assert (launch.gpus, launch.mounts, launch.user, launch.devices, launch.workdir) == ("all", (), None, (), None)
    assert any("another machine" in text for text in decision.notices)


@pytest.mark.parametrize(
    ("detach", "command", "interactive", "tty"),
    [(False, (), True, True), (False, ("x",), True, True), (True, ("x",), False, False), (True, (), True, True)],
)
def test_a_shell_in_the_background_waits_for_somebody(
    tmp_path: Path, detach: bool, command: tuple[str, ...], interactive: bool, tty: bool
) -> None:
    """Without a terminal bash would end at once; a job must not have one, or its log is full of control characters."""
    launch = decided(tmp_path, Wishes(cwd=tmp_path, command=command, detach=detach, tty=True)).launch
    assert (launch.interactive, launch.tty) == (interactive, tty)


def test_what_the_command_of_others_is_nobody_knows(tmp_path: Path) -> None:
    foreign = dataclasses.replace(OURS, labels={})
    assert not decided(tmp_path, Wishes(cwd=tmp_path, detach=True), foreign).launch.tty


def test_a_variable_that_is_not_set_is_said(tmp_path: Path) -> None:
    wishes = Wishes(cwd=tmp_path, environment=(("HF_TOKEN", None), ("WANDB_API_KEY", None)))
    decision = decided(tmp_path, wishes, environ={"HF_TOKEN": "x"})
    assert [text.split()[0] for text in decision.notices if "is not set" in text] == ["WANDB_API_KEY"]


def test_selinux_is_told_not_to_label_the_user_s_files(tmp_path: Path) -> None:
    selinux = dataclasses.replace(WITHOUT_GPUS, selinux=True)
    assert decided(tmp_path, place=selinux).launch.security == ("label=disable",)
    bare = Wishes(cwd=tmp_path, mount_cwd=False, caches=False)
    assert not decided(tmp_path, bare, place=selinux).launch.security
