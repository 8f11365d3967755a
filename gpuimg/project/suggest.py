"""What there is in a folder → what to put beside the stack: flavor, command and code, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from packaging.utils import canonicalize_name

from gpuimg.facts import Flavor, Matrix
from gpuimg.project.survey import Findings

_SERVERS: Final = {"bentoml", "fastapi", "flask", "gradio", "litserve", "starlette", "uvicorn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A value, and why; the reason is empty where it goes without saying."""

    value: str
    reason: str = ""


def suggest_flavor(findings: Findings, matrix: Matrix) -> Suggestion:
    """Give a flavor that the folder needs, by what the flavors have; else the first."""
    with_nvcc = next((flavor.name for flavor in matrix.flavors if flavor.toolkit), None)
    names = {canonicalize_name(item.name) for item in findings.packages}
    compiled = sorted(row.name for row in matrix.sdist_extras if row.nvcc and row.name in names)
    named = findings.dockerfile.spec.flavor if findings.dockerfile and findings.dockerfile.spec else None
    if with_nvcc is not None and compiled:
        return Suggestion(value=with_nvcc, reason=f"{compiled[0]} is compiled with nvcc")
    if named == with_nvcc is not None and findings.dockerfile and findings.dockerfile.others:
        return Suggestion(value=str(named), reason="as the Dockerfile's image, and that has RUN lines of its own")
    notebooks = next((flavor.name for flavor in matrix.flavors if flavor.command[:1] == ("jupyter",)), None)
    if notebooks is not None and findings.notebooks and not findings.scripts:
        return Suggestion(value=notebooks, reason=f"for {_several(findings.notebooks)}")
    nothing = f"nothing here is compiled with nvcc, which the Dockerfile's image has and flavor {named} too"
    return Suggestion(value=matrix.flavors[0].name, reason=nothing if named == with_nvcc is not None else "")


def suggest_command(findings: Findings, flavor: Flavor) -> tuple[tuple[str, ...], str]:
    """Give what the image runs, and where that comes from; empty: what the flavor runs by itself."""
    if findings.dockerfile is not None and findings.dockerfile.command:
        return findings.dockerfile.command, "the Dockerfile's CMD"
    if flavor.command[:1] == ("jupyter",) or not findings.scripts:
        return (), ""
    others = findings.scripts[1:]
    return ("python", findings.scripts[0]), f"{_several(others)} would do too" if others else ""


def suggest_code(findings: Findings) -> bool:
    """Whether the image gets the folder: it does where that has a program, or its Dockerfile copies."""
    return bool(findings.scripts) or (findings.dockerfile is not None and findings.dockerfile.copies)


def slim_flavor(findings: Findings, matrix: Matrix, *, chosen: str) -> Suggestion | None:
    """The flavor for inference, where the folder answers requests; None: it doesn't, or has it already."""
    servers = sorted({canonicalize_name(item.name) for item in findings.packages} & _SERVERS)
    flavor = next((flavor for flavor in matrix.flavors if flavor.fixed), None)
    if not servers or flavor is None or flavor.name == chosen:
        return None
    return Suggestion(value=flavor.name, reason=f"{servers[0]} is among the packages. {flavor.summary}")


def _several(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
