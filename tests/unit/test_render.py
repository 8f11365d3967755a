"""Every image that the matrix can describe renders, and what it renders holds what images promise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dockerfile
import pytest

from gpuimg.errors import RequestError
from gpuimg.facts import Matrix
from gpuimg.matrix import load_matrix
from gpuimg.model import Context, Plan
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.render import render
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.templating import quoted, word
from gpuimg.versions import Platform, PythonVersion

STACKS = [stack.name for stack in load_matrix().stacks]
HOSTILE_EXTRA = "einops>=0.8"
INDEX = "http://127.0.0.1:8123/simple"


def _plans(stack_name: str, matrix: Matrix) -> Iterator[Plan]:
    """All flavors × platforms × Pythons of one stack, but flavors that its platform can't have."""
    resolution = resolve(parse_spec(stack_name), matrix)
    for on in resolution.stack.platforms:
        for python in on.pythons:
            for flavor in matrix.flavors:
                wanted = Settings(flavor=flavor.name, python=python, platform=on.platform)
                try:
                    yield make_plan(resolution, matrix, wanted)
                except RequestError as error:
                    refusal = ("no source of nvcc", "`jupyter` can't be had with Python 3.13t")
                    assert error.message.startswith(refusal)  # noqa: PT017 - a combination that is refused


def _instructions(context: Context) -> Any:
    return dockerfile.parse_string(context.files["Dockerfile"].decode())


@pytest.mark.parametrize("stack_name", STACKS)
def test_every_combination_holds_its_promises(stack_name: str, matrix: Matrix) -> None:
    count = 0
    for plan in _plans(stack_name, matrix):
        context = render(plan, matrix)
        instructions = _instructions(context)
        _assert_stages_resolve(plan, instructions)
        _assert_mounts_exist(context, instructions)
        _assert_environment(plan, instructions)
        _assert_wheels_are_locked(plan, context)
        assert [i.value for i in instructions if i.cmd.lower() == "user"][-1] == (
            "1000:1000" if plan.flavor.fixed else "1000:0",
        )
        assert not [i for i in instructions if i.cmd.lower() in {"add", "onbuild"}]
        assert render(plan, matrix) == context
        count += 1
    assert count


def _assert_stages_resolve(plan: Plan, instructions: Any) -> None:
    assert [i.value for i in instructions if i.cmd.lower() == "from"] == [
        (plan.base_image, "AS", "tools"),
        (plan.base_image,),
    ]
    sources = {flag.removeprefix("--from=") for i in instructions for flag in i.flags if flag.startswith("--from=")}
    assert sources <= {"tools"}


def _assert_mounts_exist(context: Context, instructions: Any) -> None:
    """Each bind mount from the context names a folder that is in it, and all files of the context are used."""
    used = set()
    for instruction in instructions:
        for flag in instruction.flags:
            fields = dict(part.partition("=")[::2] for part in flag.removeprefix("--mount=").split(","))
            if fields.get("type") == "bind" and "from" not in fields:
                used.add(fields["source"])
        if instruction.cmd.lower() == "copy" and not instruction.flags:
            used.add(instruction.value[0].rpartition("/")[0])
    folders = {name.rpartition("/")[0] for name in context.files} - {""}
    assert used == folders


def _assert_environment(plan: Plan, instructions: Any) -> None:
    words = [word for i in instructions if i.cmd.lower() == "env" for word in i.value]
    environment = dict(zip(words[::2], (word.strip(chr(34)) for word in words[1::2]), strict=True))
    assert environment.get("LD_LIBRARY_PATH", "") == ""
    assert environment["NVIDIA_REQUIRE_CUDA"] == f"cuda>={plan.stack.cuda.major}.0"
    allocator = {name for name in environment if name.endswith("ALLOC_CONF")}
    expected = "PYTORCH_CUDA_ALLOC_CONF" if plan.stack.torch.release < (2, 10) else "PYTORCH_ALLOC_CONF"
    assert allocator == ({expected} if plan.stack.torch.release >= (2, 1) else set())
    assert ("CUDA_HOME" in environment) == plan.flavor.toolkit


def _assert_wheels_are_locked(plan: Plan, context: Context) -> None:
    for name, content in context.files.items():
        if name.endswith("/requirements.txt") and "extras" not in name:
            pins = [line for line in content.decode().splitlines() if "==" in line]
            assert pins
            assert content.decode().count("--hash=sha256:") == len(pins)
    torch = next(wheel for wheel in plan.wheels.torch if wheel.name == "torch")
    assert torch.version.public == plan.stack.torch.public
    assert ("layers/torch/requirements-pytorch.txt" in context.files) == (plan.on_platform.index == "pytorch")


def test_settings_of_the_site_reach_files_and_no_instruction(matrix: Matrix) -> None:
    """Whatever a user may set stands in a file of the context: the Dockerfile's instructions stay the same."""
    resolution = resolve(parse_spec("2.6-cu124"), matrix)
    wanted = Settings(
        index_url=INDEX, torch_index_url=INDEX, extras=[HOSTILE_EXTRA], ca_bundle=b"-----BEGIN CERTIFICATE-----\n"
    )
    context = render(make_plan(resolution, matrix, wanted), matrix)
    text = context.files["Dockerfile"].decode()
    runs = "\n".join(str(i.value) for i in _instructions(context) if i.cmd.lower() == "run")
    assert INDEX not in text
    assert "einops" not in runs
    assert INDEX in context.files["network/uv.toml"].decode()
    assert INDEX in context.files["network/pip.conf"].decode()
    assert context.files["layers/extras/requirements.txt"] == b"einops>=0.8\n"
    assert "SSL_CERT_FILE=/tmp/network/ca.pem" in runs


def test_an_extra_must_not_contradict_the_stack(matrix: Matrix) -> None:
    resolution = resolve(parse_spec("2.6-cu124"), matrix)
    with pytest.raises(RequestError, match=r"contradicts the stack, which has torch 2\.6\.0"):
        make_plan(resolution, matrix, Settings(extras=["torch==2.5.1"]))


def test_another_python_than_the_base_has_comes_from_uv(matrix: Matrix) -> None:
    plan = make_plan(resolve(parse_spec("2.9-cu128-py314"), matrix), matrix)
    assert plan.standalone_python
    text = render(plan, matrix).files["Dockerfile"].decode()
    assert "uv python install 3.14" in text
    assert "COPY --from=tools /opt/python /opt/python" in text


def test_tags_are_short_only_where_they_stay_true(matrix: Matrix) -> None:
    def tags(spec: str, **wanted: Any) -> tuple[str, ...]:
        plan = make_plan(resolve(parse_spec(spec), matrix), matrix, Settings(**wanted))
        return tuple(tag.removeprefix("gpuimg:") for tag in render(plan, matrix).tags)

    assert tags("2.6-cu124") == ("2.6.0-cu124-py311-runtime", "2.6.0-cu124-runtime", "2.6.0-cu124", "2.6-cu124")
    assert tags("2.6-cu124-py312") == ("2.6.0-cu124-py312-runtime",)
    assert tags("2.6-cu121")[-1] == "2.6-cu121-compat"
    assert not any("cu121" in tag and "compat" not in tag for tag in tags("2.6-cu121"))
    assert all(tag.endswith("-arm64") for tag in tags("2.15-cu132", platform=Platform.ARM64))
    with_extras = tags("2.6-cu124", extras=["einops"])
    assert len(with_extras) == 1
    assert with_extras[0].startswith("2.6.0-cu124-py311-runtime-extras-")
    assert with_extras != tags("2.6-cu124", extras=["einops==0.8"])
    assert tags("2.6-cu121-py312")[-1] == "2.6-cu121-compat-py312"
    assert tags("2.6-cu121-devel")[-1] == "2.6-cu121-compat-devel"


def test_a_quoted_word_ends_neither_itself_nor_its_line() -> None:
    assert quoted('a"; RUN id $(x)') == '"a\\"; RUN id \\$(x)"'
    for text in ("a\nRUN id", "a\rb", "\x00", "a\x9b2J", "a\u2028b"):
        with pytest.raises(RequestError, match="control characters"):
            quoted(text)


def test_a_word_is_one_shell_word_wherever_it_stands() -> None:
    for text in ("g++", "/usr/lib/*/lib*_static*.a", "nvidia/cuda:12.1.1-devel-ubuntu22.04"):
        assert word(text) == text
    for text in ("", "a b", "a;id", "$(id)", "a\n", "a'", "a|b", "~", "-rf"):
        with pytest.raises(RequestError, match="can't stand as a word in a template's text"):
            word(text)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{% if %}", "Dockerfile.j2, line 1"),
        ("x\n{{ nope }}", "Dockerfile.j2, line 2: 'nope' is undefined"),
        ('{% include "absent.j2" %}', "there is no template `absent.j2`"),
        ("{{ 1 / 0 }}", "division by zero"),
        ('{% include "Dockerfile.j2" %}', "recursion"),
        (" ", "renders to nothing"),
    ],
)
def test_a_fault_in_a_users_template_names_it(matrix: Matrix, tmp_path: Path, template: str, problem: str) -> None:
    (tmp_path / "Dockerfile.j2").write_text(template)
    plan = make_plan(resolve(parse_spec("2.6-cu124"), matrix), matrix)
    with pytest.raises(RequestError, match=problem):
        render(plan, matrix, template_dirs=[tmp_path])


def test_a_template_folder_without_templates_is_a_mistake(matrix: Matrix, tmp_path: Path) -> None:
    plan = make_plan(resolve(parse_spec("2.6-cu124"), matrix), matrix)
    with pytest.raises(RequestError, match="not a folder with templates"):
        render(plan, matrix, template_dirs=[tmp_path / "absent"])


def test_the_plan_digest_tells_images_apart_and_nothing_else(matrix: Matrix) -> None:
    def digest(spec: str, **wanted: Any) -> str:
        return render(make_plan(resolve(parse_spec(spec), matrix), matrix, Settings(**wanted)), matrix).plan_digest

    same = digest("2.6-cu124")
    assert digest("2.6.0+cu124") == same
    assert digest("2.6-cu124", index_url=INDEX, ca_bundle=b"-----BEGIN CERTIFICATE-----") == same
    others = [digest("2.6-cu121"), digest("2.6-cu124-devel"), digest("2.6-cu124", extras=["einops"])]
    assert len({same, *others}) == 4


def test_a_base_that_is_another_rows_can_not_carry_the_toolkit(matrix: Matrix) -> None:
    with pytest.raises(RequestError, match=r"nvcc for CUDA 12\.4 comes with debian:trixie-slim"):
        make_plan(resolve(parse_spec("2.6-cu124-devel"), matrix), matrix, Settings(base="ubuntu:22.04"))
    by_name = make_plan(resolve(parse_spec("2.6-cu124"), matrix), matrix, Settings(base="ubuntu-24.04"))
    assert by_name.base_image == "ubuntu:24.04"
    assert by_name.python == PythonVersion(3, 12)


def test_a_python_that_is_no_wheels_is_refused_for_the_platform(matrix: Matrix) -> None:
    with pytest.raises(RequestError, match="has no CUDA wheels for linux/arm64"):
        make_plan(resolve(parse_spec("2.6-cu124"), matrix), matrix, Settings(platform=Platform.ARM64))
    with pytest.raises(RequestError, match=r"has no wheel for Python 3\.8"):
        make_plan(resolve(parse_spec("2.6-cu124"), matrix), matrix, Settings(python=PythonVersion(3, 8)))
