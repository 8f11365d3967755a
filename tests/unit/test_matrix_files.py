"""The files of ``matrices/`` as data: they fit their schemas, their sources and each other."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuimg import facts
from gpuimg.paths import MATRICES, SCHEMAS
from gpuimg.update.derive import dump_stacks
from gpuimg.update.sets import ROOTS, dump_sets
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, PythonVersion

SINGLE_FILES = (
    "allocator",
    "bases",
    "builds",
    "cuda",
    "datasheets",
    "extras",
    "flavors",
    "gpus",
    "local",
    "remedies",
    "torch",
    "trim",
)
WHEEL_FILES = sorted((MATRICES / "wheels").glob("*.yaml"))
LAYERS = ("cuda", "torch", "toolkit")


@cache
def read(path: Path) -> Any:
    """A file's document; shared, so not to be changed."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


STACKS: list[dict[str, Any]] = read(MATRICES / "torch.yaml")["stacks"]
LOCAL: dict[str, Any] = read(MATRICES / "local.yaml")
BASES: dict[str, Any] = read(MATRICES / "bases.yaml")
CUDAS: list[dict[str, Any]] = read(MATRICES / "cuda.yaml")["cudas"]

by_stack = pytest.mark.parametrize("stack", STACKS, ids=lambda stack: str(stack["name"]))


def wheel_sets(stack: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, dict[str, Any]]]]:
    """Platform, Python and wheels by name of each set of a stack."""
    for platform in read(MATRICES / "wheels" / f"{stack['name']}.yaml")["platforms"]:
        shared = {wheel["name"]: wheel for wheel in platform["shared"]}
        for python in platform["pythons"]:
            own = {wheel["name"]: wheel for wheel in python["wheels"]}
            assert not shared.keys() & own.keys()
            yield platform["platform"], python["python"], shared | own


def leaves(value: object) -> Iterator[object]:
    match value:
        case dict():
            for item in value.values():
                yield from leaves(item)
        case list():
            for item in value:
                yield from leaves(item)
        case _:
            yield value


def sourced_rows() -> Iterator[tuple[str, str, type[Any] | None, dict[str, Any]]]:
    """File, list, dataclass and row of everything that must name its sources."""
    lists: dict[str, dict[str, type[Any] | None]] = {
        "torch": {"stacks": facts.Stack},
        "cuda": {"cudas": facts.Cuda},
        "bases": {"bases": facts.Base, "toolkits": facts.Toolkit},
        "allocator": {"settings": facts.AllocatorSetting},
        "trim": {"rules": facts.TrimRule},
        "gpus": {"chips": facts.Chip, "gpus": facts.Gpu},
        "datasheets": {"datasheets": facts.Datasheet},
        "local": {"compatible": facts.CompatibleName, "source_builds": facts.SourceBuild, "constraints": None},
        "remedies": {"remedies": facts.Remedy, "engine_features": facts.EngineFeature},
    }
    for file, keys in lists.items():
        document = read(MATRICES / f"{file}.yaml")
        for key, row_type in keys.items():
            for row in document[key]:
                yield file, key, row_type, row


# --- form ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SINGLE_FILES, "flavor_wheels", "upstream", "wheels"])
def test_schema_is_valid_and_closed(name: str) -> None:
    """Every object of every schema refuses keys that it doesn't know: a typo is an error."""
    schema = read_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://gpuimg.io/schema/1/{name}.schema.json"
    objects = [schema, *(item for item in schema["$defs"].values() if item.get("type") == "object")]
    assert all(item["additionalProperties"] is False for item in objects)


@pytest.mark.parametrize("name", SINGLE_FILES)
def test_file_fits_its_schema(name: str) -> None:
    jsonschema.Draft202012Validator(read_schema(name)).validate(read(MATRICES / f"{name}.yaml"))


@pytest.mark.parametrize("path", WHEEL_FILES, ids=lambda path: path.stem)
def test_wheels_file_fits_its_schema(path: Path) -> None:
    document = read(path)
    jsonschema.Draft202012Validator(read_schema("wheels")).validate(document)
    assert document["stack"] == path.stem


@pytest.mark.parametrize("path", sorted((MATRICES / "flavors").glob("*.yaml")), ids=lambda path: path.stem)
def test_flavor_file_fits_its_schema_and_its_row(path: Path) -> None:
    document = read(path)
    jsonschema.Draft202012Validator(read_schema("flavor_wheels")).validate(document)
    (row,) = [row for row in read(MATRICES / "flavors.yaml")["flavors"] if row["name"] == path.stem]
    assert document["flavor"] == path.stem
    assert document["requirements"] == row["requirements"]


def test_schema_refuses_a_version_that_yaml_reads_as_a_number() -> None:
    """Unquoted, 3.10 is 3.1 and 12.0 is a float."""
    document = copy.deepcopy(read(MATRICES / "cuda.yaml"))
    document["cudas"][0]["version"] = 11.8
    assert not jsonschema.Draft202012Validator(read_schema("cuda")).is_valid(document)


@pytest.mark.parametrize("name", SINGLE_FILES)
def test_file_says_where_it_comes_from(name: str) -> None:
    text = (MATRICES / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith(("# Derived: ", "# Typed by hand: "))


@pytest.mark.parametrize("path", sorted(MATRICES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_no_value_is_a_float(path: Path) -> None:
    assert not [leaf for leaf in leaves(read(path)) if isinstance(leaf, float)]


@pytest.mark.parametrize(
    ("schema", "row", "row_type", "apart"),
    [
        ("torch", "row", facts.Stack, set()),
        ("torch", "stack_platform", facts.StackPlatform, set()),
        ("torch", "source", facts.Source, set()),
        ("local", "compatible", facts.CompatibleName, set()),
        ("torch", "left_out", facts.LeftOut, set()),
        ("local", "source_build", facts.SourceBuild, set()),
        ("cuda", "row", facts.Cuda, set()),
        ("gpus", "chip", facts.Chip, set()),
        ("gpus", "gpu", facts.Gpu, set()),
        ("datasheets", "row", facts.Datasheet, set()),
        ("bases", "base", facts.Base, set()),
        ("bases", "toolkit", facts.Toolkit, set()),
        ("flavors", "row", facts.Flavor, set()),
        ("allocator", "row", facts.AllocatorSetting, set()),
        ("trim", "row", facts.TrimRule, set()),
        ("remedies", "remedy", facts.Remedy, set()),
        ("remedies", "engine_feature", facts.EngineFeature, set()),
        ("wheels", "wheel", facts.Wheel, {"layer"}),
    ],
)
def test_schema_has_the_fields_of_the_dataclass(schema: str, row: str, row_type: type[Any], apart: set[str]) -> None:
    fields = {field.name for field in dataclasses.fields(row_type)}
    assert set(read_schema(schema)["$defs"][row]["properties"]) == fields | apart


def test_derived_files_are_canonical() -> None:
    """Byte for byte what the dumper writes, so that a re-derived file differs only in what changed."""
    for path in WHEEL_FILES:
        assert path.read_text(encoding="utf-8") == dump_sets(read(path)), path.name
    path = MATRICES / "torch.yaml"
    assert path.read_text(encoding="utf-8") == dump_stacks(read(path))


# --- sources ---------------------------------------------------------------------------------------------------------


def test_every_fact_has_a_source() -> None:
    """No number without its origin; names, and what names another row, are no facts."""
    labels = {
        "name",
        "devices",
        "sources",
        "platforms",
        "distribution",
        "release",
        "package",
        "action",
        "problem",
        "feature",
    }
    for file, key, _, row in sourced_rows():
        facts = row.keys() - labels
        if file == "torch":
            facts |= {fact for platform in row["platforms"] for fact in platform} - {"platform", "left_out"}
            facts -= {"last_seen"}
        if file == "cuda":
            facts -= {"version"}
        if key in {"toolkits", "settings", "constraints"}:
            facts -= {"cuda", "torch", "stack", "reason"}
        if key == "chips":
            facts -= {"compute_capability"}
        if key in {"toolkits", "datasheets"}:
            facts = {fact for fact in facts if row[fact] not in (None, [])}
        covered = {field for source in row["sources"] for field in source["fields"]}
        assert facts <= covered, (file, row)


def test_sources_name_fields_that_exist() -> None:
    platform_fields = {field.name for field in dataclasses.fields(facts.StackPlatform)}
    for file, _, row_type, row in sourced_rows():
        known = {field.name for field in dataclasses.fields(row_type)} if row_type else set(row)
        known |= platform_fields if file == "torch" else set()
        assert {field for source in row["sources"] for field in source["fields"]} <= known, (file, row)


# --- the stacks ------------------------------------------------------------------------------------------------------


def test_stacks_are_ordered_and_named_after_their_versions() -> None:
    order = [(Version(stack["torch"]), CudaVersion.parse(stack["cuda"])) for stack in STACKS]
    assert order == sorted(set(order))
    for stack in STACKS:
        assert stack["name"] == f"{stack['torch']}-{CudaVersion.parse(stack['cuda']).variant}"


@by_stack
def test_platform_lists_are_in_order(stack: dict[str, Any]) -> None:
    for platform in stack["platforms"]:
        pythons = [PythonVersion.parse(python) for python in platform["pythons"]]
        assert pythons == sorted(set(pythons))
        if platform["compute_capabilities"] != "unknown":
            capabilities = [ComputeCapability.parse(text) for text in platform["compute_capabilities"]]
            assert capabilities == sorted(set(capabilities))


@by_stack
def test_stack_has_a_cuda_row_and_a_toolkit(stack: dict[str, Any]) -> None:
    assert stack["cuda"] in {cuda["version"] for cuda in CUDAS}
    assert "linux/amd64" in {
        platform
        for toolkit in BASES["toolkits"]
        if toolkit["cuda"] == stack["cuda"]
        for platform in toolkit["platforms"]
    }


@by_stack
def test_every_base_can_load_the_stack(stack: dict[str, Any]) -> None:
    newest = max(Version(platform["glibc"]) for platform in stack["platforms"])
    assert all(Version(base["glibc"]) >= newest for base in BASES["bases"])


def test_rows_name_rows_that_exist() -> None:
    bases = {base["name"]: base for base in BASES["bases"]}
    stacks = {stack["name"] for stack in STACKS}
    for toolkit in BASES["toolkits"]:
        assert toolkit["base"] is None or set(toolkit["platforms"]) <= set(bases[toolkit["base"]]["platforms"])
    for name in LOCAL["compatible"]:
        assert name["use"] in stacks
        assert name["name"] not in stacks


def test_compatible_name_needs_no_newer_driver() -> None:
    """A substitute that asks for another driver would be another promise."""
    drivers = {cuda["version"]: DriverVersion.parse(cuda["min_driver"]) for cuda in CUDAS}
    used = {stack["name"]: stack["cuda"] for stack in STACKS}
    for name in LOCAL["compatible"]:
        assert drivers[used[name["use"]]] <= drivers[name["cuda"]]


def test_one_allocator_setting_holds_for_a_stack_that_knows_one() -> None:
    settings = read(MATRICES / "allocator.yaml")["settings"]
    for stack in STACKS:
        torch = Version(stack["torch"])
        assert sum(torch in SpecifierSet(setting["torch"]) for setting in settings) == (torch >= Version("2.1"))


def test_host_compiler_is_one_that_nvcc_takes() -> None:
    """An apt or image toolkit brings its nvcc to one base: that base's gcc, or the one named, must not be too new."""
    bases = {base["name"]: base for base in BASES["bases"]}
    gcc_max = {cuda["version"]: cuda["gcc_max"] for cuda in CUDAS}
    for toolkit in BASES["toolkits"]:
        used = [bases[toolkit["base"]]] if toolkit["base"] else BASES["bases"]
        assert all((toolkit["host_compiler"] or base["gcc"]) <= gcc_max[toolkit["cuda"]] for base in used)


@pytest.mark.parametrize("flavor", read(MATRICES / "flavors.yaml")["flavors"], ids=lambda flavor: str(flavor["name"]))
def test_flavor_packages_are_sorted(flavor: dict[str, Any]) -> None:
    assert flavor["packages"] == sorted(set(flavor["packages"]))


# --- the wheel sets --------------------------------------------------------------------------------------------------


def test_stacks_and_wheels_files_go_together() -> None:
    assert {path.stem for path in WHEEL_FILES} == {stack["name"] for stack in STACKS}


@by_stack
def test_stack_has_a_set_for_each_platform_and_python(stack: dict[str, Any]) -> None:
    expected = [(row["platform"], python) for row in stack["platforms"] for python in row["pythons"]]
    assert [(platform, python) for platform, python, _ in wheel_sets(stack)] == expected


@by_stack
def test_wheels_have_the_versions_of_the_stack(stack: dict[str, Any]) -> None:
    cuda = CudaVersion.parse(stack["cuda"])
    for platform, _, wheels in wheel_sets(stack):
        on = next(row for row in stack["platforms"] if row["platform"] == platform)
        local = f"+{cuda.variant}" if on["index"] == "pytorch" else ""
        for name in ("torch", "torchvision", "torchaudio"):
            if stack[name] is None:
                assert name not in wheels
                continue
            assert wheels[name]["version"] == f"{stack[name]}{local}"
            assert wheels[name]["index"] == on["index"]
        if closed(stack, platform):
            assert wheels["triton"]["version"] == stack["triton"]
        libraries = {name: f"nvidia-{name}-cu{cuda.major}" for name in ("cudnn", "nccl")}
        if on["libraries"] == "wheels":
            assert {name: wheels[package]["version"] for name, package in libraries.items()} == {
                name: stack[name] for name in libraries
            }
        else:
            assert not any(name.startswith("nvidia-") for name in wheels)


def closed(stack: Mapping[str, Any], platform: str) -> bool:
    document = read(MATRICES / "wheels" / f"{stack['name']}.yaml")
    return next(bool(row["closed"]) for row in document["platforms"] if row["platform"] == platform)


@by_stack
def test_only_torch_and_companions_come_without_hash(stack: dict[str, Any]) -> None:
    for platform, _, wheels in wheel_sets(stack):
        on = next(row for row in stack["platforms"] if row["platform"] == platform)
        mains = {name for name in ("torch", "torchvision", "torchaudio") if stack[name]}
        unhashed = {name for name, wheel in wheels.items() if "sha256" not in wheel}
        assert unhashed == (set() if on["index"] == "pypi" else mains)


@by_stack
def test_set_holds_what_every_image_carries(stack: dict[str, Any]) -> None:
    for _, _, wheels in wheel_sets(stack):
        assert wheels.keys() >= set(ROOTS)


@by_stack
def test_constraints_hold(stack: dict[str, Any]) -> None:
    for row in LOCAL["constraints"]:
        if Version(stack["torch"]) in SpecifierSet(row["torch"]) and row["cuda"] in {None, stack["cuda"]}:
            bound = Requirement(row["requirement"])
            found = [wheels[bound.name]["version"] for _, _, wheels in wheel_sets(stack) if bound.name in wheels]
            assert all(version in bound.specifier for version in found)


@by_stack
def test_layers_are_as_they_should(stack: dict[str, Any]) -> None:
    """NVIDIA's libraries go into the cuda layer, whatever the Python; the toolkit exists where wheels bring nvcc."""
    kinds = {toolkit["kind"] for toolkit in BASES["toolkits"] if toolkit["cuda"] == stack["cuda"]}
    for platform in read(MATRICES / "wheels" / f"{stack['name']}.yaml")["platforms"]:
        names = {layer: {wheel["name"] for wheel in platform["shared"] if wheel["layer"] == layer} for layer in LAYERS}
        assert all(name.startswith("nvidia-") for name in names["cuda"] | names["toolkit"])
        assert not any(name.startswith("nvidia-") for name in names["torch"])
        on = next(row for row in stack["platforms"] if row["platform"] == platform["platform"])
        from_wheels = kinds == {"wheels"} and on["libraries"] == "wheels"
        assert ("nvidia-cuda-nvcc" in names["toolkit"]) == from_wheels
        assert all(wheel["layer"] == "torch" for python in platform["pythons"] for wheel in python["wheels"])


@by_stack
def test_libraries_are_of_the_stack_s_cuda(stack: dict[str, Any]) -> None:
    """The runtime, the compiler libraries and the toolkit are all of one CUDA minor release."""
    major = CudaVersion.parse(stack["cuda"]).major
    suffix = "" if major >= 13 else f"-cu{major}"
    parts = ("cuda-runtime", "cuda-nvrtc", "cuda-cupti", "nvjitlink", "cuda-nvcc", "nvvm", "cuda-cccl", "cuda-crt")
    for _, _, wheels in wheel_sets(stack):
        for name in (f"nvidia-{part}{suffix}" for part in parts):
            if name in wheels:
                assert CudaVersion.parse(".".join(wheels[name]["version"].split(".")[:2])) == CudaVersion.parse(
                    stack["cuda"]
                )


@by_stack
def test_wheels_are_sorted_and_named_once(stack: dict[str, Any]) -> None:
    for platform in read(MATRICES / "wheels" / f"{stack['name']}.yaml")["platforms"]:
        for wheels in (platform["shared"], *(python["wheels"] for python in platform["pythons"])):
            names = [wheel["name"] for wheel in wheels]
            assert names == sorted(set(names))


def test_no_file_holds_an_address_but_that_of_pytorchs_index() -> None:
    """Which other index serves a wheel is the installer's default or the user's choice, never ours."""
    paths = [path for path in MATRICES.rglob("*.yaml") if path.stem != "remedies"]  # what a host's owner installs
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    named = {line.partition(":")[0].strip() for line in lines if "://" in line}
    named -= {"health"}  # of a server in its own container
    assert named == {"pytorch_index", "repository"}, "of indexes only PyTorch's own; and where torch's sources are"
