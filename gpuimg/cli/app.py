"""The command ``gpuimg``: one file a command, listed here; every error ends here, with its exit code."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

import gpuimg
from gpuimg.cli import complete
from gpuimg.cli.lazy import Commands, add_commands
from gpuimg.errors import GpuimgError, RequestError

if TYPE_CHECKING:
    from gpuimg.cli.console import Console

INTERRUPTED = 130
COMMANDS: Final = {
    "init": "Write a project file, gpuimg.yaml, from what this folder has.",
    "build": "Build images, check each from inside, and tag it.",
    "render": "Write the Dockerfile, or a whole build context.",
    "verify": "Check images, ours or not, from inside.",
    "run": "Start an image with GPUs, your folder and your user.",
    "report": "Show saved reports, merge them, or tell their schema.",
    "export": "Write what builds or runs images elsewhere.",
    "wheel": "Compile the torch wheel of a stack that nobody published.",
    "doctor": "Tell what this host lacks to build and run GPU images.",
    "why": "Tell how a request resolves, or why it can't.",
    "matrix": "Look at the matrix of stacks and check it.",
}
"""What each does, as its own help says first. It is the module of that name, imported when it is called."""
_UsageError: Any = typer.BadParameter.__base__
"""click's UsageError: older Typers import click, newer ones carry it under another name."""


app = typer.Typer(
    name="gpuimg",
    cls=Commands,
    help="Build GPU training images from a matrix of PyTorch, CUDA, cuDNN, NCCL and Python that is known to hold.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
add_commands(app, COMMANDS)


def _show_version(wanted: bool) -> None:
    if wanted:
        _console().data(f"gpuimg {gpuimg.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(number: int, _: object) -> None:
    """As Ctrl-C, which unwinds through all that cleans up: CI systems and closed terminals end programs this way."""
    sys.exit(128 + number)


def run(arguments: list[str]) -> int:
    """Give the exit code of ``gpuimg ARGUMENTS``; what went wrong has been said on stderr."""
    try:
        code = int(app(arguments, prog_name="gpuimg", standalone_mode=False) or 0)
    except GpuimgError as error:
        _say(error)
        return error.exit_code
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group of commands alone: its help, and no mistake to name
            _console().info(error.format_message())
        else:
            _say(_usage_error(error))
        return RequestError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception:  # noqa: BLE001 - a bug: the one place that may see any exception
        _say(_bug_report(arguments))
        return GpuimgError.exit_code
    if code == INTERRUPTED:  # newer Typers say Ctrl-C by the code alone
        _console().warning("interrupted: what was running has been stopped and cleaned up")
    return code


def _say(error: GpuimgError) -> None:
    """On stderr, unless a shell asks how a line can go on: then it would stand in that line."""
    if not complete.is_asked():
        _console().error(error)


def _console() -> Console:
    from gpuimg.cli.console import Console

    return Console()


def _usage_error(error: Any) -> GpuimgError:
    command = error.ctx.command_path if error.ctx else "gpuimg"
    return RequestError(error.format_message(), hints=[f"`{command} --help` shows what it takes"])


def _bug_report(arguments: list[str]) -> GpuimgError:
    import platform
    import traceback

    lines = [
        "this is a bug in gpuimg; please report it with these lines:",
        f"gpuimg {gpuimg.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"arguments: {arguments!r}",
        *traceback.format_exc().splitlines(),
    ]
    return GpuimgError("\n".join(lines))
