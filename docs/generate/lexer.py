"""Highlighting of specs, maps of names and templates, for Pygments."""

from __future__ import annotations

from typing import ClassVar

from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text

STATEMENTS = (
    "arch as at block by cite drop else extends for from frozen head if import in input lateral let param path "
    "published recipe residual shortcut stage where"
).split()


class ArchLexer(RegexLexer):
    """Specs."""

    name = "archdsl"
    aliases: ClassVar[list[str]] = ["arch"]
    filenames: ClassVar[list[str]] = ["*.arch"]
    tokens: ClassVar = {
        "root": [
            (r"#[^\n]*", Comment.Single),
            (r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"', String),
            (words(STATEMENTS, prefix=r"\b", suffix=r"\b"), Keyword),
            (words(("and", "or", "not"), prefix=r"\b", suffix=r"\b"), Operator.Word),
            (words(("on", "off", "true", "false"), prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            (r"\d[\d_]*(?:\.\d+)?(?:e-?\d+)?[KMG]?", Number),
            (r"[A-Za-z]\w*(?=\s*\()", Name.Function),
            (r"[A-Za-z]\w*", Name),
            (r"->|=>|\.\.|==|!=|<=|>=|//|\*\*|[-+*/%<>=|]", Operator),
            (r"[{}()\[\],.:]", Punctuation),
            (r"\s+|.", Text),
        ]
    }


class WeightsLexer(ArchLexer):
    """Maps of names."""

    name = "archdsl weights"
    aliases: ClassVar[list[str]] = ["weights"]
    filenames: ClassVar[list[str]] = ["*.weights"]
