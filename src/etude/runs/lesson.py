"""A lesson (Markdown with LaTeX) as HTML whose equations are MathML: any browser shows them,
without a network.
"""

from __future__ import annotations

import html


def lesson_html(lesson: str) -> str:
    """Markdown to HTML; an equation that can't be converted is shown as its LaTeX."""
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def equation(latex: str, options: dict[str, bool]) -> str:
        try:
            mathml: str = convert(
                latex, display="block" if options.get("display_mode") else "inline"
            )
        except Exception:  # the converter raises whatever its parser stumbles over
            return f"<code>{html.escape(latex)}</code>"
        return mathml

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.use(dollarmath_plugin, renderer=equation, allow_digits=False)
    return str(markdown.render(lesson))
