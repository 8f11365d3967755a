"""The command ``gpuimg``: one file a command, registered here; every error ends here, with its exit code."""

from __future__ import annotations

import platform
import signal
import sys
import traceback
from typing import Annotated, Any

import typer

import gpuimg
from gpuimg.cli import build, matrix, render, verify, why
from gpuimg.cli.console import Console
from gpuimg.errors import GpuimgError, RequestError

INTERRUPTED = 130
_UsageError: Any = typer.BadParameter.__base__
"""click's UsageError: older Typers import click, newer ones carry it under another name."""

app = typer.Typer(
    name="gpuimg",
    help="Build GPU training images from a matrix of PyTorch, CUDA, cuDNN, NCCL and Python that is known to hold.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("build")(build.build)
app.command("render")(render.render)
app.command("verify")(verify.verify)
app.command("why")(why.why)
app.add_typer(matrix.app, name="matrix")


def _show_version(wanted: bool) -> None:
    if wanted:
        Console().data(f"gpuimg {gpuimg.__version__}")
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
    console = Console()
    try:
        code = int(app(arguments, prog_name="gpuimg", standalone_mode=False) or 0)
    except GpuimgError as error:
        console.error(error)
        return error.exit_code
    except _UsageError as error:
        console.error(_usage_error(error))
        return RequestError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception:  # noqa: BLE001 - a bug: the one place that may see any exception
        console.error(_bug_report(arguments))
        return GpuimgError.exit_code
    if code == INTERRUPTED:  # newer Typers say Ctrl-C by the code alone
        console.warning("interrupted: what was running has been stopped and cleaned up")
    return code


def _usage_error(error: Any) -> GpuimgError:
    command = error.ctx.command_path if error.ctx else "gpuimg"
    return RequestError(error.format_message(), hints=[f"`{command} --help` shows what it takes"])


def _bug_report(arguments: list[str]) -> GpuimgError:
    lines = [
        "this is a bug in gpuimg; please report it with these lines:",
        f"gpuimg {gpuimg.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"arguments: {arguments!r}",
        *traceback.format_exc().splitlines(),
    ]
    return GpuimgError("\n".join(lines))
