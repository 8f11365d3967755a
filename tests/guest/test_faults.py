"""Every check is seen to fail for its own fault and for no other, and a healthy torch to pass.

They run the real guest on a real torch, named by ``GPUIMG_TORCH_PYTHON``, and need no GPU. Faults are real broken
inputs where a machine can have them; the others are injected (`gpuimg.smoke.guest.faults`).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpuimg.model import Status
from gpuimg.smoke.guest.faults import FAULTS
from gpuimg.smoke.guest.registry import CHECKS
from gpuimg.smoke.guest.versions import release
from gpuimg.smoke.protocol import LINES_SCHEMA, read_report
from tests.guest.conftest import Guest, by_name, clean_environment, failures

# Fails for a real fault below, and has no injected one.
_REAL_FAULTS = {"compiler.inductor_cpu", "host.gpu"}
# What they run needs a GPU, and so does every way to break it; each has a twin on the CPU with a fault of its own.
_GPU_TWINS = {
    "compiler.triton": "compiler.toolchain",
    "dataloader.pin_memory": "dataloader.workers_fork",
    "distributed.nccl": "distributed.gloo",
    "distributed.ddp_gpu": "distributed.ddp_cpu",
    "distributed.zero_gpu": "distributed.zero_cpu",
    "distributed.fsdp1_gpu": "distributed.fsdp1_cpu",
    "distributed.fsdp2_gpu": "distributed.fsdp2_cpu",
    "distributed.cuda_ipc": "dataloader.workers_spawn",
}
# These report, and hold nothing.
_REPORTS = {"host.limits", "host.clock"}
# What is quick and looks at everything that the real faults below touch.
_QUICK = [
    "stack.torch",
    "stack.pip_consistent",
    "load.dlopen",
    "load.dtype_ops",
    "host.user",
    "dataloader.shm",
    "compiler.toolchain",
    "allocator.env_valid",
]
# The machine's own: too little shared memory, or an nvcc of another CUDA, is no fault of the guest.
_OF_THE_MACHINE = ["dataloader.shm", "compiler.cuda_ext"]
_HEALTHY = "healthy"
# Faults that need a machine of their own, or much time: each has its own test below.
_APART = {"too_large", "stopped"}


def test_every_check_has_a_fault() -> None:
    assert set(FAULTS) | _REAL_FAULTS | _REPORTS | set(_GPU_TWINS) == set(CHECKS)
    assert set(_GPU_TWINS.values()) <= set(FAULTS)


def test_healthy_torch_fails_nothing(guest: Guest) -> None:
    report = guest({"skip": _OF_THE_MACHINE, "gpus_requested": False})
    assert failures(report) == {}
    assert {check.name for check in report.checks} == set(CHECKS) - set(_OF_THE_MACHINE)
    statuses = {name: check.status for name, check in by_name(report).items()}
    assert statuses["stack.torch"] is Status.PASS
    assert statuses["load.dtype_ops"] is Status.PASS
    assert statuses["numerics.matmul_fp32_rounding"] is Status.PASS


def test_real_lines_validate(guest: Guest, torch_python: str, pyz: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"only": [*_QUICK, "allocator"], "inject": {"allocator.churn": _HEALTHY}}))
    command = [torch_python, str(pyz), "--config", str(config)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    validator = jsonschema.Draft202012Validator(json.loads(LINES_SCHEMA.read_text(encoding="utf-8")))
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    for line in lines:
        validator.validate(line)
    assert {line["event"] for line in lines} == {"start", "check", "sample", "end"}


@pytest.mark.parametrize("turn", range(max(map(len, FAULTS.values()))))
def test_check_fails_for_its_injected_fault_and_no_other_does(guest: Guest, turn: int) -> None:
    """One run for each turn: the first fault of every check, then the second of those that have one, …"""
    injected = {check: list(faults)[turn] for check, faults in FAULTS.items() if len(faults) > turn}
    injected = {check: fault for check, fault in injected.items() if fault not in _APART}
    only = {"skip": _OF_THE_MACHINE[1:]} if turn == 0 else {"only": list(injected)}
    injected = {check: fault for check, fault in injected.items() if turn or check not in _OF_THE_MACHINE[1:]}
    report = guest({**only, "inject": injected})
    statuses = {check.name: check.status for check in report.checks}
    # What this torch is too old for is seen to fail on a newer one: test_releases.
    able = {check for check in injected if CHECKS[check].minimum <= release(report.torch or "")}
    broken = {check for check in able if injected[check] != _HEALTHY}
    assert set(failures(report)) == broken
    assert all(statuses[check] is Status.PASS for check in able - broken)


def test_promised_toolkit_that_is_missing_fails(guest: Guest) -> None:
    report = guest({"only": ["compiler.cuda_ext"], "inject": {"compiler.cuda_ext": "no_nvcc"}})
    assert failures(report) == {"compiler.cuda_ext": "the image promises a CUDA toolkit and has no nvcc"}


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        ({"torch": "0.1.0+cu000"}, {"stack.torch"}),
        ({"cuda": "1.0", "cxx11_abi": None}, {"stack.torch"}),
        ({"python": "3.1"}, {"stack.python"}),
        ({"torchvision": "0.0.1", "torchaudio": "0.0.1"}, {"stack.companions"}),
        ({"triton": "0.0.1"}, {"stack.pip_consistent"}),
        ({"allocator": {"variable": "PYTORCH_CUDA_ALLOC_CONF", "value": "backend:native"}}, {"allocator.env_valid"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_row_with_a_wrong_pin(guest: Guest, promise: Mapping[str, Any], broken: set[str]) -> None:
    only = ["stack.torch", "stack.python", "stack.companions", "stack.pip_consistent", "allocator.env_valid"]
    assert set(failures(guest({"only": only, "expect": promise}))) == broken


def test_gpu_that_was_asked_for_on_a_machine_without_one(guest: Guest) -> None:
    report = guest({"only": ["host", "allocator"], "gpus_requested": True})
    if report.gpus:
        pytest.skip("this machine has a GPU")
    assert set(failures(report)) == {"host.gpu"}
    assert by_name(report)["allocator.churn"].reason == "needs a GPU, and none is usable: see host.gpu"


def test_gpu_that_torch_cannot_use_is_not_replaced_by_the_cpu(torch_python: str, pyz: Path) -> None:
    """The driver shows a GPU, and torch can't start CUDA: what was to run there must not pass elsewhere."""
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from gpuimg_smoke.checks import repeat
from gpuimg_smoke.config import Expect
from gpuimg_smoke.driver import Gpu
from gpuimg_smoke.env import Env

try:
    repeat.repeat(Env(gpus=(Gpu(0, "NVIDIA Example", "9.0", 1 << 34),)), Expect())
except RuntimeError as error:
    print("refused")
"""
    command = [torch_python, "-c", script, str(pyz)]
    environ = {**clean_environment(), "CUDA_VISIBLE_DEVICES": ""}
    answer = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
    assert answer.stdout == "refused\n", answer.stderr


def test_root_where_another_user_is_promised(guest: Guest) -> None:
    broken = {"host.user"} if os.getuid() == 0 else set()
    assert set(failures(guest({"only": ["host"], "expect": {"non_root": True}}))) == broken


@pytest.mark.parametrize("value", ["expandable_segments:true", "expandable_segment:True", "max_split_size_mb:3"])
def test_allocator_setting_that_torch_refuses(guest: Guest, value: str) -> None:
    report = guest({"only": ["allocator", "host.user"]}, PYTORCH_CUDA_ALLOC_CONF=value)
    assert set(failures(report)) == {"allocator.env_valid"}


def test_image_without_a_compiler(guest: Guest, tmp_path: Path) -> None:
    """Both checks that need one fail, and name what to install."""
    report = guest({"only": [*_QUICK, "compiler.inductor_cpu"], "skip": ["dataloader"]}, PATH=str(tmp_path))
    assert set(failures(report)) == {"compiler.toolchain", "compiler.inductor_cpu"}
    assert "torch.compile cannot work here" in failures(report)["compiler.toolchain"]
    assert "python3-dev" in str(by_name(report)["compiler.toolchain"].remedy)


def test_image_with_gcc_and_without_gplusplus(guest: Guest, tmp_path: Path) -> None:
    """Triton's needs are met, inductor's on the CPU are not."""
    for name in ("gcc", "as", "ld"):
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"no {name} here")
        (tmp_path / name).symlink_to(program)
    report = guest({"only": ["compiler"], "skip": ["compiler.cuda_ext"]}, PATH=str(tmp_path))
    assert set(failures(report)) == {"compiler.inductor_cpu"}


def test_image_without_python_headers(guest: Guest, torch_python: str, own_mounts: Sequence[str]) -> None:
    script = "import sysconfig; print(sysconfig.get_paths()['include'])"
    answer = subprocess.run([torch_python, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    wrap = mounted(own_mounts, f"mount -t tmpfs tmpfs {shlex.quote(answer.stdout.strip())}")
    report = guest({"only": _QUICK, "skip": ["dataloader"]}, wrap=wrap)
    assert set(failures(report)) == {"compiler.toolchain"}
    assert "no Python.h" in failures(report)["compiler.toolchain"]


def test_temporary_folder_mounted_noexec(guest: Guest, tmp_path: Path, own_mounts: Sequence[str]) -> None:
    wrap = mounted(own_mounts, f"mount -t tmpfs -o noexec tmpfs {shlex.quote(str(tmp_path))}")
    report = guest({"only": _QUICK, "skip": ["dataloader"]}, wrap=wrap, TMPDIR=str(tmp_path))
    assert set(failures(report)) == {"compiler.toolchain"}
    assert "can't be loaded" in failures(report)["compiler.toolchain"]


def test_shared_memory_of_an_engines_default(guest: Guest, own_mounts: Sequence[str]) -> None:
    report = guest({"only": _QUICK}, wrap=mounted(own_mounts, "mount -t tmpfs -o size=64m tmpfs /dev/shm"))
    assert failures(report) == {"dataloader.shm": "/dev/shm has 64 MiB free of 64 MiB"}
    assert "--shm-size 8g" in str(by_name(report)["dataloader.shm"].remedy)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_batches_beyond_the_shared_memory(guest: Guest, own_mounts: Sequence[str], method: str) -> None:
    """The worker dies of SIGBUS, or torch says what it lacks: either way the check fails, and names the remedy."""
    check = f"dataloader.workers_{method}"
    wrap = mounted(own_mounts, "mount -t tmpfs -o size=64m tmpfs /dev/shm")
    report = guest({"only": [check, "host.user"], "inject": {check: "too_large"}}, wrap=wrap)
    assert set(failures(report)) == {check}
    assert "--shm-size 8g" in str(by_name(report)[check].remedy)


def test_rank_that_stops_ends_the_check_at_its_time_limit(guest: Guest) -> None:
    config = {"only": ["distributed.gloo", "host.user"], "timeouts": {"distributed": 50}}
    report = guest({**config, "inject": {"distributed.gloo": "stopped"}})
    assert set(failures(report)) == {"distributed.gloo"}
    assert "rank 1: it did not end in time" in failures(report)["distributed.gloo"]


def test_nodes_meet_and_each_reports(torch_python: str, pyz: Path, tmp_path: Path) -> None:
    """Two guests as the pods of two nodes run them: the same config, and each its own index."""
    world = {"nodes": 2, "address": "127.0.0.1", "port": free_port()}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"only": ["distributed.nodes"], "world": world}))
    command = [torch_python, str(pyz), "--config", str(config)]
    nodes = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            env={**clean_environment(), "JOB_COMPLETION_INDEX": str(index), "GPUIMG_NODE": f"node-{index}"},
        )
        for index in range(2)
    ]
    for index, node in enumerate(nodes):
        stdout, _ = node.communicate(timeout=300)
        report = read_report(stdout.splitlines(), image=None, exit_code=node.returncode)
        assert failures(report) == {}
        assert report.node == f"node-{index}"
        assert by_name(report)["distributed.nodes"].measured["ranks"].value == 2


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_library_that_does_not_open(guest: Guest, site_packages: Path, tmp_path: Path) -> None:
    """As after a broken layer or a full disk: one file of torch's own is no library any more."""
    shadow = shadowed(site_packages / "torch", tmp_path / "torch")
    (shadow / "lib" / "libgpuimg_cut_off.so").write_bytes(b"\x7fELF")
    report = guest({"only": _QUICK, "skip": ["dataloader"]}, PYTHONPATH=str(tmp_path))
    assert set(failures(report)) == {"load.dlopen"}
    assert failures(report)["load.dlopen"].startswith("libgpuimg_cut_off.so: ")


def test_pin_that_does_not_hold(guest: Guest, site_packages: Path, tmp_path: Path) -> None:
    """torch's own metadata asks for another cuDNN than the one installed."""
    require(site_packages, tmp_path, "nvidia-cudnn-cu12 (==0.0.1)")
    report = guest({"only": _QUICK, "skip": ["dataloader"]}, PYTHONPATH=str(tmp_path))
    assert set(failures(report)) == {"stack.pip_consistent"}
    assert "nvidia-cudnn-cu12==0.0.1 is required" in failures(report)["stack.pip_consistent"]


def test_requirement_of_torch_that_is_missing(guest: Guest, site_packages: Path, tmp_path: Path) -> None:
    require(site_packages, tmp_path, "gpuimg-absent>=1")
    report = guest({"only": _QUICK, "skip": ["dataloader"]}, PYTHONPATH=str(tmp_path))
    assert failures(report) == {"stack.torch": "gpuimg-absent>=1 is required and not installed"}


def test_exact_test_sees_every_single_bit(torch_python: str, pyz: Path) -> None:
    """For each type and each of its bits: one flipped bit in one element of the result is found."""
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from gpuimg_smoke.checks import matmul
from gpuimg_smoke.config import Expect
from gpuimg_smoke.env import Env
from gpuimg_smoke.faults.numbers import flipped_bit
from gpuimg_smoke.outcome import Skip

matmul._SIZE = {"cpu": 32}
for check, bits in (
    (matmul.fp64_exact, 64), (matmul.fp32_exact, 32), (matmul.fp16_exact, 16), (matmul.bf16_exact, 16)
):
    try:
        found = [check(*flipped_bit(bit)(Env(), Expect())) for bit in range(bits)]
        assert check(Env(), Expect()).status == "PASS"
    except Skip:
        continue
    assert [outcome.status for outcome in found] == ["FAIL"] * bits
    assert all("(one element)" in outcome.reason for outcome in found)
print("seen")
"""
    command = [torch_python, "-c", script, str(pyz)]
    answer = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=300, check=False)
    assert (answer.stdout, answer.returncode) == ("seen\n", 0), answer.stderr


def require(site_packages: Path, target: Path, requirement: str) -> None:
    """Put metadata of torch into `target` that requires one thing more."""
    (installed,) = site_packages.glob("torch-*.dist-info")
    shutil.copytree(installed, target / installed.name)
    metadata = target / installed.name / "METADATA"
    first = "\nRequires-Dist:"
    metadata.write_text(metadata.read_text().replace(first, f"{first} {requirement}{first}", 1))


def mounted(own_mounts: Sequence[str], mount: str) -> list[str]:
    """A command in front that mounts first."""
    return [*own_mounts, f'{mount}; exec "$@"', "sh"]


def shadowed(folder: Path, target: Path) -> Path:
    """A copy of a package whose files are links: cheap, and its own to break."""
    for path in folder.rglob("*"):
        if path.is_dir():
            (target / path.relative_to(folder)).mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            (target / path.relative_to(folder)).symlink_to(path)
    return target
