"""An image of a project becomes settings and checks; what options say takes the place of what the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.pipeline.plan import Settings
from gpuimg.project.apply import build_smoke, image_settings, verify_smoke, with_options
from gpuimg.project.model import Code, ProjectImage, SmokeWishes
from gpuimg.smoke.host import SmokeOptions
from gpuimg.versions import Platform, PythonVersion

IMAGE = ProjectImage(name="bert", spec="2.6-cu124", repository="bert", tags=("latest",), python=PythonVersion(3, 10))


def smoked(**wishes: object) -> ProjectImage:
    return ProjectImage(
        name="bert",
        spec="2.6-cu124",
        repository="bert",
        tags=("latest",),
        smoke=SmokeWishes(**wishes),  # type: ignore[arg-type]  # fields by name
    )


def test_options_beat_the_file_and_that_is_said() -> None:
    given = {"python": PythonVersion(3, 12), "flavor": "devel", "base": None, "index_url": "https://x.example"}
    image, said = with_options(IMAGE, given, label="gpuimg.yaml")
    assert (image.python, image.flavor, image.index_url) == (PythonVersion(3, 12), "devel", "https://x.example")
    assert said == ("--python 3.12 takes the place of 3.10 in gpuimg.yaml",)
    _, said = with_options(image, {"index_url": "https://x.example", "flavor": "serve"}, label="x")
    assert said == ("--flavor serve takes the place of devel in x",)


def test_settings_are_those_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("x")
    (tmp_path / ".dockerignore").write_text("data\n")
    (tmp_path / "data").write_text("x")
    image = ProjectImage(
        name="bert",
        spec="2.6-cu124",
        repository="bert",
        tags=("latest",),
        packages=("libgl1",),
        environment={"A": "1"},
        workdir="/app",
        command=("python", "train.py"),
        code=(Code(source=tmp_path, target="/app"),),
    )
    settings = image_settings(image, Settings(ca_bundle=b"of the host"))
    assert (settings.platform, settings.packages, settings.workdir) == (Platform.AMD64, ("libgl1",), "/app")
    assert (settings.environment, settings.command) == ({"A": "1"}, ("python", "train.py"))
    assert [(copy.target, copy.files) for copy in settings.code] == [("/app", (".dockerignore", "train.py"))]
    assert settings.ca_bundle == b"of the host"


def test_the_files_certificates_beat_those_of_the_host(tmp_path: Path) -> None:
    image, _ = with_options(IMAGE, {"ca_bundle": tmp_path / "ca.pem"}, label="x")
    with pytest.raises(RequestError, match="can't be read"):
        image_settings(image, Settings(ca_bundle=b"of the host"))
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    assert image_settings(image, Settings(ca_bundle=b"x")).ca_bundle == b"-----BEGIN CERTIFICATE-----"


def test_a_build_checks_as_the_file_says_and_always_the_stack() -> None:
    assert build_smoke(smoked(), gpus=None, verify=None) == SmokeOptions(mode="quick")
    found = build_smoke(smoked(mode="full", only=("load",), gpus="0"), gpus=None, verify=None)
    assert found == SmokeOptions(mode="full", only=("load", "stack"), gpus="0")
    assert build_smoke(smoked(enabled=False), gpus=None, verify=None) is None
    assert build_smoke(smoked(), gpus=None, verify=False) is None
    assert build_smoke(smoked(enabled=False, gpus="0"), gpus="none", verify=True) == SmokeOptions(
        mode="quick", gpus="none"
    )


def test_verify_checks_as_options_say_and_else_as_the_file_does() -> None:
    image = smoked(mode="full", only=("load",), gpus="0", enabled=False)
    nothing = SmokeOptions(shm_bytes=1)
    found = verify_smoke(image, nothing, gpus_given=False, mode_given=False)
    assert found == SmokeOptions(shm_bytes=1, mode="full", only=("load",), gpus="0")
    said = SmokeOptions(skip=("rate",), gpus="none", mode="quick")
    assert verify_smoke(image, said, gpus_given=True, mode_given=True) == said
    assert verify_smoke(smoked(), nothing, gpus_given=False, mode_given=False) == nothing
