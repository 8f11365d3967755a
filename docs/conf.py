"""The documentation's site: ``scripts/docs`` builds it. What is generated comes from `docs.ext`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gpuimg import __version__

project = "gpuimg"
author = "The gpuimg developers"
version = release = __version__

extensions = ["myst_parser", "docs.ext"]
exclude_patterns = ["ext", "examples", "samples", "man"]
nitpicky = True
smartquotes = False  # `--option` in a sentence would become a dash

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"gpuimg {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options: dict[str, list[str]] = {"footer_icons": [], "top_of_page_buttons": []}
