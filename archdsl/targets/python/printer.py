"""A tree of Python code to text in the style of `ruff format`, in lines of at most 88 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.layout import Choice, Either, Line, Text, concat, flat, group, indent, join, layout
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import (
    Assign,
    Attribute,
    Binary,
    Call,
    Class,
    Comprehension,
    Dict,
    Docstring,
    Evaluate,
    For,
    Function,
    If,
    Items,
    Keyword,
    Leaf,
    Literal,
    Name,
    Precedence,
    Return,
    Starred,
    Subscript,
    Unary,
    Verbatim,
    With,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from archdsl.core.layout import Doc
    from archdsl.targets.python.tree import Expr, Module, Parameter, Stmt

WIDTH = 88
INDENT = 4

# --- expressions -----------------------------------------------------------------------------------------------------


def text(expr: Expr) -> str:
    """Return an expression on one line."""
    match expr:
        case Leaf() | Literal():
            return expr.text
        case Name():
            return expr.id
        case _:
            return flat(document(expr))


def document(expr: Expr) -> Doc:
    """Return an expression as a document whose line ends are inside of its brackets."""
    match expr:
        case Name() | Literal() | Leaf():
            return _atom(expr)
        case Attribute():
            return concat(_bound(expr.value, Precedence.PRIMARY), f".{expr.name}")
        case Subscript():
            return concat(_bound(expr.value, Precedence.PRIMARY), _bracketed("[]", [document(expr.index)]))
        case Call():
            return concat(_bound(expr.function, Precedence.PRIMARY), _arguments(expr))
        case Keyword() | Starred():
            return _argument(expr)
        case _:
            return _compound(expr)


def _atom(expr: Name | Literal | Leaf) -> Doc:
    if isinstance(expr, Leaf) and len(expr.text) > WIDTH // 2:
        return _reread(expr)
    return Text(expr.id if isinstance(expr, Name) else expr.text)


def _argument(expr: Keyword | Starred) -> Doc:
    if isinstance(expr, Starred):
        return concat("*", _bound(expr.value, Precedence.BIT_OR))
    return concat(f"{expr.name}=" if expr.name else "**", document(expr.value))


def _reread(leaf: Leaf) -> Doc:
    try:
        read = expression(leaf.text)
    except SyntaxError:  # an index with colons
        return Text(leaf.text)
    return Text(leaf.text) if isinstance(read, Leaf) else document(read)


def _compound(expr: Expr) -> Doc:
    match expr:
        case Unary():
            space = " " if expr.operator == "not" else ""
            return concat(expr.operator + space, _bound(expr.operand, expr.precedence))
        case Binary():
            return group(_operation(expr), broken=False)
        case Items():
            return _items(expr)
        case Dict():
            items = [concat(document(key), ": ", document(value)) for key, value in expr.items]
            return _bracketed(
                "{}", items, comma=Either("", ",") if len(items) > 1 or expr.broken else "", broken=expr.broken
            )
        case Comprehension():
            return _bracketed(expr.brackets, [group(_clauses(expr), broken=False)])
        case _:
            message = f"{type(expr).__name__} is no expression that can be printed"
            raise TypeError(message)


def _bound(expr: Expr, least: Precedence) -> Doc:
    """Return an expression in brackets if it binds less tightly than is needed."""
    return document(expr) if expr.precedence >= least else _bracketed("()", [document(expr)])


def _operation(expr: Binary) -> Doc:
    """Return operands that an operator of one precedence stands between, each on a line if one is too short."""
    (left, least), (right, tighter) = _sides(expr)
    chained = isinstance(left, Binary) and left.precedence == expr.precedence == least
    before = _operation(left) if chained and isinstance(left, Binary) else _bound(left, least)
    return concat(before, Line(), f"{expr.operator} ", _bound(right, tighter))


def _clauses(expr: Comprehension) -> Doc:
    target = text(expr.target)
    clauses = [concat(f"for {target} in ", _bound(expr.iterable, Precedence.OR))]
    clauses += [concat("if ", _bound(c, Precedence.OR)) for c in expr.conditions]
    return join(Line(), [document(expr.element), *clauses])


def _items(expr: Items) -> Doc:
    docs = [document(i) for i in expr.items]
    if not expr.brackets:
        comma: Doc = Text("," if len(docs) == 1 else "")
        return concat(join(concat(",", Line()), docs), comma)
    if len(docs) == 1:
        return _bracketed(expr.brackets, docs, comma=Text("," if expr.brackets == "()" else ""))
    return _bracketed(expr.brackets, docs, comma=Either("", ","))


def _arguments(call: Call) -> Doc:
    """Return the arguments of a call: on its line, else all on one line of their own, else each on one."""
    if len(call.arguments) == 1 and not call.keywords and isinstance(call.arguments[0], Comprehension):
        return _bracketed("()", [group(_clauses(call.arguments[0]), broken=False)])
    return _in_call([document(a) for a in (*call.arguments, *call.keywords)], _needs_comma(call))


def _needs_comma(call: Call) -> bool:
    """Tell whether a comma stands behind the last of arguments on lines of their own."""
    return len(call.arguments) + len(call.keywords) > 1 or any(isinstance(a, Starred) for a in call.arguments)


def _in_call(docs: Sequence[Doc], comma: bool) -> Doc:
    if not docs:
        return Text("()")
    inner = concat(join(concat(",", Line()), docs), Either("", ",") if comma else "")
    return _bracketed("()", [group(inner, broken=False)])


def _bracketed(brackets: str, docs: Sequence[Doc], comma: Doc | str = "", *, broken: bool = False) -> Doc:
    if not docs:
        return Text(brackets)
    body = indent(Line(""), join(concat(",", Line()), docs), comma)
    return group(concat(brackets[0], body, Line(""), brackets[1]), broken=broken)


# --- statements ------------------------------------------------------------------------------------------------------


def _value(expr: Expr) -> Doc:
    """Return an expression behind `=` or `return`: in brackets if it has none of its own that could hold line ends."""
    if isinstance(expr, Leaf) and len(expr.text) > WIDTH // 2:
        expr = expression(expr.text)
    if not isinstance(expr, (Binary, Unary)):
        return document(expr)
    wrapped = _wrapped(document(expr))
    return Choice(_bare(expr), wrapped) if _may_be_bare(expr) else wrapped


def _wrapped(doc: Doc) -> Doc:
    """Return a document that is in brackets if it does not fit the line."""
    return group(concat(Either("", "("), indent(Line(""), doc), Line(""), Either("", ")")), broken=False)


def _bare(expr: Expr) -> Doc:
    """Return operands on one line but for the line ends in their own brackets."""
    if not isinstance(expr, Binary):
        return document(expr)
    left, right = _sides(expr)
    docs = [_bare(s) if s.precedence >= least else _bound(s, least) for s, least in (left, right)]
    return concat(docs[0], f" {expr.operator} ", docs[1])


def _sides(expr: Binary) -> tuple[tuple[Expr, Precedence], tuple[Expr, Precedence]]:
    """Return the operands, each with the precedence below which it needs brackets."""
    tighter = Precedence(expr.precedence + 1)
    left = tighter if expr.precedence == Precedence.COMPARISON else expr.precedence
    return (expr.left, left), (expr.right, tighter)


def _may_be_bare(expr: Expr) -> bool:
    """Tell whether line ends in an operand will do: one operator binds least, and a bracket is first or last."""
    if not isinstance(expr, Binary) or (isinstance(expr.left, Binary) and expr.left.precedence == expr.precedence):
        return False
    return any(_is_bracket(expr, side) for side in (0, 1))


def _is_bracket(expr: Expr, side: int) -> bool:
    """Tell whether the outermost operand on the left (0) or the right (1) is one that begins or ends with brackets."""
    while isinstance(expr, Binary):
        expr, least = _sides(expr)[side]
        if expr.precedence < least:
            return True
    if side and isinstance(expr, Call):
        return bool(expr.arguments or expr.keywords)
    return isinstance(expr, (Items, Dict, Comprehension))


def lines(statements: Iterable[Stmt], indentation: int = 0) -> Iterator[str]:
    """Yield the lines of statements at an indentation."""
    for statement in statements:
        yield from _lines(statement, indentation)


def _lines(node: Stmt, at: int) -> Iterator[str]:
    match node:
        case Assign() | Return() | Evaluate():
            yield from simple(node, at)
        case If():
            yield from _if("if", node, at)
        case For():
            yield from _line(f"for {text(node.target)} in ", node.iterable, ":", at)
            yield from lines(node.body, at + INDENT)
        case With():
            yield from _line("with ", node.context, ":", at)
            yield from lines(node.body, at + INDENT)
        case Function() | Class():
            yield from _definition(node, at)
        case Docstring() | Verbatim():
            yield from (" " * at + line if line else "" for line in _given(node))
        case _:
            message = f"{type(node).__name__} is no statement that can be printed"
            raise TypeError(message)


def simple(node: Assign | Return | Evaluate, at: int, comment: str = "") -> list[str]:
    """Return the lines of a statement, with a comment behind the last."""
    return _line(_before(node), node.value, comment, at)


def _before(node: Assign | Return | Evaluate) -> str:
    """Return what stands in front of a statement's value."""
    if isinstance(node, Assign):
        return "".join(f"{text(t)} {node.operator} " for t in node.targets)
    return "return " if isinstance(node, Return) else ""


def _given(node: Docstring | Verbatim) -> Iterable[str]:
    """Return lines that others have broken."""
    if isinstance(node, Verbatim):
        return node.lines
    return ('"""' + "\n".join(node.lines) + '"""').split("\n")


def _line(before: str, value: Expr, after: str, at: int) -> list[str]:
    """Return the lines of a statement whose value may be broken."""
    line = f"{' ' * at}{before}{text(value)}{after}"
    if len(line) <= WIDTH and not _is_broken(value):
        return [line]
    return _laid_out(concat(before, _value(value), after), at)


def _is_broken(expr: Expr) -> bool:
    return (isinstance(expr, Dict) and expr.broken) or any(map(_is_broken, expr.parts))


def _laid_out(doc: Doc, at: int) -> list[str]:
    return [" " * row.indent + row.text for row in layout(doc, WIDTH, at)]


def _if(word: str, node: If, at: int) -> Iterator[str]:
    yield from _line(f"{word} ", node.test, ":", at)
    yield from lines(node.body, at + INDENT)
    if len(node.otherwise) == 1 and isinstance(node.otherwise[0], If):
        yield from _if("elif", node.otherwise[0], at)
    elif node.otherwise:
        yield f"{' ' * at}else:"
        yield from lines(node.otherwise, at + INDENT)


def _definition(node: Function | Class, at: int) -> Iterator[str]:
    if isinstance(node, Function):
        yield from signature(node, at)
        yield from lines(node.body, at + INDENT)
        return
    yield f"{' ' * at}class {node.name}({text(node.base)}):"
    for index, statement in enumerate(node.body):
        if index:
            yield ""
        yield from _lines(statement, at + INDENT)


def signature(node: Function, at: int) -> list[str]:
    """Return the lines that begin a function: broken in what it returns only if its parameters are no place for it."""
    returns = concat(" -> ", _returned(node.returns)) if node.returns is not None else Text("")
    if not node.parameters:
        return _laid_out(concat(f"def {node.name}()", returns, ":"), at)
    inner = concat(join(concat(",", Line()), [_parameter(p) for p in node.parameters]), Either("", ","))
    parameters = group(inner, broken=False) if len(node.parameters) > 1 else inner
    head = concat("(", indent(Line(""), parameters), Line(""), ")", returns, ":")
    return _laid_out(concat(f"def {node.name}", group(head, broken=False)), at)


def _returned(expr: Expr) -> Doc:
    """Return what a function returns: in brackets if it has none of its own, or if those begin too late."""
    value = _value(expr)
    return value if isinstance(expr, (Binary, Unary)) else Choice(value, _wrapped(document(expr)))


def _parameter(node: Parameter) -> Doc:
    kind = [": ", document(node.type)] if node.type is not None else []
    default = [" = " if kind else "=", document(node.default)] if node.default is not None else []
    return concat(node.name, *kind, *default)


def module_text(module: Module) -> str:
    """Return a whole file."""
    head = "\n\n".join("\n".join(lines([s])) for s in module.head)
    return "\n\n\n".join([head, *("\n".join(lines([s])) for s in module.definitions)]) + "\n"
