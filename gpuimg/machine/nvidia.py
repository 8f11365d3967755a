"""The driver and GPUs of a machine: what nvidia-smi says, else what the driver's own files in /proc do."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpuimg.machine.machine import Machine
from gpuimg.text import printable, shorten
from gpuimg.versions import ComputeCapability, DriverVersion

if TYPE_CHECKING:
    from gpuimg.facts import Matrix
    from gpuimg.matrix.query import Host

_FIELDS: Final = ("index", "uuid", "name", "memory.total", "driver_version", "compute_cap")
_PROC: Final = "/proc/driver/nvidia"
_NAMES: Final = ("/dev/nvidiactl", "/dev/dxg")
"""The device files of a driver: of Linux, and of Windows below WSL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """A GPU of the machine."""

    index: int
    name: str
    uuid: str | None
    memory_bytes: int | None
    compute_capability: ComputeCapability | None
    """None: the driver is too old to tell (before 510), and the matrix may know the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nvidia:
    """What is known of the machine's driver and GPUs."""

    driver: DriverVersion | None = None
    gpus: tuple[HostGpu, ...] = ()
    problem: str | None = None
    """Why there are none though something of a driver is there; None: all is well, or there is no driver at all."""

    @property
    def installed(self) -> bool:
        """Whether there is a driver, be it one that doesn't answer."""
        return self.driver is not None or self.problem is not None


def read_nvidia(machine: Machine) -> Nvidia:
    """Ask the driver. Never raises: a driver that fails is `Nvidia.problem`."""
    answer = machine.ask(["nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"])
    if answer is not None and answer.exit_code != 0 and "compute_cap" in answer.stdout + answer.stderr:
        fields = _FIELDS[:-1]
        answer = machine.ask(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"])
    if answer is None:
        there = machine.which("nvidia-smi") is not None
        return _from_proc(machine, problem="nvidia-smi doesn't answer" if there else None)
    if answer.exit_code != 0:
        return _from_proc(machine, problem=_first_line(answer.stdout) or _first_line(answer.stderr))
    rows = list(csv.reader(answer.stdout.splitlines(), skipinitialspace=True))
    gpus = tuple(gpu for row in rows if (gpu := _gpu(row)) is not None)
    driver = next((found for row in rows if len(row) > 4 and (found := _driver(row[4])) is not None), None)
    if driver is None:
        return _from_proc(machine, problem="nvidia-smi names no GPU")
    return Nvidia(driver=driver, gpus=gpus)


def host_of(nvidia: Nvidia, matrix: Matrix) -> Host:
    """The machine as the matrix judges one. A GPU whose capability nobody knows is not asked about."""
    from gpuimg.errors import RequestError
    from gpuimg.matrix import query
    from gpuimg.matrix.wishes import read_host

    gpus: list[query.HostGpu] = []
    for gpu in nvidia.gpus:
        if gpu.compute_capability is not None:
            gpus.append(query.HostGpu(label=gpu.name, compute_capability=gpu.compute_capability))
        else:
            with contextlib.suppress(RequestError):
                gpus += read_host(matrix, gpus=[gpu.name]).gpus
    return query.Host(driver=nvidia.driver, gpus=tuple(dict.fromkeys(gpus)))


def _gpu(row: list[str]) -> HostGpu | None:
    if len(row) < 5 or not row[0].isdecimal():
        return None
    capability = None
    with contextlib.suppress(ValueError, IndexError):
        capability = ComputeCapability.parse(row[5])
    return HostGpu(
        index=int(row[0]),
        name=printable(row[2]),
        uuid=printable(row[1]) or None,
        memory_bytes=int(row[3]) * 2**20 if row[3].isdecimal() else None,
        compute_capability=capability,
    )


def _from_proc(machine: Machine, *, problem: str | None) -> Nvidia:
    """What the kernel's module says where nvidia-smi can't."""
    version = machine.read(f"{_PROC}/version")
    driver = None
    if version is not None:
        match = re.search(r"\b(\d{3,4}(?:\.\d+){1,2})\b", version)
        driver = _driver(match[1]) if match else None
    gpus = tuple(_proc_gpus(machine)) if driver is not None else ()
    if driver is None and problem is None and any(machine.path(name).exists() for name in _NAMES):
        problem = "there is a device file of a driver, and no nvidia-smi"
    return Nvidia(driver=driver, gpus=gpus, problem=problem)


def _proc_gpus(machine: Machine) -> Iterator[HostGpu]:
    folder = machine.path(f"{_PROC}/gpus")
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for index, name in enumerate(names):
        text = machine.read(f"{_PROC}/gpus/{name}/information") or ""
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
        if fields.get("Model"):
            yield HostGpu(
                index=index,
                name=printable(fields["Model"]),
                uuid=fields.get("GPU UUID"),
                memory_bytes=None,
                compute_capability=None,
            )


def _driver(text: str) -> DriverVersion | None:
    with contextlib.suppress(ValueError):
        return DriverVersion.parse(text.strip())
    return None


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shorten(printable(lines[0]), 200) if lines else ""
