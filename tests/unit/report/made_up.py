"""Reports of a GPU that does not exist: every number here is made up; the shape is that of the guest's checks."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gpuimg.model import Check, Measurement, Report, Status

GIB: Final = 1 << 30
GPU: Final = {"index": 0, "name": "Made-up GPU 9000", "cc": "9.0", "memory_bytes": 80 * GIB}


def saving(
    key: str,
    *,
    peaks: Sequence[tuple[float, float]],
    claim: tuple[float, float | None] | None = None,
    caps: tuple[float, float] | None = None,
    workload: str | None = None,
    retries: int = 0,
    steps: int = 40,
) -> Check:
    """``allocator.saving_<key>`` with a pair for each of `peaks` (default and tuned, GiB); `caps` likewise."""
    savings = sorted(100 * (1 - tuned / default) for default, tuned in peaks)
    middle = savings[len(savings) // 2]
    measured: dict[str, Measurement] = {
        "peak_saving": Measurement(value=middle, unit="%"),
        "peak_saving_min": Measurement(value=savings[0], unit="%"),
        "peak_saving_max": Measurement(value=savings[-1], unit="%"),
        "pairs": Measurement(value=len(peaks), unit="count"),
        "step_time_ratio": Measurement(value=1.012),
        "verdict": Measurement(
            value="tuned reserves less"
            if savings[0] > 0 and len(peaks) >= 5
            else "tuned reserves more"
            if savings[-1] < 0 and len(peaks) >= 5
            else "no difference shown"
        ),
    }
    if claim is not None:
        words = f"more than {claim[0]:g} %" if claim[1] is None else f"{claim[0]:g} to {claim[1]:g} %"
        measured["claim"] = Measurement(value=words)
    if caps is not None:
        measured["cap_saving"] = Measurement(value=100 * (1 - caps[1] / caps[0]), unit="%")
    return Check(
        name=f"allocator.saving_{key}",
        group="allocator",
        status=Status.PASS,
        measured=measured,
        expected="reported, no bound",
        seconds=412.5,
        gpu=0,
        data={
            "workload": workload or key,
            "setting": "expandable_segments:True",
            "claim_percent": list(claim) if claim else None,
            "pairs": [
                {
                    "seed": seed,
                    "first": ("default", "tuned")[seed % 2],
                    "default": _run(default, retries=retries, fragmentation=0.32, steps=steps),
                    "tuned": _run(tuned, retries=0, fragmentation=0.04, steps=steps),
                }
                for seed, (default, tuned) in enumerate(peaks)
            ],
            "series": series(peaks[0], steps=steps, retries=retries),
            "budget_bytes": 64 * GIB,
            "caps": None
            if caps is None
            else {
                "default": {
                    "tried": [[int(caps[0] * GIB), True], [int(caps[0] * 0.9 * GIB), False]],
                    "smallest": int(caps[0] * GIB),
                    "at_most": False,
                },
                "tuned": {"tried": [[int(caps[1] * GIB), True]], "smallest": int(caps[1] * GIB), "at_most": True},
            },
        },
    )


def series(peaks: tuple[float, float], *, steps: int, retries: int) -> Mapping[str, Any]:
    """A course that climbs to `peaks` (GiB) in the first half; retries come in the second."""
    chance = random.Random(steps)
    default, tuned = peaks
    allocated = [int(GIB * tuned * (0.55 + 0.4 * chance.random())) for _ in range(steps)]
    climb = [min(1.0, 0.6 + 0.8 * step / steps) for step in range(steps)]
    tried = [max(0, min(retries, step - steps // 2)) for step in range(steps)]
    return {
        "step": list(range(steps)),
        "default_reserved": [int(GIB * default * part) for part in climb],
        "default_allocated": allocated,
        "tuned_reserved": [max(int(GIB * tuned * part), held) for part, held in zip(climb, allocated, strict=True)],
        "tuned_allocated": allocated,
        "default_retries": tried,
        "tuned_retries": [0] * steps,
    }


def matmul(kind: str, *, best: float, median: float, peak: float | None = None) -> Check:
    """``rate.matmul_<kind>`` in TFLOP/s."""
    measured = {
        "best": Measurement(value=best, unit="TFLOP/s"),
        "median": Measurement(value=median, unit="TFLOP/s"),
    }
    if peak is not None:
        measured["peak"] = Measurement(value=peak, unit="TFLOP/s")
        measured["of_peak"] = Measurement(value=100 * best / peak, unit="%")
    shapes = [
        {"m": m, "n": n, "k": k, "best": best * part, "median": median * part}
        for (m, n, k), part in {(4096,) * 3: 0.9, (8192,) * 3: 1.0, (2048, 2048, 13312): 0.8}.items()
    ]
    return _check(f"rate.matmul_{kind}", measured, expected="≤ 1.05 × datasheet", data={"shapes": shapes})


def rate(name: str, value: float, peak: float | None = None) -> Check:
    """``rate.<name>`` in GB/s."""
    measured = {"rate": Measurement(value=value, unit="GB/s")}
    if peak is not None:
        measured["peak"] = Measurement(value=peak, unit="GB/s")
    return _check(f"rate.{name}", measured, expected="≤ 1.05 × datasheet")


def rounding(kind: str, *, unit: float, bounds: Mapping[str, float], values: Mapping[str, float]) -> Check:
    """``numerics.matmul_<kind>_rounding``: FAIL where a value is over its bound."""
    holds = all(values[name] <= bound for name, bound in bounds.items())
    check = _check(
        f"numerics.matmul_{kind}_rounding",
        {name: Measurement(value=value, unit="u") for name, value in values.items()},
        expected="; ".join(f"{name} ≤ {bound:g} u" for name, bound in bounds.items()),
        data={"unit": unit, "bounds_u": dict(bounds)},
    )
    return check if holds else replace(check, status=Status.FAIL, reason="the error is over its bound")


def exact(kind: str) -> Check:
    """``numerics.matmul_<kind>_exact`` that held."""
    measured = {
        "wrong_elements": Measurement(value=0, unit="count"),
        "elements": Measurement(value=1 << 20, unit="count"),
    }
    return _check(f"numerics.matmul_{kind}_exact", measured, expected="0 wrong elements")


def nccl() -> Check:
    """``distributed.nccl`` with a bandwidth for each collective."""
    rates = {"all_reduce": 212.0, "reduce_scatter": 198.5, "all_gather": 201.3}
    measured = {f"bus_{name}": Measurement(value=value, unit="GB/s") for name, value in rates.items()}
    return _check("distributed.nccl", measured, expected="exact")


def driver() -> Check:
    """``host.driver``."""
    return _check("host.driver", {"driver": Measurement(value="599.99.99")}, expected="driver ≥ 525.60.13")


def everything() -> tuple[Check, ...]:
    """All checks that leave numbers for plots, measured."""
    return (
        driver(),
        exact("fp32"),
        rounding("fp32", unit=2.0**-24, bounds={"max_z": 320}, values={"max_z": 23.1}),
        exact("tf32"),
        rounding("tf32", unit=2.0**-11, bounds={"max_z": 8}, values={"max_z": 2.4}),
        exact("fp16"),
        rounding(
            "fp16",
            unit=2.0**-11,
            bounds={"max_z": 8, "max_z_reduced": 16},
            values={"max_z": 2.9, "max_z_reduced": 7.1},
        ),
        exact("bf16"),
        rounding(
            "bf16", unit=2.0**-8, bounds={"max_z": 8, "max_z_reduced": 16}, values={"max_z": 2.1, "max_z_reduced": 5.4}
        ),
        exact("fp8"),
        rounding("fp8", unit=2.0**-8, bounds={"max_z": 16}, values={"max_z": 3.9}),
        matmul("fp32", best=51.2, median=48.8, peak=67),
        matmul("tf32", best=402, median=388, peak=494),
        matmul("fp16", best=701, median=655, peak=989),
        matmul("bf16", best=712, median=664, peak=989),
        matmul("fp8", best=1322, median=1207, peak=1979),
        rate("memory", 2871, 3350),
        rate("h2d", 53.1),
        rate("d2h", 52.4),
        saving(
            "bert",
            workload="bert-large",
            peaks=[(34.9, 24.7), (36.1, 24.5), (24.7, 23.4), (33.0, 24.6), (35.2, 24.9)],
            claim=(12, 18),
            caps=(26.1, 23.9),
            retries=6,
        ),
        saving(
            "long",
            peaks=[(17.6, 13.2), (16.8, 13.8), (14.1, 13.5), (17.1, 13.3), (16.0, 13.1)],
            claim=(20, None),
            caps=(14.0, 13.1),
            steps=24,
        ),
        saving("moe", peaks=[(11.7, 10.8), (11.4, 11.2), (11.2, 11.3), (11.6, 10.9), (11.5, 11.0)], steps=24),
        saving("fixed", peaks=[(22.2, 21.2)] * 5),
        nccl(),
    )


def with_measurements(report: Report) -> Report:
    """`report` as if it had run on the made-up GPU: what was skipped for want of one is measured."""
    measured = everything()
    names = {check.name for check in measured}
    kept = [check for check in report.checks if check.name not in names and check.reason != "no GPU was asked for"]
    return replace(report, gpus=(GPU,), checks=(*kept, *measured), seconds=4521.0)


def without_gpu(report: Report, *, reason: str) -> Report:
    """`report` with all that the made-up GPU could measure planned, and skipped for `reason`."""
    names = [check.name for check in everything() if not check.name.startswith("numerics.")]
    skipped = [Check(name=name, group=name.partition(".")[0], status=Status.SKIP, reason=reason) for name in names]
    own = {check.name for check in report.checks}
    return replace(report, checks=(*report.checks, *(check for check in skipped if check.name not in own)))


def strange_data(text: str) -> tuple[Check, ...]:
    """Checks that ran and say what no check would: `text` for names, and for numbers what is none, or no sense."""
    nonsense: Sequence[object] = (float("nan"), float("inf"), "nan", True, None, -1, 10**400, [text], {text: text})
    run = dict(zip(("peak_reserved", "retries", "fragmentation"), nonsense, strict=False))
    good = saving(text, peaks=[(10, 12)], claim=(12, 18), workload=text)
    return (
        replace(
            good, data={**good.data, "setting": text, "caps": {"default": {"smallest": 1 << 30}, "tuned": nonsense}}
        ),
        replace(
            saving("nothing", peaks=[(10, 9)]),
            measured={name: Measurement(value="nan") for name in ("peak_saving", "pairs", "cap_saving")},
            data={
                "workload": nonsense,
                "claim_percent": [text, None],
                "pairs": [run, text, {"default": run, "tuned": text}],
                "series": {"step": nonsense, "default_reserved": nonsense, "tuned_reserved": text},
                "budget_bytes": text,
                "caps": text,
            },
        ),
        replace(matmul(text, best=1, median=1), data={"shapes": [*nonsense, {"m": 1, "n": 1, "k": text}]}),
        replace(rate("memory", 1), measured={"rate": Measurement(value=float("nan")), "peak": Measurement(value=text)}),
        _check(f"numerics.matmul_{text}_rounding", {"max_z": Measurement(value=0.0)}, expected=text),
        _check("numerics.matmul_nan_rounding", {"max_z": Measurement(value="nan", unit=text)}, expected=text),
        _check("numerics.matmul_huge_rounding", {"max_z": Measurement(value=1e300)}, expected=text),
        _check("distributed.nccl", {f"bus_{text}": Measurement(value=1e300, unit=text)}, expected=text),
    )


def _run(peak: float, *, retries: int, fragmentation: float, steps: int) -> Mapping[str, Any]:
    return {
        "peak_reserved": int(peak * GIB),
        "peak_allocated": int(peak * (1 - fragmentation) * GIB),
        "fragmentation": fragmentation,
        "retries": retries,
        "ooms": 0,
        "mallocs": 812,
        "step_ms": 187.5,
        "steps": steps,
    }


def _check(
    name: str, measured: Mapping[str, Measurement], *, expected: str, data: Mapping[str, object] | None = None
) -> Check:
    return Check(
        name=name,
        group=name.partition(".")[0],
        status=Status.PASS,
        measured=measured,
        expected=expected,
        seconds=1.5,
        gpu=0,
        data=data or {},
    )
