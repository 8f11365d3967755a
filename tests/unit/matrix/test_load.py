"""A matrix file that doesn't hold is named with row and field; a file of the user's adds or replaces rows by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gpuimg.errors import MatrixError, UnknownStackError
from gpuimg.facts import Matrix
from gpuimg.matrix import load_hosts, load_matrix, load_wheels
from gpuimg.matrix.checks import check_wheels
from gpuimg.paths import MATRICES
from gpuimg.update.dump import dump
from gpuimg.versions import Platform, PythonVersion

STACK = (MATRICES / "torch.yaml").read_text(encoding="utf-8")
ROW = STACK[STACK.index('- name: "2.1.2-cu121"') : STACK.index('- name: "2.2.0-cu118"')]
ONE_STACK = STACK[: STACK.index("- name:")] + ROW


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[..., Path]:
    """``overlay(file="text")`` gives a folder of matrix files."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        (
            'cuda: "12.1"',
            "cuda: 12.1",
            "stacks[0].cuda",
            '12.1 is a number, so YAML drops its zeros; write it as text: "12.1"',
        ),
        ('torch: "2.1.2"', 'torch: "two"', "stacks[0].torch", "`two` does not look like"),
        ("  cudnn:", "  cuddn:", "stacks[0]", "unknown field `cuddn`; did you mean `cudnn`?"),
        ('  nccl: "2.18.1"\n', "", "stacks[0]", "field `nccl` is missing"),
        ('name: "2.1.2-cu121"', 'name: "2.1.3-cu121"', "stacks.2.1.3-cu121.name", "must be `2.1.2-cu121`"),
        ("fields: [torchaudio]", "fields: [torchvision]", "stacks.2.1.2-cu121.torchaudio", "has no source"),
        ("schema: 1", "schema: 2", "schema", "1"),
        ("stacks:", "stacks: [", "line", "is not valid YAML"),
        ("index: pypi", "index: !!bool x", "", "is not valid YAML"),
        ("index: pypi", '"index\\n": pypi', "", "has control characters"),
        ("index: pypi", 'index: "pypi\\nRUN id"', "stacks[0].platforms[0].index", "has control characters"),
        ("index: pypi", "index: [[[[[[[[[[[[[1]]]]]]]]]]]]]", "", "is nested too deep"),
        ("index: pypi", "? [a, b]\n    : c", "line", "a key that is no text"),
        ("index: pypi", "index: &x pypi\n    cuddn: *x", "line", "aliases are not used here"),
        ("    index: pypi\n", "    index: pypi\n    index: pytorch\n", "line", "the key `index` stands twice"),
    ],
)
def test_an_error_names_file_row_and_field(
    overlay: Callable[..., Path], old: str, new: str, where: str, problem: str
) -> None:
    assert old in ONE_STACK
    folder = overlay(torch=ONE_STACK.replace(old, new, 1))
    with pytest.raises(MatrixError) as caught:
        load_matrix([folder])
    assert "torch.yaml" in caught.value.file
    assert where in caught.value.where
    assert problem in caught.value.problem
    assert caught.value.exit_code == 2


def test_two_rows_of_one_name_are_refused(overlay: Callable[..., Path]) -> None:
    row = ONE_STACK[ONE_STACK.index("- name:") :]
    with pytest.raises(MatrixError, match=r"stacks\[1\].name: `2.1.2-cu121` stands in stacks\[0\] too"):
        load_matrix([overlay(torch=ONE_STACK + row)])


def test_a_row_of_the_users_takes_the_place_of_ours(overlay: Callable[..., Path], matrix: Matrix) -> None:
    changed = load_matrix([overlay(torch=ONE_STACK.replace('nccl: "2.18.1"', 'nccl: "2.99.0"'))])
    assert len(changed.stacks) == len(matrix.stacks)
    assert str(next(stack for stack in changed.stacks if stack.name == "2.1.2-cu121").nccl) == "2.99.0"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('use: "2.6.0-cu124"', 'use: "2.6.0-cu999"', "`2.6.0-cu999` is no stack"),
        ('use: "2.6.0-cu124"', 'use: "2.6.0-cu118"', "another torch or CUDA major"),
        ('name: "2.6.0-cu121"', 'name: "2.6.0-cu124"', "is a published stack"),
    ],
)
def test_a_compatible_name_must_serve(overlay: Callable[..., Path], old: str, new: str, problem: str) -> None:
    text = (MATRICES / "local.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(MatrixError, match=problem):
        load_matrix([overlay(local=text.replace(old, new, 1))])


def test_names_that_serve_each_other_serve_nobody(overlay: Callable[..., Path]) -> None:
    document = yaml.safe_load((MATRICES / "local.yaml").read_text(encoding="utf-8"))
    row = document["compatible"][0]
    document["compatible"] = [
        {**row, "name": name, "torch": name[:5], "use": use, "tag": f"{name}-compat"}
        for name, use in (("9.0.0-cu121", "9.1.0-cu121"), ("9.1.0-cu121", "9.0.0-cu121"))
    ]
    with pytest.raises(MatrixError, match=r"compatible\.9\.0\.0-cu121\.use: `9\.1\.0-cu121` is no stack"):
        load_matrix([overlay(local=dump(document, header="", one_line="-"))])


@pytest.mark.parametrize(
    ("file", "old", "where"),
    [
        ("cuda", "  - fields: [toolkit_driver]", "cudas.11.7.toolkit_driver"),
        ("gpus", "  - fields: [compute_capability]", "gpus."),
        ("bases", "  - fields: [image, python, glibc, gcc]", "bases.debian-12."),
        ("trim", "  - fields: [paths, reason]", "trim.nvidia-cusolver."),
    ],
)
def test_no_fact_of_any_file_loads_without_a_source(
    overlay: Callable[..., Path], file: str, old: str, where: str
) -> None:
    text = (MATRICES / f"{file}.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(MatrixError, match="has no source") as caught:
        load_matrix([overlay(**{file: text.replace(old, "  - fields: [sources]", 1)})])
    assert caught.value.where.startswith(where)


def test_what_is_no_file_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="is not a folder"):
        load_matrix([tmp_path / "missing"])
    (tmp_path / "cuda.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MatrixError, match="is not UTF-8"):
        load_matrix([tmp_path])
    (tmp_path / "cuda.yaml").write_bytes(b"a: " + b"x" * (17 * 2**20))
    with pytest.raises(MatrixError, match="that is no matrix file"):
        load_matrix([tmp_path])


def test_a_wheel_set_must_say_what_the_row_says(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    text = (MATRICES / "wheels" / "2.6.0-cu124.yaml").read_text(encoding="utf-8")
    (folder / "2.6.0-cu124.yaml").write_text(text.replace("9.1.0.70", "9.9.9.9"), encoding="utf-8")
    with pytest.raises(MatrixError, match=r"has nvidia-cudnn-cu12 9\.9\.9\.9, the row in torch\.yaml says 9\.1\.0\.70"):
        check_wheels(load_matrix([tmp_path]))


def test_the_wheel_file_of_another_stack_is_refused(tmp_path: Path) -> None:
    """Its image would hold one torch, and its labels and tags another."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    other = (MATRICES / "wheels" / "2.5.1-cu124.yaml").read_text(encoding="utf-8")
    (folder / "2.6.0-cu124.yaml").write_text(other, encoding="utf-8")
    with pytest.raises(MatrixError, match=r"this is the file of 2\.6\.0-cu124"):
        load_wheels("2.6.0-cu124", Platform.AMD64, PythonVersion(3, 11), overlays=[tmp_path])


def test_values_that_would_be_shell_words_or_instructions_do_not_load(overlay: Callable[..., Path]) -> None:
    trim = (MATRICES / "trim.yaml").read_text(encoding="utf-8")
    for path in ("x;id", "$(id)", "x && id", "../../etc", "x|y", "x\\n"):
        with pytest.raises(MatrixError):
            load_matrix([overlay(trim=trim.replace("torch/lib/libtorch_cpu.so", path, 1))])
    flavors = (MATRICES / "flavors.yaml").read_text(encoding="utf-8")
    for package in ("gcc; id", "gcc-", '"gcc\\n"', "-y", "g cc"):
        with pytest.raises(MatrixError):
            load_matrix([overlay(flavors=flavors.replace("  - gcc\n", f"  - {package}\n", 1))])


def test_a_folder_that_adds_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="holds no matrix file"):
        load_matrix([tmp_path])


def test_a_wheel_without_hash_that_pypi_has_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    text = (MATRICES / "wheels" / "2.6.0-cu124.yaml").read_text(encoding="utf-8")
    start = text.index("sha256:")
    end = text.index("}", start)
    (folder / "2.6.0-cu124.yaml").write_text(text[: start - 2] + text[end:], encoding="utf-8")
    with pytest.raises(MatrixError, match=r"wheels/2\.6\.0-cu124\.yaml"):
        load_wheels("2.6.0-cu124", Platform.AMD64, PythonVersion(3, 11), overlays=[tmp_path])


def test_an_unknown_python_or_platform_of_a_set_is_an_unknown_stack() -> None:
    with pytest.raises(UnknownStackError, match=r"has no wheels for Python 3\.8 on linux/amd64"):
        load_wheels("2.6.0-cu124", Platform.AMD64, PythonVersion(3, 8))
    with pytest.raises(MatrixError, match="can't be read"):
        load_wheels("9.9.9-cu999", Platform.AMD64, PythonVersion(3, 11))


def test_a_company_s_remedy_takes_the_place_of_ours(overlay: Callable[..., Path]) -> None:
    """Its own mirror of the toolkit, say; a row without a source is refused as anywhere."""
    row = (
        "schema: 1\nremedies:\n- problem: install-toolkit\n  distribution: debian\n  commands: [company-install]\n"
        "  sources:\n  - fields: [{fields}]\n    source: the company's wiki\n    confidence: stated\n"
    )
    hosts = load_hosts([overlay(remedies=row.format(fields="commands"))])
    found = {remedy.distribution: remedy for remedy in hosts.remedies if remedy.problem == "install-toolkit"}
    assert found["debian"].commands == ("company-install",)
    assert found["fedora"].commands != found["debian"].commands
    with pytest.raises(MatrixError, match="has no source"):
        load_hosts([overlay(remedies=row.format(fields="hints"))])


_OWN_BASE = """\
schema: 1
bases:
- name: debian-12
  image: "{image}"
  distribution: debian
  release: "12"
  python: "3.11"
  glibc: "2.36"
  gcc: 12
  platforms: [linux/amd64]
  sources:
  - fields: [image, python, glibc, gcc]
    source: the company's wiki
    confidence: stated
"""


@pytest.mark.parametrize(
    "image",
    [
        "registry.example.com/base/debian:12",
        "registry.example.com:5000/base/debian_slim:12",
        f"debian:bookworm-slim@sha256:{'0' * 64}",
    ],
)
def test_a_company_s_base_is_a_file_of_one_row(overlay: Callable[..., Path], matrix: Matrix, image: str) -> None:
    """Of a file in an overlay no section has to be there; the base of a registry may have a port, or a digest."""
    own = load_matrix([overlay(bases=_OWN_BASE.format(image=image))])
    assert next((base.name, base.image) for base in own.bases) == ("debian-12", image)
    assert own.toolkits == matrix.toolkits


@pytest.mark.parametrize(
    "image",
    [
        "debian",
        "debian:12 AS x",
        "Registry/debian:12",
        "a:b:c/debian:12",
        "debian:12@sha256:0",
        "-x:12",
        "a//b:12",
        "a:12;id",
    ],
)
def test_what_is_no_reference_with_a_tag_is_no_base(overlay: Callable[..., Path], image: str) -> None:
    with pytest.raises(MatrixError, match=r"bases\[0\]\.image"):
        load_matrix([overlay(bases=_OWN_BASE.format(image=image))])
