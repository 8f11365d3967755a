"""The machine around the engine: users, disk, memory, shared memory, proxies, certificates, clock."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import trustme

from gpuimg.doctor import disk
from gpuimg.doctor.examine import examine
from gpuimg.doctor.finding import Finding, Mend, Status
from tests.unit.doctor.hosts import Host, engine, make_host

ROOTLESS = ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"]
MOUNTS = "sysfs /sys sysfs rw 0 0\nshm /dev/shm tmpfs {options} 0 0\n"
RUNTIMES = {"nvidia": {"path": "nvidia-container-runtime"}}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


# --- users ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "status"),
    [(["name=seccomp"], Status.OK), (["name=seccomp", "name=userns"], Status.WARN), (ROOTLESS, Status.OK)],
)
def test_mapped_users_are_told(host: Host, options: list[str], status: Status) -> None:
    """Security options are put into the record by hand."""
    with engine(host, "docker-28.5-cdi", info={"SecurityOptions": options, "CgroupVersion": "2"}):
        assert host.find("users").status is status


def test_a_rootless_engine_without_cgroups_can_t_limit(host: Host) -> None:
    with engine(host, "docker-28.5-cdi", info={"SecurityOptions": ROOTLESS, "CgroupDriver": "none"}):
        assert host.find("users").status is Status.WARN


def test_a_rootless_engine_wants_a_toolkit_that_leaves_cgroups_alone(host: Host) -> None:
    info = {"SecurityOptions": ROOTLESS, "Runtimes": RUNTIMES, "CgroupVersion": "2"}
    with engine(host, "docker-28.5-cdi", info=info):
        finding = host.find("users")
        assert finding.status is Status.FAIL
        assert finding.mend.commands == ("sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place",)
        host.write("etc/nvidia-container-runtime/config.toml", "[nvidia-container-cli]\nno-cgroups = true\n")
        assert host.find("users").status is Status.OK
        host.write("etc/nvidia-container-runtime/config.toml", "[nvidia-container-cli]\n#no-cgroups = true\n")
        assert host.find("users").status is Status.FAIL


# --- disk, memory, shared memory --------------------------------------------------------------------------------------


def test_room_is_asked_where_the_engine_s_images_lie(host: Host) -> None:
    with engine(host, "docker-28.5-cdi"):
        assert host.find("disk").status is Status.SKIP
        (host.root / "var/lib/docker").mkdir(parents=True)
        finding = host.find("disk")
    assert "free in /var/lib/docker" in finding.what


def test_containerd_of_the_machine_keeps_images_in_its_own_folder(host: Host) -> None:
    (host.root / "var/lib/containerd").mkdir(parents=True)
    (host.root / "var/lib/docker").mkdir(parents=True)
    with engine(host, "docker-28.5-containerd"):
        assert "/var/lib/docker" in host.find("disk").what, "this engine started a containerd of its own"
    machines = {"Containerd": {"Address": "/run/containerd/containerd.sock"}}
    with engine(host, "docker-28.5-containerd", info=machines):
        assert "/var/lib/containerd" in host.find("disk").what


def test_all_images_stay_and_the_largest_is_there_twice() -> None:
    assert disk.needed_bytes([5, 6, 4]) == 21


def test_images_are_as_large_as_their_wheels_say(host: Host) -> None:
    """5.466 GB were measured for this one: bench/results/build_race.md."""
    (size,) = host.look("2.6-cu124").image_bytes
    assert size == pytest.approx(5.466e9, rel=0.05)


def test_memory_is_the_engine_s_else_the_machine_s(host: Host) -> None:
    host.write("proc/meminfo", "MemTotal:        2097152 kB\nMemFree: 1 kB\n")
    assert (host.find("memory").status, host.find("memory").what) == (Status.WARN, "2.0 GiB")
    with engine(host, "docker-28.5-cdi"):
        assert host.find("memory").status is Status.OK


@pytest.mark.parametrize(
    ("options", "status", "what"),
    [
        ("rw,nosuid,nodev,noexec,relatime,size=65536k", Status.WARN, "64 MiB"),
        ("rw,nosuid,nodev,size=8388608k,inode64", Status.OK, "8.0 GiB"),
        ("rw,nosuid,nodev", Status.OK, "half of the memory"),
    ],
)
def test_shared_memory_is_as_large_as_it_is_mounted(host: Host, options: str, status: Status, what: str) -> None:
    host.write("proc/self/mounts", MOUNTS.format(options=options))
    finding = host.find("shm")
    assert (finding.status, finding.what) == (status, what)


def test_no_shared_memory_warns(host: Host) -> None:
    host.write("proc/self/mounts", "sysfs /sys sysfs rw 0 0\n")
    assert host.find("shm").status is Status.WARN


# --- proxies ----------------------------------------------------------------------------------------------------------


def proxies(host: Host) -> tuple[Finding, ...]:
    return examine(host.look(), only=["proxy"])


def test_no_proxy_is_well(host: Host) -> None:
    assert host.find("proxy").status is Status.OK


def test_a_proxy_that_the_engine_lacks_is_given_to_it(host: Host) -> None:
    host.environ["HTTPS_PROXY"] = "http://proxy.example.com:3128"
    with engine(host, "docker-28.5-cdi"):
        (finding,) = proxies(host)
    assert finding.status is Status.WARN
    assert "docker.service.d/http-proxy.conf" in finding.mend.commands[1]
    assert finding.mend.commands[-1] == "sudo systemctl restart docker"


def test_the_same_proxy_on_both_sides_is_well(host: Host) -> None:
    host.environ["https_proxy"] = "http://proxy.example.com:3128"
    with engine(host, "docker-28.5-runtime"):
        assert host.find("proxy").status is Status.OK


def test_a_proxy_that_only_the_engine_has_doesn_t_reach_builds(host: Host) -> None:
    with engine(host, "docker-28.5-runtime"):
        (finding,) = proxies(host)
    assert "this shell has none" in finding.what


def test_a_password_is_told_of_and_not_shown(host: Host) -> None:
    host.environ["HTTPS_PROXY"] = "http://ada:secret@proxy.example.com:3128"
    with engine(host, "docker-28.5-runtime"):
        (finding,) = proxies(host)
    assert finding.status is Status.WARN
    assert "password" in finding.what
    assert "secret" not in repr(finding)


@pytest.mark.parametrize("value", ["http://localhost:3128", "127.0.0.1:3128", "http://[::1]:3128/"])
def test_a_proxy_on_the_loopback_is_out_of_a_build_s_reach(host: Host, value: str) -> None:
    host.environ["HTTPS_PROXY"] = value
    with engine(host, "docker-28.5-runtime"):
        (finding,) = proxies(host)
    assert "--build-network host" in finding.mend.hints[0]


# --- certificates -----------------------------------------------------------------------------------------------------


@pytest.fixture
def company(host: Host) -> str:
    """A real CA, in a bundle that SSL_CERT_FILE names, on a host whose system trusts another."""
    pem = trustme.CA().cert_pem.bytes().decode()
    host.write("home/ada/company.pem", pem)
    host.write("etc/ssl/certs/ca-certificates.crt", trustme.CA().cert_pem.bytes().decode())
    host.environ["SSL_CERT_FILE"] = "/home/ada/company.pem"
    return pem


@pytest.mark.parametrize(
    ("distribution", "folder"),
    [
        ("debian", "/usr/local/share/ca-certificates/"),
        ("rocky", "/etc/pki/ca-trust/source/anchors/"),
        ("suse", "/etc/pki/trust/anchors/"),
        ("arch", "trust anchor --store /home/ada/company.pem"),
    ],
)
def test_a_ca_that_the_engine_doesn_t_know_is_added(
    tmp_path_factory: pytest.TempPathFactory, distribution: str, folder: str
) -> None:
    host = make_host(tmp_path_factory.mktemp("host"), distribution)
    host.write("home/ada/company.pem", trustme.CA().cert_pem.bytes().decode())
    host.environ["SSL_CERT_FILE"] = "/home/ada/company.pem"
    with engine(host, "docker-28.5-cdi"):
        finding = host.find("certificates")
    assert finding.status is Status.WARN
    assert folder in finding.mend.commands[0]


def test_a_ca_that_the_system_or_a_registry_s_folder_has_is_known(host: Host, company: str) -> None:
    with engine(host, "docker-28.5-cdi"):
        assert host.find("certificates").status is Status.WARN
        host.write("etc/docker/certs.d/registry.example.com/ca.crt", company.replace("\n", "\r\n"))
        assert host.find("certificates").status is Status.OK


def test_a_public_bundle_of_another_age_is_no_company_s(host: Host) -> None:
    """conda and others name one of their own in SSL_CERT_FILE."""
    pems = [trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes().decode() for _ in range(21)]
    host.write("opt/conda/cacert.pem", "".join(pems))
    host.write("etc/ssl/certs/ca-certificates.crt", "".join(pems[:-1]))
    host.environ["SSL_CERT_FILE"] = "/opt/conda/cacert.pem"
    with engine(host, "docker-28.5-cdi"):
        finding = host.find("certificates")
    assert (finding.status, finding.mend) == (Status.OK, Mend())
    assert "all but 1" in finding.what


def test_without_an_engine_only_the_bundle_is_looked_at(host: Host, company: str) -> None:
    assert host.find("certificates").status is Status.OK


def test_a_bundle_that_is_none_fails(host: Host) -> None:
    host.environ["SSL_CERT_FILE"] = "/etc/os-release"
    finding = host.find("certificates")
    assert finding.status is Status.FAIL
    assert finding.mend.commands == ("unset SSL_CERT_FILE",)


def test_another_program_s_bundle_is_not_ours(host: Host) -> None:
    host.environ["REQUESTS_CA_BUNDLE"] = "/home/ada/company.pem"
    assert host.find("certificates").mend.commands == ('export SSL_CERT_FILE="$REQUESTS_CA_BUNDLE"',)


# --- clock ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "said"), [(0, "the same here"), (3, "behind this one"), (-3, "3 h 0 min ahead of this one")]
)
def test_the_engine_s_clock_is_compared(host: Host, hours: int, said: str) -> None:
    with engine(host, "docker-28.5-cdi"):
        subject = host.look()
        assert subject.info is not None
        assert subject.info.time is not None
        now = subject.info.time + dt.timedelta(hours=hours)
        (finding,) = examine(host.look(now=now), only=["clock"])
    assert said in finding.what
    assert finding.status is (Status.WARN if hours else Status.OK)


@pytest.mark.parametrize(("kernel", "command"), [("6.1", "timedatectl"), ("5.15-microsoft-standard-WSL2", "hwclock")])
def test_a_clock_before_gpuimg_s_own_files_is_wrong(tmp_path: Path, kernel: str, command: str) -> None:
    host = make_host(tmp_path, kernel=kernel)
    now = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    (finding,) = examine(host.look(now=now, made=dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)), only=["clock"])
    assert finding.status is Status.FAIL
    assert command in finding.mend.commands[0]
