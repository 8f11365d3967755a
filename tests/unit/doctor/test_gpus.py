"""Drivers, GPUs, and how they come into containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpuimg.doctor.examine import examine
from gpuimg.doctor.finding import Status
from tests.unit.doctor.hosts import FAILS, Host, engine, make_host

SPEC = """\
cdiVersion: "0.5.0"
kind: nvidia.com/gpu
devices:
- name: all
containerEdits:
  mounts:
  - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.570.133.20
"""
RUNTIME = {"Runtimes": {"runc": {"path": "runc"}, "nvidia": {"path": "/usr/bin/nvidia-container-runtime"}}}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Debian with an A100, its driver and the toolkit's programs."""
    host = make_host(tmp_path)
    host.driver("570.133.20")
    host.program("nvidia-ctk")
    host.program("nvidia-container-runtime")
    return host


# --- driver -----------------------------------------------------------------------------------------------------------


def test_driver_and_gpus_are_named(host: Host) -> None:
    assert host.find("driver").what == "driver 570.133.20, NVIDIA A100-SXM4-80GB"


@pytest.mark.parametrize(
    ("distribution", "said"),
    [("ubuntu", "ubuntu-drivers install"), ("arch", "nvidia-open"), ("fedora", "driver-installation-guide")],
)
def test_a_gpu_without_a_driver_fails(tmp_path: Path, distribution: str, said: str) -> None:
    host = make_host(tmp_path, distribution)
    host.write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    host.write("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
    host.write("sys/module/nouveau/version")
    finding = host.find("driver")
    assert finding.status is Status.FAIL
    assert "nouveau" in finding.why
    assert said in " ".join(finding.mend.commands + finding.mend.hints)


def test_another_maker_s_gpu_and_nvidia_s_sound_are_none(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    for name, vendor, kind in (("a", "0x1002", "0x030000"), ("b", "0x10de", "0x040300")):
        host.write(f"sys/bus/pci/devices/{name}/vendor", vendor)
        host.write(f"sys/bus/pci/devices/{name}/class", kind)
    assert host.find("driver").status is Status.SKIP


def test_without_a_gpu_images_build_but_what_was_asked_for_can_t_run(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    assert host.find("driver").status is Status.SKIP
    assert host.find("driver", "2.6-cu124").status is Status.FAIL


@pytest.mark.parametrize(
    ("script", "command"),
    [(FAILS, "sudo modprobe nvidia"), ('echo "Failed: Driver/library version mismatch"; exit 18', "sudo reboot")],
)
def test_a_driver_that_fails_is_mended_by_what_it_says(tmp_path: Path, script: str, command: str) -> None:
    host = make_host(tmp_path)
    host.program("nvidia-smi", script)
    finding = host.find("driver")
    assert finding.status is Status.FAIL
    assert finding.mend.commands[0] == command


# --- stacks -----------------------------------------------------------------------------------------------------------


def test_an_old_driver_runs_some_stacks_and_names_the_others(host: Host) -> None:
    host.driver("535.104.05")
    finding = host.find("stacks")
    assert finding.status is Status.WARN
    assert "is below 580" in finding.why
    assert any("with driver 580" in hint for hint in finding.mend.hints)


def test_a_new_driver_runs_the_newest(host: Host) -> None:
    host.driver("580.82.07")
    assert host.find("stacks").status is Status.OK


def test_a_driver_that_runs_nothing_fails(host: Host) -> None:
    host.driver("440.33.01")
    finding = host.find("stacks")
    assert finding.status is Status.FAIL
    assert finding.what.startswith("0 of ")


def test_stacks_that_were_asked_for_are_judged_one_by_one(host: Host) -> None:
    host.driver("535.104.05")
    runs, can_t = examine(host.look("2.6-cu124", "2.13-cu130"), only=["stacks"])
    assert (runs.status, runs.what) == (Status.OK, "2.6.0-cu124 runs here")
    assert (can_t.status, can_t.what) == (Status.FAIL, "2.13.0-cu130 can't run here")
    assert "below 580" in can_t.why


# --- toolkit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "said"),
    [
        ("debian", "signed-by=/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"),
        ("rocky", "/etc/yum.repos.d/nvidia-container-toolkit.repo"),
        ("suse", "zypper ar "),
        ("arch", "pacman -S nvidia-container-toolkit"),
        ("nixos", "install-guide.html"),
    ],
)
def test_without_the_toolkit_its_installation_comes_first(tmp_path: Path, distribution: str, said: str) -> None:
    with engine(make_host(tmp_path, distribution), "docker-20.10") as host:
        host.driver("570.133.20")
        finding = host.find("toolkit")
    assert finding.status is Status.FAIL
    assert said in "\n".join(finding.mend.commands + finding.mend.hints)
    assert finding.mend.commands[-2:] == (
        "sudo nvidia-ctk runtime configure --runtime=docker",
        "sudo systemctl restart docker",
    )


def test_lists_of_the_former_repository_are_removed_first(tmp_path: Path) -> None:
    with engine(make_host(tmp_path, "ubuntu"), "docker-20.10") as host:
        host.driver("570.133.20")
        host.write("etc/apt/sources.list.d/nvidia-docker.list", "deb https://nvidia.github.io/nvidia-docker/ …\n")
        assert host.find("toolkit").mend.commands[0] == "sudo rm /etc/apt/sources.list.d/nvidia-docker.list"


def test_a_toolkit_that_the_engine_doesn_t_know_is_registered(host: Host) -> None:
    with engine(host, "docker-20.10"):
        finding = host.find("toolkit")
    assert finding.status is Status.FAIL
    assert "doesn't know of it" in finding.what
    assert finding.mend.commands == (
        "sudo nvidia-ctk runtime configure --runtime=docker",
        "sudo systemctl restart docker",
    )


def test_a_registered_runtime_is_well(host: Host) -> None:
    with engine(host, "docker-28.5-runtime"):
        assert host.find("toolkit").status is Status.OK


def test_a_registered_runtime_whose_program_is_gone_fails(tmp_path: Path) -> None:
    with engine(make_host(tmp_path), "docker-28.5-runtime") as host:
        host.driver("570.133.20")
        finding = host.find("toolkit")
    assert finding.status is Status.FAIL
    assert "that is not there" in finding.what


def test_cdi_is_well_while_its_files_are_of_this_driver(host: Host) -> None:
    host.write("etc/cdi/nvidia.yaml", SPEC)
    with engine(host, "docker-28.5-cdi"):
        assert host.find("toolkit").status is Status.OK
        host.driver("580.82.07")
        finding = host.find("toolkit")
    assert finding.status is Status.FAIL
    assert finding.what == "/etc/cdi/nvidia.yaml is of driver 570.133.20, and the driver is 580.82.07"
    assert finding.mend.commands == ("sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",)


def test_cdi_of_an_engine_that_doesn_t_list_its_devices_is_told(host: Host) -> None:
    host.write("etc/cdi/nvidia.yaml", SPEC)
    with engine(host, "docker-26.1-cdi"):
        finding = host.find("toolkit")
    assert finding.status is Status.WARN
    assert "from Docker 28.2 on" in finding.why


def test_a_snap_can_t_see_the_toolkit(host: Host) -> None:
    """The folder is that of the snap, put into a record of another engine by hand."""
    with engine(host, "docker-28.5-cdi", info={"DockerRootDir": "/var/snap/docker/common/var-lib-docker"} | NO_CDI):
        finding = host.find("toolkit")
    assert finding.status is Status.FAIL
    assert finding.mend.commands[0] == "sudo snap remove docker"


NO_CDI: dict[str, Any] = {"DiscoveredDevices": None, "CDISpecDirs": None}


def test_a_rootless_engine_is_configured_as_its_user(host: Host) -> None:
    """Docker's name for it is put into the record by hand."""
    with engine(host, "docker-28.5-cdi", info=NO_CDI | {"SecurityOptions": ["name=seccomp", "name=rootless"]}):
        commands = host.find("toolkit").mend.commands
    assert commands[0].endswith("--config=$HOME/.config/docker/daemon.json")
    assert commands[-1] == "systemctl --user restart docker"


def test_a_remote_engine_is_asked_for_gpus_alone(host: Host) -> None:
    with engine(host, "docker-20.10"):
        host.write("proc/sys/kernel/osrelease", "another\n")
        finding = host.find("toolkit")
    assert finding.status is Status.WARN
    assert finding.mend.hints == ("run `gpuimg doctor` there",)


def test_docker_desktop_has_gpus_on_windows_only(host: Host) -> None:
    """Its name is put into the record by hand: no Docker Desktop was asked."""
    desktop = NO_CDI | {"OperatingSystem": "Docker Desktop"}
    with engine(host, "docker-28.5-cdi", info=desktop | {"KernelVersion": "6.10.14-linuxkit"}):
        host.write("proc/sys/kernel/osrelease", "6.1.0-amd64\n")
        assert host.find("toolkit").mend.commands == ("docker context use default",)
        assert host.find("driver").status is Status.SKIP
    with engine(host, "docker-28.5-cdi", info=desktop | {"KernelVersion": "5.15.153.1-microsoft-standard-WSL2"}):
        assert "desktop/features/gpu" in host.find("toolkit").mend.hints[0]
        assert host.find("driver").status is Status.OK, "its GPUs are this distribution's, too"


# --- cgroups ----------------------------------------------------------------------------------------------------------


def test_systemd_takes_gpus_that_the_hook_gave(host: Host) -> None:
    """`CgroupDriver` is put into the record by hand: systemd would have to run where these tests do."""
    with engine(host, "docker-28.5-runtime", info={"CgroupDriver": "systemd"}):
        finding = host.find("cgroups")
    assert finding.status is Status.WARN
    assert any("--device nvidia.com/gpu=all" in hint for hint in finding.mend.hints)
    assert any("native.cgroupdriver=cgroupfs" in hint for hint in finding.mend.hints)


def test_an_engine_without_cdi_enables_it_first(host: Host) -> None:
    info = RUNTIME | {"CgroupDriver": "systemd", "CDISpecDirs": None}
    with engine(host, "docker-26.1-cdi", info=info):
        assert host.find("cgroups").mend.commands[0].endswith("--cdi.enabled")
    with engine(host, "docker-20.10", info=info):
        assert host.find("cgroups").mend.commands == (), "20.10 has no CDI to enable"


def test_by_cdi_systemd_needs_the_links_of_the_devices(host: Host) -> None:
    with engine(host, "docker-28.5-cdi", info={"CgroupDriver": "systemd"}):
        finding = host.find("cgroups")
        assert finding.status is Status.WARN
        assert "create-dev-char-symlinks" in finding.mend.commands[0]
        host.write("dev/char/195:255")
        assert host.find("cgroups").status is Status.OK


def test_cgroupfs_takes_nothing(host: Host) -> None:
    with engine(host, "docker-28.5-runtime"):
        assert host.find("cgroups").status is Status.OK
