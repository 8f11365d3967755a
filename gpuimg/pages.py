"""Templates of HTML pages → text: what they show is escaped, and a page's policy lets nothing in but its own.

What a page shows may come from anyone's overlay or image. Whatever a template shows that is not markup of our own is
escaped twice: for HTML, and so that nothing deceives the eye.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

import jinja2
from markupsafe import Markup

from gpuimg.paths import TEMPLATES
from gpuimg.text import printable

PAGES: Final = TEMPLATES / "pages"


def page_environment() -> jinja2.Environment:
    """Give the environment of the templates of pages."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def policy_hash(text: str) -> str:
    """`text` of a style or a script as a Content-Security-Policy names what it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(value: object) -> object:
    """Each text that a template shows: what would deceive the eye becomes an escape."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
