"""The allocator's arms on the model, with the real network on a real torch's meta device: known answers.

They are those of a recording of the same network, replayed through another program: 24 layers, hidden 1024, sequences
of 2048 to 8192, seed 0, 12 steps: 17.60 GiB reserved at peak by default, 13.18 with expandable segments.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import clean_environment

_GIB = 2**30
_SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from gpuimg_smoke import arms
print(json.dumps(arms.arm(json.loads(sys.argv[2]))))
"""


def arm(python: str, pyz: Path, setting: str, **arguments: Any) -> dict[str, Any]:
    """One run of an arm on the model of a GPU of 80 GiB."""
    common = {"index": 0, "small": False, "simulated": {"total": 80 * _GIB}, "cap": None, "longest_first": False}
    answer = subprocess.run(
        [python, "-c", _SCRIPT, str(pyz), json.dumps({**common, **arguments})],
        capture_output=True,
        text=True,
        env={**clean_environment(), "PYTORCH_CUDA_ALLOC_CONF": setting},
        timeout=300,
        check=True,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize(
    ("setting", "reserved", "expandable"),
    [("", 17.60, 0), ("expandable_segments:True", 13.18, 1)],
    ids=["default", "tuned"],
)
def test_long_sequences_have_the_known_peaks(
    torch_python: str, pyz: Path, setting: str, reserved: float, expandable: int
) -> None:
    run = arm(torch_python, pyz, setting, workload="long", seed=0, batch=1, longest=8192, steps=12)
    assert run["ran"]
    assert run["peak_reserved"] / _GIB == pytest.approx(reserved, rel=0.01)
    assert run["peak_allocated"] / _GIB == pytest.approx(12.68, rel=0.01)
    assert run["expandable"] == expandable


def test_fragmentation_is_that_of_the_fullest_step(torch_python: str, pyz: Path) -> None:
    """A short step late in the run needs one page more than any before it, and is no measure of what lies idle."""
    setting = "expandable_segments:True"
    run = arm(torch_python, pyz, setting, workload="bert", seed=1, batch=16, longest=512, steps=30)
    last_growth = run["reserved"].index(max(run["reserved"]))
    assert run["allocated"][last_growth] < 0.5 * run["peak_allocated"]
    assert run["fragmentation"] < 0.1


def test_cap_below_what_is_alive_does_not_run(torch_python: str, pyz: Path) -> None:
    arguments = {"workload": "long", "seed": 0, "batch": 1, "longest": 4096, "steps": 3}
    fits = arm(torch_python, pyz, "", **arguments)
    run = arm(torch_python, pyz, "", **arguments, cap=int(0.95 * fits["peak_allocated"]))
    assert (fits["ran"], run["ran"]) == (True, False)
    assert run["ooms"] == 1
