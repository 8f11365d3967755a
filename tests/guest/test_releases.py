"""The guest on several releases of torch: healthy ones give no FAIL, and what the first can't run is seen to fail.

``GPUIMG_TORCH_PYTHON`` names one Python for each release, with colons between.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.model import Status
from gpuimg.smoke.guest.faults import FAULTS
from gpuimg.smoke.guest.registry import CHECKS
from gpuimg.smoke.guest.versions import release
from tests.guest.conftest import PYTHONS, by_name, failures, guest_on

# Where the interfaces of torch differ by release.
_BY_RELEASE = ["stack", "load", "numerics.flags", "distributed"]
_OTHERS = pytest.mark.parametrize("python", PYTHONS[1:] or ["absent"])


@_OTHERS
def test_healthy_release_fails_nothing(python: str, pyz: Path) -> None:
    if python == "absent":
        pytest.skip("GPUIMG_TORCH_PYTHON names no second Python with torch")
    report = guest_on(python, pyz)({"only": _BY_RELEASE})
    assert failures(report) == {}
    found = by_name(report)
    able = [name for name, check in CHECKS.items() if check.minimum <= release(report.torch or "")]
    assert all(found[name].status is Status.PASS for name in able if name.startswith("distributed.") and "cpu" in name)


@_OTHERS
def test_what_the_first_release_is_too_old_for_is_seen_to_fail(python: str, pyz: Path, torch_python: str) -> None:
    if python == "absent":
        pytest.skip("GPUIMG_TORCH_PYTHON names no second Python with torch")
    first, this = (guest_on(path, pyz)({"only": ["host.user"]}).torch or "" for path in (torch_python, python))
    newer = [name for name in FAULTS if release(first) < CHECKS[name].minimum <= release(this)]
    injected = {name: next(iter(FAULTS[name])) for name in newer}
    if not injected:
        pytest.skip(f"torch {this} runs no check that {first} does not")
    assert set(failures(guest_on(python, pyz)({"only": newer, "inject": injected}))) == set(newer)
