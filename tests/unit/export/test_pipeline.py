"""Pipelines: valid by GitHub's and GitLab's own schemas, no finding of zizmor, and nothing gets out of its place."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.export import pipeline
from gpuimg.export.pipeline import Pipeline, PipelineImage, render_pipeline
from gpuimg.model import Image, Report
from gpuimg.report import as_json
from gpuimg.versions import Platform
from tests.golden_file import Golden
from tests.unit.export.hostile import refuses

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "ci"
TOOLS: Final = Path(sys.executable).parent


def image(request: str, name: str, *, repository: str, platform: Platform = Platform.AMD64) -> PipelineImage:
    return PipelineImage(name=name, request=request, reference=f"{repository}:{name}", platform=platform)


GHCR: Final = "ghcr.io/team/gpuimg"
OWN: Final = "registry.example.com:5000/team/gpuimg"
PLAIN: Final = Pipeline(
    images=(
        image("2.6-cu124", "2.6.0-cu124-py311-runtime", repository=GHCR),
        image("2.13-cu130", "2.13.0-cu130-py311-runtime", repository=GHCR),
    ),
    repository=GHCR,
    branch="main",
    timeout_minutes=120,
)
ALL: Final = replace(
    PLAIN,
    images=(replace(image("2.6-cu124", "2.6.0-cu124-py311-runtime", repository=OWN), network="host"),),
    repository=OWN,
    install="git+https://git.example.com/tools/gpuimg@0123456789abcdef0123456789abcdef01234567",
    branch="release/2.x",
    cache=True,
    gpu_runner=("self-hosted", "gpu"),
    timeout_minutes=45,
)
PROJECT: Final = Pipeline(
    images=(image("train", "train", repository="team/bert"), image("serve", "serve", repository="team/bert")),
    file="train/gpuimg.yaml",
    branch="main",
    timeout_minutes=120,
)
LOCAL: Final = replace(
    PLAIN, images=(image("2.6-cu124", "2.6.0-cu124-py311-runtime", repository="gpuimg"),), repository="gpuimg"
)
CASES: Final = {"plain": PLAIN, "all-options": ALL, "project": PROJECT, "no-registry": LOCAL}
FORMS: Final = ("github", "gitlab")

each = pytest.mark.parametrize("name", CASES)
both = pytest.mark.parametrize("form", FORMS)


def golden_file(name: str, form: str) -> Path:
    return GOLDEN / form / f"{name}.yml"


@both
@each
def test_file_is_the_golden_one(name: str, form: str, golden: Golden) -> None:
    golden(render_pipeline(CASES[name], form).replace(__version__, "VERSION"), golden_file(name, form))


@pytest.mark.parametrize(("form", "schema"), [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")])
def test_the_ci_would_take_it(form: str, schema: str, tmp_path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    files = [str(golden_file(name, form)) for name in CASES]
    done = subprocess.run([*check, *files], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "broken.yml"
    text = golden_file("plain", form).read_text(encoding="utf-8")
    broken.write_text(
        text.replace("    strategy:", "    startegy:").replace("  stage:", "  staeg: {}\n  script:"), encoding="utf-8"
    )
    assert subprocess.run([*check, str(broken)], check=False, capture_output=True, timeout=120).returncode == 1


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    files = [str(golden_file(name, "github")) for name in CASES]
    check = [str(TOOLS / "zizmor"), "--offline", "--no-progress", "--no-config"]
    done = subprocess.run([*check, *files], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "broken.yml"
    text = golden_file("plain", "github").read_text(encoding="utf-8")
    broken.write_text(text.replace('"$SPEC"', "${{ github.head_ref }}"), encoding="utf-8")
    done = subprocess.run([*check, str(broken)], check=False, capture_output=True, text=True, timeout=120)
    assert "template-injection" in done.stdout


def scripts(document: Any, form: str) -> list[str]:
    if form == "github":
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    jobs = [job for job in document.values() if isinstance(job, dict)]
    return ["\n".join(job[key]) for job in jobs for key in ("before_script", "script", "after_script") if key in job]


@both
@each
def test_shellcheck_has_no_complaint(name: str, form: str) -> None:
    """Both end at the first command that fails. Busybox runs GitLab's scripts: they keep to what sh has."""
    check = [str(TOOLS / "shellcheck"), "--norc", "--shell", "bash" if form == "github" else "busybox", "-"]
    for script in scripts(yaml.safe_load(golden_file(name, form).read_text(encoding="utf-8")), form):
        done = subprocess.run(check, input=f"set -e\n{script}", capture_output=True, text=True, check=False, timeout=60)
        assert (done.stdout, done.returncode) == ("", 0)


@each
def test_actions_are_pinned_and_rights_are_few(name: str) -> None:
    document = yaml.safe_load(render_pipeline(CASES[name], "github"))
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert set(job["permissions"]) <= {"contents", "packages"}
        assert job["permissions"]["contents"] == "read"
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
            assert "${{" not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


def test_only_a_registry_of_githubs_is_written_with_its_token() -> None:
    plain, other = (yaml.safe_load(render_pipeline(CASES[name], "github")) for name in ("plain", "all-options"))
    assert plain["jobs"]["build"]["permissions"]["packages"] == "write"
    assert "packages" not in other["jobs"]["build"]["permissions"]
    assert "secrets." not in render_pipeline(PLAIN, "github")
    assert "github.token" not in render_pipeline(ALL, "github")


@both
def test_what_no_registry_takes_is_not_pushed(form: str) -> None:
    text = render_pipeline(LOCAL, form)
    assert "docker push" not in text
    assert "login" not in text


@both
@pytest.mark.parametrize("change", [{"cache": True}, {"gpu_runner": ("gpu",)}])
def test_a_cache_and_another_runner_need_a_registry(form: str, change: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"needs a registry, and `gpuimg:2\.6\.0") as caught:
        render_pipeline(replace(LOCAL, **change), form)
    assert caught.value.hints


@both
def test_each_image_is_a_job_of_its_own(form: str) -> None:
    document = yaml.safe_load(render_pipeline(PLAIN, form))
    build = document["jobs"]["build"] if form == "github" else document["gpuimg-build"]
    rows = build["strategy"]["matrix"]["include"] if form == "github" else build["parallel"]["matrix"]
    assert [row["spec" if form == "github" else "SPEC"] for row in rows] == ["2.6-cu124", "2.13-cu130"]


ARM: Final = image("2.13-cu130", "2.13.0-cu130-py311-runtime-arm64", repository=GHCR, platform=Platform.ARM64)


def test_each_platform_has_its_runner_or_none_is_promised() -> None:
    mixed = replace(PLAIN, images=(PLAIN.images[0], ARM))
    rows = yaml.safe_load(render_pipeline(mixed, "github"))["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert [row["runner"] for row in rows] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    with pytest.raises(RequestError, match="no tag names the runners for linux/arm64") as caught:
        render_pipeline(mixed, "gitlab")
    assert caught.value.hints
    with pytest.raises(RequestError, match="two platforms, and a runner of --gpu-runner has one") as caught:
        render_pipeline(replace(mixed, gpu_runner=("gpu",)), "github")
    assert caught.value.hints
    assert render_pipeline(replace(PLAIN, images=(ARM,), gpu_runner=("arm-gpu",)), "github")


def test_no_job_is_promised_more_time_than_github_gives() -> None:
    assert "timeout-minutes: 360\n" in render_pipeline(replace(PLAIN, timeout_minutes=360), "github")
    with pytest.raises(RequestError, match="after 360 minutes") as caught:
        render_pipeline(replace(PLAIN, timeout_minutes=361), "github")
    assert caught.value.hints
    jobs = yaml.safe_load(render_pipeline(replace(ALL, timeout_minutes=4320), "github"))["jobs"]
    assert [jobs[name]["timeout-minutes"] for name in ("build", "gpu")] == [360, 4320]
    assert "timeout: 4320 minutes" in render_pipeline(replace(PLAIN, timeout_minutes=4320), "gitlab")


@both
def test_a_build_with_a_cache_may_use_the_hosts_network(form: str) -> None:
    """BuildKit gives it only to a builder that was made for it, and bake only where its command line says so."""
    text = render_pipeline(ALL, form)
    builds = text.count("docker buildx bake --allow network.host --set")
    assert builds == text.count("docker buildx bake") == (2 if form == "github" else 1)
    if form == "github":
        steps = yaml.safe_load(text)["jobs"]["build"]["steps"]
        (buildx,) = [step for step in steps if step.get("uses", "").startswith("docker/setup-buildx-action@")]
        assert buildx["with"] == {"buildkitd-flags": "--allow-insecure-entitlement network.host"}
    else:
        assert "--name gpuimg --buildkitd-flags '--allow-insecure-entitlement network.host' --use gpuimg" in text
    assert "network.host" not in render_pipeline(replace(PLAIN, cache=True), form)
    other = replace(ALL, images=(replace(ALL.images[0], network="lab"),))
    with pytest.raises(RequestError, match="the network `lab`, which a build with a cache can't have") as caught:
        render_pipeline(other, form)
    assert caught.value.hints
    assert render_pipeline(replace(other, cache=False), form)


def test_two_workflows_of_a_repository_are_not_one() -> None:
    document = yaml.safe_load(render_pipeline(PLAIN, "github"))
    assert "name" not in document  # GitHub shows the file's
    assert document["concurrency"]["group"] == "${{ github.workflow_ref }}"


@each
def test_a_pipeline_of_gitlabs_says_nothing_of_other_jobs(name: str) -> None:
    """It may be included where stages, variables and jobs are there already."""
    document = yaml.safe_load(render_pipeline(CASES[name], "gitlab"))
    assert set(document) <= {".gpuimg", "gpuimg-build", "gpuimg-gpu"}
    assert {job["stage"] for job in document.values() if "stage" in job} <= {"build", "test"}  # GitLab's own
    assert "interruptible" not in str(document)  # a push that is stopped half-way leaves half of the tags


def test_a_runner_keeps_neither_the_password_nor_an_earlier_gpuimg(tmp_path: Path) -> None:
    """The scripts themselves, with a docker that writes the password where docker does."""
    document = yaml.safe_load(render_pipeline(ALL, "gitlab"))
    venv, login = document[".gpuimg"]["before_script"]
    assert "python3 -m venv --clear " in venv
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\n[ "$1" = login ] || exit 0\ncat > "${DOCKER_CONFIG:-$HOME/.docker}/config.json"\n', encoding="utf-8"
    )
    docker.chmod(0o755)
    home, place = tmp_path / "home", Path(f"/tmp/gpuimg-test-{os.getpid()}")
    (home / ".docker").mkdir(parents=True)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "HOME": str(home),
        "CI_JOB_ID": f"test-{os.getpid()}",
        "REGISTRY": "registry.example.com:5000",
        "REGISTRY_USERNAME": "user",
        "REGISTRY_PASSWORD": "secret",
        "IMAGE": "x",
    }
    run = partial(subprocess.run, env=environment, check=True, timeout=60)
    run(["sh", "-e", "-c", login])
    assert (place / "config.json").read_text(encoding="utf-8") == "secret"
    assert place.stat().st_mode & 0o777 == 0o700
    run(["sh", "-e", "-c", "\n".join(document["gpuimg-gpu"]["after_script"])])
    assert not place.exists()
    assert not list((home / ".docker").iterdir())


@pytest.mark.parametrize(("form", "most"), [("github", 256), ("gitlab", 200)])
def test_more_jobs_than_a_matrix_may_have_are_refused(form: str, most: int) -> None:
    many = [image("2.6", f"image-{number}", repository=GHCR) for number in range(most + 1)]
    render_pipeline(replace(PLAIN, images=tuple(many[:most])), form)
    with pytest.raises(RequestError, match=f"{most + 1} images are more jobs"):
        render_pipeline(replace(PLAIN, images=tuple(many)), form)


@both
def test_images_of_two_registries_or_one_name_are_refused(form: str) -> None:
    other = image("2.6", "other", repository="registry.example.com/team/gpuimg")
    with pytest.raises(RequestError, match=r"several registries: ghcr\.io, registry\.example\.com"):
        render_pipeline(replace(PLAIN, images=(*PLAIN.images, other)), form)
    with pytest.raises(RequestError, match=r"come to the same image, 2\.6\.0-cu124-py311-runtime"):
        render_pipeline(replace(PLAIN, images=(PLAIN.images[0], PLAIN.images[0])), form)


def test_every_tag_of_the_report_is_pushed(tmp_path: Path) -> None:
    """The step itself, with a docker that writes down what it is asked: there is no registry to push to."""
    tags = (f"{GHCR}:2.6.0-cu124-py311-runtime", f"{GHCR}:2.6-cu124")
    built = Image(reference=tags[0], id="sha256:0", tags=tags, size_bytes=1, platform="linux/amd64", labels={})
    report = Report(image=built, torch="2.6.0", python="3.11", gpus=(), checks=(), seconds=1)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "report.json").write_text(as_json.dumps([report]), encoding="utf-8")
    stand_in = tmp_path / "docker"
    stand_in.write_text('#!/bin/sh\necho "$@" >> pushed\nexit "${FAIL:-0}"\n', encoding="utf-8")
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    steps = yaml.safe_load(render_pipeline(PLAIN, "github"))["jobs"]["build"]["steps"]
    (push,) = [step["run"] for step in steps if step.get("name") == "Push"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    command = ["bash", "-e", "-c", push]
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False, timeout=60).returncode == 0
    pushed = (tmp_path / "pushed").read_text(encoding="utf-8").splitlines()
    assert pushed == [f"push --quiet {tag}" for tag in tags]
    failed = subprocess.run(command, cwd=tmp_path, env={**environment, "FAIL": "1"}, check=False, timeout=60)
    assert failed.returncode == 1


@pytest.mark.parametrize("text", ["", "a b", "-r x", "a\n", "$(id)", "a;b", "a\x1b[2J", "ä", "`id`", "${{ x }}"])
def test_what_pip_can_not_install_is_refused(text: str) -> None:
    refuses(pipeline.install, text)


@pytest.mark.parametrize("text", ["https://u:p@a.example/x.whl", "git+https://token@a.example/x"])
def test_a_secret_in_a_url_is_refused(text: str) -> None:
    refuses(pipeline.install, text)
    assert pipeline.install("git+https://a.example/x@0123") == "git+https://a.example/x@0123"


@pytest.mark.parametrize("text", ["", "a,", "a b", "${{ github.x }}", "a\nb", "\x1b[2J", "[gpu]"])
def test_what_names_no_runner_is_refused(text: str) -> None:
    refuses(pipeline.runner, text)


@pytest.mark.parametrize("text", ["", "*", "a..b", "-x", "a b", "main\n", '"', "\x1b"])
def test_what_names_no_branch_is_refused(text: str) -> None:
    refuses(pipeline.branch, text)


@both
@pytest.mark.parametrize("text", ["./vendor/x.whl", "vendor/x~1.whl", "vendor/x[a,b]=1.whl#sha256=0"])
def test_any_file_that_pip_installs_stands_in_the_head(form: str, text: str) -> None:
    rendered = render_pipeline(replace(PLAIN, install=pipeline.install(text)), form)
    assert f"# {text} must be in the repository" in rendered
    assert f'GPUIMG: "{text}"' in rendered


@both
def test_any_branch_stands_in_the_head(form: str) -> None:
    assert "Only branch _wip pushes." in render_pipeline(replace(PLAIN, branch=pipeline.branch("_wip")), form)


@given(st.text(max_size=30))
def test_what_is_let_through_stays_one_plain_word(text: str) -> None:
    for check in (pipeline.install, pipeline.branch):
        try:
            found = check(text)
        except RequestError:
            continue
        assert re.fullmatch(r"[^\s\"'`$\\{}<>|;!*?()]+", found)


def test_a_project_file_is_named_from_the_top_of_its_repository(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    assert pipeline.project_file(tmp_path / "train" / "gpuimg.yaml") == "gpuimg.yaml"
    (tmp_path / ".git").mkdir()
    assert pipeline.project_file(tmp_path / "train" / "gpuimg.yaml") == "train/gpuimg.yaml"
    with pytest.raises(RequestError, match="can't stand in a pipeline"):
        pipeline.project_file(tmp_path / "my $(id)" / "gpuimg.yaml")
