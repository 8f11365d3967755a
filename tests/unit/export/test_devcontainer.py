"""devcontainer.json: within the specification, read by its own program where there is one, without a secret."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from gpuimg.errors import RequestError
from gpuimg.export import container
from gpuimg.export.devcontainer import IDLE, DevContainer, render_devcontainer
from gpuimg.export.image import ExportedImage
from gpuimg.launch import values
from tests.golden_file import Golden
from tests.unit.export import desk
from tests.unit.export.hostile import refuses

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "devcontainer"
OTHER: Final = ExportedImage(reference="pytorch/pytorch:latest")
_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_FLAG: Final = {"type": "boolean"}
_VARIABLES: Final = {"type": "object", "additionalProperties": _TEXT}
SCHEMA: Final = Draft202012Validator(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["image"],
        "properties": {
            **dict.fromkeys(("name", "image", "workspaceFolder", "workspaceMount", "remoteUser"), _TEXT),
            **dict.fromkeys(("mounts", "capAdd", "securityOpt", "runArgs"), _TEXTS),
            **dict.fromkeys(("overrideCommand", "init", "updateRemoteUserUID"), _FLAG),
            **dict.fromkeys(("containerEnv", "remoteEnv"), _VARIABLES),
            "forwardPorts": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65535}},
            "hostRequirements": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"gpu": {"enum": [True, False, "optional"]}},
            },
            "customizations": {"type": "object"},
        },
    }
)
"""The fields of https://containers.dev/implementors/json_reference/ that we write, as it types them."""


def made(exported: ExportedImage, *, gpus: str = "auto", cdi: bool = False, **wishes: Any) -> DevContainer:
    wanted = {"command": IDLE, "gpus": "all" if gpus == "auto" else gpus, **wishes}
    decision = desk.decided(exported, cdi=cdi, image_user=True, **wanted)
    return DevContainer(
        image=exported,
        launch=decision.launch,
        name="bert",
        gpus_if_any=gpus == "auto" and not cdi,
        checks_health=bool(exported.label("ports")),
    )


CASES: Final = {
    "runtime": made(desk.image()),
    "jupyter": made(desk.image("jupyter"), environment=(("HF_TOKEN", None),)),
    "all-options": replace(
        made(
            replace(OTHER, python="/opt/conda/bin/python"),
            gpus="0,1",
            shm_bytes=2**34,
            memory_bytes=2**36,
            cpus="7.5",
            environment=(("NCCL_DEBUG", "INFO"), ("WANDB_API_KEY", None), ("MOTTO", 'it\'s "$HOME"')),
            mounts=tuple(map(container.mount, ("data:/data:ro", "./models:/models", "/mnt/a,b:/scratch", "~/x:/x"))),
            ports=(values.port("6006", listen="127.0.0.1"),),
        ),
        platform="linux/amd64",
    ),
    "cdi-and-no-more": made(desk.image(), cdi=True, caches=False),
    "no-gpu": made(desk.image(), gpus="none"),
}


def found(case: DevContainer) -> Any:
    return json.loads(render_devcontainer(case))


@pytest.fixture(scope="module")
def program() -> str:
    named = os.environ.get("GPUIMG_DEVCONTAINER") or shutil.which("devcontainer")
    if named is None:
        pytest.skip("there is no devcontainer program here: `npm install @devcontainers/cli` has one")
    return named


@pytest.mark.parametrize("name", CASES)
def test_file_is_the_golden_one(name: str, golden: Golden) -> None:
    golden(render_devcontainer(CASES[name]), GOLDEN / f"{name}.json")


@pytest.mark.parametrize("name", CASES)
def test_the_specification_has_every_field(name: str) -> None:
    SCHEMA.validate(found(CASES[name]))


def test_what_validates_is_not_just_anything() -> None:
    with pytest.raises(ValidationError, match="shmSize"):
        SCHEMA.validate({**found(CASES["runtime"]), "shmSize": "8g"})


@pytest.mark.parametrize("name", CASES)
def test_its_own_program_reads_it(name: str, program: str, tmp_path: Path) -> None:
    (tmp_path / ".devcontainer").mkdir()
    (tmp_path / ".devcontainer" / "devcontainer.json").write_text(render_devcontainer(CASES[name]), encoding="utf-8")
    done = subprocess.run(
        [program, "read-configuration", "--workspace-folder", str(tmp_path)],
        env={"PATH": os.environ["PATH"], "HOME": "/home/somebody", "HF_TOKEN": "x", "WANDB_API_KEY": "$y"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    read = json.loads(done.stdout)["configuration"]
    assert read["workspaceMount"] == f"type=bind,source={tmp_path},target=/workspace"
    expected = json.dumps(found(CASES[name])).replace("${localWorkspaceFolder}", str(tmp_path))
    for variable, value in (("HOME", "/home/somebody"), ("HF_TOKEN", "x"), ("WANDB_API_KEY", "$y")):
        expected = expected.replace(f"${{localEnv:{variable}}}", value)
    assert {field: value for field, value in read.items() if field != "configFilePath"} == json.loads(expected)


def test_the_editors_user_can_write_to_the_image() -> None:
    """The editor gives the user the uid and the group of whoever opens the folder; the image's files are group 0's."""
    fields = found(CASES["runtime"])
    assert fields["updateRemoteUserUID"] is True
    assert fields["remoteUser"] == "gpuimg"
    assert fields["runArgs"][-2:] == ["--group-add", "0"]
    other = found(CASES["all-options"])
    assert "remoteUser" not in other
    assert "--group-add" not in other["runArgs"]


@pytest.mark.parametrize(
    ("wishes", "arguments", "optional"),
    [
        ({}, [], True),
        ({"gpus": "all"}, ["--gpus", "all"], False),
        ({"gpus": "0,1"}, ["--gpus", '"device=0,1"'], False),
        ({"cdi": True}, ["--device", "nvidia.com/gpu=all"], False),
        ({"gpus": "none"}, [], False),
    ],
)
def test_gpus_come_in_once(wishes: dict[str, Any], arguments: list[str], optional: bool) -> None:
    """Where `hostRequirements` asks for them, the editor adds ``--gpus all`` itself."""
    fields = found(made(desk.image(), **wishes))
    place = next((at for at, text in enumerate(fields["runArgs"]) if text in {"--gpus", "--device"}), None)
    assert (fields["runArgs"][place : place + 2] if place is not None else []) == arguments
    assert (fields.get("hostRequirements") == {"gpu": "optional"}) == optional
    assert ("capAdd" in fields) == (bool(arguments) or optional)
    assert (fields.get("containerEnv") == {"NVIDIA_VISIBLE_DEVICES": "void"}) == (wishes == {"gpus": "none"})


def test_the_editor_runs_no_server_so_nobody_asks_whether_it_is_well() -> None:
    fields = found(CASES["jupyter"])
    assert fields["overrideCommand"] is True
    assert "--no-healthcheck" in fields["runArgs"]
    assert "--no-healthcheck" not in found(CASES["runtime"])["runArgs"]
    assert "JUPYTER_TOKEN" not in render_devcontainer(CASES["jupyter"])


def test_a_secret_is_the_openers_own_and_in_no_container_configuration() -> None:
    fields = found(CASES["jupyter"])
    assert fields["remoteEnv"] == {"HF_TOKEN": "${localEnv:HF_TOKEN}"}
    assert "containerEnv" not in fields


def test_a_limit_that_a_rootless_engine_cannot_raise_is_left_out() -> None:
    assert "memlock" not in render_devcontainer(CASES["runtime"])


def test_mounts_are_the_openers_own_paths() -> None:
    mounts = found(CASES["all-options"])["mounts"]
    assert mounts == [
        "type=volume,source=data,target=/data,readonly",
        "type=bind,source=${localWorkspaceFolder}/models,target=/models",
        'type=bind,"source=/mnt/a,b",target=/scratch',
        "type=bind,source=${localEnv:HOME}/x,target=/x",
    ]
    parent = found(made(desk.image(), mounts=(container.mount("..:/workspace"),)))
    assert parent["workspaceMount"] == "type=bind,source=${localWorkspaceFolder}/..,target=/workspace"
    assert parent["mounts"] == ["type=volume,source=home-${devcontainerId},target=/home/gpuimg"]


@pytest.mark.parametrize("text", ["${localEnv:HOME}", "a${x", "${localWorkspaceFolder}\x1b[2J"])
def test_what_the_editor_would_fill_in_is_refused(text: str) -> None:
    refuses(lambda value: render_devcontainer(replace(CASES["runtime"], name=value)), text)
    with pytest.raises(RequestError, match="is filled in by the editor"):
        render_devcontainer(made(desk.image(), environment=(("A", text),)))
    with pytest.raises(RequestError, match="is filled in by the editor"):
        render_devcontainer(made(desk.image(), mounts=(container.mount("./${x}:/data"),)))


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "\x1b[2J", "a" * 81])
def test_a_name_that_nobody_could_read_is_refused(text: str) -> None:
    refuses(container.title, text)


@given(st.text(st.characters(exclude_categories=("C", "Z")), max_size=20).filter(lambda text: "${" not in text))
@settings(deadline=None)
def test_a_value_is_what_was_typed(text: str) -> None:
    assert found(made(desk.image(), environment=(("A", text),)))["containerEnv"]["A"] == text
