"""What labels promise, and whether an image's own name tells the truth."""

from __future__ import annotations

from typing import Any

import pytest

from gpuimg.facts import UNKNOWN, Matrix
from gpuimg.model import Image, Report, Status
from gpuimg.naming import labels
from gpuimg.pipeline.plan import make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.smoke.expect import expectation, promised_notices, tag_check
from gpuimg.smoke.guest.config import parse_config


def image(reference: str = "gpuimg:x", **described: str) -> Image:
    return Image(
        reference=reference, id="sha256:1", tags=(reference,), size_bytes=1, platform="linux/amd64", labels=described
    )


def report(torch: str | None = "2.6.0+cu124", python: str = "3.11.2") -> Report:
    return Report(image=None, torch=torch, python=python, gpus=(), checks=(), seconds=1.0)


@pytest.mark.parametrize("spec", ["2.6-cu124", "2.6-cu121", "2.13-cu130-devel", "2.1"])
def test_labels_of_every_plan_are_an_expectation_that_the_guest_reads(spec: str, matrix: Matrix) -> None:
    """What `naming` writes and `expect` reads is one contract: nothing gets lost between them."""
    plan = make_plan(resolve(parse_spec(spec), matrix), matrix)
    expect = expectation(image(**labels(plan, digest="sha256:0")).labels)
    assert expect is not None
    config = parse_config({"v": 1, "expect": dict(expect)})
    assert config.expect.torch == plan.stack.local_version
    assert config.expect.cudnn == str(plan.stack.cudnn)
    assert config.expect.min_driver == str(plan.cuda.min_driver)
    capabilities = plan.on_platform.compute_capabilities
    assert capabilities is not UNKNOWN
    assert config.expect.compute_capabilities == [str(capability) for capability in capabilities]
    assert config.expect.toolkit == plan.flavor.toolkit
    assert config.expect.cxx11_abi == plan.stack.cxx11_abi
    assert plan.allocator is not None
    assert config.expect.allocator == {"variable": plan.allocator.variable, "value": plan.allocator.value}


def test_a_foreign_image_promises_nothing() -> None:
    assert expectation(image(maintainer="somebody").labels) is None


def test_a_substitution_is_a_notice_of_every_later_report(matrix: Matrix) -> None:
    plan = make_plan(resolve(parse_spec("2.6-cu121"), matrix), matrix)
    (notice,) = promised_notices(image(**labels(plan, digest="sha256:0")))
    assert "2.6.0-cu121" in notice


@pytest.mark.parametrize(
    ("reference", "found", "status"),
    [
        ("gpuimg:2.6.0-cu124-py311-runtime", {}, Status.PASS),
        ("pytorch/pytorch:2.6.0-cuda12.4-cudnn9-devel", {}, Status.PASS),
        ("registry.example.com:5000/torch:2.6", {}, Status.PASS),
        ("pytorch/pytorch:1.13.1-cuda11.6-cudnn8-runtime", {}, Status.FAIL),
        ("x:2.6.0-cu126", {}, Status.FAIL),
        ("x:2.6.0-cu124-py38", {}, Status.FAIL),
        ("x:2.6.0-cu124-py311", {"python": "3.11.0rc1"}, Status.PASS),
        ("pytorch/pytorch:2.6.0", {"torch": "2.6.1+cu124"}, Status.FAIL),
        ("x:2.6-cu124", {"torch": "2.6.0+cpu"}, Status.FAIL),
    ],
)
def test_a_name_that_is_a_spec_must_be_true(reference: str, found: dict[str, Any], status: Status) -> None:
    check = tag_check(image(reference), report(**found))
    assert check is not None
    assert check.status is status
    assert bool(check.reason) == (status is Status.FAIL)


@pytest.mark.parametrize(
    "reference",
    ["x:latest", "x", "gpuimg:2.6-cu121-compat", "x@sha256:abc", "nvcr.io/nvidia/cuda-torch:24.05-py3", "app:1.2"],
)
def test_a_name_that_says_nothing_is_no_check(reference: str) -> None:
    assert tag_check(image(reference), report()) is None


def test_no_torch_is_no_check() -> None:
    assert tag_check(image("x:2.6"), report(torch=None)) is None
