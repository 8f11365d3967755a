"""Requirements of installed packages (PEP 508), read without `packaging`, which an image need not have.

It knows what torch's own metadata uses: specifiers on numeric versions, and markers joined by ``and``, ``or`` and
parentheses. What it can't read it raises ValueError for, and never takes for satisfied.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .versions import release

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(?:;\s*(.*))?$", re.DOTALL)
_SPECIFIER = re.compile(r"\s*(===|==|!=|<=|>=|~=|<|>)\s*([\w.+!*-]+)\s*")
_PRE_RELEASE = re.compile(r"\d(?:[._-]?)(?:a|b|c|rc|alpha|beta|dev|pre|preview)[._-]?\d*", re.IGNORECASE)
_TOKEN = re.compile(r"""\s*(?:(?P<text>'[^']*'|"[^"]*")|(?P<op>===|==|!=|<=|>=|~=|<|>|\(|\))|(?P<word>[\w.]+))""")


@dataclass(frozen=True)
class Requirement:
    """One line of Requires-Dist."""

    name: str
    specifiers: tuple[tuple[str, str], ...]
    marker: str | None

    @property
    def text(self) -> str:
        return self.name + ",".join(operator + version for operator, version in self.specifiers)

    @property
    def pin(self) -> str | None:
        """The version of an exact pin (``==``)."""
        for operator, version in self.specifiers:
            if operator == "==" and "*" not in version:
                return version
        return None

    def applies(self) -> bool:
        """Whether the marker holds on this interpreter, with no extra asked for."""
        return self.marker is None or _evaluate(self.marker)

    def holds(self, version: str) -> bool:
        """Whether `version` satisfies every specifier."""
        return all(_satisfies(version, operator, wanted) for operator, wanted in self.specifiers)


def parse_requirement(text: str) -> Requirement:
    """Read one requirement. Raises ValueError."""
    match = _REQUIREMENT.match(text)
    if match is None:
        raise ValueError(f"`{text}` is not a requirement that this guest can read")
    specifiers = []
    for part in filter(str.strip, (match[2] or "").split(",")):
        found = _SPECIFIER.fullmatch(part)
        if found is None:
            raise ValueError(f"`{part}` of `{text}` is not a version specifier")
        specifiers.append((found[1], found[2]))
    return Requirement(normalise(match[1]), tuple(specifiers), match[3] or None)


def normalise(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _satisfies(version: str, operator: str, wanted: str) -> bool:
    if operator == "===":
        return version == wanted
    if wanted.endswith(".*"):
        prefix = release(wanted[:-2])
        return (_padded(release(version), len(prefix))[: len(prefix)] == prefix) is (operator == "==")
    if operator == "~=":
        prefix = release(wanted)[:-1]
        return _key(version) >= _key(wanted) and _padded(release(version), len(prefix))[: len(prefix)] == prefix
    if operator in ("==", "!="):
        # A local version (+cu124) satisfies a pin that names none.
        public = version if "+" in wanted else version.partition("+")[0]
        equal = _key(public) == _key(wanted) and public.partition("+")[2] == wanted.partition("+")[2]
        return equal is (operator == "==")
    left, right = _key(version), _key(wanted)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def _key(version: str) -> tuple[tuple[int, ...], bool, str]:
    """An order that is PEP 440's for what metadata pins: releases, and pre-releases before their release."""
    public = version.partition("+")[0]
    numbers = list(release(public))
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    final = _PRE_RELEASE.search(public) is None
    return tuple(numbers), final, "" if final else public


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))


def _environment(variable: str) -> str:
    if variable == "python_version":
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    values = {
        "python_full_version": platform.python_version(),
        "os_name": os.name,
        "sys_platform": sys.platform,
        "platform_system": platform.system(),
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_version": platform.version(),
        "platform_python_implementation": platform.python_implementation(),
        "implementation_name": sys.implementation.name,
        "extra": "",
    }
    if variable not in values:
        raise ValueError(f"`{variable}` is not a marker variable")
    return values[variable]


def _evaluate(marker: str) -> bool:
    tokens = list(_tokens(marker))
    value = _either(tokens)
    if tokens:
        raise ValueError(f"`{marker}` is not a marker that this guest can read")
    return value


def _tokens(marker: str) -> Iterator[tuple[str, str]]:
    position, text = 0, marker.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ValueError(f"`{marker}` is not a marker that this guest can read")
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


def _either(tokens: list[tuple[str, str]]) -> bool:
    value = _both(tokens)
    while tokens and tokens[0] == ("word", "or"):
        tokens.pop(0)
        value = _both(tokens) or value
    return value


def _both(tokens: list[tuple[str, str]]) -> bool:
    value = _comparison(tokens)
    while tokens and tokens[0] == ("word", "and"):
        tokens.pop(0)
        value = _comparison(tokens) and value
    return value


def _comparison(tokens: list[tuple[str, str]]) -> bool:
    if not tokens:
        raise ValueError("a marker ends too early")
    if tokens[0] == ("op", "("):
        tokens.pop(0)
        value = _either(tokens)
        if not tokens or tokens.pop(0) != ("op", ")"):
            raise ValueError("a parenthesis of a marker is not closed")
        return value
    left, operator, right = _operand(tokens), _operator(tokens), _operand(tokens)
    if operator == "in":
        return left in right
    if operator == "not in":
        return left not in right
    if release(left) and release(right):
        return _satisfies(left, operator, right)
    if operator not in ("==", "!="):
        raise ValueError(f"`{left} {operator} {right}` does not compare versions")
    return (left == right) is (operator == "==")


def _operand(tokens: list[tuple[str, str]]) -> str:
    if not tokens or tokens[0][0] == "op":
        raise ValueError("a marker lacks an operand")
    kind, text = tokens.pop(0)
    return text[1:-1] if kind == "text" else _environment(text)


def _operator(tokens: list[tuple[str, str]]) -> str:
    if not tokens:
        raise ValueError("a marker lacks an operator")
    _, text = tokens.pop(0)
    if text == "not" and tokens and tokens[0] == ("word", "in"):
        tokens.pop(0)
        return "not in"
    return text
