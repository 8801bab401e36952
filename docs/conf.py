"""How the site is made: ``make docs``, without a network; every warning is an error.

What is made of the package itself is in ``_ext/``: the reference, the commands, the drawing of the
rooms, what a program prints. The tutorials are run by sphinx-gallery; formulas become MathML.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import minienc  # noqa: E402 (of this tree)

project = "minienc"
author = "the minienc authors"
copyright = "the minienc authors, MIT licence"
version = release = minienc.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "reference",
    "mathml",
    "commands",
    "rooms",
    "programs",
    "results",
    "names",
    "numbered",
]
exclude_patterns = [
    "_build",
    "_ext",
    "tutorials/*.py",
    "tutorials/*.ipynb",
    "**.md5",
    "tutorials/README.rst",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
nitpicky = True  # a name that is not there any more fails the build
smartquotes = False  # W' is the transpose of W
highlight_language = "text"  # what is code says so; formulas in docstrings are none

# ----------------------------------------------------------------------------------- the reference

autodoc_typehints = "none"  # the docstrings say what is taken, with shapes
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_validation_checks = set()
viewcode_line_numbers = True

# ---------------------------------------------------------------------------------------- Markdown

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
# a file that is included names others of the tree by their paths there
suppress_warnings = ["myst.header"]

# ------------------------------------------------------------------------------------- the gallery

# The tutorials are programs, and each is run: MINIENC_DOCS_RUN=0 shows them without their results.
# MINIENC_DOCS_ONLY=03 runs only those whose names match, for whoever writes one.
sphinx_gallery_conf = {
    "examples_dirs": "../tutorials",
    "gallery_dirs": "tutorials",
    "filename_pattern": os.sep + os.environ.get("MINIENC_DOCS_ONLY", r"\d\d_"),
    "plot_gallery": os.environ.get("MINIENC_DOCS_RUN", "1") == "1",
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,  # that page asks three servers for its scripts
    "show_signature": False,
    "min_reported_time": 1e9,  # two builds of one tree are the same
    "abort_on_example_error": True,
    "doc_module": ("minienc",),
    "reference_url": {"minienc": None},
    "backreferences_dir": "api/used",
    "inspect_global_variables": True,
    "thumbnail_size": (400, 280),
    "remove_config_comments": True,
    "ignore_repr_types": r"matplotlib",  # whose names hold addresses
}

# ---------------------------------------------------------------------------------------- the pages

html_theme = "pydata_sphinx_theme"
html_title = "minienc"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_last_updated_fmt = None
html_math_renderer = "mathml"
html_show_search_summary = False  # it is fetched, which a page from a folder may not do
html_theme_options = {
    "logo": {"text": "minienc"},
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    # the reference shows docstrings of a hundred columns: it needs the width
    "secondary_sidebar_items": {"[!a]*": ["page-toc"]},
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "back_to_top_button": False,
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
alone = ("index", "start", "commands", "figures", "speed", "instructor")  # no pages below them
html_sidebars = {name: [] for name in alone}


def setup(app):
    app.connect("source-read", _only_what_is_there)


def _only_what_is_there(app, name, source):
    """The course is a page of its own, of a tree that has it."""
    if name == "index" and not (HERE / "instructor.rst").is_file():
        source[0] = source[0].replace("\ninstructor\n", "\n")
