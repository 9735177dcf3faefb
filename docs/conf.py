"""Settings of the site, which `make docs` builds into out/docs, without network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from archdsl import __version__  # noqa: E402

project = "archdsl"
author = "the archdsl authors"
copyright = author  # noqa: A001  # the name that Sphinx has for it
release = __version__
html_title = f"archdsl {release}"

extensions = ["myst_parser", "sphinx_design", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generate"]
root_doc = "index"
exclude_patterns = ["pictures/README.md", "generate"]
suppress_warnings = ["misc.highlighting_failure"]  # examples that show what is wrong, and excerpts with …

myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 4

default_role = "code"  # docstrings are written as in Markdown
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False

html_theme = "furo"
html_static_path = ["assets"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "native"
