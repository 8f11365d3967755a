"""Group `host`, the part that needs a GPU: whether torch can use it, and whether it says so when it can't."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .. import driver
from ..config import Expect
from ..env import Env
from ..outcome import Outcome, failed, on_gpu, skipped, verdict
from ..versions import dotted, release


def usable(env: Env, expect: Expect) -> Outcome:
    """cuInit through ctypes, then torch: every GPU that the driver shows adds two ones.

    The driver is asked first and without torch, so that its error code, and the remedy for that, come through.
    """
    del expect
    found = driver.probe(env.load_library)
    measured: dict[str, Any] = {"cuInit": "no driver" if found.code is None else found.code}
    if found.cuda:
        measured["driver_supports_cuda"] = dotted(found.cuda)
    if found.code != 0 or not found.gpus:
        code = 100 if found.code == 0 else found.code
        what = "the driver's library can't be opened" if code is None else f"cuInit returned {code}"
        reason = f"a GPU was asked for, and {what}" + (f" ({found.error})" if found.error else "")
        return failed(reason, measured=measured, expected="a usable GPU", remedy=driver.REMEDIES.get(code))
    import torch

    if torch.version.cuda is None:
        if env.config.gpus_requested:
            return failed("a GPU was asked for, and this torch is built without CUDA", measured=measured)
        return skipped("this torch is built without CUDA", measured=measured)
    measured["gpus"] = (len(found.gpus), "count")
    torch.cuda.init()  # is_available() would hide the reason
    problems = []
    if torch.cuda.device_count() != len(found.gpus):
        problems.append(f"the driver shows {len(found.gpus)} GPUs, and torch {torch.cuda.device_count()}")
    for index in range(torch.cuda.device_count()):
        value = float(torch.ones(2, device=f"cuda:{index}").sum())
        if value != 2:
            problems.append(f"1 + 1 is {value:g} on GPU {index}")
    return verdict(problems, measured=measured, expected="a usable GPU")


def driver_version(env: Env, expect: Expect) -> Outcome:
    """The driver is not older than the row's minimum (CUDA's minor-version compatibility).

    Where nothing is promised: the driver supports torch's CUDA major release.
    """
    found = env.driver_version()
    if expect.min_driver is None:
        return _supports_major(env, found)
    if found is None:
        return failed("the driver doesn't tell its version", expected=f"driver ≥ {expect.min_driver}")
    problems = []
    if release(found) < release(expect.min_driver):
        problems.append(f"the driver is {found}, and this CUDA needs {expect.min_driver} or newer")
    return verdict(
        problems,
        measured={"driver": found},
        expected=f"driver ≥ {expect.min_driver}",
        remedy="update the host's driver, or take an image of an older CUDA",
    )


def arch(env: Env, expect: Expect) -> Outcome:
    """torch has code for every GPU, and a kernel of its own runs there.

    Rule: X.y runs code for X.z with z ≤ y, or PTX of any lower capability. Code for an `a` variant runs on that chip
    only, for an `f` variant on its family.
    """
    flags = env.arch_flags() or _promised_flags(expect)
    if not flags:
        return skipped("this torch doesn't tell which architectures it was compiled for")
    expected = "code or PTX for every GPU"
    measured: dict[str, Any] = {"architectures": " ".join(flags)}
    for index in range(1 if env.simulated else len(env.gpus)):
        capability = env.capability(index)
        measured["cc"] = "{}.{}".format(*capability)
        if not covered(capability, flags):
            outcome = failed(
                f"GPU {index} has compute capability {measured['cc']}, and torch has no code for it",
                measured=measured,
                expected=expected,
                remedy="take an image whose torch was compiled for this GPU: see `gpuimg matrix list`",
            )
            return on_gpu(outcome, index)
        if not env.simulated:
            _run_kernel(index)
    return verdict([], measured=measured, expected=expected)


def error_surfaces(env: Env, expect: Expect) -> Outcome:
    """An assertion that fails on the GPU raises, and the error names CUDA. It breaks the process, so it has its own."""
    del expect
    import torch

    device = env.devices()[0][0]
    try:
        env.assert_async(torch.zeros((), dtype=torch.int64, device=device))
        if device != "cpu":
            torch.cuda.synchronize()
    except RuntimeError as error:
        text = str(error)
        problems = [] if "CUDA" in text else [f"the error doesn't name CUDA: {text.splitlines()[0]}"]
        return verdict(problems, measured={"error": text.splitlines()[0]}, expected="an error that names CUDA")
    return failed("a failed assertion on the GPU raised nothing", expected="an error that names CUDA")


def covered(capability: tuple[int, int], flags: Sequence[str]) -> bool:
    """Whether code for `flags` (``sm_90``, ``sm_100f``, ``compute_120``) runs on a chip of this capability."""
    return any(_covers(flag, capability) for flag in flags)


def _covers(flag: str, capability: tuple[int, int]) -> bool:
    match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", flag)
    if match is None:
        return False
    built = int(match[2]), int(match[3])
    if match[4] == "a":
        return built == capability
    if match[1] == "compute" and not match[4]:
        return built <= capability
    return built[0] == capability[0] and built[1] <= capability[1]


def _promised_flags(expect: Expect) -> list[str]:
    flags = []
    for item in expect.compute_capabilities or ():
        number, plus, _ = item.partition("+")
        digits = number.replace(".", "")
        flags += [f"sm_{digits}", f"compute_{digits}"] if plus else [f"sm_{digits}"]
    return flags


def _run_kernel(index: int) -> None:
    import torch

    values = torch.arange(1024, device=f"cuda:{index}", dtype=torch.int64)
    total = int((values * 2).sum())
    if total != 1024 * 1023:
        raise RuntimeError(f"a kernel on GPU {index} computed {total} instead of {1024 * 1023}")


def _supports_major(env: Env, found: str | None) -> Outcome:
    import torch

    supported = driver.probe(env.load_library).cuda
    if supported is None or torch.version.cuda is None:
        return skipped("the driver or torch doesn't tell its CUDA release", measured={"driver": found or "unknown"})
    wanted = release(torch.version.cuda)[0]
    problems = []
    if supported[0] < wanted:
        problems.append(f"the driver supports CUDA {dotted(supported)}, and torch needs {wanted}.x")
    return verdict(
        problems,
        measured={"driver": found or "unknown", "supports_cuda": dotted(supported)},
        expected=f"a driver for CUDA {wanted}.x",
        remedy="update the host's driver, or take an image of an older CUDA",
    )
