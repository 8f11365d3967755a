"""Kinds of manifest: each image gets the one that it is for, and options that mean nothing to it are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuimg.errors import RequestError
from gpuimg.export.image import ExportedImage
from gpuimg.export.k8s import kinds
from gpuimg.matrix import load_matrix
from tests.unit.export.hostile import refuses


def image(flavor: str) -> ExportedImage:
    return ExportedImage(reference="team/train:1", labels={"io.gpuimg.flavor": flavor} if flavor else {})


@pytest.mark.parametrize(
    ("flavor", "nodes", "command", "kind"),
    [
        ("runtime", 1, ("train.py",), "job"),
        ("", 2, ("train.py",), "jobset"),
        ("jupyter", 1, (), "notebook"),
        ("jupyter", 1, ("train.py",), "job"),
        ("serve", 1, ("uvicorn", "app:app"), "server"),
    ],
)
def test_an_image_gets_the_kind_that_it_is_for(flavor: str, nodes: int, command: tuple[str, ...], kind: str) -> None:
    assert kinds.choose_kind(None, image(flavor), smoke=False, nodes=nodes, command=command) == kind


@pytest.mark.parametrize(("own", "kind"), [(("jupyter", "lab"), "notebook"), (("python", "train.py"), "job")])
def test_an_image_with_a_command_of_its_own_is_what_that_is(own: tuple[str, ...], kind: str) -> None:
    """A project may build on jupyter, and train by itself."""
    made = replace(image("jupyter"), command=own)
    assert kinds.choose_kind(None, made, smoke=False, nodes=1, command=()) == kind


@pytest.mark.parametrize("flavor", ["runtime", "serve"])
def test_an_image_without_jupyter_is_no_notebook(flavor: str) -> None:
    with pytest.raises(RequestError, match="has no notebook server"):
        kinds.choose_kind("notebook", image(flavor), smoke=False, nodes=1, command=())
    assert kinds.choose_kind("notebook", image(""), smoke=False, nodes=1, command=()) == "notebook"


def test_the_health_check_is_the_flavors_own() -> None:
    flavors = load_matrix().flavors
    assert kinds.health(flavors, "jupyter") == ("/api", 8888)
    assert kinds.health(flavors, "serve") == ("/health", 8000)
    assert kinds.health(flavors, "serve", own="http://127.0.0.1:9000/ready?x=1") == ("/ready?x=1", 9000)
    with pytest.raises(RequestError, match="flavor runtime has no health check"):
        kinds.health(flavors, "runtime")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ready",
        "ftp://127.0.0.1/x",
        "http://127.0.0.1:x/",
        "http://127.0.0.1:0/",
        "http://[",
        "http:///x",
        "\x1b[2J",
    ],
)
def test_a_url_that_no_probe_can_ask_is_refused(url: str) -> None:
    refuses(lambda text: kinds.health((), "serve", own=text), url)


@pytest.mark.parametrize(
    ("kind", "option"),
    [("job", "--storage"), ("server", "--max-restarts"), ("notebook", "a command"), ("smoke", "--no-torchrun")],
)
def test_an_option_that_means_nothing_is_refused(kind: str, option: str) -> None:
    with pytest.raises(RequestError, match=f"{option} means nothing to"):
        kinds.refuse_strays(kind, {"--nodes": False, option: True})
    kinds.refuse_strays(kind, {option: False})


def test_a_kind_that_there_is_not_is_refused() -> None:
    refuses(lambda text: kinds.choose_kind(text, image(""), smoke=False, nodes=1, command=()), "jobs\x1b[2J")
    with pytest.raises(RequestError, match="a kind of its own"):
        kinds.choose_kind("job", image(""), smoke=True, nodes=1, command=())
