"""The canonical text of a derived file: a second dump of what was loaded gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast

import yaml

_NO_WRAP: Final = 2**31 - 1


def dump(document: Mapping[str, object], *, header: str, one_line: str) -> str:
    """Give `header` and then `document` as YAML: block style in the given order, in quotes what YAML could misread.

    Lists of plain values stand on one line, and so do mappings that have the key `one_line`.
    """
    dumper = type("_Dumper", (_Dumper,), {"one_line": one_line})
    text = yaml.dump(dict(document), Dumper=dumper, sort_keys=False, width=_NO_WRAP, allow_unicode=True)
    return header + text


class _Dumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]  # either base
    one_line = ""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_str(dumper: _Dumper, value: str) -> yaml.Node:
    plain = re.fullmatch(r"(?![0-9a-f]{64}$)[A-Za-z/][\w ./@=+-]*", value) and isinstance(yaml.safe_load(value), str)
    return cast("yaml.Node", dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"'))


def _represent_list(dumper: _Dumper, value: list[object]) -> yaml.Node:
    scalars = not any(isinstance(item, (dict, list)) for item in value)
    return cast("yaml.Node", dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=scalars))


def _represent_dict(dumper: _Dumper, value: dict[str, object]) -> yaml.Node:
    return cast(
        "yaml.Node",
        dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=dumper.one_line in value),
    )


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(dict, _represent_dict)
