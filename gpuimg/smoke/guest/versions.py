"""Versions as the guest meets them: release strings, and the codes that NVIDIA's libraries answer with."""

from __future__ import annotations

import re

Release = tuple[int, ...]


def release(text: str) -> Release:
    """The numbers at the head of a version: ``2.6.0+cu124`` is (2, 6, 0), ``2.1.0a0+git`` is (2, 1, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def dotted(version: Release) -> str:
    """(2, 6, 0) as ``2.6.0``."""
    return ".".join(str(part) for part in version)


def same(found: str, wanted: str) -> bool:
    """Whether `found` is `wanted`, as far as the shorter one tells: ``9.1.0`` is ``9.1.0.70``."""
    left, right = release(found), release(wanted)
    length = min(len(left), len(right))
    return length > 0 and left[:length] == right[:length]


def cuda_version(code: int) -> Release:
    """CUDA's runtime and driver code: 12040 is (12, 4)."""
    return code // 1000, code % 1000 // 10


def cudnn_version(code: int) -> Release:
    """cuDNN's code, which changed its base at 9.0: 8905 is (8, 9, 5), 90100 is (9, 1, 0), 92400 is (9, 24, 0)."""
    base = 10_000 if code >= 90_000 else 1_000
    return code // base, code % base // 100, code % 100


def nccl_version(code: int) -> Release:
    """NCCL's code, which changed its base at 2.9: 2708 is (2, 7, 8), 22105 is (2, 21, 5)."""
    base = 10_000 if code >= 20_000 else 1_000
    return code // base, code % base // 100, code % 100


def cublas_version(code: int) -> Release:
    """cuBLASLt's code: 120405 is (12, 4, 5)."""
    return code // 10_000, code % 10_000 // 100, code % 100


def capability(text: str) -> tuple[int, int]:
    """``9.0`` and ``12.0+PTX`` as (9, 0) and (12, 0)."""
    major, _, minor = text.partition("+")[0].partition(".")
    return int(major), int(minor or 0)
