"""The machine that gpuimg runs on: its files and programs, and what they say of GPUs and the driver."""

from __future__ import annotations

from gpuimg.machine.distribution import Distribution, read_distribution
from gpuimg.machine.machine import Answer, Machine, this_machine
from gpuimg.machine.nvidia import HostGpu, Nvidia, read_nvidia

__all__ = [
    "Answer",
    "Distribution",
    "HostGpu",
    "Machine",
    "Nvidia",
    "read_distribution",
    "read_nvidia",
    "this_machine",
]
