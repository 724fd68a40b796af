"""Sphinx's settings for the documentation site: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from svtree import __version__  # noqa: E402 - the path above leads there

project = "svtree"
author = "The svtree authors"
copyright = author  # noqa: A001 - Sphinx's name for it
version = release = __version__
extensions = ["myst_parser", "manuals"]
root_doc = "index"
exclude_patterns = ["build"]
nitpicky = True
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {
    "description": "A supervised service tree",
    "fixed_sidebar": "true",
    "globaltoc_maxdepth": "1",
    "page_width": "1080px",
    "show_powered_by": "false",
}
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
