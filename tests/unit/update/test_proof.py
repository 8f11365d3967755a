"""The committed matrix follows, offline, from what the indexes said (``matrices/upstream/``) and what people typed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from packaging.utils import canonicalize_name

from gpuimg.facts import Matrix, Stack, StackPlatform, Wheel, WheelSet
from gpuimg.matrix import load_wheels
from gpuimg.paths import MATRICES
from gpuimg.update.builds import PYPI, PYTORCH, Build, collect_builds
from gpuimg.update.derive import derive_stacks, dump_stacks
from gpuimg.update.lock import inputs_for
from gpuimg.update.pins import wanted
from gpuimg.update.record import Record, RecordedWheel, Release, dump_record, load_record
from gpuimg.update.typed import Typed, load_typed
from gpuimg.versions import PythonVersion
from gpuimg.wheels import Target


@pytest.fixture(scope="module")
def records() -> Mapping[str, Record]:
    return {path.stem: load_record(path) for path in sorted((MATRICES / "upstream").glob("*.yaml"))}


@pytest.fixture(scope="module")
def typed() -> Typed:
    return load_typed(MATRICES)


@pytest.fixture(scope="module")
def builds(records: Mapping[str, Record], typed: Typed) -> Sequence[Build]:
    return collect_builds(records, typed)


def on_pypi(matrix: Matrix) -> Iterator[tuple[Stack, StackPlatform, PythonVersion, WheelSet]]:
    """Every wheel set of a build that PyPI has."""
    for stack in matrix.stacks:
        for on in stack.platforms:
            for python in on.pythons if on.index == PYPI else ():
                yield stack, on, python, load_wheels(stack.name, on.platform, python)


def release_of(record: Record, wheel: Wheel) -> Release:
    project = record.find(wheel.name)
    assert project is not None, f"{wheel.name} is not recorded"
    return next(release for release in project.releases if release.version == wheel.version)


def test_records_are_canonical(records: Mapping[str, Record]) -> None:
    for name, record in records.items():
        assert (MATRICES / "upstream" / f"{name}.yaml").read_text(encoding="utf-8") == dump_record(record)


def test_torch_yaml_is_what_its_sources_say(
    records: Mapping[str, Record], typed: Typed, builds: Sequence[Build]
) -> None:
    last_seen = records[PYTORCH].read_on.isoformat() if PYTORCH in records else "never"
    document = derive_stacks(builds, typed, last_seen=last_seen)
    assert (MATRICES / "torch.yaml").read_text(encoding="utf-8") == dump_stacks(document)


def test_wheel_sets_were_resolved_from_the_rows_that_stand_there_now(
    matrix: Matrix, builds: Sequence[Build], records: Mapping[str, Record]
) -> None:
    from gpuimg.matrix.files import read_document

    for inputs in inputs_for(matrix.stacks, builds, MATRICES, pytorch=records.get(PYTORCH)):
        document = read_document(MATRICES / "wheels" / f"{inputs.stack.name}.yaml", schema="wheels")
        assert document["inputs"] == inputs.digest, f"`gpuimg matrix update --write` resolves {inputs.stack.name} anew"


def test_every_wheel_that_is_recorded_has_the_recorded_hash(matrix: Matrix, records: Mapping[str, Record]) -> None:
    compared = 0
    for stack, on, python, wheels in on_pypi(matrix):
        target = Target(python=python, platform=on.platform)
        for wheel in wheels.torch:
            if wheel.name not in {"torch", "torchvision", "torchaudio", "triton"}:
                continue
            files: dict[str | None, RecordedWheel] = {
                file.sha256: file for file in release_of(records[PYPI], wheel).files if target.takes(file.tags)
            }
            assert wheel.sha256 in files, (stack.name, python, wheel.name)
            file = files[wheel.sha256]
            assert (file.size_bytes, file.yanked) == (wheel.size_bytes, None)
            assert file.build == max(other.build for other in files.values()), "a re-upload takes the first one's place"
            compared += 1
    assert compared > 400


def test_no_set_contradicts_what_torch_s_wheel_asks_for(matrix: Matrix, records: Mapping[str, Record]) -> None:
    """Each requirement of the wheel's own metadata is met by the set, ``cuda-toolkit[…]`` written out."""
    toolkit = records[PYPI].find("cuda-toolkit")
    compared = 0
    for stack, on, python, wheels in on_pypi(matrix):
        found = {wheel.name: wheel.version for wheel in (*wheels.cuda, *wheels.torch)}
        torch = next(wheel for wheel in wheels.torch if wheel.name == "torch")
        release = release_of(records[PYPI], torch)
        recorded = next(file for file in release.files if file.sha256 == torch.sha256)
        assert recorded.metadata is not None
        requires = release.metadata[recorded.metadata].requires_dist
        for name, requirement in wanted(requires, platform=on.platform, python=python, toolkit=toolkit).items():
            version = found.get(canonicalize_name(name))
            assert version is not None, (stack.name, python, name)
            assert requirement.specifier.contains(version), (stack.name, python, str(requirement), version)
            compared += 1
    assert compared > 3000


def test_versions_of_rows_are_those_of_the_wheels(builds: Sequence[Build], matrix: Matrix) -> None:
    rows = {(stack.torch, stack.cuda): stack for stack in matrix.stacks}
    for build in builds:
        if build.index == PYPI and build.pythons:
            stack = rows[build.torch, build.cuda]
            assert (stack.cudnn, stack.nccl, stack.triton) == (build.cudnn, build.nccl, build.triton)
