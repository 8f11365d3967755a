"""Templates → text: the filters that keep values in their place, and errors that name template and line."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import jinja2

from gpuimg.errors import RequestError
from gpuimg.paths import TEMPLATES
from gpuimg.text import printable, shorten, shown, shown_path

_WORD: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._+:@*-]*")


def template_environment(template_dirs: Sequence[Path]) -> jinja2.Environment:
    """Give the environment in which templates of `template_dirs` take the place of gpuimg's by name."""
    for folder in template_dirs:
        if not folder.is_dir() or not any(folder.rglob("*.j2")):
            raise RequestError(
                f"{shown_path(folder)} is not a folder with templates (*.j2)",
                hints=["name one with --template-dir DIR; a template in it takes the place of gpuimg's of that name"],
            )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*map(str, template_dirs), str(TEMPLATES)]),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # a Dockerfile is no HTML: `quoted` is its escape
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = quoted
    environment.filters["word"] = word
    environment.filters["yaml"] = yaml_scalar
    environment.filters["compose"] = compose_scalar
    environment.filters["shell"] = shell_word
    environment.filters["deffile"] = deffile_word
    return environment


def render_template(environment: jinja2.Environment, name: str, values: Mapping[str, object]) -> str:
    """Give the text of a template. Raises RequestError, with template and line, for a fault in it."""
    with _template_errors():
        text = environment.get_template(name).render(values)
    if not text.strip():
        raise RequestError(f"{name} renders to nothing")
    return text


@contextlib.contextmanager
def _template_errors() -> Iterator[None]:
    """A fault in a template is one of whoever wrote it: name the template and the line."""
    try:
        yield
    except jinja2.TemplateNotFound as error:
        raise RequestError(f"there is no template `{printable(str(error.name or error))}`") from error
    except jinja2.TemplateSyntaxError as error:
        raise RequestError(
            f"{error.name or 'a template'}, line {error.lineno}: {printable(error.message or '')}"
        ) from error
    except (
        jinja2.TemplateError,
        ArithmeticError,
        LookupError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        where = _template_line(error)
        raise RequestError(
            f"{where}: {shorten(printable(str(error)), 200)}", hints=["look at your --template-dir"]
        ) from error


def _template_line(error: BaseException) -> str:
    """The innermost template and line that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [f"{Path(frame.filename).name}, line {frame.lineno}" for frame in frames if frame.filename.endswith(".j2")]
    return found[-1] if found else "a template"


def quoted(value: str) -> str:
    r"""`value` as a double-quoted word of a Dockerfile instruction: it can end neither the word nor the line.

    >>> print(quoted('a "b" $c'))
    "a \"b\" \$c"

    Raises RequestError for what no quotes can hold.
    """
    if printable(value) != value:
        raise RequestError(f"`{shown(value)}` has control characters: it can't stand in a Dockerfile")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def word(value: str) -> str:
    """`value` if it is one plain shell word wherever it stands: a package, a path with ``*``, an image.

    Raises RequestError for anything else. The matrix's schemas say the same; this is the second wall.
    """
    if not _WORD.fullmatch(value):
        raise RequestError(f"`{shown(value)}` can't stand as a word in a template's text")
    return value


def yaml_scalar(value: str) -> str:
    r"""`value` as a double-quoted scalar of YAML, whatever it would mean without quotes.

    >>> print(yaml_scalar('no: "x"'))
    "no: \"x\""

    Raises RequestError for control characters, which no value needs.
    """
    if printable(value) != value:
        raise RequestError(f"`{shown(value)}` has control characters: it can't stand in a manifest")
    return json.dumps(value, ensure_ascii=False)


def compose_scalar(value: str) -> str:
    """`value` as a scalar of YAML in a Compose file, in which ``$NAME`` is Compose's to fill in.

    >>> print(compose_scalar("a $b"))
    "a $$b"
    """
    return yaml_scalar(value.replace("$", "$$"))


def shell_word(value: str) -> str:
    """`value` as one word of a shell script, whatever it holds: nothing in it is expanded.

    >>> print(shell_word("a $b"), shell_word("plain"))
    'a $b' plain

    Raises RequestError for control characters, since a line of its own could mean something to other readers.
    """
    if printable(value) != value:
        raise RequestError(f"`{shown(value)}` has control characters: it can't stand in a script")
    return shlex.quote(value)


def deffile_word(value: str) -> str:
    """`value` as one word of a shell script in a definition file, in which ``{{ name }}`` is Apptainer's to fill in.

    >>> print(deffile_word("{{ x }}"))
    '{''{ x }}'
    """
    return re.sub(r"\{(?=\{)", "{''", shell_word(value))
