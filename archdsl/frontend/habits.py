"""Hints for syntax of Python, C and other languages.

`cure` tries the rules one by one. Each recognises one habit by the unexpected token, its neighbours, and the tokens
that the parser would have accepted. `STATEMENTS` has words that begin a statement in other languages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.frontend.choices import choice
from archdsl.frontend.foreign_chains import translated
from archdsl.frontend.own_forms import own_form
from archdsl.frontend.rewrites import rewritten
from archdsl.frontend.translate import chain_of
from archdsl.frontend.unexpected import NO_COMMA, OTHER_LANGUAGE, Cure

if TYPE_CHECKING:
    from collections.abc import Callable

    from lark import Token

    from archdsl.frontend.unexpected import Unexpected

_FAT_ARROW = "__ANON_0"
_VALUE_ENDS = {"NAME", "NUMBER", "STRING", "RPAR", "RSQB"}
_VALUE_BEGINS = {"NAME", "NUMBER", "STRING", "LSQB", "IN"}

# Words that begin a statement in other languages, with the equivalent.
STATEMENTS: dict[str, str] = {
    word: text
    for words, text in (
        ("elif elseif elsif", "write `else if`, on the line of the closing brace or the next"),
        ("def function fn func sub macro", "a chain with parameters is `block NAME(PARAMETER, …) { CHAIN }`"),
        ("class struct", "an architecture begins with `arch NAME`; a part of it is `block NAME(…) { CHAIN }`"),
        ("model network net Arch ARCH architecture", "a spec begins with `arch NAME`"),
        ("return yield", "a block gives what its chain ends in: leave out `return`"),
        ("var const int float double auto val bool str string list define params parameter parameters set final static",
         "`param NAME = VALUE` declares what users can set, `let NAME = VALUE` names a value"),
        ("from include using require use package", "write `import NAME`: its blocks are known by their own names"),
        ("extends inherits", "`extends` stands in the first line: `arch NAME extends BASE`"),
        ("while repeat loop", "`layer * 3` repeats in a chain, `for i in 1..3 { … }` repeats stages"),
        ("assert require", "`param NAME = VALUE where CONDITION` checks a parameter"),
        ("print echo log", "nothing is printed; `archdsl cost`, `draw` and `compile --print shapes` show the network"),
        ("try with pass raise del global async match switch case do", "leave it out: there is no such statement"),
        ("layer layers module modules backbone", "layers stand in stages: `stage NAME { conv(64, 3) -> bn -> relu }`"),
        ("output outputs out classifier", "what the network gives is its head: `head: avgpool -> linear(classes)`"),
        ("train loss optimizer optimiser lr epochs", "how a network is trained: `recipe optimizer = sgd, lr = 0.1`"),
        ("super self", "there are no classes: a part of a network is `block NAME(…) { CHAIN }`"),
    )
    for word in words.split()
}  # fmt: skip

# The form of each statement, for faults that no rule recognises.
FORMS = {
    "ARCH": "`arch NAME [as FAMILY] [extends BASE]`", "IMPORT": "`import NAME`", "CITE": "`cite \"REFERENCE\"`",
    "PUBLISHED": "`published params = 34.5M, gflops = 65.7 at [3, 32, 256, 256]`",
    "PARAM": "`param NAME [: TYPE] = VALUE [where CONDITION]`", "LET": "`let NAME = VALUE`",
    "RECIPE": "`recipe NAME = VALUE`", "INPUT": "`input clip: video[CHANNELS, FRAMES, HEIGHT, WIDTH]`",
    "PATH": "`path NAME = CHAIN`", "DROP": "`drop path NAME` or `drop stage NAME`",
    "HEAD": "`head: avgpool -> linear(classes)`",
    "STAGE": "`stage NAME { CHAIN }`", "FOR": "`for i in 1..4 { … }`", "IF": "`if CONDITION { … } else { … }`",
    "LATERAL": "`lateral FROM => TO by FUSION: CHAIN`", "BLOCK": "`block NAME(PARAMETER, …) { CHAIN }`",
}  # fmt: skip


def cure(fault: Unexpected) -> Cure | None:
    """Return the message for a habit of another language; None if none is known."""
    return next((found for rule in _RULES if (found := rule(fault)) is not None), None)


def form(fault: Unexpected) -> str:
    """Return a hint with the form of the statement in this line, if the fault is not inside brackets or braces."""
    first = fault.first if fault.line else ""
    inside = sum((t.type in ("LPAR", "LSQB", "LBRACE")) - (t.type in ("RPAR", "RSQB", "RBRACE")) for t in fault.line)
    return f"it is written {FORMS[first]}" if first in FORMS and inside <= 0 else ""


# --- the rules -------------------------------------------------------------------------------------------------------


def _comment(fault: Unexpected) -> Cure | None:
    slashes = next((t for t in (*fault.line, fault.token) if t.type == "FLOOR"), None)
    begins_line = not fault.line
    if slashes is not None and (fault.token is slashes or fault.token.type == "NAME"):
        text = fault.source.text[slashes.end_pos or 0 :].partition("\n")[0].strip()
        return Cure(f"a comment begins with `#`, as in `# {text}`; `//` divides and rounds down")
    if fault.token.type == "SLASH" and fault.after is not None and fault.after.type in ("STAR", "POWER", "SLASH"):
        return Cure("a comment begins with `#`, and ends with the line")
    twice = fault.after is not None and fault.after.type == fault.token.type == "MINUS"
    if begins_line and (twice or fault.token.type in ("STAR", "POWER", "PERCENT")) and "STAGE" in fault.accepted:
        return Cure("a comment begins with `#`")
    return None


def _path_line(fault: Unexpected) -> Cure | None:
    """Recognise `slow = stem(8)` in a stage."""
    if fault.token.type == "EQUAL" and len(fault.phrase) == 1 and _is_path(fault, fault.phrase[0]):
        return Cure(f"a line of a path is written `{fault.phrase[0]}: CHAIN`")
    return None


def _string_prefix(fault: Unexpected) -> Cure | None:
    if fault.token.type != "STRING" or fault.before is None or not fault.adjoins or len(fault.before) > 2:
        return None
    return Cure("a string holds no expressions; the label of a stage does, as in `stage res{i}`")


def _name_in_quotes(fault: Unexpected) -> Cure | None:
    """Recognise quoted and invalid names: `extends "x.arch"`, `import lib/x`, `stage "conv1"`, `arch my-net`."""
    text = str(fault.token)
    if fault.previous in ("EXTENDS", "IMPORT") and fault.token.type == "STRING":
        stem = re.sub(r"\.arch$", "", text.strip('"')).replace("\\", "/").rsplit("/", 1)[-1]
        return Cure(f"a file is named without quotes, folder and ending: `{fault.before} {stem}`")
    names_file = "EXTENDS" in {t.type for t in fault.line} or fault.first == "IMPORT"
    if names_file and fault.token.type in ("DOT", "SLASH", "__ANON_1", "MINUS", "COMMA", "AS"):
        if fault.token.type == "COMMA":
            is_import = fault.first == "IMPORT"
            return Cure("each import has a line of its own: `import NAME`" if is_import else "a spec has one base")
        example = "import resnet" if fault.first == "IMPORT" else "extends slow_r50"
        return Cure(f"a file is named without folder and ending, and has no second name: `{example}`")
    if fault.token.type == "STRING" and fault.previous in ("ARCH", "STAGE", "PATH", "BLOCK", "AS", "INPUT"):
        return Cure(f"a name has no quotes: `{fault.before} {re.sub(r'[^A-Za-z0-9_{}]', '_', text.strip(chr(34)))}`")
    if (
        fault.first in ("ARCH", "STAGE", "PATH", "BLOCK")
        and len(fault.line) == 2
        and fault.token.type in ("MINUS", "DOT")
    ):
        name = re.sub(r"\W+", "_", fault.line_text.partition(" ")[2].split(" ")[0])
        return Cure(f"a name has letters, digits and `_`: `{fault.line[0]} {name}`")
    if fault.token.type == "NUMBER" and fault.previous in ("ARCH", "STAGE", "PATH", "BLOCK", "PARAM"):
        return Cure(f"a name begins with a letter, as in `{fault.before} s{text}`")
    return None


@dataclass(frozen=True)
class _Row:
    """A habit that is recognised by the kinds of tokens alone: `hint` applies if all given fields match.

    `hint` can refer to the token, and to the tokens before and after it.
    """

    kinds: str  # of the token, separated by spaces
    hint: str
    accepts: str = ""  # kinds that the parser would have accepted, all of them
    before: str = ""  # kinds of the token before it
    after: str = ""
    first: str = ""  # kinds of the first token of the line
    inside: str = ""  # kinds of the innermost bracket; `-` for none
    code: str = OTHER_LANGUAGE

    def holds(self, fault: Unexpected) -> bool:
        """Return True if the fault is this habit."""
        inner = fault.opened[-1].type if fault.opened else "-"
        after = fault.after.type if fault.after is not None else ""
        asked = (
            (self.kinds, fault.token.type), (self.before, fault.previous), (self.after, after),
            (self.first, fault.first), (self.inside, inner),
        )  # fmt: skip
        return set(self.accepts.split()) <= fault.accepted and all(found in w.split() for w, found in asked if w)

    def cure(self, fault: Unexpected) -> Cure:
        """Return the message for the habit."""
        return Cure(self.hint.format(token=fault.token, before=fault.before, after=fault.after), code=self.code)


_ROWS = (
    # signs
    _Row("EQUAL", "`==` compares, as in `{before} == {after}`; `=` gives a name its value", accepts="COMPARE"),
    _Row("COLON", "an argument is given by `=`: `{before} = {after}`", accepts="EQUAL", inside="LPAR"),
    _Row("NUMBER", "a type stands behind `:`, a value behind `=`", before="COLON", first="PARAM BLOCK"),
    _Row("ARROW", "a lateral is written with `=>`: `lateral FROM => TO: CHAIN`", accepts=_FAT_ARROW),
    _Row(f"{_FAT_ARROW} VBAR COMPARE", "layers are joined by `->`", accepts="ARROW"),
    _Row("COMMA", "layers are joined by `->`; lines of a stage are separated by line ends", accepts="ARROW"),
    _Row(
        "PLUS MINUS SLASH",
        "layers are joined by `->`; values are added by `residual {{ a -> b }}` or `add {{ a, b }}`",
        accepts="ARROW",
    ),
    _Row("ARROW", "a chain begins with a layer, or with the name of a value", accepts="RESIDUAL", code="E0103"),
    _Row("ARROW", "a block gives what its chain ends in: `block NAME(…) {{ CHAIN }}`", first="BLOCK"),
    _Row("RBRACE", "a chain ends with a layer: leave out the last `->`", before="ARROW", code="E0103"),
    _Row("RPAR", "nothing opens this: leave it out", accepts="ARROW", before="RPAR", code="E0103"),
    _Row(
        "LATERAL",
        "a lateral stands in a stage, below the lines of its paths: `lateral FROM => TO: CHAIN`",
        accepts="STAGE",
        code="E0103",
    ),
    # dots
    _Row(
        "DOT",
        "a layer is called by one name, without a module before it, as in `conv(64, 3) -> relu`",
        accepts="ARROW",
        before="NAME",
    ),
    _Row("DOT", "layers are joined by `->`, as in `conv(64, 3) -> relu`", accepts="ARROW"),
    _Row("DOT", "a number begins with a digit: `0.{after}`", after="NUMBER"),
    _Row("DOT", "values have no parts and no methods; `len(list)`, `sum(list)` and `list[0]` look into a list"),
    # operators
    _Row("VBAR", "write `or`", accepts="OR"),
    _Row("NOT", "write `not` before it: `not x in list`", accepts="COMPARE"),
    _Row("COMPARE", "comparisons do not chain: `1 < a and a < 5`", accepts="AND"),
    # values
    _Row("COLON", "there are no slices: `[list[i] for i in 1..2]` takes elements, `list[1]` one", inside="LSQB"),
    _Row(
        "LBRACE",
        "there are no dictionaries: a list stands in `[ ]`, arguments in `( )` as `NAME = VALUE`",
        accepts="NUMBER LSQB",
    ),
    _Row(
        "NUMBER",
        "decimals have a point, as in `0.5`; a list stands in `[ ]`",
        before="COMMA",
        first="PARAM LET",
        inside="-",
    ),
    _Row("FOR", "a list that is computed stands in `[ ]`: `[x for x in list]`", accepts="COMPARE"),
    _Row("_NL", "a share is a number: `0.5` or `1/2`; `%` is the remainder of a division", before="PERCENT"),
    # braces
    _Row("NAME LPAR", "braces hold chains: `{before} {{ conv(64, 3) -> bn }}`", before="RESIDUAL SHORTCUT"),
    _Row("COLON", "braces hold what belongs to it: `{{ … }}`, without `:`", accepts="LBRACE"),
    _Row("EQUAL", "braces hold the chain of a block: `block NAME(…) {{ CHAIN }}`", accepts="LBRACE", first="BLOCK"),
    _Row("LPAR", "a stage has no parameters: `stage NAME {{ CHAIN }}`; a block has", accepts="LBRACE", first="STAGE"),
    _Row("LPAR", "`arch NAME` stands alone; a base is named by `arch NAME extends BASE`", first="ARCH"),
    _Row("LBRACE", "the statements of a spec stand below `arch NAME`, without braces", first="ARCH"),
    _Row(
        "LBRACE",
        "a block has parentheses, even without parameters: `block {before}() {{ CHAIN }}`",
        accepts="LPAR",
        first="BLOCK",
    ),
    _Row("LSQB", "braces hold branches, as in `concat {{ a, b }}`; parentheses hold arguments", accepts="ARROW"),
    # rows of layers
    _Row("NUMBER", "repeats stand behind: `conv(64, 3) * 3`, `(conv(64, 3) -> bn) * 3`", accepts="RESIDUAL"),
    _Row("LSQB", "layers that are repeated stand in parentheses: `(conv(64, 3) -> bn) * 3`", accepts="RESIDUAL"),
    _Row("FOR", "`layer * 3` repeats in a stage; `for` repeats stages and stands around them", accepts="RESIDUAL"),
    _Row(
        "BLOCK",
        "the choice of a spec has words: `param act: relu | silu = relu`, given to a block as `act = act`",
        before="COLON",
        first="PARAM",
    ),
    _Row(
        "STAR POWER",
        "each parameter of a block has a name: `block NAME(width, stride = 1) {{ CHAIN }}`",
        accepts="NAME",
        first="BLOCK",
    ),
)


def _row(fault: Unexpected) -> Cure | None:
    return next((row.cure(fault) for row in _ROWS if row.holds(fault)), None)


def _spelling(fault: Unexpected) -> Cure | None:
    """Recognise habits by the text of a token, not by its kind alone."""
    text, before = str(fault.token), str(fault.before)
    if text == "=" and fault.previous == "COLON" and fault.adjoins:
        return Cure("a value is given by `=`, without `:`")
    if text == "==" and "EQUAL" in fault.accepted:
        return Cure("`=` gives a name its value; `==` compares")
    if text == "is" and "COMPARE" in fault.accepted:
        return Cure("`==` and `!=` compare")
    if text in ("x", "times") and fault.in_chain and fault.after is not None and fault.after.type == "NUMBER":
        return Cure(f"repeats are written `* {fault.after}`")
    if text == "." and not fault.in_chain and before in ("math", "np", "torch", "numpy"):
        return Cure(f"functions have one name: `{fault.after}(…)`; there are `floor`, `ceil`, `round`, `min`, `max`")
    if fault.token.type in ("NAME", "LPAR") and fault.accepted == {"RBRACE"}:
        return Cure("a block is one chain: join its lines by `->`", code="E0103")
    return None


def _missing(fault: Unexpected) -> Cure | None:
    """Recognise a missing colon after the name of a path, or a missing comma between values."""
    kind = fault.token.type
    begins_chain = kind in ("NAME", "LPAR", "RESIDUAL", "ARROW") and "COLON" in fault.accepted
    if begins_chain and len(fault.phrase) == 1 and _is_path(fault, fault.phrase[0]):
        return Cure(f"a line of a path is written `{fault.before}: CHAIN`", "a `:` is missing before this")
    if str(fault.before) == "lambda":
        hint = "a function is written `let NAME(x) = EXPRESSION`; `[EXPRESSION for x in list]` makes a list of another"
        return Cure(hint)
    if kind == "COMMA" and fault.previous == "COMMA":
        return Cure("leave out one of the two commas", code="E0103")
    if fault.previous == "NUMBER" and fault.token in ("K", "M", "G", "k", "m", "g"):
        return Cure(f"write `{fault.before}{fault.token.upper()}`, without a space")
    if "COMMA" in fault.accepted and fault.previous in _VALUE_ENDS and kind in _VALUE_BEGINS and not fault.in_chain:
        return Cure(f"write `{fault.before}, {fault.token}`", "a `,` is missing before this", NO_COMMA)
    if kind == "_NL" and fault.previous == "COMMA" and fault.first in ("PARAM", "LET", "RECIPE", "PUBLISHED", "IMPORT"):
        word = str(fault.line[0]) if fault.line else "param"
        return Cure(f"a statement ends with its line: leave out the comma, and begin the next line with `{word}`")
    return None


def _statement(fault: Unexpected) -> Cure | None:
    """Recognise a word of another language, or a layer, at the start of a statement."""
    begins = not fault.line or fault.previous in ("RBRACE", "LBRACE")
    text = str(fault.token)
    if text in STATEMENTS and begins and ({"STAGE", "ELSE", "RBRACE"} & fault.accepted):
        return Cure(STATEMENTS[text])
    if fault.before is not None and fault.before in ("return", "yield") and fault.in_chain:
        return Cure(STATEMENTS["return"], part=(fault.before.start_pos or 0, fault.before.end_pos or 0))
    if fault.line or "STAGE" not in fault.accepted or fault.token.type != "NAME" or fault.after is None:
        return None
    if fault.after.type == "COLON":
        return Cure("a line of a path stands in a stage: `stage NAME { PATH: CHAIN }`", code="E0103")
    if fault.after.type in ("LPAR", "ARROW", "_NL", "STAR"):
        chain = chain_of(fault.line_text) or fault.line_text
        return Cure(f"layers stand in stages, or in the `head`: `stage NAME {{ {chain} }}`", code="E0103", run="layers")
    return None


def _header(fault: Unexpected) -> Cure | None:
    """Recognise wrong headers: `arch net extend base`, `arch net: base`."""
    if fault.first != "ARCH" or len(fault.line) != 2 or "EXTENDS" not in fault.accepted:
        return None
    if (
        fault.token.type in ("COLON", "NAME", "FROM", "COMPARE")
        and fault.after is not None
        and fault.after.type == "NAME"
    ):
        return Cure(f"a base is named by `extends`: `arch {fault.line[1]} extends {fault.after}`")
    return Cure("`arch NAME` ends with its line", code="E0103") if fault.token.type == "COLON" else None


def _head(fault: Unexpected) -> Cure | None:
    """Recognise `drop head`, and `frozen` in a statement other than a stage."""
    if fault.token.type == "HEAD" and fault.previous == "DROP":
        return Cure("leave out this line: a new `head: …` takes the place of the base's", code="E0103")
    if fault.token.type == "FROZEN" and fault.in_chain:
        return Cure("`frozen` stands before braces: `frozen { CHAIN }`", code="E0103")
    if fault.token.type == "FROZEN" and (not fault.line or fault.first in ("HEAD", "PATH", "INPUT", "BLOCK")):
        return Cure("`frozen` stands behind the name of a stage, or before braces: `frozen { CHAIN }`", code="E0103")
    return None


def _frozen(fault: Unexpected) -> Cure | None:
    """Recognise lines that are indented below `stage NAME frozen`, without braces."""
    if fault.line or "STAGE" not in fault.accepted:
        return None
    start = fault.source.text.rfind("\n", 0, fault.line_start) + 1
    indent = fault.line_start - start
    above = [s for s in fault.source.text[:start].split("\n") if s.strip() and len(s) - len(s.lstrip()) < indent]
    header = above[-1].strip() if above else ""
    if not re.fullmatch(r"stage\s+[\w{}]+\s+frozen(?:\s+if\s[^{#]*)?", header):
        return None
    part = fault.line_start, fault.line_start + len(fault.line_text)
    after = fault.source.text[fault.line_start :].split("\n")[1:2]
    goes_on = any(len(s) - len(s.lstrip()) >= indent for s in after if s.strip())
    written = f"`{header} {{`, and `}}` below these lines" if goes_on else f"`{header} {{ {fault.line_text} }}`"
    return Cure(
        f"braces hold what belongs to it: {written}; without lines, the stage of the base is frozen",
        code="E0103",
        part=part,
        run="frozen",
    )


def _is_path(fault: Unexpected, name: Token) -> bool:
    """Return True if the text declares a path of that name."""
    pairs = zip(fault.tokens, fault.tokens[1:], strict=False)
    return any(a.type == "PATH" and b == name for a, b in pairs)


_RULES: tuple[Callable[[Unexpected], Cure | None], ...] = (
    own_form, _frozen, _path_line, choice, rewritten, _comment, translated, _string_prefix, _name_in_quotes, _spelling,
    _missing, _header, _head, _statement, _row,
)  # fmt: skip
