"""Compose files: within the schema, read by Compose itself where there is one, started as by `gpuimg run`."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.export import container
from gpuimg.export.compose import Service, render_compose
from gpuimg.export.image import ExportedImage
from gpuimg.launch import values
from gpuimg.templating import compose_scalar
from tests.golden_file import Golden
from tests.unit.export import desk
from tests.unit.export.hostile import refuses

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "compose"
_VENDORED: Final = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
SCHEMA: Final = Draft202012Validator(json.loads(_VENDORED.read_text(encoding="utf-8")))
OTHER: Final = ExportedImage(reference="pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime")
PROJECT: Final = desk.image("serve", reference="registry.example.com/team/bert:latest", workdir="/app")


def service(exported: ExportedImage, *, cdi: bool = False, made_by: str | None = None, **wishes: Any) -> Service:
    decision = desk.decided(exported, cdi=cdi, **wishes)
    return Service(image=exported, launch=decision.launch, server=decision.server, made_by=made_by)


def project() -> Service:
    """As `gpuimg export` makes it of a project whose image has a command."""
    exported = ExportedImage(
        reference=PROJECT.reference, labels=PROJECT.labels, python=PROJECT.python, command=("python", "serve.py")
    )
    return service(exported, made_by="gpuimg build", name="server", environment=(("HF_TOKEN", None),))


CASES: Final = {
    "runtime": service(desk.image(), made_by="gpuimg build 2.6-cu124", name="train"),
    "jupyter": service(desk.image("jupyter"), made_by="gpuimg build 2.6-cu124-jupyter", name="notebook"),
    "project": project(),
    "all-options": Service(
        image=OTHER,
        launch=desk.decided(
            OTHER,
            name="train",
            command=("torchrun", "--nproc-per-node=2", "train.py", "--name", "a $b"),
            gpus="0,1",
            shm_bytes=2**34,
            memory_bytes=2**36,
            cpus="7.5",
            environment=(("NCCL_DEBUG", "INFO"), ("WANDB_API_KEY", None)),
            mounts=tuple(map(container.mount, ("data:/data:ro", "./models:/models", "/mnt/scratch:/scratch"))),
            ports=(values.port("6006:6006", listen="127.0.0.1"), values.port("53/udp", listen="::1")),
            user="1001:0",
        ).launch,
        pull_policy="always",
        platform="linux/amd64",
    ),
    "cdi-and-no-more": service(desk.image(), cdi=True, name="train", mount_cwd=False, caches=False),
    "no-gpu": service(desk.image(), gpus="none", name="train"),
}


@pytest.fixture(scope="module")
def program() -> Sequence[str]:
    found = desk.compose_program()
    if found is None:
        pytest.skip("there is no Docker Compose here: install its plugin, or name it in GPUIMG_COMPOSE")
    return found


def only_service(made: Service) -> Any:
    (found,) = yaml.safe_load(render_compose(made))["services"].values()
    return found


@pytest.mark.parametrize("name", CASES)
def test_file_is_the_golden_one(name: str, golden: Golden) -> None:
    golden(render_compose(CASES[name]).replace(__version__, "VERSION"), GOLDEN / f"{name}.yaml")


@pytest.mark.parametrize("name", CASES)
def test_the_schema_knows_every_field(name: str) -> None:
    SCHEMA.validate(yaml.safe_load(render_compose(CASES[name])))


def test_what_validates_is_not_just_anything() -> None:
    broken = yaml.safe_load(render_compose(CASES["runtime"]))
    broken["services"]["train"]["shm-size"] = broken["services"]["train"].pop("shm_size")
    with pytest.raises(ValidationError, match="shm-size"):
        SCHEMA.validate(broken)


@pytest.mark.parametrize("name", CASES)
def test_compose_itself_reads_it(name: str, program: Sequence[str], tmp_path: Path) -> None:
    done = desk.read_by_compose(program, render_compose(CASES[name]), tmp_path, {"JUPYTER_TOKEN": "x"})
    (found,) = desk.as_compose_reads(done)["services"].values()
    assert found["image"] == CASES[name].image.reference
    assert int(found["shm_size"]) == CASES[name].launch.shm_bytes


def test_words_arrive_as_they_were_typed(program: Sequence[str], tmp_path: Path) -> None:
    environment = tuple((f"V{place}", text) for place, text in enumerate(desk.TRAPS))
    made = service(desk.image(), command=tuple(desk.TRAPS), environment=environment)
    done = desk.read_by_compose(program, render_compose(made), tmp_path, {})
    (found,) = desk.as_compose_reads(done)["services"].values()
    assert found["command"] == desk.TRAPS
    assert tuple(found["environment"].items()) == tuple(sorted(environment))


def test_dollars_are_doubled_once() -> None:
    """A file that Compose reads back: two dollars for each, and nothing else is filled in."""
    found = only_service(service(desk.image(), command=tuple(desk.TRAPS), environment=(("A", "$$ ${B}"),)))
    assert [word.replace("$$", "$") for word in found["command"]] == desk.TRAPS
    assert found["environment"] == ["A=$$$$ $${B}"]


def test_who_starts_it_owns_the_files(program: Sequence[str], tmp_path: Path) -> None:
    text = render_compose(CASES["runtime"])
    for environ, line, user in (({}, "", "1000:0"), ({}, "UID=1234\n", "1234:0"), ({"UID": "7"}, "UID=1234\n", "7:0")):
        (tmp_path / ".env").write_text(line, encoding="utf-8")
        found = desk.as_compose_reads(desk.read_by_compose(program, text, tmp_path, environ))
        assert found["services"]["train"]["user"] == user


def test_an_engine_that_may_not_raise_limits_is_asked_for_less(program: Sequence[str], tmp_path: Path) -> None:
    text = render_compose(CASES["runtime"])
    for environ, limit in (({}, -1), ({"MEMLOCK": "65536"}, 65536)):
        found = desk.as_compose_reads(desk.read_by_compose(program, text, tmp_path, environ))
        assert found["services"]["train"]["ulimits"] == {"memlock": limit, "stack": 67108864}


def test_without_a_token_compose_says_how(program: Sequence[str], tmp_path: Path) -> None:
    text = render_compose(CASES["jupyter"])
    done = desk.read_by_compose(program, text, tmp_path, {})
    assert done.returncode != 0
    assert "JUPYTER_TOKEN" in done.stderr
    assert "the head of the file says how" in done.stderr
    (tmp_path / ".env").write_text("JUPYTER_TOKEN=secret\n", encoding="utf-8")
    found = desk.as_compose_reads(desk.read_by_compose(program, text, tmp_path, {}))
    assert found["services"]["notebook"]["environment"] == {"JUPYTER_TOKEN": "secret"}


def test_a_notebook_listens_on_loopback_and_nowhere_else() -> None:
    found = only_service(CASES["jupyter"])
    assert found["ports"] == ["127.0.0.1:8888:8888"]
    assert found["healthcheck"] == {"interval": "10s"}
    assert "restart" not in found


def test_a_server_starts_again_after_a_crash_or_a_reboot() -> None:
    found = only_service(CASES["project"])
    assert found["restart"] == "unless-stopped"
    assert found["ports"] == ["127.0.0.1:8000:8000"]
    assert found["environment"] == ["HF_TOKEN"]
    assert "working_dir" not in found  # the image has its program in a folder of its own


def test_another_command_takes_the_servers_place() -> None:
    """As with `gpuimg run`: what isn't known to listen has no port, no check and no token."""
    made = service(desk.image("jupyter"), command=("python", "train.py"), environment=(("JUPYTER_TOKEN", None),))
    found = only_service(made)
    assert not {"ports", "healthcheck"} & set(found)
    assert found["environment"] == ["JUPYTER_TOKEN"]


@pytest.mark.parametrize(
    ("wishes", "devices"),
    [
        ({"gpus": "all"}, [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]),
        ({"gpus": "0,GPU-1a"}, [{"driver": "nvidia", "device_ids": ["0", "GPU-1a"], "capabilities": ["gpu"]}]),
        ({"gpus": "none"}, None),
        ({"gpus": "0,1", "cdi": True}, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
    ],
)
def test_gpus_are_asked_for_as_the_engine_takes_them(wishes: dict[str, Any], devices: list[Any] | None) -> None:
    found = only_service(service(desk.image(), **wishes))
    reserved = found.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
    assert (found.get("devices") if wishes.get("cdi") else reserved) == devices
    assert ("cap_add" in found) == (devices is not None)
    assert ("NVIDIA_VISIBLE_DEVICES=void" in found.get("environment", [])) == (devices is None)


def test_an_image_of_somebody_else_has_a_home_that_any_user_can_write_to() -> None:
    assert only_service(CASES["all-options"])["environment"][:1] == ["NCCL_DEBUG=INFO"]  # its user was named
    found = only_service(service(OTHER))
    assert found["environment"] == ["HOME=/tmp", "USER=gpuimg"]
    assert [mount["target"] for mount in found["volumes"]] == ["/workspace"]


def test_the_home_is_kept_unless_something_else_was_named_for_it() -> None:
    assert [mount["source"] for mount in only_service(CASES["runtime"])["volumes"]] == [".", "home"]
    named = service(desk.image(), mounts=(container.mount("models:/home/gpuimg"), container.mount("..:/workspace")))
    assert [mount["source"] for mount in only_service(named)["volumes"]] == ["models", ".."]
    with pytest.raises(RequestError, match="two mounts share the place /data"):
        service(desk.image(), mounts=(container.mount("a:/data"), container.mount("b:/data")))


def test_half_of_the_memory_is_shared_memory_at_most() -> None:
    found = only_service(service(desk.image(), memory_bytes=6 * 2**30))
    assert (found["shm_size"], found["deploy"]["resources"]["limits"]) == ("3g", {"memory": "6g"})


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("./data:/d", "./data"),
        ("data:/d", "data"),
        ("sub/data:/d", "./sub/data"),
        ("../data:/d", "../data"),
        ("/mnt/d:/d", "/mnt/d"),
        ("~/d:/d", "~/d"),
        (".:/d", "."),
    ],
)
def test_paths_are_relative_to_the_file(text: str, source: str) -> None:
    assert container.mount(text).source == source
    assert container.mount(text).volume == (text == "data:/d")


@pytest.mark.parametrize("text", ["HF_TOKEN=hf_x", "AWS_SECRET_ACCESS_KEY=x", "A=\x1b[2J", "A=b\nc: d", "A-B=1", "=1"])
def test_a_variable_that_must_not_stand_there_is_refused(text: str) -> None:
    refuses(container.variable, text)


@pytest.mark.parametrize("text", ["", "A", "a b", "-a", "a:\n  x", "a\x1b[2J", "é", "a" * 64])
def test_a_service_has_a_plain_name(text: str) -> None:
    refuses(container.service_name, text)


def test_values_that_would_leave_their_place_are_refused() -> None:
    refuses(container.pull_policy, "nevr\x1b[2J")
    refuses(lambda text: container.command((text,)), "a\nb\x1b[2J")
    refuses(container.mount, "a\nb:/c")


@given(st.text(st.characters(exclude_categories=("C", "Z")), max_size=20))
@settings(deadline=None)
def test_a_scalar_is_what_was_typed(text: str) -> None:
    assert yaml.safe_load(compose_scalar(text)) == text.replace("$", "$$")
