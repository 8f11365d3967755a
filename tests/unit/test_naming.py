"""Names: every image of the matrix has tags of its own, and each reads as the spec that gives this image."""

from __future__ import annotations

import re

from gpuimg.errors import RequestError
from gpuimg.facts import Matrix
from gpuimg.model import Plan
from gpuimg.naming import image_tags, tag_contradictions
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform


def all_plans(matrix: Matrix) -> list[Plan]:
    plans = []
    for stack in matrix.stacks:
        resolution = resolve(parse_spec(stack.name), matrix)
        for on in stack.platforms:
            for python in on.pythons:
                for flavor in matrix.flavors:
                    wanted = Settings(flavor=flavor.name, python=python, platform=on.platform)
                    try:
                        plans.append(make_plan(resolution, matrix, wanted))
                    except RequestError as error:
                        refusal = ("no source of nvcc", "`jupyter` can't be had with Python 3.13t")
                        assert error.message.startswith(refusal)  # noqa: PT017 - a combination that is refused
    return plans


def test_no_two_images_share_a_tag_and_each_tag_is_true(matrix: Matrix) -> None:
    owner: dict[str, str] = {}
    for plan in all_plans(matrix):
        identity = f"{plan.stack.name} {plan.python} {plan.flavor.name} {plan.platform}"
        for tag in image_tags(plan, matrix):
            assert owner.setdefault(tag, identity) == identity
            text = tag.partition(":")[2]
            assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", text), "as the OCI's distribution spec allows"
            spec = text.removesuffix("-arm64")
            told = {"torch": str(plan.stack.torch), "cuda": plan.stack.cuda.variant, "python": str(plan.python)}
            assert tag_contradictions(spec, **told) == ()
            resolved = resolve(parse_spec(spec), matrix)
            assert resolved.stack == plan.stack
            assert resolved.spec.python in {None, plan.python}
            assert resolved.spec.flavor in {None, plan.flavor.name}
    assert len(owner) > 1000


def test_short_names_lead_to_the_newest_of_what_they_leave_out(matrix: Matrix) -> None:
    for stack in matrix.stacks:
        minor = f"{stack.torch.major}.{stack.torch.minor}"
        siblings = [other for other in matrix.stacks if other.torch.release[:2] == stack.torch.release[:2]]
        newest_torch = max(other.torch for other in siblings if other.cuda == stack.cuda)
        assert resolve(parse_spec(f"{minor}-{stack.cuda.variant}"), matrix).stack.torch == newest_torch
        newest = max(siblings, key=lambda other: (other.torch, other.cuda))
        assert resolve(parse_spec(minor), matrix).stack == newest
        assert resolve(parse_spec(stack.name), matrix).stack == stack
        assert resolve(parse_spec(stack.local_version), matrix).stack == stack


def test_a_tag_says_the_platform_where_it_is_not_the_usual_one(matrix: Matrix) -> None:
    for plan in all_plans(matrix):
        assert all(tag.endswith("-arm64") == (plan.platform is Platform.ARM64) for tag in image_tags(plan, matrix))
