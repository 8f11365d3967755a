"""What a flavor adds to a stack: ``matrices/flavors/<flavor>.yaml`` → the wheels beside those of the stack.

One file serves all stacks: what a stack brings itself stays as it is, and what the flavor's wheels ask of it is on
record (`asks`), so that it is known before a build whether they go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpuimg import facts
from gpuimg.errors import MatrixError, RequestError
from gpuimg.matrix.files import read_document
from gpuimg.matrix.rows import build_row
from gpuimg.paths import MATRICES
from gpuimg.versions import Platform, PythonVersion


def locked_wheels(
    flavor: facts.Flavor,
    stack: facts.Stack,
    wheels: facts.WheelSet,
    *,
    platform: Platform,
    python: PythonVersion,
    overlays: Sequence[Path] = (),
    base: Path = MATRICES,
) -> tuple[facts.Wheel, ...] | None:
    """Give what `flavor` adds to `wheels`, sorted; None where nobody locked it, so that it is resolved as extras are.

    Raises:
        RequestError: there is none for this Python and platform, or the stack has a package that its wheels don't take.
        MatrixError: the file doesn't hold.
    """
    candidates = [folder / "flavors" / f"{flavor.name}.yaml" for folder in (*reversed(overlays), base)]
    path = next((path for path in candidates if path.exists()), None)
    if path is None or not flavor.requirements:
        return None if flavor.requirements else ()
    file = f"matrices/flavors/{path.name}"
    document = read_document(path, schema="flavor_wheels")
    if (document["flavor"], tuple(document["requirements"])) != (flavor.name, flavor.requirements):
        raise MatrixError(
            file, "", f"was not resolved for what the flavor `{flavor.name}` asks for: scripts/derive_flavor_wheels.py"
        )
    entry = next((entry for entry in document["platforms"] if entry["platform"] == str(platform)), None)
    one = next((one for one in (entry or {}).get("pythons", ()) if one["python"] == str(python)), None)
    if entry is None or one is None:
        reasons = {row["python"]: row["reason"] for row in (entry or {}).get("left_out", ())}
        reason = reasons.get(str(python), "nothing was resolved for it")
        raise RequestError(
            f"`{flavor.name}` can't be had with Python {python} on {platform}: {reason}",
            hints=["choose another --python", f"`gpuimg build {stack.name}` without the flavor"],
        )
    of_the_stack = (*wheels.cuda, *wheels.torch, *wheels.toolkit)
    have: dict[str, facts.Wheel] = {canonicalize_name(wheel.name): wheel for wheel in of_the_stack}
    _refuse_contradictions(one["asks"], have, flavor=flavor, stack=stack)
    rows = [*entry["shared"], *one["wheels"]]
    found = [build_row(facts.Wheel, {**row, "index": "pypi"}, file=file, where=row["name"]) for row in rows]
    return tuple(sorted((wheel for wheel in found if wheel.name not in have), key=lambda wheel: wheel.name))


def _refuse_contradictions(
    asks: Sequence[str], have: Mapping[str, facts.Wheel], *, flavor: facts.Flavor, stack: facts.Stack
) -> None:
    for text in asks:
        asked = Requirement(text)
        wheel = have.get(canonicalize_name(asked.name))
        if wheel is not None and not asked.specifier.contains(wheel.version, prereleases=True):
            raise RequestError(
                f"`{flavor.name}` asks for {text}, and {stack.name} has {wheel.name} {wheel.version}",
                hints=[f"`gpuimg build {stack.name}` without the flavor"],
            )
