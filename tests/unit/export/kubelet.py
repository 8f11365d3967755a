"""What the kubelet does to commands and variables: in the place of ``$(NAME)`` it puts the variable.

As https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ has it for ``command``: a name that is
not known stays as it is written, and ``$$`` stands for ``$``.
"""

from __future__ import annotations

from collections.abc import Mapping


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` as the container gets it."""
    found = []
    place = 0
    while place < len(text):
        rest = text[place:]
        end = rest.find(")")
        if rest.startswith("$$"):
            found.append("$")
            place += 2
        elif rest.startswith("$(") and end > 0:
            name = rest[2:end]
            found.append(variables.get(name, rest[: end + 1]))
            place += end + 1
        else:
            found.append(rest[0])
            place += 1
    return "".join(found)
