"""The bake file: what buildx reads in it, and that nothing that users say gets out of its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuimg.errors import RequestError
from gpuimg.export.bake import FILE, BakeImage, bake_context, cache_reference, target_name
from gpuimg.model import Context
from gpuimg.versions import Platform
from gpuimg.write import write_context
from tests.golden_file import Golden

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "bake"
_TARGET_FIELDS: Final = {"context", "dockerfile", "tags", "platforms", "labels", "network", "cache-from", "cache-to"}
"""https://docs.docker.com/build/bake/reference/#target, those that we write."""


def image(name: str, *, tags: tuple[str, ...] = (), **fields: Any) -> BakeImage:
    context = Context(
        files={"Dockerfile": f"FROM scratch\nCOPY {name} /\n".encode(), f"layers/{name}": name.encode()},
        tags=tags or (f"registry.example.com:5000/team/gpuimg:{name}",),
        plan_digest="sha256:0",
    )
    return BakeImage(name=name, context=context, **{"platform": Platform.AMD64, **fields})


RUNTIME: Final = image("2.6.0-cu124-py311-runtime", tags=("team/gpuimg:2.6.0-cu124-py311-runtime", "team/gpuimg:2.6"))
ARM: Final = image(
    "bert",
    platform=Platform.ARM64,
    network="host",
    labels={"team": "nlp ${HOME} %{if true}", "owner": "$5 100%"},
)


def document(*images: BakeImage, registry_cache: bool = False) -> Any:
    return json.loads(bake_context(images, registry_cache=registry_cache).files[FILE])


def test_file_is_the_golden_one(golden: Golden) -> None:
    text = bake_context([RUNTIME, ARM], registry_cache=True).files[FILE].decode()
    golden(text, GOLDEN / "docker-bake.json")


def test_the_default_is_all_images() -> None:
    found = document(RUNTIME, ARM)
    assert found["group"]["default"]["targets"] == list(found["target"])
    assert found["target"]["2_6_0-cu124-py311-runtime"] == {
        "context": "contexts/2.6.0-cu124-py311-runtime",
        "dockerfile": "Dockerfile",
        "tags": ["team/gpuimg:2.6.0-cu124-py311-runtime", "team/gpuimg:2.6"],
        "platforms": ["linux/amd64"],
    }
    assert set(document(ARM, registry_cache=True)["target"]["bert"]) == _TARGET_FIELDS


def test_a_label_is_what_was_said_and_no_expression_of_bakes() -> None:
    """buildx 0.29 built an image from these, whose labels were the ones that were said."""
    labels = document(ARM)["target"]["bert"]["labels"]
    assert labels == {"team": "nlp $${HOME} %%{if true}", "owner": "$5 100%"}


def test_each_image_has_its_context_whole(tmp_path: Path) -> None:
    write_context(bake_context([RUNTIME, ARM]), tmp_path / "bake")
    for one in (RUNTIME, ARM):
        for name, content in one.context.files.items():
            assert (tmp_path / "bake" / "contexts" / one.name / name).read_bytes() == content


def test_an_image_that_is_left_out_next_time_is_removed(tmp_path: Path) -> None:
    write_context(bake_context([RUNTIME, ARM]), tmp_path)
    write_context(bake_context([ARM]), tmp_path)
    assert [path.name for path in (tmp_path / "contexts").iterdir()] == ["bert"]


def test_files_that_are_not_held_come_along(tmp_path: Path) -> None:
    wheel, script = tmp_path / "torch.whl", tmp_path / "train.py"
    wheel.write_bytes(b"wheel")
    script.write_bytes(b"print()")
    context = Context(
        files={"Dockerfile": b"FROM scratch\n"},
        tags=("a:1",),
        plan_digest="",
        large={"origin/torch.whl": wheel},
        code={"layers/code/0/train.py": script},
    )
    write_context(bake_context([BakeImage(name="a", context=context, platform=Platform.AMD64)]), tmp_path / "out")
    assert (tmp_path / "out" / "contexts" / "a" / "origin" / "torch.whl").read_bytes() == b"wheel"
    assert (tmp_path / "out" / "contexts" / "a" / "layers" / "code" / "0" / "train.py").read_bytes() == b"print()"


@pytest.mark.parametrize("other", ["2.6.0-cu124-py311-runtime", "2_6.0-cu124-py311-runtime"])
def test_one_target_is_one_image(other: str) -> None:
    with pytest.raises(RequestError, match="would both be the target `2_6_0-cu124-py311-runtime`") as caught:
        bake_context([RUNTIME, image(other)])
    assert caught.value.hints


@given(st.text(min_size=1, max_size=40))
def test_any_name_becomes_one_that_bake_takes(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", target_name(name))


def test_a_cache_lies_beside_its_image_under_a_tag_that_holds() -> None:
    assert cache_reference("ghcr.io/team/gpuimg:2.6") == "ghcr.io/team/gpuimg:cache-2.6"
    longest = cache_reference(f"ghcr.io/team/gpuimg:{'a' * 128}")
    assert len(longest.rpartition(":")[2]) == 128
