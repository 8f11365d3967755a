"""What was found, a line each: what it is, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gpuimg.machine import Nvidia
from gpuimg.project.dockerfile import DockerfileFacts
from gpuimg.project.survey import Findings
from gpuimg.report.figures import number
from gpuimg.text import shorten

_WIDTH = 80


def found_lines(findings: Findings, *, host_is_named: bool) -> Iterator[tuple[str, str]]:
    """Give the lines; of this machine nothing is said where another was named."""
    for name in findings.requirements:
        yield name, "its packages go into the image"
    if findings.dockerfile is not None:
        yield "Dockerfile", _dockerfile(findings.dockerfile)
    for pin in findings.torch:
        if not pin.binding and (findings.dockerfile is None or pin.source != findings.dockerfile.base):
            yield "installed", f"{pin.requirement} in {pin.source}"
    if findings.scripts:
        yield findings.scripts[0], "looks like the program"
    if findings.notebooks:
        yield "notebooks", shorten(", ".join(findings.notebooks), _WIDTH)
    if findings.python is not None:
        yield ".python-version", str(findings.python)
    if not host_is_named:
        yield "this machine", _machine(findings.nvidia)


def _dockerfile(facts: DockerfileFacts) -> str:
    taken = [f"FROM {facts.base}"]
    taken += [number(len(facts.extras), "package") + " of its pip lines"] if facts.extras else []
    taken += ["its CMD"] if facts.command else []
    said = shorten(", ".join(taken), _WIDTH)
    return f"{said}; not taken over: {number(facts.others, 'RUN line')}" if facts.others else said


def _machine(nvidia: Nvidia) -> str:
    if nvidia.problem is not None:
        return f"its driver doesn't answer: {nvidia.problem}"
    if nvidia.driver is None:
        return "no NVIDIA driver; --driver and --gpu tell of the machine that runs the image"
    counts = Counter(gpu.name for gpu in nvidia.gpus)
    names = [name if count == 1 else f"{count} × {name}" for name, count in counts.items()]
    return ", ".join([*names, f"driver {nvidia.driver}"])
