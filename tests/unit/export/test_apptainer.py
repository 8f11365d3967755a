"""Definition files: each section where Apptainer looks for it; its scripts run for real, by the same kind of shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.export.apptainer import Definition, pullable, render_definition
from gpuimg.export.image import ExportedImage
from gpuimg.templating import deffile_word
from gpuimg.versions import Platform
from tests.golden_file import Golden

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "apptainer"
ANY_IMAGE: Final = Definition(image=ExportedImage(reference="pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime"))
OURS: Final = Definition(
    image=ExportedImage(
        reference="registry.example.com:5000/team/gpuimg:2.6.0-cu124",
        python="/opt/venv/bin/python",
        platform=Platform.AMD64,
        labels={
            "io.gpuimg.stack": "2.6.0-cu124",
            "io.gpuimg.torch": "2.6.0+cu124",
            "io.gpuimg.cuda": "12.4",
            "io.gpuimg.python": "3.11",
            "io.gpuimg.flavor": "runtime",
            "io.gpuimg.workdir": "/app",
        },
    ),
    command=("python", "train.py", "--name", "a {{ b }} $HOME"),
    environment=(("NCCL_DEBUG", "INFO"), ("MOTTO", "it's {{ x }} $(id)")),
)
CASES: Final = {
    "any-image": ANY_IMAGE,
    "all-options": OURS,
    "from-engine": replace(OURS, from_engine=True, command=()),
}
NASTY: Final = [
    "",
    "a b",
    "it's",
    '"',
    "$HOME",
    "$(id)",
    "`id`",
    "\\",
    "{{ x }}",
    "{{{x}}}",
    "%test",
    "#",
    "*",
    "ä",
    "-n",
]


def sections(text: str) -> Mapping[str, str]:
    """By name as Apptainer tells them apart: a line that begins with %; the header has no name."""
    name, *rest = re.split(r"^%(\w+)[^\n]*\n", text, flags=re.MULTILINE)
    return {"": name, **dict(zip(rest[::2], rest[1::2], strict=True))}


def header(text: str) -> dict[str, str]:
    lines = [line for line in sections(text)[""].splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


def run_section(
    text: str, name: str, *arguments: str, after: str = "", environ: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """Run it as `apptainer run` and `apptainer test` do: by a plain sh, with arguments."""
    return subprocess.run(
        ["/bin/sh", "-c", sections(text)[name] + after, "sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": os.environ["PATH"], **environ},
    )


@pytest.mark.parametrize("name", CASES)
def test_definition_is_the_golden_one(name: str, golden: Golden) -> None:
    text = render_definition(CASES[name]).replace(__version__, "VERSION")
    golden(text, GOLDEN / f"{name}.def")


def test_the_header_says_where_the_image_is() -> None:
    assert header(render_definition(ANY_IMAGE)) == {"Bootstrap": "docker", "From": ANY_IMAGE.image.reference}
    assert header(render_definition(replace(OURS, from_engine=True))) == {
        "Bootstrap": "docker-daemon",
        "From": OURS.image.reference,
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("debian:12", "debian:12"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        (f"a.example/b:1@sha256:{'0' * 64}", f"a.example/b@sha256:{'0' * 64}"),
        (f"a.example:5000/b@sha256:{'0' * 64}", f"a.example:5000/b@sha256:{'0' * 64}"),
    ],
)
def test_apptainer_gets_a_tag_or_a_digest(reference: str, expected: str) -> None:
    """With both it says `docker references with both a tag and digest are currently not supported`."""
    assert pullable(reference) == expected
    assert header(render_definition(Definition(image=ExportedImage(reference=reference))))["From"] == expected


def test_the_runscript_runs_the_command_or_what_takes_its_place() -> None:
    text = render_definition(replace(OURS, command=("printf", "<%s>", *NASTY)))
    assert run_section(text, "runscript").stdout == "".join(f"<{word}>" for word in NASTY)
    done = run_section(text, "runscript", "sh", "-c", 'echo "$1"; exit 7', "sh", "$HOME")
    assert (done.stdout, done.returncode) == ("$HOME\n", 7)


def test_without_a_command_the_image_keeps_its_own() -> None:
    """Apptainer writes a runscript of the image's entrypoint and command where the definition has none."""
    assert "runscript" not in sections(render_definition(ANY_IMAGE))


@pytest.mark.parametrize("value", NASTY)
def test_variables_hold_what_was_said(value: str) -> None:
    text = render_definition(replace(OURS, environment=(("MOTTO", value),)))
    done = run_section(text, "environment", after='printf "%s|%s" "$PYTHONNOUSERSITE" "$MOTTO"')
    assert done.stdout == f"1|{value}"


@pytest.mark.parametrize(("version", "code"), [("2.6.0+cu124", 0), ("2.7.0+cu126", 1)])
def test_the_test_holds_torch_against_the_label(version: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(f'__version__ = "{version}"\n', encoding="utf-8")
    text = render_definition(replace(OURS, image=replace(OURS.image, python=sys.executable)))
    done = run_section(text, "test", environ={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == code
    assert done.stderr == ("" if code == 0 else "torch is 2.7.0+cu126, not 2.6.0+cu124\n")


def test_the_test_of_any_image_imports_torch(tmp_path: Path) -> None:
    text = render_definition(Definition(image=ExportedImage(reference="a:1", python=sys.executable)))
    assert (
        "No module named 'torch'" in run_section(text, "test", environ={"PYTHONPATH": "", "PYTHONSAFEPATH": "1"}).stderr
    )
    (tmp_path / "torch.py").write_text('__version__ = "2.0"\n', encoding="utf-8")
    assert run_section(text, "test", environ={"PYTHONPATH": str(tmp_path)}).stdout == "torch 2.0\n"


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_is_refused_or_one_word_that_apptainer_leaves_alone(text: str) -> None:
    try:
        word = deffile_word(text)
    except RequestError:
        return
    assert shlex.split(word) == [text]
    assert "{{" not in word
    assert "\n" not in word


@pytest.mark.parametrize(
    "definition",
    [
        replace(ANY_IMAGE, image=ExportedImage(reference="x:1\n%post\nid")),
        replace(OURS, command=("a\n%post\nid",)),
        replace(OURS, environment=(("A", "x\n%post\nid"),)),
        replace(OURS, environment=(("A\n%post", "x"),)),
    ],
)
def test_no_value_begins_a_section(definition: Definition) -> None:
    """The second wall: `hpc` would not have let it through."""
    with pytest.raises(RequestError):
        render_definition(definition)
