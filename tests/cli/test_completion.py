"""Shells complete commands, options, specs and checks: real shells, with the scripts that gpuimg gives them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.cli.terminal_shell import KILL_LINE, TAB, terminal

PROGRAMS: Final = Path(sys.executable).parent
ROWS: Final = {
    "gpuimg bu": {"build"},
    "gpuimg matrix va": {"validate"},
    "gpuimg build 2.6-": {"2.6-cu118", "2.6-cu121", "2.6-cu124", "2.6-cu126"},
    "gpuimg build 2.6-cu124 2.9-cu13": {"2.9-cu130"},
    "gpuimg build 2.6-cu124-d": {"2.6-cu124-devel"},
    "gpuimg render 2.6-cu124-py312-se": {"2.6-cu124-py312-serve"},
    "gpuimg why 2.6.0+cu11": {"2.6.0+cu118"},
    "gpuimg verify --only distributed.fsdp1": {"distributed.fsdp1_cpu", "distributed.fsdp1_gpu"},
    "gpuimg build --flavor dev": {"devel"},
    "gpuimg doctor --only toolk": {"toolkit"},
    "gpuimg export 2.6-cu124 --form": {"--format"},
    "gpuimg export 2.6-cu124 --format sl": {"slurm"},
    "gpuimg export --format slurm --gpus-per": {"--gpus-per-node"},
    "gpuimg export 2.6-cu118": {"2.6-cu118"},
    "gpuimg wheel 2.6": {"2.6.0-cu121"},
}
"""What is typed, and what it can become."""


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "TERM": "xterm",
        "PS1": "ready> ",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "LC_ALL": "C.UTF-8",
    }


@pytest.mark.parametrize("typed", ROWS)
def test_bash_is_offered_what_fits(typed: str, tmp_path: Path) -> None:
    assert offered(typed, tmp_path) == ROWS[typed]


def test_bash_completes_what_is_typed(tmp_path: Path) -> None:
    """On a terminal, with the script that `--show-completion` gives."""
    with terminal(["bash", "--norc", "--noprofile", "-i"], environment(tmp_path)) as shell:
        shell.wait_for("ready> ")
        shell.type("bind 'set bell-style none'; eval \"$(gpuimg --show-completion)\"\n")
        shell.wait_for("ready> ")
        shell.type(f"gpuimg bu{TAB}")
        shell.wait_for("gpuimg build ")
        shell.type(f"2.6-{TAB}{TAB}{TAB}")
        shown = shell.wait_for("2.6-cu126")
        shell.type(KILL_LINE)
    assert {"2.6-cu118", "2.6-cu121", "2.6-cu124"} <= set(shown.split())


def test_bash_remembers_what_was_installed(tmp_path: Path) -> None:
    """`--install-completion` writes to the user's own files; the next shell completes."""
    (tmp_path / ".bashrc").write_text("PS1='ready> '\n", encoding="utf-8")  # whatever the system's own file says
    with terminal(["bash", "--noprofile", "-i"], environment(tmp_path)) as shell:
        shell.wait_for("ready> ")
        shell.type("gpuimg --install-completion; exit\n")
        shell.wait_for("completion installed in")
        shell.wait_for("exit")
    with terminal(["bash", "--noprofile", "-i"], environment(tmp_path)) as shell:
        shell.wait_for("ready> ")
        shell.type(f"gpuimg do{TAB}")
        shell.wait_for("gpuimg doctor ")


def test_zsh_completes_what_is_typed(tmp_path: Path) -> None:
    needs("zsh")
    with terminal(["zsh", "-f", "-i"], environment(tmp_path)) as shell:
        shell.type('autoload -Uz compinit && compinit -u && eval "$(gpuimg --show-completion)" && echo is-"set"\n')
        shell.wait_for("is-set")
        shell.type(f"gpuimg bu{TAB}")
        shell.wait_for("gpuimg build ")
        shell.type(f"2.6-cu124-de{TAB}")
        shell.wait_for("2.6-cu124-devel ")


@pytest.mark.parametrize("typed", ROWS)
def test_fish_is_offered_what_fits(typed: str, tmp_path: Path) -> None:
    needs("fish")
    script = "gpuimg --show-completion | source; complete --do-complete $argv[1]"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, typed],
        check=True,
        capture_output=True,
        text=True,
        env=environment(tmp_path),
    )
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == ROWS[typed]


@pytest.mark.parametrize(
    "typed",
    [
        "gpuimg build --matrix-dir /nonexistent 2.6",  # the folder can't be read
        "gpuimg export --format k9s 2.6-cu124 --smo",  # there is no such format
        "gpuimg bild 2.6",
        "gpuimg build 2.6-cu124 $(id) `id` --py\x1b[2J",
    ],
)
def test_what_goes_wrong_is_not_printed_into_the_line(typed: str, tmp_path: Path) -> None:
    assert offered(typed, tmp_path) == set()


def test_rows_of_ones_own_are_offered(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "docs" / "examples" / "own-flavor" / "matrix"
    assert offered(f"gpuimg render --matrix-dir {folder} 2.6-cu124-bo", tmp_path) == {"2.6-cu124-board"}


def offered(typed: str, folder: Path) -> set[str]:
    """What the program answers, as bash asks it; stderr must stay empty."""
    words = typed.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "gpuimg"],
        check=False,
        capture_output=True,
        text=True,
        env={
            **environment(folder),
            "_GPUIMG_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(words),
            "COMP_CWORD": str(len(words) - 1),
        },
    )
    assert not done.stderr
    return set(done.stdout.split())


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} here")
