"""From the command line to the files of a CI: bake, GitHub, GitLab. No engine and no CI is there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuimg.cli import app

REPOSITORY = "registry.example.com/team/gpuimg"


def baked(folder: Path, *arguments: str) -> Any:
    assert app.run(["export", *arguments, "--format", "bake", "-o", str(folder)]) == 0
    return json.loads((folder / "docker-bake.json").read_text(encoding="utf-8"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert app.run(["export", *arguments]) == 2
    found = capsys.readouterr()
    assert not found.out
    assert "\x1b" not in found.err
    return found.err


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_contexts_are_those_that_render_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is proved of `gpuimg render` holds for them."""
    found = baked(tmp_path / "bake", "2.6-cu124", "2.13-cu130-devel", "--base", "mirror.example.com/debian:12")
    assert "wrote docker-bake.json and 2 contexts" in capsys.readouterr().err
    for spec, target in zip(("2.6-cu124", "2.13-cu130-devel"), found["target"].values(), strict=True):
        rendered = tmp_path / "rendered" / spec
        assert app.run(["render", spec, "--base", "mirror.example.com/debian:12", "-o", str(rendered)]) == 0
        expected = {name: content for name, content in tree(rendered).items() if name != ".gpuimg.json"}
        assert tree(tmp_path / "bake" / target["context"]) == expected
        assert "FROM mirror.example.com/debian:12" in expected["Dockerfile"].decode()


def test_filters_choose_among_all_stacks(tmp_path: Path) -> None:
    found = baked(tmp_path, "--all", "--torch", "2.6", "--cuda", "12", "--flavor", "serve", "--repository", REPOSITORY)
    assert list(found["target"]) == ["2_6_0-cu126-py311-serve", "2_6_0-cu124-py311-serve"]
    assert found["target"]["2_6_0-cu124-py311-serve"]["tags"][0] == f"{REPOSITORY}:2.6.0-cu124-py311-serve"


def test_a_cache_in_the_registry_and_a_network_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--repository", REPOSITORY, "--cache-to", "registry", "--build-network", "host"]
    (target,) = baked(tmp_path, "2.6-cu124", *options)["target"].values()
    cache = f"type=registry,ref={REPOSITORY}:cache-2.6.0-cu124-py311-runtime"
    assert (target["cache-from"], target["cache-to"]) == ([cache], [f"{cache},mode=max"])
    assert target["network"] == "host"
    said = capsys.readouterr().err
    assert "docker buildx bake --allow network.host --load" in said
    assert "docker buildx create --use" in said


def test_images_of_a_project_are_targets_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    lines = [
        "schema: 1",
        "repository: registry.example.com/team/bert",
        "spec: 2.6-cu124",
        "labels: {team: nlp}",
        "code: .",
        "images:",
        "  train: {}",
        "  serve: {flavor: serve}",
    ]
    (project / "gpuimg.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (project / "train.py").write_text("print()\n", encoding="utf-8")
    monkeypatch.chdir(project)
    found = baked(tmp_path / "bake")
    assert list(found["target"]) == ["train", "serve"]
    assert found["target"]["serve"]["labels"] == {"team": "nlp"}
    assert found["target"]["serve"]["tags"] == ["registry.example.com/team/bert:serve"]
    assert [path for path in tree(tmp_path / "bake") if path.startswith("contexts/train") and path.endswith("train.py")]


def test_bundle_of_this_host_stays_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is for a repository: what builds trust is in it only where it was named."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n", encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    baked(tmp_path / "without", "2.6-cu124")
    assert not [content for content in tree(tmp_path / "without").values() if b"ours" in content]
    baked(tmp_path / "with", "2.6-cu124", "--ca-bundle", str(bundle))
    assert [content for content in tree(tmp_path / "with").values() if b"ours" in content]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2.6-cu124", "--format", "bake"], "the contexts need a folder"),
        (["--format", "bake", "-o", "out"], "nothing to export"),
        (["2.6-cu124", "--all", "--format", "bake", "-o", "out"], "--all takes every stack"),
        (["2.6-cu124", "--torch", "2.6", "--format", "bake", "-o", "out"], "--torch chooses among the stacks"),
        (["--all", "--file", "x.yaml", "--format", "bake", "-o", "out"], "name no project file beside it"),
        (["--all", "--torch", "0.1", "--format", "bake", "-o", "out"], "no stack fits"),
        (["2.6-cu124", "--template-dir", "nowhere", "--format", "bake", "-o", "out"], "nowhere is not a folder"),
        (["2.6-cu124", "--format", "bake", "-o", "/proc/gpuimg"], "can't be written"),
        (["2.6-cu124", "2.6-cu121", "--format", "bake", "-o", "out"], "two images would both be the target"),
        (["2.6-cu124", "--cache-to", "gha\x1b[2J", "--format", "bake", "-o", "out"], r"`gha\x1b[2J` keeps no cache"),
        (["2.6-cu124", "--cache-to", "registry", "--format", "bake", "-o", "out"], "no registry has `gpuimg:2.6.0"),
        (["2.6-cu124", "--repository", "a\nb", "--format", "bake", "-o", "out"], r"`a\nb` can't name a repository"),
        (['2.6-cu124"}', "--format", "bake", "-o", "out"], "is not a spec"),
        (["2.6-cu124", "--build-network", "a b", "--format", "bake", "-o", "out"], "`a b` can't name a network"),
    ],
)
def test_what_cannot_be_baked_is_refused(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused(capsys, *arguments)
    assert message in error
    assert "hint:" in error
    assert not list(tmp_path.iterdir())


def test_buildx_reads_the_file_where_there_is_one(tmp_path: Path) -> None:
    found = baked(tmp_path, "2.6-cu124", "2.13-cu130-devel")
    version = ["docker", "buildx", "version"]
    if shutil.which("docker") is None or subprocess.run(version, capture_output=True, check=False).returncode != 0:
        pytest.skip("no docker buildx here")
    done = subprocess.run(
        ["docker", "buildx", "bake", "--print"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["target"] == found["target"]


def exported(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert app.run(["export", *arguments]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_a_spec_says_what_options_ask_for(capsys: pytest.CaptureFixture[str]) -> None:
    """`gpuimg build` of the request comes to the very image that later jobs name."""
    options = ["--flavor", "devel", "--python", "3.12", "--repository", "ghcr.io/team/gpuimg"]
    document = exported(capsys, "2.6-cu124", "--format", "gitlab", *options)
    (row,) = document["gpuimg-build"]["parallel"]["matrix"]
    assert row["SPEC"] == "2.6-cu124-py312-devel"
    assert row["IMAGE"] == "ghcr.io/team/gpuimg:2.6.0-cu124-py312-devel"
    again = exported(capsys, row["SPEC"], "--format", "gitlab", "--repository", "ghcr.io/team/gpuimg")
    assert again["gpuimg-build"]["parallel"]["matrix"][0]["IMAGE"] == row["IMAGE"]


def test_a_projects_network_gets_to_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["schema: 1", "spec: 2.6-cu124", "repository: ghcr.io/team/bert", "build-network: host", ""]
    (tmp_path / "gpuimg.yaml").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    steps = exported(capsys, "--format", "github", "--cache-to", "registry")["jobs"]["build"]["steps"]
    (build,) = [step["run"] for step in steps if step.get("name") == "Build"]
    assert "docker buildx bake --allow network.host --set" in build


def test_filters_choose_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    document = exported(capsys, "--all", "--torch", "2.6", "--cuda", "12", "--format", "github")
    rows = document["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert [row["spec"] for row in rows] == ["2.6.0-cu126", "2.6.0-cu124"]


def test_what_no_registry_has_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["export", "2.6-cu124", "--format", "github"]) == 0
    assert "warning: images are built and checked, and not pushed" in capsys.readouterr().err


def test_a_project_is_built_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No index is read for its packages, and no path of this machine gets into the file."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "train").mkdir()
    lines = ["schema: 1", "name: bert", "repository: ghcr.io/team/bert", "spec: 2.6-cu124", "extras: [peft]", "code: ."]
    (tmp_path / "train" / "gpuimg.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "train")
    assert app.run(["export", "--format", "github", "-o", str(tmp_path / "images.yml")]) == 0
    text = (tmp_path / "images.yml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    assert document["env"]["PROJECT"] == "train/gpuimg.yaml"
    (row,) = document["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert (row["spec"], row["image"]) == ("bert", "ghcr.io/team/bert:latest")
    assert 'gpuimg build "$SPEC" --verify --file "$PROJECT" --json' in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize("form", ["github", "gitlab", "bake"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--torch", "9.9"], "--torch chooses among the stacks"),
        (["--cuda", "12.4"], "--cuda chooses among the stacks"),
        (["--all", "--file", "gpuimg.yaml"], "name no project file beside it"),
        (["--all", "train"], "name no spec beside it"),
    ],
)
def test_nothing_is_idle_beside_a_project(
    form: str,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "gpuimg.yaml").write_text("schema: 1\nspec: 2.6-cu124\nrepository: team/bert\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    error = refused(capsys, *arguments, "--format", form, "-o", "out")
    assert message in error
    assert "hint:" in error


@pytest.mark.parametrize("form", ["github", "gitlab"])
@pytest.mark.parametrize("option", ["repository", "flavor", "python", "platform"])
def test_what_the_project_file_says_is_told_with_its_key(
    form: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gpuimg.yaml").write_text("schema: 1\nspec: 2.6-cu124\nrepository: team/bert\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert f"hint: set `{option}:` in the project file" in refused(capsys, f"--{option}", "x", "--format", form)


@pytest.mark.parametrize("form", ["github", "gitlab"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2.6-cu124", "--gpu-runner", "gpu"], "a runner with GPUs needs a registry"),
        (["2.6-cu124", "--cache-to", "gha"], "`gha` keeps no cache"),
        (["2.6-cu124", "--repository", '"\nid: x'], "can't name a repository"),
        (["2.6-cu124", "2.6.0-cu124"], "two requests come to the same image"),
        (['2.6-cu124"\nx: y'], "is not a spec"),
        (["2.6-cu124", "--gpu-runner", "gpu]\x1b[2J"], r"`gpu]\x1b[2J` is no label of a runner"),
        (["2.6-cu124", "--branch", "*"], "`*` can't name a branch"),
        (["2.6-cu124", "--install", "$(id)"], "`$(id)` is nothing that pip installs"),
        (["2.6-cu124-devel", "--flavor", "devel", "-o", "missing/x.yml"], "there is no such folder"),
    ],
)
def test_what_no_pipeline_can_have_is_refused(
    form: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, *arguments, "--format", form)
    assert message in error
    assert "hint:" in error


def test_a_template_of_the_users_takes_the_place_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "gitlab.yml.j2").write_text("jobs: {{ pipeline.images | length }}\n", encoding="utf-8")
    options = ["--format", "gitlab", "--template-dir", str(tmp_path)]
    assert exported(capsys, "2.6-cu124", *options) == {"jobs": 1}
