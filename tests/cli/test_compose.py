"""From the command line to files for Compose and for editors: no engine is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from gpuimg.cli import app

PROJECT: Final = """\
schema: 1
name: bert
repository: registry.example.com/team/bert
spec: 2.6-cu124
code: .
workdir: /app
command: [python, train.py]
"""


def exported(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, Any]:
    """The file, and what YAML reads in it."""
    assert app.run(["export", "--format", "compose", *arguments]) == 0
    text = capsys.readouterr().out
    return text, yaml.safe_load(text)


def test_a_spec_becomes_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    text, found = exported(capsys, "2.6-cu124")
    assert "#   docker compose run --rm train python train.py\n" in text
    assert "# `gpuimg build 2.6-cu124` makes the image, which no registry has.\n" in text
    train = found["services"]["train"]
    assert (train["image"], train["pull_policy"]) == ("gpuimg:2.6.0-cu124-py311-runtime", "never")


def test_a_spec_in_a_registry_is_pulled(capsys: pytest.CaptureFixture[str]) -> None:
    text, found = exported(capsys, "2.6-cu124", "--repository", "registry.example.com/team/gpuimg")
    assert "# `gpuimg build 2.6-cu124 --repository registry.example.com/team/gpuimg` makes the image.\n" in text
    assert "pull_policy" not in found["services"]["train"]


def test_a_notebook_gets_its_token_from_outside(capsys: pytest.CaptureFixture[str]) -> None:
    text, found = exported(capsys, "2.6-cu124-jupyter", "--port", "9999")
    assert "# then open http://127.0.0.1:9999/lab and log in with the token." in text
    notebook = found["services"]["notebook"]
    assert notebook["ports"] == ["127.0.0.1:9999:8888"]
    (token,) = notebook["environment"]
    assert token.startswith("JUPYTER_TOKEN=${JUPYTER_TOKEN:?")


@pytest.mark.parametrize(
    ("tag", "spec"),
    [
        ("2.6.0-cu124-py311-jupyter", "2.6-cu124-jupyter"),
        ("2.6.0-cu124-py312-devel", "2.6-cu124-py312-devel"),
        ("2.6-cu124", "2.6-cu124"),
        ("2.6.0-cu124-py311-runtime-extras-0123abcd", "2.6-cu124"),
        ("2.6-cu121-compat", "2.6-cu121"),
    ],
)
@pytest.mark.parametrize("form", ["compose", "k8s", "devcontainer"])
def test_the_name_that_gpuimg_gives_is_as_good_as_the_spec(
    form: str, tag: str, spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for its platform, which may be any, and who made it."""
    command = [] if form == "devcontainer" or "jupyter" in tag else ["--", "train.py"]

    def body(*target: str) -> str:
        assert app.run(["export", "--format", form, *target, "--platform", "linux/amd64", *command]) == 0
        return "".join(line for line in capsys.readouterr().out.splitlines(True) if not line.startswith("#"))

    ours = f"registry.example.com/team/gpuimg:{tag}"
    planned = body(spec, "--repository", "registry.example.com/team/gpuimg")
    reference = planned.partition("registry.example.com/team/gpuimg:")[2].partition('"')[0]
    assert body(ours).replace(tag, reference) == planned


@pytest.mark.parametrize(
    ("reference", "ours"),
    [
        ("team/bert:2.6.0-cu124-py311-runtime", True),
        ("team/bert:2.6-cu124", False),
        ("pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime", False),
        ("gpuimg:2.6.0-cu121-py310-runtime", False),
        ("gpuimg:mine", False),
    ],
)
def test_only_a_name_that_is_certainly_ours_tells_what_is_inside(
    reference: str, ours: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = exported(capsys, reference)
    assert ("HOME=/tmp" in found["services"]["train"].get("environment", [])) is not ours
    assert ("volumes" in found) is ours


def test_a_server_of_the_users_own_is_published_and_kept_up(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands behind the -- is the server of an image for one; a shell is none."""
    _, found = exported(capsys, "2.6-cu124-serve", "--port", "9000", "--", "python", "app.py")
    server = found["services"]["server"]
    assert (server["ports"], server["restart"]) == (["127.0.0.1:9000:8000"], "unless-stopped")
    assert server["healthcheck"] == {"interval": "10s"}
    _, found = exported(capsys, "2.6-cu124-serve", "--", "bash")
    assert "ports" not in found["services"]["server"]


def test_the_project_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gpuimg.yaml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    text, found = exported(capsys, "-v", "./data:/data", "-e", "WANDB_API_KEY")
    assert "# `gpuimg build` makes the image.\n" in text
    assert "#   docker compose up\n" in text
    assert str(tmp_path) not in text
    train = found["services"]["train"]
    assert train["image"] == "registry.example.com/team/bert:latest"
    assert "working_dir" not in train
    assert [mount["source"] for mount in train["volumes"]] == [".", "home", "./data"]


@pytest.mark.parametrize("form", ["compose", "slurm", "k8s", "apptainer"])
def test_a_command_of_the_projects_only_image_needs_no_name(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gpuimg.yaml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert app.run(["export", "--format", form, "--", "python", "a.py", "--", "2.6"]) == 0
    found = capsys.readouterr().out
    assert "team/bert:latest" in found
    assert "a.py" in found
    assert app.run(["export", "bert", "--format", form, "--", "python", "a.py", "--", "2.6"]) == 0
    named = capsys.readouterr().out
    assert named.replace("gpuimg build bert", "gpuimg build") == found


def test_a_command_alone_names_no_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["export", "--", "python", "a.py"]) == 2
    assert "no format was named" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["k8s"], ["slurm", "--container", "pyxis"], ["apptainer"]])
def test_a_project_is_told_where_it_names_the_registry(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    local = PROJECT.replace("repository: registry.example.com/team/bert\n", "")
    (tmp_path / "gpuimg.yaml").write_text(local, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert app.run(["export", "--format", *options]) == 0
    assert "or `repository:` in gpuimg.yaml" in capsys.readouterr().err


def test_the_head_makes_the_very_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "own rows"
    rows.mkdir()
    (rows / "local.yaml").write_text("schema: 1\n", encoding="utf-8")
    text, _ = exported(capsys, "2.6-cu126", "--platform", "linux/arm64", "--matrix-dir", str(rows))
    assert f"# `gpuimg build 2.6-cu126 --platform linux/arm64 --matrix-dir '{rows}'` makes the image" in text


def test_a_volume_of_the_users_may_be_called_home_where_ours_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["-v", "home:/data", "--no-caches"], ["-v", "home:/home/gpuimg"]):
        _, found = exported(capsys, "2.6-cu124", *arguments)
        assert list(found["volumes"]) == ["home"]


def test_a_repository_of_what_names_its_own_is_refused_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gpuimg.yaml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for target, hint in (([], "set `repository:`"), (["debian:12"], "push it there")):
        assert app.run(["export", "--format", "compose", *target, "--repository", "a.example/b"]) == 2
        assert f"hint: {hint}" in capsys.readouterr().err


def test_a_template_of_the_users_takes_the_place_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose" / "compose.yaml.j2").write_text("services: {{ '{' }}{{ name }}: {}}\n", encoding="utf-8")
    _, found = exported(capsys, "2.6-cu124", "--template-dir", str(tmp_path))
    assert found == {"services": {"train": {}}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pull-policy", "nevr"], "`nevr` says nothing of when to pull"),
        (["--memory", "much"], "`much` is not a size"),
        (["-v", "data"], "`data` is no mount"),
        (["-p", "http"], "`http` is no port to publish"),
        (["--listen", "everywhere"], "`everywhere` is no IP address"),
        (["--user", "a b"], "`a b` is no user"),
        (["-e", "A=1", "-e", "A=2"], "A was given twice"),
        (["-e", "HTTPS_PROXY=http://u:pw@proxy:1"], "HTTPS_PROXY has a URL with a user name or password"),
        (["--memory", "1"], "--memory 1 B is less than an engine gives"),
        (["--memory", "1g", "--shm-size", "8g"], "leaves nothing beside the shared memory"),
        (["-v", "home:/data"], "the volume `home` keeps the container's home"),
        (["-v", "z:/proc"], "a mount on /proc would hide what the image has there"),
        (["-v", "./z:/proc/sys"], "a mount on /proc/sys would hide"),
        (["-v", "y:/opt/venv/"], "a mount on /opt/venv would hide"),
        (["--", "a\nb: c"], r"`a\nb: c` has control characters"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["export", "--format", "compose", "2.6-cu124", *arguments]) == 2
    found = capsys.readouterr()
    assert not found.out
    assert message in found.err
    assert "hint:" in found.err


def test_an_editor_gets_the_projects_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gpuimg.yaml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / ".devcontainer").mkdir()
    monkeypatch.chdir(tmp_path)
    file = Path(".devcontainer", "devcontainer.json")
    assert (
        app.run(["export", "--format", "devcontainer", "-o", str(file), "--name", "BERT", *["--forward", "6006"] * 2])
        == 0
    )
    assert "`gpuimg build` makes the image" in capsys.readouterr().err
    fields = json.loads(file.read_text(encoding="utf-8"))
    assert (fields["name"], fields["image"]) == ("BERT", "registry.example.com/team/bert:latest")
    assert (fields["workspaceFolder"], fields["forwardPorts"]) == ("/workspace", [6006])
    assert str(tmp_path) not in json.dumps(fields)
