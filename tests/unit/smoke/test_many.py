"""Several images at once, on an engine whose containers are processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuimg.engine.client import Engine
from gpuimg.engine.containers import Containers, RunOptions, started
from gpuimg.engine.images import list_images
from gpuimg.errors import GpuimgError, HostError
from gpuimg.model import Image, Report, Status
from gpuimg.smoke.gpus import Device, Slot
from gpuimg.smoke.host import SmokeOptions, find_gpus
from gpuimg.smoke.many import smoke_images
from gpuimg.smoke.protocol import Event, Started
from tests.unit.loopback_engine import GUEST, HANGS, PASSES, LoopbackEngine, loopback_engine, program


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LoopbackEngine]:
    """Images of each kind: two that are good, one without torch, two that hang in their first check."""
    good = program(tmp_path, "good", GUEST + PASSES)
    hanging = program(tmp_path, "hanging", GUEST + HANGS)
    torchless = program(tmp_path, "torchless", "import sys; sys.exit(1)\n")
    programs = {"a": good, "b": good, "torchless": torchless, "hangs-1": hanging, "hangs-2": hanging}
    with loopback_engine({name: (path, {"io.gpuimg.stack": name}) for name, path in programs.items()}) as engine:
        yield engine


def images(engine: LoopbackEngine, *names: str) -> list[Image]:
    with Engine(environ=engine.environ) as client:
        found = {image.reference: image for image in list_images(client)}
    return [found[name] for name in names]


def smoke(
    engine: LoopbackEngine,
    chosen: list[Image],
    *,
    slots: list[Slot],
    on_event: threading.Barrier | None = None,
) -> dict[str, Report | GpuimgError]:
    """What came of each."""
    outcomes: dict[str, Report | GpuimgError] = {}

    def done(number: int, outcome: Report | GpuimgError) -> None:
        outcomes[chosen[number].reference] = outcome

    def take(number: int, event: Event) -> None:
        if on_event is not None and isinstance(event, Started):
            on_event.wait(60)

    smoke_images(
        chosen,
        SmokeOptions(),
        slots=slots,
        environ=engine.environ,
        on_begin=lambda *_: None,
        on_event=take,
        done=done,
    )
    return outcomes


def test_as_many_run_at_once_as_there_are_slots(engine: LoopbackEngine) -> None:
    """Each waits for the other's first line: one after the other, neither would end."""
    outcomes = smoke(engine, images(engine, "a", "b"), slots=[Slot(), Slot()], on_event=threading.Barrier(2))
    assert {name: bool(isinstance(report, Report) and not report.failed) for name, report in outcomes.items()} == {
        "a": True,
        "b": True,
    }
    assert engine.containers == {}


def test_one_slot_takes_one_image_at_a_time(engine: LoopbackEngine) -> None:
    smoke(engine, images(engine, "a", "b", "a"), slots=[Slot()])
    assert engine.most == 1


def test_each_image_gets_the_gpus_of_its_slot_alone(engine: LoopbackEngine) -> None:
    slots = [Slot(gpus="GPU-0", label="GPU 0"), Slot(gpus="GPU-1", label="GPU 1")]
    outcomes = smoke(engine, images(engine, "a", "b"), slots=slots, on_event=threading.Barrier(2))
    assert sorted(gpus for _, gpus in engine.asked) == [["GPU-0"], ["GPU-1"]]
    seen = {str(gpu["uuid"]) for report in outcomes.values() if isinstance(report, Report) for gpu in report.gpus}
    assert seen == {"GPU-0", "GPU-1"}


def test_an_error_of_one_image_is_its_own(engine: LoopbackEngine) -> None:
    outcomes = smoke(engine, images(engine, "torchless", "a"), slots=[Slot()])
    assert isinstance(outcomes["torchless"], GpuimgError)
    report = outcomes["a"]
    assert isinstance(report, Report)
    assert [check.status for check in report.checks] == [Status.PASS, Status.PASS]


def test_ctrl_c_ends_all_and_removes_their_containers(engine: LoopbackEngine) -> None:
    """Both hang in a check; once both are seen to run, this process gets the signal."""
    running = threading.Barrier(2, action=lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        smoke(engine, images(engine, "hangs-1", "hangs-2", "a"), slots=[Slot(), Slot()], on_event=running)
    assert engine.containers == {}
    assert {name for name, _ in engine.asked} == {"hangs-1", "hangs-2"}


def test_a_bug_in_what_takes_the_outcome_ends_the_others(engine: LoopbackEngine) -> None:
    def broken(number: int, outcome: Report | GpuimgError) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        smoke_images(
            images(engine, "a", "hangs-1"),
            SmokeOptions(),
            slots=[Slot(), Slot()],
            environ=engine.environ,
            on_begin=lambda *_: None,
            on_event=lambda *_: None,
            done=broken,
        )
    assert engine.containers == {}


def test_gpus_are_found_in_the_first_image_that_has_torch(engine: LoopbackEngine) -> None:
    """They are the engine's, which may be on another machine."""
    engine.info["Runtimes"] = {"nvidia": {}}
    with Engine(environ=engine.environ) as client:
        found = find_gpus(client, images(engine, "torchless", "a"), SmokeOptions())
    assert found == (Device(name="GPU-0", label="0"), Device(name="GPU-1", label="1"))
    assert engine.containers == {}


def test_an_engine_without_gpus_is_asked_for_none(engine: LoopbackEngine) -> None:
    with Engine(environ=engine.environ) as client:
        assert find_gpus(client, images(engine, "a"), SmokeOptions()) == ()
        named = find_gpus(client, images(engine, "a"), SmokeOptions(gpus="1,GPU-3d4a8bc1-aaaa"))
    assert [device.name for device in named] == ["1", "GPU-3d4a8bc1-aaaa"]
    assert engine.asked == []


def test_nothing_starts_once_all_were_ended(engine: LoopbackEngine) -> None:
    among = Containers()
    (image,) = images(engine, "a")
    with Engine(environ=engine.environ) as client:
        among.end(client)
        with (
            pytest.raises(HostError, match="was stopped"),
            started(client, image, ["python", "-c", ""], files={}, options=RunOptions(among=among)),
        ):
            pass
    assert engine.containers == {}


def test_a_container_that_comes_after_all_were_removed_does_not_stay(engine: LoopbackEngine) -> None:
    """Another thread ends all while the engine is still making this one: what it removes is not there yet."""
    among = Containers()
    (image,) = images(engine, "hangs-1")
    with Engine(environ=engine.environ) as client, Engine(environ=engine.environ) as other:
        ending = threading.Thread(target=among.end, args=(other,))

        def end_all() -> None:
            ending.start()
            assert engine.removal_asked.wait(60)

        engine.before_create = end_all
        with (
            pytest.raises(HostError, match="was stopped"),
            started(client, image, ["python", "guest"], files={}, options=RunOptions(among=among)),
        ):
            pass
        ending.join()
    assert engine.containers == {}
