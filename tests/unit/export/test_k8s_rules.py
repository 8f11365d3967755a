"""What the API server refuses though its schemas let it through, looked for in every manifest that is committed.

The rules: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

GOLDEN: Final = sorted((Path(__file__).parents[2] / "golden" / "k8s").glob("*.yaml"))
LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PORT: Final = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
UNITS: Final = {"Gi": 2**30, "Mi": 2**20, "Ki": 2**10, "": 1}


def documents(file: Path) -> list[Any]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def pods(value: Any) -> Iterator[tuple[Any, set[str]]]:
    """Each template of pods, with the names of the claims that are made for it."""
    if isinstance(value, dict):
        if "containers" in value.get("template", {}).get("spec", {}):
            yield value["template"], {claim["metadata"]["name"] for claim in value.get("volumeClaimTemplates", ())}
        for part in value.values():
            yield from pods(part)
    elif isinstance(value, list):
        for part in value:
            yield from pods(part)


def size(text: str) -> int:
    match = re.fullmatch(r"(\d+)(Gi|Mi|Ki|)", text)
    assert match is not None
    return int(match[1]) * UNITS[match[2]]


def broken(template: Any, claimed: set[str]) -> list[str]:
    """The rules that a template of pods breaks."""
    spec = template["spec"]
    (container,) = spec["containers"]
    volumes = [volume["name"] for volume in spec["volumes"]]
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    variables = [each["name"] for each in container.get("env", ())]
    limits, requests = container["resources"]["limits"], container["resources"].get("requests", {})
    (shm,) = (volume["emptyDir"]["sizeLimit"] for volume in spec["volumes"] if volume["name"] == "shm")
    rules = {
        "a volume's name is a label": all(map(LABEL.fullmatch, volumes)),
        "a volume's name is its own": len({*volumes, *claimed}) == len(volumes) + len(claimed),
        "what is mounted is there": {mount["name"] for mount in container["volumeMounts"]} == {*volumes, *claimed},
        "a place has one mount": len(set(places)) == len(places),
        "a variable is said once": len(set(variables)) == len(variables),
        "the container's name is a label": LABEL.fullmatch(container["name"]) is not None,
        "a port's name is short": all(PORT.fullmatch(port["name"]) for port in container.get("ports", ())),
        "who asks for less than the limit": size(requests.get("memory", limits["memory"])) <= size(limits["memory"]),
        "shared memory leaves some": size(shm) < size(limits["memory"]),
        "a device is whole": all(isinstance(count, int) for name, count in limits.items() if "/" in name),
        "a label's value is short": all(len(value) <= 63 for value in template["metadata"]["labels"].values()),
        "an added capability is known": set(container["securityContext"]["capabilities"].get("add", ()))
        <= {"IPC_LOCK", "SYS_PTRACE"},
    }
    return [rule for rule, holds in rules.items() if not holds]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_api_server_would_take_it(file: Path) -> None:
    found = [pod for document in documents(file) for pod in pods(document)]
    assert found
    assert [broken(template, claimed) for template, claimed in found] == [[]] * len(found)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_objects_have_names_that_can_be_hosts(file: Path) -> None:
    """And all of one file are in one namespace: a Service elsewhere would lead nowhere."""
    found = documents(file)
    assert all(LABEL.fullmatch(document["metadata"]["name"]) for document in found)
    assert len({(document["kind"], document["metadata"]["name"]) for document in found}) == len(found)
    assert len({document["metadata"].get("namespace") for document in found}) == 1


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_a_service_finds_its_pods(file: Path) -> None:
    """All labels that it asks for, and the port by its name."""
    found = documents(file)
    templates = [template for document in found for template, _ in pods(document)]
    for service in (document["spec"] for document in found if document["kind"] == "Service"):
        for template in templates:
            assert service["selector"].items() <= template["metadata"]["labels"].items()
            named = {port["name"] for port in template["spec"]["containers"][0].get("ports", ())}
            assert {port["targetPort"] for port in service["ports"] if "targetPort" in port} <= named


def test_what_breaks_a_rule_is_found() -> None:
    """What the tests above rest on."""
    ((template, claimed),) = pods(documents(next(file for file in GOLDEN if file.stem == "notebook"))[-1])
    container = template["spec"]["containers"][0]
    container["volumeMounts"].append({"name": "data", "mountPath": "/workspace"})
    container["resources"]["limits"]["memory"] = "2Gi"
    container["ports"][0]["name"] = "notebook-of-jupyter"
    assert broken(template, claimed) == [
        "what is mounted is there",
        "a place has one mount",
        "a port's name is short",
        "who asks for less than the limit",
        "shared memory leaves some",
    ]
