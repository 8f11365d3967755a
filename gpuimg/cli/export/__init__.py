"""``gpuimg export``: what builds or runs images elsewhere, by other programs; a module a format. No engine is asked."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import typer

from gpuimg.cli import complete
from gpuimg.cli.lazy import Commands, add_commands
from gpuimg.errors import RequestError
from gpuimg.text import did_you_mean, shown

FORMATS: Final = {
    "k8s": "Kubernetes manifests: training, notebook, server, checks.",
    "compose": "A compose.yaml, by which Docker Compose starts it.",
    "devcontainer": "A devcontainer.json, by which editors work in it.",
    "apptainer": "A definition file, of which Apptainer builds a .sif.",
    "slurm": "A batch script that trains on one node or several.",
    "github": "A workflow of GitHub that builds, checks and pushes images.",
    "gitlab": "A pipeline of GitLab that builds, checks and pushes images.",
    "bake": "A file for `docker buildx bake`, and its contexts.",
}
"""What each writes. It is the module of that name."""
_OPTION: Final = "--format"


class _Formats(Commands):
    """``--format k8s``, wherever it stands, and ``k8s`` in the first place mean the same."""

    package: ClassVar[str] = "gpuimg.cli.export"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the format first."""
        try:
            given = _format_first(args)
        except RequestError:
            if not ctx.resilient_parsing:
                raise
            given = []  # a shell asks how the line can go on, and the format is yet to come
        parsed: list[str] = super().parse_args(ctx, given)
        return parsed

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Formats and options, and specs too, since ``--format`` may stand behind one."""
        (item, *_) = super().shell_complete(ctx, "")  # formats, of the class that this Typer has for such
        found = [type(item)(spec, help=says) for spec, says in complete.specs(ctx, incomplete)] if incomplete else []
        return [*super().shell_complete(ctx, incomplete), *found]


app = typer.Typer(
    cls=_Formats,
    help="Write what builds or runs images elsewhere.\n\nSay what to write by name: `gpuimg export 2.6-cu124"
    " --format k8s`; its options: `gpuimg export --format k8s --help`. The formats are:",
    no_args_is_help=True,
    rich_markup_mode=None,
)
add_commands(app, FORMATS)


@app.callback()
def _root(
    form: Annotated[
        str | None,
        typer.Option(_OPTION, metavar="FORMAT", help="What to write.", autocompletion=lambda: list(FORMATS.items())),
    ] = None,
) -> None:
    """For the help and for shells alone: by the time that options are read, the format stands in the first place."""
    del form


def _format_first(args: list[str]) -> list[str]:
    """Raises RequestError where no format is named, or none that there is."""
    own = args[: args.index("--")] if "--" in args else args
    for place, text in enumerate(own):
        name, separator, value = text.partition("=")
        if name != _OPTION or (not separator and place + 1 == len(own)):
            continue
        form = value if separator else own[place + 1]
        if form not in FORMATS:
            hints = [*did_you_mean(form, list(FORMATS)), f"formats are {', '.join(FORMATS)}"]
            raise RequestError(f"there is no format `{shown(form)}`", hints=hints)
        return [form, *args[:place], *args[place + (1 if separator else 2) :]]
    if args and (not own or own[0] not in FORMATS) and "--help" not in own:
        raise RequestError("no format was named", hints=[f"say {_OPTION} and one of {', '.join(FORMATS)}"])
    return args
