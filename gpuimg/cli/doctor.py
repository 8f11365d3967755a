"""``gpuimg doctor``: can this host build and run GPU images, and what mends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import complete, options

if TYPE_CHECKING:
    import datetime as dt


def doctor(
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SPEC",
            autocompletion=complete.specs,
            help="What it is to build and run, such as 2.13-cu130. Without one: any stack.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="CHECK",
            autocompletion=complete.host_checks,
            help="Run only this check, such as toolkit; repeatable.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for programs.")] = False,
    matrix_dir: options.MatrixDir = None,
) -> int:
    """Tell what this host lacks to build and run GPU images.

    It looks at the engine, driver, GPUs, NVIDIA's toolkit, disk, memory, proxies, certificates and clock, and changes
    nothing; what it finds comes with the commands that mend it. It needs neither root nor a network, nor an engine.
    Exit code 3 if the host lacks something.
    """
    import datetime as dt
    import json
    import os

    from gpuimg.cli.console import Console
    from gpuimg.doctor import show
    from gpuimg.doctor.engine_state import read_engine
    from gpuimg.doctor.examine import examine, look
    from gpuimg.doctor.finding import Status
    from gpuimg.errors import HostError
    from gpuimg.machine import this_machine
    from gpuimg.matrix import load_hosts, load_matrix
    from gpuimg.pipeline.resolve import resolve
    from gpuimg.pipeline.spec import parse_spec

    console = Console()
    overlays = tuple(matrix_dir or ())
    matrix = load_matrix(overlays)
    resolutions = [resolve(parse_spec(spec), matrix) for spec in specs or ()]
    for resolution in resolutions:
        if resolution.substitution is not None:
            console.notice(f"{resolution.substitution.name} was never published; this is about {resolution.stack.name}")
    subject = look(
        this_machine(os.environ),
        matrix,
        hosts=load_hosts(overlays),
        engine=read_engine(os.environ),
        stacks=tuple(dict.fromkeys(resolution.stack for resolution in resolutions)),
        now=dt.datetime.now(dt.timezone.utc),
        made=_newest_file(),
    )
    findings = examine(subject, only=tuple(only or ()))
    if as_json:
        console.data(json.dumps(show.as_json(findings, subject), indent=2))
    else:
        console.data(show.render(findings, width=console.out.width, colour=console.out.colour))
        console.info(show.summary(findings))
    return HostError.exit_code if any(finding.status is Status.FAIL for finding in findings) else 0


def _newest_file() -> dt.datetime | None:
    """When the newest file of gpuimg itself was written."""
    import datetime as dt

    import gpuimg

    times = [path.stat().st_mtime for path in Path(gpuimg.__file__).parent.glob("*.py")]
    return dt.datetime.fromtimestamp(max(times), dt.timezone.utc) if times else None
