"""Of a Dockerfile that is there already, what is sure to be understood is taken over, and the rest is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.project.dockerfile import DockerfileFacts, read_dockerfile


def read(folder: Path, text: str) -> DockerfileFacts:
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    facts = read_dockerfile(folder / "Dockerfile")
    assert facts is not None
    return facts


def test_a_plain_dockerfile_is_understood_as_a_whole(tmp_path: Path) -> None:
    facts = read(
        tmp_path,
        """\
# syntax=docker/dockerfile:1
FROM --platform=linux/amd64 pytorch/pytorch:2.6.0-cuda12.4-cudnn9-devel AS base
# what we train with
RUN --mount=type=cache,target=/root/.cache pip install --no-cache-dir -i https://x.example/simple \\
    transformers==4.40.0 "datasets>=2.19"
RUN python -m pip install -r requirements.txt -U einops
WORKDIR /srv
COPY . .
cmd ["python", "train.py"]
""",
    )
    assert facts.base == "pytorch/pytorch:2.6.0-cuda12.4-cudnn9-devel"
    assert facts.spec is not None
    assert (str(facts.spec.torch), str(facts.spec.cuda), facts.spec.flavor) == ("2.6.0", "12.4", "devel")
    assert facts.extras == ("transformers==4.40.0", "datasets>=2.19", "einops")
    assert facts.requirements == ("requirements.txt",)
    assert (facts.command, facts.workdir, facts.copies, facts.others) == (("python", "train.py"), "/srv", True, 0)


def test_only_the_last_stage_counts(tmp_path: Path) -> None:
    facts = read(
        tmp_path, "FROM pytorch/pytorch:2.5.1\nRUN pip install x\nCMD a\nFROM debian:12\nCOPY --from=0 /a /b\n"
    )
    assert facts == DockerfileFacts(base="debian:12", copies=True)


@pytest.mark.parametrize(
    "line",
    [
        "RUN apt-get update && apt-get install -y libsndfile1",
        "RUN pip install einops && rm -rf /tmp/x",
        "RUN pip install git+https://github.com/x/y",
        "RUN pip install $EXTRA",
        "RUN pip install 'unclosed",
        "RUN pip uninstall torch",
    ],
)
def test_what_is_not_understood_is_counted_and_not_taken(tmp_path: Path, line: str) -> None:
    facts = read(tmp_path, f"FROM pytorch/pytorch:latest\n{line}\n")
    assert (facts.others, facts.extras, facts.spec) == (1, (), None)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("CMD python train.py", ("python", "train.py")),
        ('CMD ["python", "a b.py"]', ("python", "a b.py")),
        ("CMD python train.py --lr $LR", ()),
        ("CMD a && b", ()),
        ("CMD [1]", ()),
        ('CMD ["unclosed', ()),
    ],
)
def test_a_command_that_needs_a_shell_is_left(tmp_path: Path, line: str, command: tuple[str, ...]) -> None:
    assert read(tmp_path, f"FROM debian:12\n{line}\n").command == command


def test_no_dockerfile_is_none(tmp_path: Path) -> None:
    assert read_dockerfile(tmp_path / "Dockerfile") is None
    (tmp_path / "Dockerfile").mkdir()
    assert read_dockerfile(tmp_path / "Dockerfile") is None
    assert read(tmp_path / "Dockerfile", "\0\xff garbage\n") == DockerfileFacts()
