r"""Formulas become MathML, which every browser sets by itself: no script, no font, no server.

``:math:`` and ``.. math::`` are TeX; latex2mathml translates it. What it does not know it passes
through, so a result that still holds a backslash is an error of the build.
"""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def mathml(tex: str, display: str, where: nodes.Node | None = None) -> str:
    """One formula."""
    tex = tex.strip()
    if display == "block" and re.search(r"(?<!\\)\\\\", tex) and "\\begin" not in tex:
        tex = rf"\begin{{align*}}{tex}\end{{align*}}"
    text = convert(tex, display=display)
    left = re.sub(r"&(#?\w+);", "", re.sub(r"<[^>]*>", "", text))
    if "\\" in left or "&" in left:
        logger.warning("this formula cannot be translated: %s", tex, location=where)
    return text


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), "inline", node))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    target = "".join(f' id="{name}"' for name in node["ids"][:1])
    text = mathml(node.astext(), "block", node)
    self.body.append(f'<div class="formula" tabindex="0"{target}>{text}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
