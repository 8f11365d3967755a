"""GPUs and what goes with them: which ones, and the network cards that NCCL uses between machines."""

from __future__ import annotations

from typing import Final

from gpuimg.errors import HostError
from gpuimg.launch.launch import TOOLKIT_HINT
from gpuimg.launch.place import Place
from gpuimg.machine import Machine, Nvidia
from gpuimg.smoke.gpus import wanted_gpus

_NETWORK: Final = ("/dev/infiniband", "/dev/gdrdrv")
"""InfiniBand and RoCE cards, and GPUDirect's copy driver: docs.nvidia.com/deeplearning/nccl names both."""
_HOOK: Final = "nvidia-container-runtime-hook"
"""Of NVIDIA's container toolkit: where dockerd finds it, ``--gpus`` works without a runtime of that name too."""
_PODMAN: Final = "install NVIDIA's container toolkit, then `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`"


def choose_gpus(text: str, place: Place, nvidia: Nvidia) -> tuple[str | None, str | None]:
    """Which GPUs to ask the engine for where the user said `text`, and what has to be said of that.

    Args:
        nvidia: this machine's, which counts where the engine is a local one.
    """
    gpus = wanted_gpus(text, place.gpus)
    if text != "auto" or gpus is not None:
        return gpus, None
    if not place.local:
        return None, f"without GPUs: the engine at {place.shown_address} says nothing of any (--gpus all asks for them)"
    if not nvidia.installed:
        return None, "without GPUs: this machine has no NVIDIA driver"
    return None, "\n".join(
        ("without GPUs: this machine has some, and the engine can't give them to containers", _how(place))
    )


def refuse_no_gpus(text: str, place: Place, machine: Machine, nvidia: Nvidia) -> None:
    """Raise HostError where GPUs were asked for by `text` and it is sure that containers can't have them."""
    if text in {"auto", "none"} or not place.local or not place.asked:
        return
    if not nvidia.installed:
        raise HostError("this machine has no NVIDIA driver, so a container can't have a GPU", hints=["`--gpus none`"])
    if nvidia.driver is None:
        raise HostError(
            f"this machine's NVIDIA driver does not work: {nvidia.problem}",
            hints=["`nvidia-smi` must list the GPUs first", "`--gpus none` starts without"],
        )
    if not place.gives_gpus and (place.podman or machine.which(_HOOK) is None):
        raise HostError("the engine can't give a container a GPU", hints=[_how(place), "`--gpus none` starts without"])


def network_devices(place: Place, machine: Machine) -> tuple[str, ...]:
    """Device files, or folders of them, that NCCL uses beside the GPUs and that the machine has."""
    return tuple(path for path in _NETWORK if place.local and machine.path(path).exists())


def _how(place: Place) -> str:
    return _PODMAN if place.podman else TOOLKIT_HINT
