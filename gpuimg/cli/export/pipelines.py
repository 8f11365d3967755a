"""What the formats of a CI share: the command, and what it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import options
from gpuimg.cli.export.several import CacheTo, CudaVersions, Every, Targets, TorchVersions, refuse_idle, wanted_specs
from gpuimg.cli.textfile import Output, TextFile
from gpuimg.errors import RequestError

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.cli.project import Selection
    from gpuimg.export.pipeline import PipelineImage
    from gpuimg.facts import Matrix
    from gpuimg.pipeline.plan import Settings


def pipeline_command(form: str, *, does: str, folder: str | None = None) -> Callable[..., None]:
    """The command that writes a pipeline as `form`; `does` is its help, `folder` where its system looks for it."""

    def command(
        targets: Targets = None,
        every: Every = False,
        torch: TorchVersions = None,
        cuda: CudaVersions = None,
        file: options.ProjectFile = None,
        output: Output = None,
        repository: Annotated[
            str | None,
            typer.Option(
                "--repository",
                metavar="NAME",
                help="Where images are pushed to, such as ghcr.io/team/gpuimg.  [default: nowhere]",
                show_default=False,
            ),
        ] = None,
        cache_to: CacheTo = None,
        gpu_runner: Annotated[
            str | None,
            typer.Option(
                "--gpu-runner", metavar="LABELS", help="Check again on runners with these labels: self-hosted,gpu."
            ),
        ] = None,
        branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="Images are pushed from here.")] = "main",
        install: Annotated[
            str | None,
            typer.Option(
                "--install",
                metavar="WHAT",
                help="What pip installs to have gpuimg: a file, a URL.  [default: its wheel in vendor/]",
                show_default=False,
            ),
        ] = None,
        timeout: Annotated[
            int, typer.Option("--timeout", metavar="MINUTES", min=1, max=4320, help="When a job is ended.")
        ] = 120,
        flavor: options.Flavor = None,
        python: options.Python = None,
        platform: options.PlatformName = None,
        template_dir: options.TemplateDir = None,
    ) -> None:
        from gpuimg import settings
        from gpuimg.cli.console import Console
        from gpuimg.cli.project import select_images
        from gpuimg.export import pipeline
        from gpuimg.export.bake import read_cache
        from gpuimg.matrix import load_matrix
        from gpuimg.naming import REPOSITORY

        console = Console()
        refuse_idle(targets or (), every=every, torch=torch, cuda=cuda, file=file)
        target = TextFile(console, output, what="the pipeline", folder=folder)
        matrix = load_matrix()
        selected = None if every else select_images(targets or (), console, file=file)
        named = settings.repository(repository if repository is not None else REPOSITORY)
        if selected is not None:
            _refuse_of_specs(
                {"--repository": repository, "--flavor": flavor, "--python": python, "--platform": platform}
            )
            images, project = _project_images(selected, matrix), pipeline.project_file(selected.project.file)
        else:
            specs = wanted_specs(
                targets or (), matrix, every=every, torch=torch, cuda=cuda, python=python, platform=platform
            )
            wanted = options.bare_settings(flavor=flavor, python=python, platform=platform)
            images = _spec_images(specs, matrix, wanted, console, repository=named, skip_impossible=every)
            project = None
        made = pipeline.Pipeline(
            images=tuple(images),
            repository=named if selected is None else None,
            file=project,
            install=pipeline.install(install) if install is not None else pipeline.INSTALL,
            branch=pipeline.branch(branch),
            cache=read_cache(cache_to),
            gpu_runner=pipeline.runner(gpu_runner) if gpu_runner is not None else (),
            timeout_minutes=timeout,
        )
        text = pipeline.render_pipeline(made, form, template_dirs=tuple(template_dir or ()))
        if made.registry is None:
            console.warning(
                "images are built and checked, and not pushed: name a registry with --repository ghcr.io/team/gpuimg"
            )
        target.write(text)

    command.__doc__ = does
    return command


def _refuse_of_specs(given: dict[str, str | None]) -> None:
    """Raise RequestError for what the project file says of its images."""
    for option, value in given.items():
        if value is not None:
            raise RequestError(
                f"{option} is for specs, and the project file says it of its images",
                hints=[f"set `{option.removeprefix('--')}:` in the project file"],
            )


def _spec_images(
    specs: Sequence[str],
    matrix: Matrix,
    wanted: Settings,
    console: Console,
    *,
    repository: str,
    skip_impossible: bool,
) -> list[PipelineImage]:
    """Each request says flavor and Python itself, as a spec can."""
    from gpuimg.cli.planning import make_plans
    from gpuimg.export.pipeline import PipelineImage
    from gpuimg.naming import image_tags

    images = []
    asked = [wanted.python.tag] if wanted.python is not None else []
    asked += [wanted.flavor] if wanted.flavor is not None else []
    for plan in make_plans(specs, matrix, wanted, console, skip_impossible=skip_impossible):
        reference, *_ = image_tags(plan, matrix, repository=repository)
        request = "-".join([plan.resolution.spec.text, *asked])
        images.append(
            PipelineImage(
                name=reference.rpartition(":")[2], request=request, reference=reference, platform=plan.platform
            )
        )
    return images


def _project_images(selected: Selection, matrix: Matrix) -> list[PipelineImage]:
    """Planned without packages, so that no index is read; what can't be built is said here and not by a job."""
    from gpuimg.cli.export.common import project_image
    from gpuimg.export.pipeline import PipelineImage
    from gpuimg.versions import Platform

    images = []
    for image in selected.images:
        planned = project_image(image, matrix, platform=None)
        images.append(
            PipelineImage(
                name=image.name,
                request=image.name,
                reference=planned.reference,
                platform=planned.platform or Platform.AMD64,
                network=image.build_network,
            )
        )
    return images
