"""Projects as users see them: folders with files, and what `gpuimg init` and the commands that build make of them.

Whole output, as in `test_snapshots`. Refresh with ``pytest --update-golden``.
"""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

import gpuimg
from gpuimg.project.read import read_project
from tests.golden_file import Golden

GPUIMG: Final = Path(sys.executable).with_name("gpuimg")
SNAPSHOTS: Final = Path(__file__).parent / "snapshots" / "project"
A100: Final = "0, GPU-1f22f253-c329-08cd-fb58-f1f4a4b1d3ab, NVIDIA A100-SXM4-80GB, 81920, 535.104.05, 8.0"
ARTICLE: Final = """\
FROM pytorch/pytorch:2.6-cuda12.1-devel
RUN pip install --no-cache-dir transformers==4.40.0 datasets \\
    accelerate peft bitsandbytes
WORKDIR /app
COPY . /app
CMD ["python", "train.py"]
"""
HEAD: Final = "schema: 1\nname: bert\nspec: 2.6-cu124\n"
TRAIN: Final = {"train.py": ""}
REQUIREMENTS: Final = {"requirements.txt": "torch>=2.4,<2.7\ndatasets\n"}
TWO: Final = {"gpuimg.yaml": HEAD + "images:\n  train: {}\n  serve: {flavor: serve}\n"}

CASES: Final[dict[str, tuple[Mapping[str, str], str]]] = {
    "init-help": ({}, "init --help"),
    "init-nothing": ({}, "init --print"),
    "init-article": ({"Dockerfile": ARTICLE, **TRAIN}, "init --print"),
    "init-on-a-gpu": ({**REQUIREMENTS, **TRAIN, "nvidia-smi": A100}, "init --print"),
    "init-driver-broken": ({"nvidia-smi": "", **TRAIN}, "init --print"),
    "init-for-another-machine": (REQUIREMENTS, "init --print --driver 525.60.13 --gpu H100"),
    "init-nothing-runs": (REQUIREMENTS, "init --print --driver 520.61.05 --gpu H100"),
    "init-options": (
        {**REQUIREMENTS, **TRAIN},
        "init --print --spec 2.6-cu121 --flavor devel --python 3.10 --name glue --command 'python -m glue' --no-code",
    ),
    "init-notebooks": ({"a.ipynb": "{}", "b.ipynb": "{}"}, "init --print --spec 2.6-cu124"),
    "init-server": ({"requirements.txt": "fastapi\n", "app.py": ""}, "init --print --spec 2.6-cu124"),
    "init-nvcc": ({"requirements.txt": "flash-attn\n", **TRAIN}, "init --print"),
    "init-unreadable": ({"requirements.txt": "-r base.txt\n", **TRAIN}, "init --print --spec 2.6-cu124"),
    "init-python": (
        {"pyproject.toml": "[project]\nrequires-python = '<3.11'\ndependencies = ['torch==2.6.0']\n"},
        "init --print",
    ),
    "init-no-such-torch": ({"requirements.txt": "torch==1.13.1\n"}, "init --print"),
    "init-other-torch": (REQUIREMENTS, "init --spec 2.7-cu126"),
    "init-no-such-flavor": ({}, "init --flavor devl"),
    "init-no-such-stack": ({}, "init --spec 2.6-cu128"),
    "init-hostile-name": ({}, "init --name '../x'"),
    "init-a-second": ({"gpuimg.yaml": HEAD}, "init"),
    "init-beside-a-table": ({"pyproject.toml": "[tool.gpuimg]\nschema = 1\n"}, "init --force"),
    "init-no-folder": ({}, "init missing"),
    "render": (
        {"gpuimg.yaml": HEAD + "packages: [libsndfile1]\ncode: .\ncommand: python train.py\n", **TRAIN},
        "render",
    ),
    "render-options-beat-the-file": (
        {"gpuimg.yaml": HEAD + "python: '3.10'\nbase: debian:trixie-slim\n"},
        "render --python 3.12 --base debian:bookworm-slim -o out",
    ),
    "render-one-of-two": (TWO, "render serve -o out"),
    "render-two": (TWO, "render"),
    "render-unknown-image": (TWO, "render trian"),
    "render-a-spec-all-the-same": (TWO, "render 2.6-cu124 -o out"),
    "render-nothing": ({}, "render"),
    "render-file": ({"sub/other.yaml": HEAD}, "render --file sub/other.yaml -o out"),
    "render-file-and-spec": ({"sub/other.yaml": HEAD}, "render 2.6-cu124 --file sub/other.yaml"),
    "render-file-missing": ({}, "render --file other.yaml"),
    "render-two-files": ({"gpuimg.yaml": HEAD, "pyproject.toml": "[tool.gpuimg]\nschema = 1\n"}, "render"),
    "render-unknown-key": ({"gpuimg.yaml": HEAD + "comand: python train.py\n"}, "render"),
    "render-number": ({"gpuimg.yaml": "schema: 1\nspec: 2.6\n"}, "render"),
    "render-other-torch": (
        {"gpuimg.yaml": HEAD + "requirements: [requirements.txt]\n", "requirements.txt": "torch==2.5.1\n"},
        "render",
    ),
    "render-a-tag-that-lies": ({"gpuimg.yaml": HEAD + "tags: [2.6-cu121]\n"}, "render"),
    "build-no-engine": ({"gpuimg.yaml": HEAD}, "build"),
    "build-two-of-a-tag": (TWO, "build --tag x:1"),
    "verify-no-engine": ({"gpuimg.yaml": HEAD}, "verify"),
    "verify-file-and-host": ({"gpuimg.yaml": HEAD}, "verify --host --file gpuimg.yaml"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "bert"
    place.mkdir()
    return place


@pytest.mark.parametrize("name", CASES)
def test_snapshot(name: str, folder: Path, golden: Golden) -> None:
    files, arguments = CASES[name]
    _write(folder, files)
    actual = _run(folder, shlex.split(arguments))
    golden(actual, SNAPSHOTS / f"{name}.txt")
    assert "exit code: 70" not in actual
    assert "Traceback" not in actual


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("init-")])
def test_what_init_writes_is_a_project_file(name: str, folder: Path) -> None:
    """Read again it says what was chosen, and can be rendered where no package is to be resolved."""
    files, arguments = CASES[name]
    _write(folder, files)
    done = _command(folder, ["init", *(word for word in shlex.split(arguments)[1:] if word != "--print")])
    if done.returncode == 0 and "--help" not in arguments:
        assert done.stderr.endswith("wrote gpuimg.yaml\nnext: gpuimg build\n")
        (image,) = read_project(folder / "gpuimg.yaml").images
        assert image.repository in {"bert", "glue"}
        assert oct((folder / "gpuimg.yaml").stat().st_mode)[-3:] == "644"
        if not (image.extras or image.requirements):
            assert _command(folder, ["render"]).returncode == 0
    else:
        assert (folder / "gpuimg.yaml").exists() == ("gpuimg.yaml" in files)


def test_force_replaces_the_file(folder: Path) -> None:
    _write(folder, {"gpuimg.yaml": "old", **TRAIN})
    assert _command(folder, ["init", "--force"]).returncode == 0
    assert (folder / "gpuimg.yaml").read_text(encoding="utf-8").startswith("# What `gpuimg build` makes")


def test_the_schema_is_printed_whatever_the_folder_has(folder: Path) -> None:
    _write(folder, {"gpuimg.yaml": "old"})
    done = _command(folder, ["init", "--schema"])
    assert '"$id": "https://gpuimg.io/schema/1/project.schema.json"' in done.stdout


def test_a_parent_folder_has_the_project(folder: Path) -> None:
    _write(folder, {**TWO, ".git/HEAD": "", "src/a/x.py": ""})
    done = _command(folder / "src" / "a", ["render", "train", "-o", str(folder / "out")])
    assert done.stderr.startswith("bert:train: 2.6-cu124, as gpuimg.yaml says\n")


# --- questions -------------------------------------------------------------------------------------------------------


def test_questions_are_asked_on_a_terminal(folder: Path) -> None:
    """A wrong answer is asked again; an empty one takes what is suggested."""
    _write(folder, TRAIN)
    code, shown = _on_terminal(folder, ["init"], ["", "2.6-cu128", "2.6-cu124", "python train.py --lr 1", "no"])
    assert code == 0, shown
    questions = ["What is the image for", "Which stack?", "Which stack?", "What does it run?", "Copy this folder"]
    places = [shown.index(text, place) for text, place in zip(questions, _starts(shown, questions), strict=True)]
    assert places == sorted(places)
    assert "[python train.py]" in shown
    (image,) = read_project(folder / "gpuimg.yaml").images
    assert (image.spec, image.flavor, image.code) == ("2.6-cu124", None, ())
    assert image.command == ("python", "train.py", "--lr", "1")


def test_what_options_say_is_not_asked(folder: Path) -> None:
    _write(folder, TRAIN)
    options = ["init", "--spec", "2.6-cu124", "--flavor", "devel", "--command", "python x.py", "--code"]
    code, shown = _on_terminal(folder, options, [])
    assert (code, "?" in shown) == (0, False)
    code, shown = _on_terminal(folder, ["init", "--yes", "--force"], [])
    assert (code, "?" in shown) == (0, False)


def test_the_end_of_input_ends_it_and_writes_nothing(folder: Path) -> None:
    code, _ = _on_terminal(folder, ["init"], ["", "\x04"])
    assert code == 130
    assert not list(folder.iterdir())


def _starts(shown: str, questions: list[str]) -> list[int]:
    """Where to look for each question: behind the one before."""
    starts, place = [], 0
    for text in questions:
        starts.append(place)
        place = shown.index(text, place) + len(text)
    return starts


def _on_terminal(folder: Path, arguments: list[str], answers: list[str]) -> tuple[int, str]:
    """Run the command on a terminal, with each answer typed once its question stands there."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [GPUIMG, *arguments], cwd=folder, env=_environment(folder), stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    shown = b""
    waiting = list(answers)
    deadline = time.monotonic() + 60
    asked = 0
    while time.monotonic() < deadline:
        try:
            part = os.read(leader, 4096)
        except OSError:  # all who had the other end are gone
            break
        if not part:
            break
        shown += part
        if waiting and shown.count(b"] ") + shown.count(b"]\x1b[0m ") > asked and shown.endswith(b" "):
            asked = shown.count(b"] ") + shown.count(b"]\x1b[0m ")
            answer = waiting.pop(0)
            os.write(leader, answer.encode() if answer == "\x04" else answer.encode() + b"\n")
    os.close(leader)
    return process.wait(timeout=60), shown.decode(errors="replace")


# --- helpers ---------------------------------------------------------------------------------------------------------


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "nvidia-smi":
            path = folder.parent / "bin" / name
            path.parent.mkdir()
            path.write_text(f"#!/bin/sh\necho '{text}'\n" if text else "#!/bin/sh\necho No devices; exit 9\n")
            path.chmod(0o755)
        else:
            path.write_text(text, encoding="utf-8")


def _run(folder: Path, arguments: list[str]) -> str:
    done = _command(folder, arguments)
    stdout, stderr = (
        text.replace(str(folder), "FOLDER").replace(gpuimg.__version__, "VERSION")
        for text in (done.stdout, done.stderr)
    )
    command = shlex.join(["gpuimg", *arguments])
    return f"$ {command}\nexit code: {done.returncode}\n--- stdout\n{stdout}--- stderr\n{stderr}"


def _command(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GPUIMG, *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=_environment(folder),
        cwd=folder,
        timeout=120,
    )


def _environment(folder: Path) -> dict[str, str]:
    """A machine with nothing of the one that tests: no torch in its Python, no driver but the test's."""
    programs = next(place for place in (folder.parent, *folder.parents) if place.name != "bert") / "bin"
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "TERM": "xterm",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
    }


def test_much_code_is_said_and_a_dockerignore_helps(tmp_path: Path) -> None:
    (tmp_path / "gpuimg.yaml").write_text(HEAD + "code: .\n", encoding="utf-8")
    (tmp_path / "train.py").write_text("", encoding="utf-8")
    with (tmp_path / "checkpoint.pt").open("wb") as file:
        file.truncate(300_000_000)  # no block of it is on the disk
    command = [str(GPUIMG), "render"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr
    assert "300 MB of files come into the image" in said
    (tmp_path / ".dockerignore").write_text("*.pt\n", encoding="utf-8")
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr
    assert "come into the image" not in said
