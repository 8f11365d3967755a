"""stack.pip_consistent: what pip believes about the CUDA libraries."""

from __future__ import annotations

import os
from collections import defaultdict
from importlib import metadata

from ..config import Expect
from ..env import Env
from ..installed import requirements_of, unmet
from ..outcome import Outcome, skipped, verdict
from ..requirements import normalise


def pip_consistent(env: Env, expect: Expect) -> Outcome:
    """Every nvidia-*, cuda-* and triton requirement of torch's metadata holds, triton is the promised one, and no
    library was installed by two wheels: those of CUDA 11 and 12 write the same files, and the last one wins in silence.
    """
    pins = tuple(item for item in requirements_of("torch") if item.name.startswith(("nvidia-", "cuda-", "triton")))
    triton = env.installed_version("triton")
    if not pins and expect.triton is None:
        return skipped("torch's metadata pins no CUDA library: it is built without CUDA, or carries them itself")
    problems = unmet(pins)
    if expect.triton is not None and triton != expect.triton:
        problems.append(f"triton is {triton or 'not installed'} instead of {expect.triton}")
    problems += _twice()
    return verdict(
        problems,
        measured={"pins": (len(pins), "count"), "triton": triton or "none"},
        expected="every pin holds and no library comes from two wheels",
        remedy="reinstall torch with all that it requires, in an environment of its own",
    )


def _twice() -> list[str]:
    owners: dict[str, set[str]] = defaultdict(set)
    for found in metadata.distributions():
        name = normalise(found.metadata["Name"] or "")
        if not name.startswith("nvidia-"):
            continue
        for file in found.files or ():
            if ".so" in file.name:
                owners[os.path.realpath(str(found.locate_file(file)))].add(name)
    return [f"{path} is in {' and '.join(sorted(names))}" for path, names in sorted(owners.items()) if len(names) > 1]
