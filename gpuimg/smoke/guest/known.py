"""What the guest must know by torch release. Code asks these tables and holds no version number of its own.

Where an API can be probed with `hasattr`, it is: these rows only decide what no probe can tell, and word the reasons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .versions import Release, dotted

# First Python that torch.compile does not work on, from a given torch release on.
# Source: the version guard in torch/_dynamo of the published wheels, 2.0 to 2.15.
_COMPILE_BELOW_PYTHON: tuple[tuple[Release, Release], ...] = (
    ((2, 0), (3, 11)),
    ((2, 1), (3, 12)),
    ((2, 4), (3, 13)),
    ((2, 6), (3, 14)),
    ((2, 10), (3, 15)),
    ((2, 15), (3, 16)),
)

# First torch release whose CUDA allocator reads each environment variable.
# Source: c10/cuda/CUDAAllocatorConfig.h of the published wheels, and runs against libc10_cuda.so of 2.6, 2.9.1, 2.14.1
# (2.9 has the newer name in another class, and its CUDA allocator ignores it: pytorch issue 183387).
ALLOCATOR_VARIABLES = {"PYTORCH_CUDA_ALLOC_CONF": (2, 0), "PYTORCH_ALLOC_CONF": (2, 10)}


@dataclass(frozen=True)
class Option:
    """An allocator option: the first torch release that knows it, and what a value must match."""

    since: Release
    pattern: str
    form: str
    minimum: float | None = None
    below: float | None = None


_FLAG = ("True|False", "True or False")
_COUNT = (r"\d+", "a whole number")
_FRACTION = (r"\d*\.?\d+", "a fraction between 0 and 1")

# Source: c10/cuda/CUDAAllocatorConfig.h and c10/core/AllocatorConfig.h inside the wheels of 2.2 to 2.15 (2.0 and 2.1:
# c10/cuda/CUDACachingAllocator.cpp). An option outside this table aborts at the first use of CUDA.
ALLOCATOR_OPTIONS = {
    "max_split_size_mb": Option((2, 0), *_COUNT, minimum=21),
    "garbage_collection_threshold": Option((2, 0), *_FRACTION, minimum=1e-9, below=1),
    "roundup_power2_divisions": Option(
        (2, 0), r"\d+|\[(?:\d+|>):\d+(?:,(?:\d+|>):\d+)*\]", "a power of two, or a list such as [256:1,512:2,>:8]"
    ),
    "backend": Option((2, 0), "native|cudaMallocAsync", "native or cudaMallocAsync"),
    "expandable_segments": Option((2, 1), *_FLAG),
    "release_lock_on_cudamalloc": Option((2, 2), *_FLAG),
    "pinned_use_cuda_host_register": Option((2, 2), *_FLAG),
    "pinned_num_register_threads": Option((2, 2), *_COUNT, minimum=1, below=129),
    "max_non_split_rounding_mb": Option((2, 6), *_COUNT, minimum=21),
    "pinned_use_background_threads": Option((2, 6), *_FLAG),
    "graph_capture_record_stream_reuse": Option((2, 9), *_FLAG),
    "per_process_memory_fraction": Option((2, 10), *_FRACTION, minimum=0, below=1.0000001),
    "pinned_reserve_segment_size_mb": Option((2, 10), *_COUNT),
    "large_segment_size_mb": Option((2, 11), *_COUNT),
    "throw_on_cudamalloc_oom": Option((2, 12), *_FLAG),
    "pinned_free_catch_all": Option((2, 12), *_FLAG),
    "expandable_segments_reserve": Option((2, 15), ".+", "a value"),
    "expandable_segments_reserve_by_class": Option((2, 15), ".+", "a value"),
}


# The setting to try where an image has none: what gpuimg's images have. Expandable segments came with 2.1; before it,
# collecting garbage early is all that helps.
_TUNED_ALLOCATOR: tuple[tuple[Release, str], ...] = (
    ((2, 0), "garbage_collection_threshold:0.8"),
    ((2, 1), "expandable_segments:True"),
)


def tuned_allocator(torch: Release) -> str:
    """The allocator setting that suits this torch."""
    return max(row for row in _TUNED_ALLOCATOR if row[0] <= max(torch[:2], (2, 0)))[1]


def why_compile_cannot_work(torch: Release, python: Release) -> str | None:
    """Why torch.compile can't work on this Python, or None."""
    limit = max((row for row in _COMPILE_BELOW_PYTHON if row[0] <= torch[:2]), default=None)
    if limit is None or python[:2] < limit[1]:
        return None
    return f"torch.compile of torch {dotted(torch[:2])} needs a Python older than {dotted(limit[1])}"


# The first torch release whose FSDP surely trains on a CPU without a driver, and what older ones say where they can't.
# Source: runs of 2.0.1 (can't), 2.2.2, 2.4.1 and later (can) on machines without one.
_FSDP_ON_CPU = (2, 4)
_DRIVER_ERRORS = ("Found no NVIDIA driver", "non-CPU accelerator", "CUDA driver", "Torch not compiled with CUDA")


def wants_driver_on_cpu(torch: Release, output: str) -> bool:
    """Whether a process of this torch failed for want of a GPU's driver, which only old ones may want on the CPU."""
    return torch[:2] < _FSDP_ON_CPU and any(text in output for text in _DRIVER_ERRORS)


def allocator_variable_problem(variable: str, torch: Release) -> str | None:
    """Why this torch would not read the variable, or None."""
    since = ALLOCATOR_VARIABLES.get(variable)
    if since is None:
        return f"no torch reads {variable}"
    if torch[:2] < since:
        return f"torch {dotted(torch[:2])} ignores {variable} in silence: it is read from {dotted(since)} on"
    return None


def parse_allocator(value: str) -> tuple[tuple[str, str], ...]:
    """Split ``key:value,key:[a:1,b:2]`` at the commas outside brackets. Raises ValueError."""
    pairs = []
    for item in re.findall(r"(?:\[[^\]]*\]|[^,\[])+", value):
        key, colon, text = item.strip().partition(":")
        if not colon or not key or not text:
            raise ValueError(f"`{item}` is not key:value")
        pairs.append((key.strip(), text.strip()))
    if not pairs:
        raise ValueError("it is empty")
    return tuple(pairs)


def allocator_problems(value: str, torch: Release) -> tuple[str, ...]:
    """Everything in an allocator setting that this torch would refuse at the first use of CUDA."""
    try:
        pairs = parse_allocator(value)
    except ValueError as error:
        return (str(error),)
    return tuple(filter(None, (_option_problem(key, text, torch) for key, text in pairs)))


def _option_problem(key: str, text: str, torch: Release) -> str | None:
    option = ALLOCATOR_OPTIONS.get(key)
    if option is None:
        return f"`{key}` is no option of the allocator"
    if torch[:2] < option.since:
        return f"`{key}` is known from torch {dotted(option.since)} on, and this is {dotted(torch[:2])}"
    if re.fullmatch(option.pattern, text) is None:
        return f"`{key}:{text}`: the value must be {option.form}"
    if option.minimum is not None and float(text) < option.minimum:
        return f"`{key}:{text}`: the value must be at least {option.minimum:g}"
    if option.below is not None and float(text) >= option.below:
        return f"`{key}:{text}`: the value must be below {option.below:g}"
    return None
