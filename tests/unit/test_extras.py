"""Extras are resolved by uv, for real, on a loopback index: nothing of the stack moves, every file has its hash."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from gpuimg.errors import RequestError, UpstreamError
from gpuimg.extras.checks import held_wheels
from gpuimg.extras.lock import can_lock_extras, lock_extras
from gpuimg.facts import ExtraLimit, Matrix, SdistExtra
from gpuimg.model import Plan
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.render import render
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.source.resolve import resolve_exact
from tests.unit.loopback_index import LoopbackIndex

SPEC = "2.6-cu124"
Lock = Callable[..., Plan]


@pytest.fixture
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as index:
        yield index


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """This process's, with variables that must not matter: uv would take them for where to resolve from."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    misleading = {
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_CONSTRAINT": "/nonexistent",
        "UV_EXCLUDE_NEWER": "2000-01-01",
    }
    return {**kept, **misleading, "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_RETRIES": "0"}


@pytest.fixture
def lock(index: LoopbackIndex, matrix: Matrix, environ: Mapping[str, str]) -> Lock:
    """``lock("name==1", spec=…, flavor=…)`` gives the plan with its extras resolved."""

    def lock(*extras: str, spec: str = SPEC, flavor: str | None = None, rows: Matrix = matrix) -> Plan:
        wanted = Settings(extras=extras, index_url=index.url, flavor=flavor)
        return lock_extras(make_plan(resolve(parse_spec(spec), rows), rows, wanted), rows, environ=environ)

    return lock


def _versions(plan: Plan) -> dict[str, str]:
    return {wheel.name: str(wheel.version) for wheel in plan.extra_wheels or ()}


def test_every_file_of_an_extra_is_locked_by_hash(index: LoopbackIndex, lock: Lock, matrix: Matrix) -> None:
    index.wheel("helper", "0.9")
    helper = index.wheel("helper", "1.0")
    trainer = index.wheel("trainer", "4.0", "helper>=0.5", "torch>=2", "numpy", "nvidia-cublas-cu12")
    index.wheel("trainer", "5.0", "helper")
    plan = lock("trainer<5")
    assert _versions(plan) == {"helper": "1.0", "trainer": "4.0"}
    files = render(plan, matrix).files
    lines = files["layers/extras/requirements.txt"].decode()
    assert lines == f"helper==1.0 \\\n    --hash=sha256:{helper}\ntrainer==4.0 \\\n    --hash=sha256:{trainer}\n"
    text = files["Dockerfile"].decode()
    assert text.count("--no-build --no-deps --require-hashes") >= 3
    assert "--constraints" not in text
    assert 'io.gpuimg.locked="yes"' in text


def test_the_stacks_own_packages_come_from_no_index(index: LoopbackIndex, lock: Lock) -> None:
    """Not even where the index offers a newer torch, or another file of the same version."""
    for version in ("2.6.0", "9.9"):
        index.wheel("torch", version, "evil")
    index.wheel("numpy", "99.0")
    index.wheel("trainer", "1.0", "torch", "numpy")
    assert _versions(lock("trainer")) == {"trainer": "1.0"}


def test_a_stack_whose_torch_only_pytorchs_index_has_resolves_too(index: LoopbackIndex, lock: Lock) -> None:
    index.wheel("trainer", "1.0", "torch==2.6.0", "torchvision")
    plan = lock("trainer", spec="2.6-cu118")
    assert plan.wheels.torch[0].index
    assert _versions(plan) == {"trainer": "1.0"}


def test_what_torch_leaves_open_may_move_and_only_where_it_must(index: LoopbackIndex, lock: Lock) -> None:
    """Else an extra that bounds fsspec resolves to a release of years ago; and no newer one comes for nothing."""
    for version in ("2023.1", "2099.1"):
        index.wheel("fsspec", version)
    index.wheel("reader", "1.0", "fsspec<2024")
    index.wheel("other", "1.0", "fsspec")
    index.wheel("older", "1.0", "fsspec<0.8")
    assert _versions(lock("reader")) == {"fsspec": "2023.1", "reader": "1.0"}
    index.wheel("fsspec", str(next(wheel.version for wheel in lock("reader").wheels.torch if wheel.name == "fsspec")))
    assert _versions(lock("other")) == {"other": "1.0"}
    with pytest.raises(RequestError, match="`older` doesn't fit"):
        lock("older")


def test_an_extra_that_the_stack_has_changes_nothing(lock: Lock, matrix: Matrix, index: LoopbackIndex) -> None:
    plain = lock()
    for extras in (("torchvision==0.21.0",), ("torchaudio", "numpy"), ("torch>=2.5",)):
        assert lock(*extras) == plain
    assert not index.asked


def test_a_conflict_names_both_sides_and_the_release_that_fits(index: LoopbackIndex, lock: Lock) -> None:
    for version, torch in (("1.0", "2.4.1"), ("2.0", "2.6.0"), ("3.0", "2.9.1")):
        index.wheel("kernels", version, f"torch=={torch}")
    assert _versions(lock("kernels")) == {"kernels": "2.0"}
    with pytest.raises(RequestError) as caught:
        lock("kernels==1.0")
    assert "`kernels==1.0` doesn't fit 2.6.0-cu124: it depends on torch==2.4.1, " in caught.value.message
    assert "2.6.0-cu124 has torch 2.6.0" in caught.value.message
    assert "uv: Because kernels<=1.0 depends on torch==2.4.1" in caught.value.message
    assert caught.value.hints[0] == "the newest that fits: `--extra kernels==2.0`"
    assert "or a stack with torch 2.4.1: `gpuimg build 2.4.1-cu" in caught.value.hints[1]


def test_a_conflict_further_down_is_that_of_the_extra_that_brings_it(index: LoopbackIndex, lock: Lock) -> None:
    index.wheel("kernels", "1.0", "nvidia-cudnn-cu12==8.9.2.26")
    index.wheel("trainer", "1.0", "kernels")
    index.wheel("harmless", "1.0")
    with pytest.raises(RequestError) as caught:
        lock("harmless", "trainer")
    assert "`trainer` doesn't fit 2.6.0-cu124: kernels depends on nvidia-cudnn-cu12==8.9.2.26" in caught.value.message
    assert "no release of trainer fits 2.6.0-cu124" in caught.value.hints[0]


def test_extras_that_contradict_each_other(index: LoopbackIndex, lock: Lock) -> None:
    index.wheel("hub", "0.30")
    index.wheel("hub", "1.5")
    index.wheel("models", "4.40", "hub<1")
    index.wheel("sets", "5.2", "hub>=1.3")
    index.wheel("sets", "5.0", "hub")
    with pytest.raises(RequestError) as caught:
        lock("models==4.40", "sets==5.2")
    assert "`models==4.40` and `sets==5.2` contradict each other" in caught.value.message
    assert "with `--extra sets==5.0` in place of `sets==5.2` they fit" in caught.value.hints


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("torch==2.5.0", "contradicts the stack, which has torch 2.6.0"),
        ("numpy==1.26", "contradicts the stack, which has numpy 2"),
        ("nvidia-cudnn-cu12==8.9.2.26", "contradicts the stack, which has nvidia-cudnn-cu12 9.1.0.70"),
        ("torch[opt-einsum]", "without its extra opt-einsum"),
        ("apex", "web framework of 2013"),
        ("flash-attn", "takes nvcc, and this flavor has none"),
    ],
)
def test_what_no_index_needs_to_be_asked_for_is_refused_at_once(
    index: LoopbackIndex, lock: Lock, extra: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        lock(extra)
    assert not index.asked


def test_what_does_not_exist_is_told_apart(index: LoopbackIndex, lock: Lock) -> None:
    index.wheel("trainer", "1.0", "absent")
    index.wheel("other", "1.0")
    index.wheel("windows", "1.0", tag="cp311-cp311-win_amd64")
    index.wheel("young", "1.0", requires_python=">=3.14")
    index.sdist("ancient", "1.0")
    for extra, message in {
        "absent": "`absent`: http://127.0.0.1.* has no package of that name",
        "trainer": "`trainer` needs absent, which http://127.0.0.1.* doesn't have",
        "other==2": "`other==2`: http://127.0.0.1.* has no such release",
        "windows": r"`windows` has no wheel for Python 3\.11 on linux/amd64",
        "young": r"`young` doesn't take Python 3\.11",
        "ancient": r"ancient(==1\.0)? has no wheel for Python 3\.11",
    }.items():
        with pytest.raises(RequestError, match=message):
            lock(extra)


def test_an_index_that_does_not_answer_is_no_fault_of_the_request(matrix: Matrix, environ: Mapping[str, str]) -> None:
    wanted = Settings(extras=["trainer"], index_url="http://127.0.0.1:9/simple")
    plan = make_plan(resolve(parse_spec(SPEC), matrix), matrix, wanted)
    with pytest.raises(UpstreamError, match=r"http://127\.0\.0\.1:9/simple: can't be read") as caught:
        lock_extras(plan, matrix, environ=environ)
    assert caught.value.unreachable


def test_an_index_without_hashes_is_locked_by_what_its_files_are(index: LoopbackIndex, lock: Lock) -> None:
    sha256 = index.wheel("trainer", "1.0")
    index.with_hashes = False
    (wheel,) = lock("trainer").extra_wheels or ()
    assert wheel.sha256 == sha256


def _row(**changes: object) -> SdistExtra:
    row = SdistExtra(
        name="kernels",
        versions=">=2",
        requires=("helper", "torch", "core-cu{cuda_major}"),
        same_version=("core-cu{cuda_major}",),
        build_requires=("builder", "setuptools"),
        nvcc=True,
        environment=("KERNELS_FORCE=1",),
        memory_per_job_gib=9,
        reason="A test.",
        sources=(),
    )
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]  # fields by name


def test_an_sdist_is_built_in_a_layer_of_its_own_and_never_run_here(
    index: LoopbackIndex, lock: Lock, matrix: Matrix
) -> None:
    """Its setup.py would raise; what it asks for comes from its row, its core in its own version."""
    sha256 = index.sdist("kernels", "2.1")
    index.sdist("kernels", "1.0")
    index.wheel("helper", "1.0")
    index.wheel("builder", "7.0")
    for version in ("2.1", "2.2"):
        index.wheel("core-cu12", version)
    rows = dataclasses.replace(matrix, sdist_extras=(_row(nvcc=False),))
    plan = lock("kernels", rows=rows)
    assert _versions(plan) == {"core-cu12": "2.1", "helper": "1.0"}
    (extra,) = plan.extra_sdists
    assert (str(extra.sdist.version), extra.sdist.sha256) == ("2.1", sha256)
    assert [(tool.name, str(tool.version)) for tool in extra.tools] == [("builder", "7.0")]
    context = render(plan, rows)
    text = context.files["Dockerfile"].decode()
    assert context.files["layers/extra-kernels/requirements.txt"].decode().startswith("kernels==2.1 \\\n")
    assert "layers/extra-kernels/jobs.py" in context.files
    assert text.index("layers/extra-kernels") < text.index("layers/extras,")
    assert 'export KERNELS_FORCE="1"' in text
    assert "--no-build-isolation --no-deps --require-hashes" in text
    assert 'io.gpuimg.locked="yes; kernels built from source"' in text
    with pytest.raises(RequestError, match=r"gpuimg knows kernels>=2"):
        lock("kernels==1.0", rows=rows)


def test_what_needs_nvcc_needs_it_also_where_another_extra_brings_it(
    index: LoopbackIndex, lock: Lock, matrix: Matrix
) -> None:
    index.sdist("kernels", "2.1")
    index.wheel("trainer", "1.0", "kernels")
    rows = dataclasses.replace(
        matrix, sdist_extras=(_row(requires=(), same_version=(), build_requires=("setuptools",)),)
    )
    with pytest.raises(RequestError, match="`kernels` is compiled in the image, which takes nvcc") as caught:
        lock("trainer", rows=rows)
    assert "--flavor devel" in caught.value.hints[0]
    plan = lock("trainer", spec="2.13-cu130", flavor="devel", rows=rows)
    text = render(plan, rows).files["Dockerfile"].decode()
    assert [extra.row.name for extra in plan.extra_sdists] == ["kernels"]
    assert 'export CUDA_HOME="/opt/cuda/nvidia/cu13"' in text
    assert "export TORCH_CUDA_ARCH_LIST=" in text


def test_a_compiled_torch_gets_no_companion_that_was_compiled_for_another(
    index: LoopbackIndex, matrix: Matrix, environ: Mapping[str, str]
) -> None:
    index.wheel("torchvision", "0.21.0", "torch==2.6.0")
    index.wheel("trainer", "1.0", "torchvision")
    index.wheel("other", "1.0", "torch==2.6.0")
    resolution = resolve_exact(parse_spec("2.6-cu121"), matrix)
    with pytest.raises(RequestError, match=r"`torchvision` doesn't fit 2\.6\.0-cu121"):
        make_plan(resolution, matrix, Settings(extras=["torchvision"]))
    with pytest.raises(RequestError, match=r"`trainer` doesn't fit 2\.6\.0-cu121"):
        lock_extras(make_plan(resolution, matrix, _asking("trainer", index)), matrix, environ=environ)
    plan = lock_extras(make_plan(resolution, matrix, _asking("other", index)), matrix, environ=environ)
    assert _versions(plan) == {"other": "1.0"}


def _asking(extra: str, index: LoopbackIndex) -> Settings:
    return Settings(extras=[extra], index_url=index.url)


def test_what_does_not_work_together_is_not_chosen(index: LoopbackIndex, lock: Lock, matrix: Matrix) -> None:
    """Metadata says nothing of it: a row does."""
    for version in ("1.0", "2.0"):
        index.wheel("models", version)
        index.wheel("adapters", version, "models")
    limit = ExtraLimit(
        name="adapters",
        cuda=None,
        beside="models<2",
        requirement="adapters<2",
        reason="It imports what models has from 2 on.",
        instead=None,
        sources=(),
    )
    rows = dataclasses.replace(matrix, extra_limits=(limit,))
    assert _versions(lock("adapters", rows=rows)) == {"adapters": "2.0", "models": "2.0"}
    assert _versions(lock("adapters", "models<2", rows=rows)) == {"adapters": "1.0", "models": "1.0"}
    with pytest.raises(RequestError, match=r"beside models<2 it takes adapters<2\. It imports") as caught:
        lock("adapters==2.0", "models<2", rows=rows)
    assert caught.value.hints[0] == "the newest that fits: `--extra adapters==1.0`"


def test_tag_and_digest_follow_the_files(index: LoopbackIndex, lock: Lock, matrix: Matrix) -> None:
    def names(plan: Plan) -> tuple[str, str]:
        context = render(plan, matrix)
        return context.tags[0], context.plan_digest

    index.wheel("trainer", "1.0")
    first = names(lock("trainer"))
    assert names(lock("trainer")) == first
    index.wheel("trainer", "1.1")
    later = names(lock("trainer"))
    assert first[0] != later[0]
    assert first[1] != later[1]
    assert "-extras-" in later[0]


def test_extras_of_a_stack_that_is_not_closed_are_left_to_the_build(
    matrix: Matrix, environ: Mapping[str, str], index: LoopbackIndex
) -> None:
    wanted = Settings(extras=["trainer"], index_url=index.url)
    plan = make_plan(resolve(parse_spec(SPEC), matrix), matrix, wanted)
    plan = dataclasses.replace(plan, wheels=dataclasses.replace(plan.wheels, closed=False))
    assert not can_lock_extras(plan)
    assert lock_extras(plan, matrix, environ=environ) == plan
    assert not index.asked


def test_rows_of_extras_hold(matrix: Matrix) -> None:
    plan = make_plan(resolve(parse_spec(SPEC), matrix), matrix)
    held = held_wheels(plan.wheels, matrix)
    assert {"torch", "torchvision", "torchaudio", "triton", "numpy", "nvidia-cudnn-cu12"} <= held.keys()
    for row in matrix.open_packages:
        assert not Requirement(row.requirement).name.startswith(("nvidia", "torch", "cuda"))
    for sdist in matrix.sdist_extras:
        SpecifierSet(sdist.versions)
        for text in (*sdist.requires, *sdist.build_requires):
            Requirement(text.format(cuda_major=12))
        assert set(sdist.same_version) <= {
            Requirement(text.format(cuda_major="{cuda_major}")).name if "{" not in text else text
            for text in sdist.requires
        }
    for limit in matrix.extra_limits:
        for text in filter(None, (limit.requirement, limit.beside)):
            Requirement(text)
        assert limit.requirement is None or Requirement(limit.requirement).name == limit.name
