"""What one command builds: plans with their contexts, and what becomes of each on an engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuimg.cli import planning
from gpuimg.errors import RequestError
from gpuimg.facts import Matrix
from gpuimg.model import Context, Plan, Report, Status

if TYPE_CHECKING:
    from gpuimg.cli import outcome
    from gpuimg.cli.console import Console
    from gpuimg.cli.project import Selection
    from gpuimg.engine.client import Engine
    from gpuimg.pipeline.plan import Settings
    from gpuimg.project.model import ProjectImage
    from gpuimg.smoke.host import SmokeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What plans and renders all images of one command."""

    matrix: Matrix
    wanted: Settings
    compiled: planning.Compilation
    unlocked_extras: bool
    template_dirs: tuple[Path, ...]
    repository: str | None = None
    """None: gpuimg's own, or that of the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How an image is built and checked."""

    network: str | None
    build_args: Mapping[str, str]
    labels: Mapping[str, str]
    smoke: SmokeOptions | None
    """None: not verified."""
    tags: tuple[str, ...]
    """Names beside those of the context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One image to build."""

    plan: Plan
    context: Context
    job: Job


def spec_orders(
    specs: Sequence[str], how: How, job: Job, console: Console, *, skip_impossible: bool
) -> Sequence[Order]:
    """Plan and render `specs`. Raises RequestError where one can't be had, unless that shall be left out."""
    plans = planning.make_plans(
        specs,
        how.matrix,
        how.wanted,
        console,
        skip_impossible=skip_impossible,
        compiled=how.compiled,
        unlocked_extras=how.unlocked_extras,
    )
    for text in job.tags:
        _refuse_lie(text, plans[0])
    return [Order(plan=plan, context=_rendered(plan, how), job=job) for plan in plans]


def spec_context(spec: str, how: How, console: Console) -> tuple[Plan, Context]:
    """The plan of one spec, and its context."""
    (plan,) = planning.make_plans(
        [spec], how.matrix, how.wanted, console, compiled=how.compiled, unlocked_extras=how.unlocked_extras
    )
    return plan, _rendered(plan, how)


def _rendered(plan: Plan, how: How) -> Context:
    from gpuimg.naming import REPOSITORY
    from gpuimg.pipeline.render import render

    return render(plan, how.matrix, template_dirs=how.template_dirs, repository=how.repository or REPOSITORY)


def project_orders(
    selected: Selection,
    how: How,
    job: Job,
    console: Console,
    *,
    given: Mapping[str, Any],
    gpus: str | None,
    verify: bool | None,
) -> Sequence[Order]:
    """Plan and render images of a project; `given` are options that take the place of what its file says."""
    from gpuimg.project.apply import build_smoke

    orders = []
    for named in selected.images:
        asked = {**given, "repository": how.repository, "build_network": job.network}
        image, plan, context = project_context(named, selected, how, console, given=asked)
        for text in job.tags:
            _refuse_lie(text, plan)
        own = dataclasses.replace(
            job,
            network=image.build_network,
            labels={**image.labels, **job.labels},
            smoke=build_smoke(image, gpus=gpus, verify=verify),
        )
        orders.append(Order(plan=plan, context=context, job=own))
    return orders


def project_context(
    image: ProjectImage, selected: Selection, how: How, console: Console, *, given: Mapping[str, Any]
) -> tuple[ProjectImage, Plan, Context]:
    """The image with the options that are `given`, its plan, and its context, which has the project's names."""
    from gpuimg.project.apply import with_options

    label = selected.project.label
    image, said = with_options(image, given, label=label)
    console.info(f"{image.references[0]}: {image.spec}, as {label} says")
    for line in said:
        console.info(line)
    plan = planning.plan_image(
        image,
        selected.project,
        how.matrix,
        how.wanted,
        console,
        compiled=how.compiled,
        unlocked_extras=how.unlocked_extras,
    )
    for reference in image.references:
        _refuse_lie(reference, plan, hint=f"choose another in `tags` of {label}")
    return image, plan, dataclasses.replace(_rendered(plan, how), tags=image.references)


def build_order(engine: Engine, order: Order, console: Console, results: outcome.Results) -> None:
    """Build, verify and tag one image; one that is not what its tags say is removed again."""
    from gpuimg.cli.live import BuildView
    from gpuimg.cli.view import verify_with_view
    from gpuimg.engine.build import build_image
    from gpuimg.engine.images import discard_untagged, tag_image

    plan, context, job = order.plan, order.context, order.job
    title, tags = context.tags[0], (*context.tags, *job.tags)
    with BuildView(console, title) as view:
        image = build_image(
            engine,
            context,
            platform=plan.platform,
            network=job.network,
            build_args=job.build_args,
            labels=job.labels,
            on_progress=view.update,
        )
    with discard_untagged(engine, image):
        if job.smoke is not None:
            named = dataclasses.replace(image, reference=title)
            report = verify_with_view(engine, named, console, job.smoke, title=title)
            if not _is_what_it_says(report):
                results.add(report)
                console.warning(
                    f"{title} is not tagged but removed, since its stack is not what its tags would say; "
                    "build it with --no-verify to look inside"
                )
                return
            results.add(dataclasses.replace(report, image=dataclasses.replace(named, tags=tags)))
        image = tag_image(engine, image, tags)
    console.info(f"built {', '.join(image.tags)} ({image.size_bytes / 1e9:.2f} GB)")


def _is_what_it_says(report: Report) -> bool:
    """Whether the checks that tags rest on ran and held: a guest that died has shown nothing."""
    statuses = {check.name: check.status for check in report.checks}
    fatal = [check for check in report.failed if check.group in {"stack", "guest"}]
    return statuses.get("stack.torch") is Status.PASS and not fatal


def _refuse_lie(tag: str, plan: Plan, *, hint: str = "choose another name with --tag") -> None:
    """A name that the user chose may say anything, but nothing false of torch, CUDA or Python."""
    from gpuimg.naming import tag_contradictions

    text = tag.rpartition(":")[2]
    wrong = tag_contradictions(text, torch=str(plan.stack.torch), cuda=plan.stack.cuda.variant, python=str(plan.python))
    if wrong and "-compat" not in text:
        raise RequestError(f"the tag `{text}` would lie: inside is {'; '.join(wrong)}", hints=[hint])
