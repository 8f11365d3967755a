"""Pages of what the program itself holds: checks, flavors, labels, exit codes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping

from docs.ext.labels import LABELS, example_labels
from docs.ext.markdown import code, page, plain, table
from gpuimg import errors
from gpuimg.cli.app import INTERRUPTED
from gpuimg.doctor.registry import CHECKS as HOST_CHECKS
from gpuimg.matrix import load_matrix
from gpuimg.smoke.guest.config import TIMEOUTS_S
from gpuimg.smoke.guest.registry import CHECKS


def checks_page() -> str:
    """Every check of the smoke step, by group, in the order in which they run."""
    groups = dict.fromkeys(check.group for check in CHECKS.values())
    return page(
        "Checks of the smoke step",
        "`gpuimg verify` runs them in this order; `--only` and `--skip` take names, groups and globs. What a check"
        " can't run on is a SKIP with the reason. *u* is a type's unit roundoff, *z* an error in standard deviations.",
        *(part for group in groups for part in (f"## {group}", _group(group))),
    )


def _group(group: str) -> str:
    rows = [
        (
            code(check.name),
            plain(_first_paragraph(check.run)),
            "yes" if check.needs_gpu else "no",
            ".".join(map(str, check.minimum)),
            f"{TIMEOUTS_S[check.timeout]:g}\N{NO-BREAK SPACE}s",
        )
        for check in CHECKS.values()
        if check.group == group
    ]
    return table(("check", "looks at", "needs a GPU", "from torch", "limit"), rows)


def doctor_page() -> str:
    """Every check of the host."""
    rows = [(code(name), plain(_first_paragraph(sys.modules[check.__module__]))) for name, check in HOST_CHECKS.items()]
    return page(
        "Checks of the host",
        "`gpuimg doctor` runs them in this order; `--only` takes names. They find OK, SKIP (nothing to look at here, or"
        " nobody who could tell), WARN (it works, and will disappoint) or FAIL.",
        table(("check", "looks at"), rows),
    )


def flavors_page() -> str:
    """Every flavor, as its row has it."""
    rows = [
        (
            code(flavor.name),
            plain(flavor.summary),
            ", ".join(map(code, flavor.packages)),
            ", ".join(map(code, flavor.requirements)) or "–",
            code(" ".join(flavor.command)),
            ", ".join(map(str, flavor.ports)) or "–",
        )
        for flavor in load_matrix().flavors
    ]
    head = ("flavor", "for", "packages of the distribution", "Python packages", "runs", "port")
    return page("Flavors", "What each adds to a stack and a base.", table(head, rows))


def labels_page() -> str:
    """Every label of an image, and what it says of one."""
    examples = example_labels()
    rows = [(code(name), plain(meaning), code(examples[name])) for name, meaning in LABELS.items()]
    return page(
        "Labels",
        "What `docker inspect` tells about an image, ours alone. The smoke step asserts the versions from inside. A"
        " label whose fact is unknown, or of which there is nothing to say, is left out.",
        table(("label", "says", "such as"), rows),
    )


def exit_codes_page() -> str:
    """Every exit code, and the errors that end with it."""
    return page(
        "Exit codes",
        "`gpuimg run` gives the exit code of what it started. All others say what happened on stderr, and the command"
        " that helps. A signal that ends a command gives 128 and its number.",
        table(("code", "means"), [(str(number), plain(said)) for number, said in exit_codes().items()]),
    )


def exit_codes() -> Mapping[int, str]:
    """Each, and what it means."""
    return {
        0: "Done.",
        1: "A check failed, or something is worse than in `--baseline`.",
        errors.RequestError.exit_code: "A bad request or file; the message names option, spec, or file and field.",
        errors.HostError.exit_code: "No engine, or the host, its engine or a package index lacks something.",
        errors.BuildError.exit_code: "The engine ran the build and it failed; the step and its last lines are shown.",
        errors.GpuimgError.exit_code: "A bug in gpuimg, with lines to report it by.",
        INTERRUPTED: "Interrupted: what was running has been stopped and cleaned up.",
    }


def _first_paragraph(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
