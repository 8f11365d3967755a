"""What the datasheet of a GPU promises, where that may be compared with: never a guess."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from .config import Datasheet
from .driver import Gpu
from .env import Env

_CAP_SHARE = 0.99  # a limit that was set back to its default is printed with roundings


@dataclass(frozen=True)
class Promise:
    """A chip's datasheet, or why there is none to compare with."""

    datasheet: Datasheet | None
    reason: str = ""

    def peak(self, kind: str) -> float | None:
        """Dense TFLOP/s of a type; None where the datasheet isn't known or doesn't have the type."""
        return self.datasheet.tflops.get(kind) if self.datasheet else None

    @property
    def bandwidth(self) -> float | None:
        """Of the GPU's memory, in GB/s."""
        return self.datasheet.bandwidth_gb_s if self.datasheet else None


def promise(env: Env, index: int | None) -> Promise:
    """What the datasheet of this GPU promises. A chip by another name, a slice of one, a capped one: nothing."""
    gpu = next((item for item in env.gpus if item.index == (index or 0)), None)
    if gpu is None:
        return Promise(None, "no GPU")
    sheet = next((item for item in env.config.datasheets if gpu.name in item.devices), None)
    if sheet is None:
        return Promise(None, f"no datasheet of `{gpu.name}` is known here")
    limit = _power_limit(env, gpu)
    if limit is not None and limit[0] < _CAP_SHARE * limit[1]:
        return Promise(None, f"its power is capped at {limit[0]:g} W of {limit[1]:g} W")
    return Promise(sheet)


def _power_limit(env: Env, gpu: Gpu) -> tuple[float, float] | None:
    """The power limit in force and the default one, in W; None where nvidia-smi is not there or can't tell."""
    program = env.which("nvidia-smi")
    if program is None or gpu.uuid is None:  # it counts GPUs otherwise than CUDA: an index may name another
        return None
    query = "--query-gpu=enforced.power.limit,power.default_limit"
    command = [program, query, "--format=csv,noheader,nounits", f"--id={gpu.uuid}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
        limit, default = (float(text) for text in answer.strip().split(","))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return limit, default
