"""What the config asks for, and which of it runs on this machine."""

from __future__ import annotations

from typing import Any

import pytest

from gpuimg.smoke.guest.config import TIMEOUTS_S, Config, ConfigError, parse_config
from gpuimg.smoke.guest.driver import Gpu, Probe
from gpuimg.smoke.guest.outcome import Outcome
from gpuimg.smoke.guest.plan import Machine, plan, why_not
from gpuimg.smoke.guest.registry import CHECKS

_GPU = Probe(code=0, cuda=(12, 4), gpus=(Gpu(0, "NVIDIA H100", "9.0", 80 << 30),))


def names(**config: Any) -> list[str]:
    return [check.name for check in plan(parse_config(config))]


def refusal(
    name: str, found: Probe, torch: tuple[int, ...] = (2, 6, 0), lacks_cuda: bool = False, **config: Any
) -> Outcome | None:
    asked = parse_config(config)
    return why_not(CHECKS[name], asked, Machine(found, torch, lacks_cuda), plan(asked))


def test_everything_is_planned_by_default() -> None:
    assert names() == list(CHECKS)


def test_only_and_skip_take_checks_groups_and_globs() -> None:
    assert names(only=["stack.torch", "dataloader.s*"]) == ["stack.torch", "dataloader.shm"]
    assert names(only=["numerics.*_exact"], skip=["numerics.matmul_tf32*"]) == [
        "numerics.matmul_fp64_exact",
        "numerics.matmul_fp32_exact",
        "numerics.matmul_fp16_exact",
        "numerics.matmul_bf16_exact",
        "numerics.matmul_fp8_exact",
    ]
    assert not any(name.startswith("stack.") for name in names(skip=["stack"]))


def test_gpu_that_was_asked_for_is_always_looked_for() -> None:
    """Else `--gpus all --only numerics` would pass on the CPU of a machine whose GPU is broken."""
    assert names(only=["dataloader.shm"], gpus_requested=True) == ["host.gpu", "dataloader.shm"]
    assert names(only=["dataloader.shm"], skip=["host.gpu"], gpus_requested=True) == ["dataloader.shm"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"onyl": []}, "onyl: no such key; the nearest is `only`"),
        ({"expect": {"tourch": "2.6.0"}}, "expect.tourch: no such key; the nearest is `torch`"),
        ({"expect": {"compiles": "yes"}}, "expect.compiles: 'yes' is a str, not a bool"),
        ({"expect": {"allocator": {"value": "x"}}}, "expect.allocator: needs `variable` and `value`"),
        ({"only": "stack"}, "only: 'stack' is a str, not a list"),
        ({"only": ["stack.trch"]}, "only: `stack.trch` is no check, group or glob; the nearest is `stack.torch`"),
        ({"skip": ["gpu.*"]}, "skip: `gpu.*` is no check, group or glob; the nearest is `host.gpu`"),
        ({"timeouts": {"default": 0}}, "timeouts.default: 0 is not a positive number of seconds"),
        ({"timeouts": {"defalt": 5}}, "timeouts.defalt: no such key; the nearest is `default`"),
        ({"inject": {"stack.torhc": "wrong"}}, "inject: `stack.torhc` is no check; the nearest is `stack.torch`"),
        ({"inject": {"stack.torch": "worng"}}, "inject.stack.torch: no fault `worng`; the nearest is `wrong`"),
        ({"v": 9}, "v: 9 is not a version that this guest reads (1)"),
        ([], "the config is a list, not an object"),
    ],
)
def test_bad_config_names_the_key_and_the_nearest(config: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        plan(parse_config(config))
    assert str(error.value) == message


def test_null_is_the_same_as_nothing() -> None:
    assert parse_config({"expect": {"triton": None, "torch": None}, "only": None}) == Config()


def test_timeouts_keep_their_defaults() -> None:
    assert parse_config({"timeouts": {"compiler": 7}}).timeouts == {**TIMEOUTS_S, "compiler": 7}


def test_check_for_a_newer_torch_is_skipped() -> None:
    outcome = refusal("allocator.effective", _GPU, (2, 0, 1))
    assert outcome is not None
    assert (outcome.status, outcome.reason) == ("SKIP", "needs torch 2.1 or newer, and this is 2.0")


def test_gpu_checks_are_skipped_where_no_gpu_was_asked_for() -> None:
    for name in ("host.gpu", "allocator.churn"):
        outcome = refusal(name, Probe())
        assert outcome is not None
        assert (outcome.status, outcome.reason) == ("SKIP", "needs a GPU, and none was asked for")


def test_gpu_that_was_asked_for_and_is_missing_fails_once() -> None:
    assert refusal("host.gpu", Probe(), gpus_requested=True) is None  # it runs, and fails with the remedy
    outcome = refusal("allocator.churn", Probe(), gpus_requested=True)
    assert outcome is not None
    assert (outcome.status, outcome.reason) == ("SKIP", "needs a GPU, and none is usable: see host.gpu")


def test_missing_gpu_fails_also_where_the_check_for_it_is_left_out() -> None:
    outcome = refusal("allocator.churn", Probe(), gpus_requested=True, skip=["host.gpu"])
    assert outcome is not None
    assert outcome.status == "FAIL"


def test_gpu_checks_run_where_the_driver_shows_a_gpu() -> None:
    assert refusal("allocator.churn", _GPU) is None


def test_gpu_checks_are_skipped_on_a_torch_without_cuda() -> None:
    """Unless a GPU was asked for: then host.gpu says that this torch can't use it."""
    outcome = refusal("allocator.churn", _GPU, lacks_cuda=True)
    assert outcome is not None
    assert (outcome.status, outcome.reason) == ("SKIP", "needs a GPU, and this torch is built without CUDA")
    assert refusal("host.gpu", _GPU, lacks_cuda=True, gpus_requested=True) is None


def test_injected_fault_runs_anywhere() -> None:
    assert refusal("allocator.churn", Probe(), inject={"allocator.churn": "corruption"}) is None


def test_probe_survives_its_way_through_json() -> None:
    assert Probe.from_dict(_GPU.as_dict()) == _GPU
