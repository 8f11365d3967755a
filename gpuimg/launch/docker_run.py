"""`Launch` → the arguments of ``docker run``, or of ``podman run``, which takes the same."""

from __future__ import annotations

import csv
import io
import itertools
import shlex
from collections.abc import Iterator, Sequence

from gpuimg.launch.launch import Launch, Mount, Port
from gpuimg.text import printable


def docker_arguments(launch: Launch, *, program: str = "docker", verb: str = "run") -> tuple[str, ...]:
    """Give the whole command, for a system call: no shell reads it.

    Args:
        program: ``docker`` or ``podman``.
        verb: ``run``, or ``create``, which leaves the start to another command.
    """
    return tuple(itertools.chain.from_iterable(_parts(launch, program, verb)))


def shell_command(launch: Launch, *, program: str = "docker", several_lines: bool) -> str:
    """Give the command for a shell, quoted; with `several_lines` an option a line."""
    parts = [" ".join(map(_quoted, part)) for part in _parts(launch, program, "run")]
    return (" \\\n  " if several_lines else " ").join(parts)


def _parts(launch: Launch, program: str, verb: str) -> list[Sequence[str]]:
    """What belongs on one line each."""
    return [(program, verb), *docker_options(launch, verb=verb), (launch.image, *launch.command)]


def docker_options(launch: Launch, *, verb: str = "run") -> Iterator[Sequence[str]]:
    """The options alone, each with its value: what stands between the verb and the image."""
    yield from (
        (f"--{name}",)
        for name, wanted in (
            ("detach", launch.detach and verb == "run"),
            ("rm", launch.remove),
            ("init", launch.init),
            ("interactive", launch.interactive),
            ("tty", launch.tty),
        )
        if wanted
    )
    yield from _valued("name", launch.name)
    yield from (("--label", f"{name}={value}") for name, value in launch.labels)
    yield from _gpus(launch.gpus)
    yield from (("--cap-add", name) for name in launch.capabilities)
    yield from (("--device", path) for path in launch.devices)
    yield from _valued("shm-size", size_text(launch.shm_bytes))
    yield from _valued("ipc", None if launch.ipc == "private" else launch.ipc)
    yield from (("--ulimit", f"{name}={value}") for name, value in launch.ulimits)
    yield from _valued("memory", size_text(launch.memory_bytes))
    yield from _valued("cpus", launch.cpus)
    yield from _valued("user", launch.user)
    yield from (("--group-add", str(group)) for group in launch.groups)
    yield from _valued("userns", launch.user_namespace)
    yield from (("--security-opt", option) for option in launch.security)
    yield from _valued("network", launch.network)
    yield from (("--publish", port_text(port)) for port in launch.ports)
    yield from (("--mount", mount_text(mount)) for mount in launch.mounts)
    yield from _valued("workdir", launch.workdir)
    yield from (("--env", name if value is None else f"{name}={value}") for name, value in launch.environment)


def _valued(option: str, value: str | None) -> Iterator[Sequence[str]]:
    if value is not None:
        yield (f"--{option}", value)


def _gpus(gpus: str | None) -> Iterator[Sequence[str]]:
    """A list of devices is one field of CSV to docker: the quotes belong to the value."""
    if gpus is None:
        return
    if gpus.startswith("nvidia.com/gpu="):
        yield from (("--device", name) for name in gpus.split(","))
    else:
        yield ("--gpus", gpus if gpus == "all" else f'"device={gpus}"')


def port_text(port: Port) -> str:
    """``ADDRESS:HOST:CONTAINER``, as --publish and Compose take it."""
    address = f"[{port.address}]" if ":" in port.address else port.address
    protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
    return f"{address}:{port.host or ''}:{port.container}{protocol}"


def mount_text(mount: Mount) -> str:
    """As --mount takes it: CSV, in which a path may have commas. Unlike -v it makes no folder where there is none."""
    kind = "volume" if mount.volume else "bind"
    fields = [f"type={kind}", f"source={mount.source}", f"target={mount.target}"]
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields + (["readonly"] if mount.read_only else []))
    return text.getvalue()


def size_text(size_bytes: int | None) -> str | None:
    """Bytes as the engine reads them, in the largest unit that is exact."""
    if size_bytes is None:
        return None
    for unit, power in (("g", 30), ("m", 20), ("k", 10)):
        if size_bytes % 2**power == 0:
            return f"{size_bytes >> power}{unit}"
    return f"{size_bytes}b"


def _quoted(text: str) -> str:
    r"""`text` as one word of a shell; what a terminal would obey as an escape that bash reads back.

    >>> print(_quoted("a b"), _quoted("\x1b[2J"))
    'a b' $'\x1b[2J'
    """
    if printable(text) == text:
        return shlex.quote(text)
    escaped = text.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{''.join(map(_escaped, escaped))}'"


def _escaped(char: str) -> str:
    """A byte that was no text came in as a lone surrogate."""
    return f"\\x{ord(char) - 0xDC00:02x}" if 0xDC80 <= ord(char) <= 0xDCFF else printable(char)
